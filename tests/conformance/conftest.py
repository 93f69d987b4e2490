"""A database for the tests of a class."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import Database, PostgresServer, make_database


@pytest.fixture(scope="class")
def class_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A fresh database for all tests of a class."""
    with make_database(postgres_server) as fresh:
        yield fresh
