"""Fixtures for all tests."""

from typing import Any

import pytest

from tests.support.kafka import kafka_node
from tests.support.postgres import database, module_database, postgres_server, unused_port

__all__ = ["anyio_backend", "database", "kafka_node", "module_database", "postgres_server", "unused_port"]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Tests marked `anyio` run on the loop that the services run on."""
    return "asyncio", {"use_uvloop": True}
