"""Restores of a producer's database under a broker that is ahead, one after another and in either mode."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from tests.conformance.backend import FACTS, STATE, append, read_all
from tests.conformance.kafka_backend import KafkaBackend, OnKafka, carried, in_background
from tests.support.command import environment
from tests.support.events import intake_event, unit_event
from tests.support.postgres import Database
from tiendo_common.database.pool import make_pool
from tiendo_common.errors import Retry
from tiendo_common.eventlog.consumer import Batch, Consumer
from tiendo_common.eventlog.kafka.generations import begin_generation
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.port import Connection, NewEvent, Partition, Position
from tiendo_common.eventlog.postgres import PostgresLogReader
from tiendo_common.events.envelope import encode, partition_of

pytestmark = pytest.mark.anyio

PLACE = Partition(FACTS, partition_of("a"))
PRODUCERS = ("intake", "activation", "aggregator")


def some(count: int, first: int = 1) -> list[NewEvent]:
    """Versions of one record: one partition, in order."""
    return [intake_event("a", version) for version in range(first, first + count)]


def bodies(*parts: list[NewEvent]) -> list[bytes]:
    return [encode(new.event) for part in parts for new in part]


class Backup:
    """All rows of a service's schema."""

    def __init__(self, pool: asyncpg.Pool, tables: dict[str, list[asyncpg.Record]]) -> None:
        self._pool = pool
        self._tables = tables

    @classmethod
    async def of(cls, pool: asyncpg.Pool) -> "Backup":
        names = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema")
        return cls(pool, {name: await pool.fetch(f"SELECT * FROM {name}") for (name,) in names})

    async def restore(self) -> None:
        await self._pool.execute(f"TRUNCATE {', '.join(self._tables)}")
        for name, rows in self._tables.items():
            if rows:
                await self._pool.copy_records_to_table(name, records=[tuple(row) for row in rows])


async def publish(backend: KafkaBackend, *events: NewEvent, service: str = "intake") -> None:
    """Append, and carry to the broker; afterwards nobody publishes."""
    await append(backend, *events, service=service)
    async with carried(backend):
        await backend.settled()


async def read_on_kafka(backend: KafkaBackend, topic: str = FACTS) -> list[bytes]:
    """What a consumer reads that begins today."""
    read = await read_all(backend.reader("aggregator"), topic)
    return [body for events in read.values() for _, body in events]


class Nothing:
    """A projection without effects."""

    def prepare(self, _batch: Batch, /) -> None:
        return None

    async def apply(self, _connection: Connection, _works: Sequence[None], /) -> None:
        return None


class TestRestores(OnKafka):
    @pytest.fixture
    async def backend(self, silent: KafkaBackend) -> KafkaBackend:
        """Its publishers run when a test says so."""
        return silent

    @pytest.mark.long
    async def test_a_second_restore_of_one_backup_withdraws_the_first_ones_generation_too(
        self, backend: KafkaBackend
    ) -> None:
        pool = backend.pools["intake"]
        kept = some(3)
        await publish(backend, *kept)
        backup = await Backup.of(pool)
        await publish(backend, *some(2, first=10))
        for attempt in range(2):
            await backup.restore()
            begun, withdrawn = await begin_generation(backend.broker, pool, "intake", f"restore {attempt}")
            assert begun == {FACTS: attempt + 2}
            assert len(withdrawn) == 2 + 4 * attempt
            again = some(4, first=100 * (attempt + 1))
            await publish(backend, *again)
            assert await read_on_kafka(backend) == bodies(kept, again)

    async def test_a_consumer_does_not_wait_for_a_watermark_that_was_withdrawn(
        self, backend: KafkaBackend
    ) -> None:
        """Started before the publisher, it hears the old generation's watermark first."""
        pool = backend.pools["intake"]
        log = backend.log("intake")
        await publish(backend, *some(3))
        backup = await Backup.of(pool)
        await append(backend, *some(2, first=10))
        await log.publish_watermark(datetime.now(UTC))
        await publish(backend)
        await backup.restore()
        await begin_generation(backend.broker, pool, "intake", "a restore")
        consumer = Consumer(
            "late", [FACTS], Nothing(), pool=backend.pools["aggregator"], reader=backend.reader("aggregator")
        )
        async with in_background(consumer.run):
            await asyncio.sleep(2)
            assert not consumer.ready
            await log.publish_watermark(datetime.now(UTC))
            async with carried(backend), asyncio.timeout(60):
                while not consumer.ready:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def test_who_read_on_in_postgresql_after_a_new_generation_goes_on_with_kafka(
        self, backend: KafkaBackend
    ) -> None:
        pool = backend.pools["intake"]
        kept = some(3)
        await publish(backend, *kept)
        backup = await Backup.of(pool)
        await publish(backend, *some(2, first=10))
        await backup.restore()
        await begin_generation(backend.broker, pool, "intake", "a restore")
        again = some(4, first=20)
        await publish(backend, *again)
        [chunk] = await PostgresLogReader(backend.pools["aggregator"]).fetch({PLACE: Position(4)}, 3)
        assert list(chunk.bodies) == bodies(again)[:3]
        [rest] = await backend.reader("aggregator").fetch({PLACE: chunk.after}, 10)
        assert list(rest.bodies) == bodies(again)[3:]

    async def test_what_is_withdrawn_from_a_state_topic_is_found_though_the_log_has_grown_past_it(
        self, backend: KafkaBackend
    ) -> None:
        """Started after a restore before anybody looked, a producer appends more than was lost."""
        pool = backend.pools["aggregator"]
        await publish(backend, unit_event("a", "a1"), service="aggregator")
        backup = await Backup.of(pool)
        await publish(backend, unit_event("a", "ghost"), unit_event("c", "ghost"), service="aggregator")
        await backup.restore()
        await append(backend, *[unit_event("b", f"b{n}") for n in range(5)], service="aggregator")
        publisher = KafkaPublisher("aggregator", pool, backend.broker, driven=True)
        async with in_background(publisher.run):
            async with asyncio.timeout(60):
                while publisher.stopped is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await begin_generation(backend.broker, pool, "aggregator", "a restore")
        async with carried(backend):
            await backend.settled()
        assert not any(b"ghost" in body for body in await read_on_kafka(backend, STATE))

    async def test_the_command_takes_the_services_own_urls_and_keeps_what_it_withdraws(
        self, backend: KafkaBackend, class_database: Database, tmp_path: Path
    ) -> None:
        urls, out = tmp_path / "urls", tmp_path / "out"
        urls.mkdir()
        out.mkdir()
        for service in PRODUCERS:
            (urls / service).write_text(f"{class_database.dsn(service)}\n")
        kept, lost = some(3), some(2, first=10)
        await publish(backend, *kept)
        backup = await Backup.of(backend.pools["intake"])
        await publish(backend, *lost)
        await backup.restore()

        async def command(*arguments: str | Path, status: int = 0) -> str:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tiendo", "topics", "new-generation", "--reason", "a restore"),
                *map(str, arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(
                    TIENDO_LOG=f"kafka://{backend.broker.bootstrap}",
                    TIENDO_KAFKA_TOPIC_PREFIX=backend.broker.prefix,
                ),
            )
            said, errors = (each.decode() for each in await process.communicate())
            assert process.returncode == status, said + errors
            assert "Traceback" not in errors
            return errors if status else said

        where = ("--database-urls", urls, "--out", out)
        assert "--out DIR" in await command("--database-urls", urls, status=1)
        assert "no folder to write to" in await command(*where[:3], out / "none", status=1)
        url = (urls / "intake").read_text()
        (urls / "intake").write_text((urls / "activation").read_text())
        assert "no postgresql:// URL of the role tiendo_intake" in await command(*where, status=1)
        (urls / "intake").unlink()
        assert "intake: No such file" in await command(*where, status=1)
        (urls / "intake").write_text(url.replace("of-intake", "wrong"))
        said = await command(*where, status=1)
        assert "cannot be used" in said
        assert "wrong" not in said
        (urls / "intake").write_text(url)
        async with make_pool(class_database.dsn("activation"), "activation") as running:
            assert await running.fetchval("SELECT 1") == 1
            assert "activation runs" in await command(*where, status=1)
        assert not list(out.iterdir())

        said = await command(*where)
        assert f"{FACTS}: generation 2 begins; 2 events withdrawn" in said
        [file] = out.iterdir()
        assert file.name == f"withdrawn-{FACTS}-2.ndjson"
        assert file.stat().st_mode & 0o777 == 0o600
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [line.pop("event").encode() for line in lines] == bodies(lost)
        assert lines == [
            {"topic": FACTS, "partition": PLACE.number, "generation": 1, "sequence": sequence}
            for sequence in (4, 5)
        ]
        assert "no new generation is needed" in await command(*where)
        assert [file.name for file in out.iterdir()] == [f"withdrawn-{FACTS}-2.ndjson"]

    async def test_nothing_is_begun_while_the_broker_is_away(
        self, backend: KafkaBackend, unused_port: int
    ) -> None:
        await publish(backend, *some(1))
        away = type(backend.broker)(f"127.0.0.1:{unused_port}", prefix=backend.broker.prefix)
        with pytest.raises(Retry, match="the broker does not answer"):
            await begin_generation(away, backend.pools["intake"], "intake", "a restore")
        assert await backend.pools["intake"].fetchval("SELECT count(*) FROM log_generation") == 0
