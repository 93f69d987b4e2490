"""The event log in PostgreSQL keeps the promises of the port."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conformance.backend import FACTS, LogBackend, append, beginning, read_all
from tests.conformance.consumer_suite import ConsumerConformance
from tests.conformance.log_suite import EventLogConformance
from tests.conformance.model_suite import LogModelConformance
from tests.support.events import intake_event
from tests.support.postgres import Database
from tiendo_common.clock import new_event_id
from tiendo_common.errors import Retry
from tiendo_common.eventlog.port import EventLog, LogReader
from tiendo_common.eventlog.postgres import PostgresEventLog, PostgresLogReader
from tiendo_common.eventlog.schema import CONSUMER_TABLES, log_tables
from tiendo_common.events.catalogue import TOPICS, owned_by

pytestmark = pytest.mark.anyio

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
    await pool.execute(";".join([*log_tables(owned_by(service)), CONSUMER_TABLES]))


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
    async def backend(self, pools: dict[str, asyncpg.Pool]) -> LogBackend:
        for service, pool in pools.items():
            tables = await pool.fetch(
                "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = current_schema"
            )
            if tables:
                await pool.execute(f"DROP TABLE {', '.join(row[0] for row in tables)}")
            await make_tables(pool, service)
        return PostgresBackend(pools)


class TestPostgresLog(OnPostgres, EventLogConformance):
    async def test_the_restricted_topic_is_readable_by_activation_alone(self, backend: LogBackend) -> None:
        assert await backend.reader("activation").fetch(beginning("dossier"), 10) == []
        for service in ("aggregator", "notifier"):
            with pytest.raises(Retry, match="permission denied"):
                await backend.reader(service).fetch(beginning("dossier"), 10)

    async def test_no_consumer_may_write_into_a_log(self, backend: LogBackend) -> None:
        await append(backend, intake_event("a"))
        for statement in (
            "DELETE FROM intake.log_intake",
            "UPDATE intake.log_partition SET next = 1",
            "INSERT INTO intake.log_watermark VALUES ('intake', now(), '{}')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await backend.pool("aggregator").execute(statement)
        assert sum(len(part) for part in (await read_all(backend.reader("aggregator"), FACTS)).values()) == 1


class TestPostgresConsumers(OnPostgres, ConsumerConformance):
    pass


class TestPostgresLogModel(OnPostgres, LogModelConformance):
    pass
