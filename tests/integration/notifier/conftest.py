"""A notifier, its keys, the log that it reads, and somebody who is told."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.notifier import BOUND, KEYS, Aggregator, Endpoint, Notifier, receiving, running
from tests.support.postgres import Database, PostgresServer, make_database
from tiendo_common.database.migrate import migrate
from tiendo_common.database.pool import make_pool


@pytest.fixture(scope="session")
def judged_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database with the notifier's tables and the log that it reads: to make copies of."""

    async def fill(database: Database) -> None:
        async with make_pool(database.dsn("aggregator"), "tests") as pool:
            await Aggregator(pool).make_tables()
        await migrate(database.dsn("notifier"), "notifier")

    with make_database(postgres_server) as template:
        asyncio.run(fill(template))
        yield template.name


@pytest.fixture
def database(postgres_server: PostgresServer, judged_template: str) -> Iterator[Database]:
    """A copy for each test: to make the tables anew takes as long as most of these tests."""
    with make_database(postgres_server, judged_template) as fresh:
        yield fresh


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "api-keys.json"
    keys = [
        {"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": scopes}
        | ({"units": BOUND[name]} if name in BOUND else {})
        for name, scopes in KEYS.items()
    ]
    path.write_text(json.dumps({"keys": keys}))
    return path


@pytest.fixture
async def aggregator(database: Database) -> AsyncIterator[Aggregator]:
    async with make_pool(database.dsn("aggregator"), "tests") as pool:
        aggregator = Aggregator(pool)
        await aggregator.publish_tree()
        yield aggregator


@pytest.fixture
async def notifier(database: Database, keys_file: Path, aggregator: Aggregator) -> AsyncIterator[Notifier]:
    async with running(database, keys_file, aggregator) as notifier:
        yield notifier


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    with receiving() as receiver:
        yield receiver
