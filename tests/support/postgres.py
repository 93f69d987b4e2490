"""One real PostgreSQL server for a test session, and fresh databases in it.

Fixtures, shared with all tests by `tests/conftest.py`:

- `database`: a fresh database with the four services' roles and schemas, for one test. Marked `counted`, a test gets
  a copy of one that an aggregator has run on: its tables are made and the country's units published
  (`tests/support/aggregator.py`), which takes longer than what most of these tests are about;
- `module_database`: the same, for all tests of a module;
- `postgres_server`: the server itself, for tests that need several databases: `make_database(server)`.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest

from tests.support.scratch import abandoned_folders, scratch_folder
from tiendo_common.database.bootstrap import SERVICES, ensure_roles, role_of
from tiendo_common.database.embedded.server import EmbeddedPostgres, Server

_PASSWORDS = {service: f"of-{service}" for service in SERVICES}


@dataclass(frozen=True)
class PostgresServer:
    """The session's server."""

    launcher: EmbeddedPostgres
    server: Server

    def admin_dsn(self, database: str = "postgres") -> str:
        """The superuser's URL of a database."""
        return self.launcher.admin_dsn(self.server, database)


@dataclass(frozen=True)
class Database:
    """A database with the services' roles and schemas."""

    name: str
    server: PostgresServer

    @property
    def admin_dsn(self) -> str:
        """The superuser's URL."""
        return self.server.admin_dsn(self.name)

    def dsn(self, service: str) -> str:
        """The URL that a service connects with, as its own role."""
        return self.server.server.dsn(role_of(service), _PASSWORDS[service], self.name)


@contextlib.contextmanager
def make_database(server: PostgresServer, template: str | None = None) -> Iterator[Database]:
    """A fresh database for the duration, or a copy of one that nobody is connected to. Whatever is still connected
    at the end is cut off."""
    name = f"test_{secrets.token_hex(6)}"
    if template is None:
        asyncio.run(ensure_roles(server.admin_dsn(), _PASSWORDS, name))
    else:
        asyncio.run(_copy(server.admin_dsn(), template, name))
    try:
        yield Database(name, server)
    finally:
        asyncio.run(_execute(server.admin_dsn(), f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _copy(admin_dsn: str, template: str, name: str) -> None:
    """A copy has the tables and the rights in it. What the server keeps about a database is copied here, and
    passwords are set again, since some tests change them."""
    passwords = [f"ALTER ROLE {role_of(service)} PASSWORD '{_PASSWORDS[service]}'" for service in SERVICES]
    await _execute(
        admin_dsn,
        # Files, not their contents through the log, since nobody else writes to the template meanwhile.
        f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy',
        f"""
        UPDATE pg_database SET datacl = of.datacl FROM pg_database AS of
        WHERE pg_database.datname = '{name}' AND of.datname = '{template}';
        INSERT INTO pg_db_role_setting SELECT copy.oid, setrole, setconfig FROM pg_db_role_setting
        JOIN pg_database AS of ON of.oid = setdatabase, pg_database AS copy
        WHERE of.datname = '{template}' AND copy.datname = '{name}';
        {"; ".join(passwords)}""",
    )


async def _execute(admin_dsn: str, *statements: str) -> None:
    admin = await asyncpg.connect(admin_dsn)
    try:
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server. Not durable: nobody needs a test's data after a power cut."""
    _remove_abandoned()
    with scratch_folder() as folder:
        launcher = EmbeddedPostgres(folder / "postgres", durable=False)
        server = launcher.start()
        running = PostgresServer(launcher, server)
        # A password is asked for some 5,000 times; 4,096 rounds of hashing at both ends are for those that are secret.
        asyncio.run(_execute(running.admin_dsn(), "ALTER DATABASE postgres SET scram_iterations = 1"))
        try:
            yield running
        finally:
            launcher.stop()


@pytest.fixture
def database(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database for one test: a fresh one, or a copy of `counted_template` for a test that is marked `counted`."""
    counted = request.node.get_closest_marker("counted") is not None
    template = request.getfixturevalue("counted_template") if counted else None
    with make_database(postgres_server, template) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A fresh database for the tests of one module."""
    with make_database(postgres_server) as fresh:
        yield fresh


def _remove_abandoned() -> None:
    """Stop and remove the servers of test sessions that were killed."""
    with abandoned_folders() as folders:
        for folder in folders:
            for record in folder.rglob("server.json"):
                EmbeddedPostgres(record.parent).stop(timeout=10)
