"""The log on Apache Kafka: a real node behind a proxy, its own faults, and what must stand on it in the end."""

import asyncio
import contextlib
import os
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from tests.chaos.faults import BEYOND_LEASE, SOME_SECONDS, Fault, Surroundings
from tests.chaos.fleet import HOST
from tests.chaos.poison import CONSUMERS, Letter, kept_letters
from tests.chaos.proxy import Manner, Proxy
from tiendo.broker.node import KafkaNode
from tiendo.supervisor import free_port_base
from tiendo_common.database.roles import schema_of
from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.topics import ensure_topics
from tiendo_common.eventlog.port import Partition
from tiendo_common.events.catalogue import TOPICS

_FOREIGN = b"a record of somebody else's"
_FACTS = [topic for topic in TOPICS.values() if topic.kind == "fact"]


class KafkaLog:
    """One node. Services reach it through one proxy, since a broker tells its clients a single address."""

    name = "kafka"

    def __init__(self, folder: Path) -> None:
        port = free_port_base(22_000 + os.getpid() % 1000 * 10, count=2)
        self._proxy = Proxy(lambda: asyncio.open_connection(HOST, port))
        self._folder = folder
        self._port = port
        self._node: KafkaNode | None = None
        self._turn = asyncio.Lock()
        self.faults: Mapping[str, Fault] = {
            "broker-kill": self._kill,
            "broker-pause": self._pause,
            "broker-cut": self._cut,
            "broker-slow": self._slow,
            "broker-hold": self._hold,
            "broker-half": self._half,
            "repeats": self._repeat,
            "foreign": self._foreign,
        }

    @property
    def broker(self) -> Broker:
        return Broker(f"{HOST}:{self._proxy.port}")

    async def start(self) -> None:
        await self._proxy.start()
        # SIGKILL leaves the operating system's cache alone, so flushing would test nothing here.
        self._node = KafkaNode(
            self._folder / "kafka", port=self._port, advertised_port=self._proxy.port, durable=False
        )
        await asyncio.to_thread(self._node.start)
        await ensure_topics(self.broker, 1)

    async def stop(self) -> None:
        await self._proxy.stop()
        if self._node is not None:
            await asyncio.to_thread(self._node.stop)

    async def connect(self) -> tuple[Mapping[str, str], Sequence[Proxy]]:
        return {"TIENDO_LOG": f"kafka://{self.broker.bootstrap}"}, []

    async def settled(self, connection: asyncpg.Connection) -> str | None:
        """Foreign records move no position: whether they were set aside is looked up."""
        wanted = await self.letters()
        missing = len(wanted - await kept_letters(connection))
        return f"{missing} foreign records are not set aside yet" if missing else None

    async def unpublished(self, connection: asyncpg.Connection) -> tuple[int, list[str]]:
        """Every row of the logs must be on the broker, and come there first in the order of its sequence."""
        appended = 0
        wrong: list[str] = []
        for topic in TOPICS.values():
            on_broker: defaultdict[int, dict[int, bytes | None]] = defaultdict(dict)
            for number, records in (await self._records(topic.name)).items():
                for record in records:
                    with contextlib.suppress(wire.NotOurs):
                        _, sequence = wire.place(record.headers)
                        first = on_broker[number].setdefault(sequence, record.value)
                        if first is not record.value and first != record.value:
                            wrong.append(f"{topic.name}/{number}: {sequence} is there with two contents")
                if list(on_broker[number]) != sorted(on_broker[number]):
                    wrong.append(f"{topic.name}/{number}: first sent out of order")
            rows = await connection.fetch(
                f"SELECT partition, seq, body FROM {schema_of(topic.owner)}.log_{topic.name}"
            )
            appended += len(rows)
            wrong += [
                f"{topic.name}/{number}: {sequence} is missing or another"
                for number, sequence, body in rows
                if on_broker[number].get(sequence) != body
            ]
        return appended, wrong

    async def letters(self) -> set[Letter]:
        """The foreign records on the broker, as each consumer must have set them aside: by their offset."""
        return {
            (service, consumer, topic.name, number, f"offset {record.offset}")
            for topic in _FACTS
            for number, records in (await self._records(topic.name)).items()
            for record in records
            if record.value == _FOREIGN
            for service, consumer in CONSUMERS[topic.name]
        }

    async def _records(self, topic: str) -> dict[int, list[ConsumerRecord[bytes, bytes]]]:
        """All that the broker holds of a topic, by partition."""
        found: dict[int, list[ConsumerRecord[bytes, bytes]]] = {}
        places = [self.broker.at(Partition(topic, n)) for n in range(TOPICS[topic].partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(places)
            consumer.assign(places)
            for at in places:
                consumer.seek(at, 0)
                found[at.partition] = []
            while any([await consumer.position(at) < ends[at] for at in places]):
                for at, records in (await consumer.getmany(timeout_ms=500)).items():
                    found[at.partition] += records
        finally:
            await consumer.stop()
        return found

    async def _kill(self, around: Surroundings) -> None:
        """SIGKILL of the broker; it comes back after a while."""
        node = self._running()
        async with self._turn:
            rest = around.chance.uniform(0.1, 3.0)
            around.say(f"SIGKILL Kafka, back in {rest:.1f} s or later")
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(rest)
            await asyncio.to_thread(node.start)

    async def _pause(self, around: Surroundings) -> None:
        """SIGSTOP of the broker for longer than a lease."""
        node = self._running()
        async with self._turn:
            seconds = around.chance.uniform(*BEYOND_LEASE)
            around.say(f"SIGSTOP Kafka for {seconds:.1f} s")
            pid = node.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)

    async def _cut(self, around: Surroundings) -> None:
        """All connections to the broker are reset, three times in a row."""
        async with self._turn:
            for _ in range(3):
                around.say(f"cut {self._proxy.cut()} connections to Kafka")
                await asyncio.sleep(around.chance.uniform(0.2, 1.0))

    async def _slow(self, around: Surroundings) -> None:
        await self._misbehave(around, Manner.DELAY, SOME_SECONDS, around.chance.choice((0.02, 0.1, 0.3)))

    async def _hold(self, around: Surroundings) -> None:
        """Nothing arrives for longer than a lease; then all of it does."""
        await self._misbehave(around, Manner.HOLD, BEYOND_LEASE)

    async def _half(self, around: Surroundings) -> None:
        """One direction is lost: what a publisher sent is there, and it never hears; or the other way round."""
        manner = around.chance.choice((Manner.LOSE_UP, Manner.LOSE_DOWN, Manner.DEAF, Manner.REFUSE))
        await self._misbehave(around, manner, SOME_SECONDS)

    async def _misbehave(
        self, around: Surroundings, manner: Manner, span: tuple[float, float], seconds: float = 0.0
    ) -> None:
        async with self._turn:
            lasting = around.chance.uniform(*span)
            around.say(f"network of Kafka: {manner.value} for {lasting:.1f} s")
            self._proxy.behave(manner, seconds)
            try:
                if manner in (Manner.DEAF, Manner.REFUSE):
                    self._proxy.cut()
                await asyncio.sleep(lasting)
            finally:
                self._proxy.heal()

    async def _repeat(self, around: Surroundings) -> None:
        """Old records again, in another order: as a publisher would that had lost its claim, and its mind."""
        topic = around.chance.choice(_FACTS).name
        with _excused(around):
            async with self._turn, self._sending() as producer:
                chosen = []
                for records in (await self._records(topic)).values():
                    ours = [record for record in records[-200:] if record.value != _FOREIGN]
                    chosen += around.chance.sample(ours, min(10, len(ours)))
                around.chance.shuffle(chosen)
                for record in chosen:
                    await producer.send_and_wait(
                        record.topic,
                        record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=list(record.headers),
                    )
                around.say(f"{len(chosen)} records of {topic} again, shuffled")

    async def _foreign(self, around: Surroundings) -> None:
        """Records without a sequence."""
        with _excused(around):
            async with self._turn, self._sending() as producer:
                for _ in range(around.chance.randrange(2, 6)):
                    await self._send_foreign(producer, around.chance)
                around.say("foreign records in topics of ours")

    async def _send_foreign(self, producer: AIOKafkaProducer, chance: random.Random) -> None:
        topic = chance.choice(_FACTS)
        await producer.send_and_wait(
            self.broker.topic(topic.name), _FOREIGN, partition=chance.randrange(topic.partitions)
        )

    @contextlib.asynccontextmanager
    async def _sending(self) -> AsyncIterator[AIOKafkaProducer]:
        async with AIOKafkaProducer(
            bootstrap_servers=self.broker.bootstrap, request_timeout_ms=10_000
        ) as producer:
            yield producer

    def _running(self) -> KafkaNode:
        assert self._node is not None
        return self._node


@contextlib.contextmanager
def _excused(around: Surroundings) -> Iterator[None]:
    """What we inject may itself meet a broker that is away: then it is done in part."""
    try:
        yield
    except KafkaError as error:
        around.say(f"injected in part: {error!r}")
