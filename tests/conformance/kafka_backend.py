"""The backend in which publishers carry the log to a real Apache Kafka, and readers read it there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.conformance.consumer_world import ended
from tests.conformance.postgres_backend import OnPostgres, PostgresBackend
from tests.support.kafka import KafkaNode
from tiendo.carrier import prepare_topics
from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.kafka.topics import expected_topics
from tiendo_common.eventlog.port import LogReader, Partition

PRODUCERS = ("intake", "activation", "aggregator")


class KafkaBackend(PostgresBackend):
    """The same log tables; what readers see has gone through the broker."""

    def __init__(self, pools: dict[str, asyncpg.Pool], broker: Broker) -> None:
        super().__init__(pools)
        self.pools = pools
        self.broker = broker
        self.publishers = {
            service: KafkaPublisher(service, pools[service], broker, driven=True) for service in PRODUCERS
        }
        self._readers: list[KafkaLogReader] = []

    def reader(self, service: str) -> LogReader:
        reader = KafkaLogReader(self.broker, f"{service}.conformance")
        self._readers.append(reader)
        return reader

    async def close_readers(self) -> None:
        for reader in self._readers:
            await reader.close()

    async def settled(self) -> None:
        """Events and watermarks are on the broker, or it is said why not."""
        async with asyncio.timeout(60):
            for service, publisher in self.publishers.items():
                while not await self._published(service, publisher):
                    assert publisher.stopped is None, publisher.stopped
                    await asyncio.sleep(0.01)

    async def _published(self, service: str, publisher: KafkaPublisher) -> bool:
        behind = await self.pools[service].fetchval(
            "SELECT count(*) FROM log_partition LEFT JOIN consumer_position AS done USING (topic, partition) "
            "WHERE (done.consumer IS NULL OR done.consumer = 'publisher') "
            "AND coalesce(done.next, 1) < log_partition.next"
        )
        words = await self.pools[service].fetch("SELECT topic, complete_to, next FROM log_watermark")
        said = {row["topic"]: (row["complete_to"], row["next"]) for row in words}
        return not behind and said.items() <= publisher.said.items()

    async def records(self, topic: str, partition: int) -> list[ConsumerRecord[bytes, bytes]]:
        """All that the broker holds of a partition."""
        at = self.broker.at(Partition(topic, partition))
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="none",
        )
        await consumer.start()
        try:
            first, last = (
                (await consumer.beginning_offsets([at]))[at],
                (await consumer.end_offsets([at]))[at],
            )
            consumer.assign([at])
            consumer.seek(at, first)
            found: list[ConsumerRecord[bytes, bytes]] = []
            while await consumer.position(at) < last:
                found += (await consumer.getmany(timeout_ms=500)).get(at, [])
            return found
        finally:
            await consumer.stop()

    async def send(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        key: bytes | None = None,
    ) -> None:
        """Put a record on the broker behind the publisher's back."""
        at = self.broker.at(Partition(topic, partition))
        async with AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap) as producer:
            await producer.send_and_wait(
                at.topic, value, key=key, partition=at.partition, headers=list(headers)
            )

    async def lose(self, topic: str, partition: int, sequence: int) -> None:
        """The broker's partition again without one event: as after a restore from an incomplete copy."""
        records = await self.records(topic, partition)
        at = self.broker.at(Partition(topic, partition))
        async with self.admin() as admin:
            await admin.delete_records({at: RecordsToDelete(before_offset=records[-1].offset + 1)})
        for record in records:
            if record.headers[0] != ("sequence", b"%d" % sequence):
                await self.send(topic, partition, record.value, record.headers, record.key)

    async def withhold(self, topic: str) -> None:
        async with self.admin() as admin:
            name = self.broker.topic(topic)
            await admin.delete_topics([name])
            for _ in range(3000):
                if name not in await admin.list_topics():
                    return
                await asyncio.sleep(0.02)
            raise TimeoutError(name)

    @contextlib.asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


@contextlib.asynccontextmanager
async def carried(backend: KafkaBackend) -> AsyncIterator[KafkaBackend]:
    """Its publishers run for the duration."""
    async with contextlib.AsyncExitStack() as stack:
        for publisher in backend.publishers.values():
            await stack.enter_async_context(in_background(publisher.run))
        yield backend


@contextlib.asynccontextmanager
async def in_background(work: Callable[[], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    async def run() -> None:
        await work()

    task = asyncio.create_task(run())
    try:
        yield task
    finally:
        await ended(task)


class OnKafka(OnPostgres):
    """Brings the backend: the log in PostgreSQL, and topics of a test's own on the session's broker."""

    @pytest.fixture
    async def silent(
        self, empty_log: dict[str, asyncpg.Pool], kafka_node: KafkaNode
    ) -> AsyncIterator[KafkaBackend]:
        """The backend before its publishers run."""
        broker = Broker(kafka_node.bootstrap, prefix=f"{new_event_id()}.")
        await prepare_topics(broker, 1, patience=60)
        backend = KafkaBackend(empty_log, broker)
        yield backend
        await backend.close_readers()
        async with backend.admin() as admin:
            await admin.delete_topics([each.name for each in expected_topics(broker, 1)])

    @pytest.fixture
    async def backend(self, silent: KafkaBackend) -> AsyncIterator[KafkaBackend]:
        async with carried(silent):
            yield silent
