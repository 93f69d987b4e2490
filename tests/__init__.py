"""Tests: a package, so that `tests.support` is found and two files may have one name."""
