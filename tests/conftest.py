"""Fixtures for all tests."""

from typing import Any

import pytest

from tests.support.aggregator import counted_template
from tests.support.kafka import kafka_node
from tests.support.postgres import database, module_database, postgres_server, unused_port

__all__ = [
    "anyio_backend",
    "counted_template",
    "database",
    "kafka_node",
    "module_database",
    "postgres_server",
    "unused_port",
]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Tests marked `anyio` run on the loop that the services run on."""
    return "asyncio", {"use_uvloop": True}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: side by side, the whole takes as long as what begins last."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/e2e/", "tests/chaos/")))
