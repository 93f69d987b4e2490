"""The backend of which the log tables in the producers' schemas are all there is."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conformance.backend import LogBackend
from tests.support.postgres import Database
from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import EventLog, LogReader
from tiendo_common.eventlog.postgres import PostgresEventLog, PostgresLogReader
from tiendo_common.eventlog.schema import (
    CONSUMER_TABLES,
    log_generations,
    log_tables,
    settled_dead_letters,
)
from tiendo_common.events.catalogue import TOPICS, owned_by

SERVICES = ("intake", "aggregator", "activation", "notifier")


class PostgresBackend:
    """The log tables in the producers' schemas are all there is."""

    def __init__(self, pools: dict[str, asyncpg.Pool]) -> None:
        self._pools = pools

    def pool(self, service: str) -> asyncpg.Pool:
        return self._pools[service]

    def log(self, service: str) -> EventLog:
        return PostgresEventLog(service, self._pools[service])

    def reader(self, service: str) -> LogReader:
        return PostgresLogReader(self._pools[service])

    async def settled(self) -> None:
        """What is committed can be read."""

    async def append_body(self, topic: str, body: bytes, *, partition: int = 0) -> int:
        async with self._pools[TOPICS[topic].owner].acquire() as connection, connection.transaction():
            sequence: int = await connection.fetchval(
                "UPDATE log_partition SET next = next + 1 WHERE topic = $1 AND partition = $2 RETURNING next - 1",
                topic,
                partition,
            )
            await connection.execute(
                f"INSERT INTO log_{topic} (partition, seq, event_id, body) VALUES ($1, $2, $3, $4)",
                partition,
                sequence,
                new_event_id(),
                body,
            )
        return sequence

    async def lose(self, topic: str, partition: int, sequence: int) -> None:
        await self._pools[TOPICS[topic].owner].execute(
            f"DELETE FROM log_{topic} WHERE partition = $1 AND seq = $2", partition, sequence
        )

    async def withhold(self, topic: str) -> None:
        owner = self._pools[TOPICS[topic].owner]
        await owner.execute(f"DROP TABLE log_{topic}")
        await owner.execute("DROP TABLE log_watermark")


async def make_tables(pool: asyncpg.Pool, service: str) -> None:
    """What the service's migrations make of the log, in an empty schema."""
    topics = owned_by(service)
    tables = [*log_tables(topics), CONSUMER_TABLES, *settled_dead_letters(), *log_generations(topics)]
    await pool.execute(";".join(tables))


class OnPostgres:
    """Brings the backend: one database for the tests of a class, its schemas made anew for each."""

    @pytest.fixture(scope="class")
    async def pools(self, class_database: Database) -> AsyncIterator[dict[str, asyncpg.Pool]]:
        pools = {
            service: await asyncpg.create_pool(class_database.dsn(service), min_size=0, max_size=12)
            for service in SERVICES
        }
        yield pools
        for pool in pools.values():
            await pool.close()

    @pytest.fixture
    async def empty_log(self, pools: dict[str, asyncpg.Pool]) -> dict[str, asyncpg.Pool]:
        """The services' schemas with an empty log in each."""
        for service, pool in pools.items():
            tables = await pool.fetch(
                "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = current_schema"
            )
            if tables:
                await pool.execute(f"DROP TABLE {', '.join(row[0] for row in tables)}")
            await make_tables(pool, service)
        return pools

    @pytest.fixture
    async def backend(self, empty_log: dict[str, asyncpg.Pool]) -> LogBackend:
        return PostgresBackend(empty_log)
