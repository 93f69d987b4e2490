"""Fixtures for all tests."""

import gc
import os
from typing import Any

import hypothesis
import pytest
import structlog

from tests.support.aggregator import counted_template
from tests.support.kafka import kafka_node
from tests.support.ports import unused_port
from tests.support.postgres import database, module_database, postgres_server

__all__ = [
    "anyio_backend",
    "counted_template",
    "database",
    "kafka_node",
    "module_database",
    "postgres_server",
    "unused_port",
]


# What services in this process log is shown where a test fails. Plainly: structlog's own way paints a traceback, with
# the source around each line, and takes as long for one as a service for its start.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


# Elsewhere than in CI, where it does so by itself, hypothesis takes an example of more than 200 ms for a failure: on a
# busy machine any is.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
if "CI" not in os.environ:
    hypothesis.settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Tests marked `anyio` run on the loop that the services run on."""
    return "asyncio", {"use_uvloop": True}


# As services do it, for the same reason; and what pytest and the libraries hold by now stays to the end.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_finish() -> None:
    """Look for cycles among what tests make only, not in all that was imported: that was a quarter of each start."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: side by side, the whole takes as long as what begins last."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/e2e/", "tests/chaos/")))
