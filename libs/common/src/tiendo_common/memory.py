"""Memory that work in large pieces has left behind."""

import ctypes
from collections.abc import Callable


def _trimmer() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None with another C library, which has its own ways."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


_trim = _trimmer()


def give_back() -> None:
    """Give what is free back to the operating system, some milliseconds.

    Tens of megabytes that were taken and freed together leave a heap with holes. glibc keeps those for ever, and makes
    new ones beside them for the next piece that is a little larger: a process grows, of which nothing leaks.
    """
    if _trim is not None:
        _trim(0)
