"""What the event log promises, written once and run against each backend."""

import pytest

pytest.register_assert_rewrite(
    "tests.conformance.backend",
    "tests.conformance.log_suite",
    "tests.conformance.consumer_suite",
    "tests.conformance.consumer_world",
    "tests.conformance.model_suite",
)
