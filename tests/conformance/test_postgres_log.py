"""The event log in PostgreSQL keeps the promises of the port."""

import asyncio

import asyncpg
import pytest

from tests.conformance.backend import FACTS, STATE, LogBackend, append, beginning, read_all
from tests.conformance.consumer_suite import ConsumerConformance
from tests.conformance.consumer_world import (
    Doomed,
    Ledger,
    World,
    running,
    until,
)
from tests.conformance.log_suite import EventLogConformance
from tests.conformance.model_suite import LogModelConformance
from tests.conformance.postgres_backend import OnPostgres
from tests.support.events import intake_event, unit_event
from tests.support.postgres import Database
from tiendo_common.database.pool import make_pool
from tiendo_common.errors import Retry
from tiendo_common.eventlog.port import Connection, Partition

pytestmark = pytest.mark.anyio


class TestPostgresLog(OnPostgres, EventLogConformance):
    async def test_the_restricted_topic_is_readable_by_activation_alone(self, backend: LogBackend) -> None:
        assert await backend.reader("activation").fetch(beginning("dossier"), 10) == []
        for service in ("aggregator", "notifier"):
            with pytest.raises(Retry, match="permission denied"):
                await backend.reader(service).fetch(beginning("dossier"), 10)

    async def test_a_superseded_event_is_gone_with_the_commit_of_the_newer(self, backend: LogBackend) -> None:
        for name in ("a1", "b1", "a2"):
            await append(backend, unit_event(name[0], name), service="aggregator")
        read = (await read_all(backend.reader("notifier"), STATE))[Partition(STATE, 0)]
        assert [sequence for sequence, _ in read] == [2, 3]

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
    async def test_one_that_sleeps_in_a_transaction_gives_its_partitions_up(
        self, world: World, class_database: Database
    ) -> None:
        """It holds the locks on its positions: the server must end its session, or nobody could claim them."""
        asleep = asyncio.Event()

        async def sleep(_connection: Connection, _count: int) -> None:
            asleep.set()
            await asyncio.Event().wait()

        await world.append(40)
        async with make_pool(class_database.dsn("aggregator"), "aggregator") as pool:
            assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
            sleeper = Doomed(
                "ledger",
                [FACTS],
                Ledger(sleep),
                pool=pool,
                reader=world.backend.reader("aggregator"),
                batch_size=500,
            )
            async with running(sleeper):
                await asleep.wait()
                async with running(world.replica()):
                    await until(world.all_in)
        await world.check()


class TestPostgresLogModel(OnPostgres, LogModelConformance):
    pass
