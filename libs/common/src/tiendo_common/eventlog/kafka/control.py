"""What producers say of their logs on the control topic: watermarks and generations."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from tiendo_common.errors import Retry
from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import (
    CONTROL,
    REQUEST_TIMEOUT,
    Broker,
    break_offs_as_faults,
    start,
    stop,
)
from tiendo_common.eventlog.kafka.offsets import Offsets
from tiendo_common.eventlog.kafka.topics import check_partitions
from tiendo_common.eventlog.port import Partition, Watermark

log = structlog.get_logger(__name__)

#: Seconds after which the broker is asked once more what there is to hear: a client that delivers nothing may never
#: again (aiokafka 0.14, seen).
_TRUSTED = 1.0


class Control:
    """Hears the control topic, for all readers of a process.

    On a connection of its own: a client fetches nothing more from a broker while it holds records of any
    partition that nobody has taken, so each word would hold the events up (aiokafka 0.14, 0.2 s).
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._client: AIOKafkaConsumer | None = None
        self._offsets = Offsets(broker, "control")
        self._watermarks: dict[str, Watermark] = {}
        self._generations: dict[str, dict[int, tuple[int, ...]]] = {}
        self._lock = asyncio.Lock()
        self._next_question = 0.0

    async def hear(self) -> None:
        """Hear what has come, and only now and then ask for all: a question costs the broker as much as an append, and
        waiting readers look ten times a second. Raises Retry, KafkaError, TimeoutError."""
        if self._client is None or time.monotonic() >= self._next_question:
            await self.listen()
        elif not self._lock.locked():  # else somebody hears already
            async with self._alone():
                if self._client is not None:  # else whoever came before us gave it up, and says so
                    await self._take(self._client, 0)

    async def listen(self) -> None:
        """Hear all that has been said by now. Raises Retry, KafkaError, TimeoutError."""
        async with self._alone():
            client = await self._connected()
            place = self._broker.control
            end = (await self._offsets.end([place]))[place]
            until = time.monotonic() + 2 * REQUEST_TIMEOUT
            while await client.position(place) < end:
                await self._take(client, 100)
                if time.monotonic() > until:
                    raise Retry(f"{place.topic} is not delivered")
            self._next_question = time.monotonic() + _TRUSTED

    def watermark(self, topic: str) -> Watermark | None:
        """The newest that was heard, unless a newer generation withdrew what it waits for."""
        heard = self._watermarks.get(topic)
        return heard if heard and heard.generation >= self.newest_generation(topic) else None

    def newest_generation(self, topic: str) -> int:
        """The newest that was announced."""
        return max(self._generations.get(topic, ()), default=1)

    def withdrawn(self, partition: Partition, generation: int, sequence: int) -> bool:
        """Whether a later generation begins at or before this sequence."""
        return any(
            later > generation and starts[partition.number] <= sequence
            for later, starts in self._generations.get(partition.topic, {}).items()
        )

    async def close(self) -> None:
        """Disconnect; what was heard stays known."""
        client, self._client = self._client, None
        try:
            await self._offsets.close()
        finally:
            if client is not None:
                await stop(client)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else hears meanwhile, and a client that fails is given up before the next one comes."""
        async with self._lock:
            try:
                with break_offs_as_faults():
                    yield
            except (Retry, KafkaError, TimeoutError):
                await self.close()
                raise

    async def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = AIOKafkaConsumer(
                **self._broker.client("control"),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            await start(client)
            try:
                await check_partitions(self._broker, [CONTROL])
                client.assign([self._broker.control])
                client.seek(self._broker.control, 0)
            except BaseException:
                await stop(client)
                raise
            self._client = client
        return self._client

    async def _take(self, client: AIOKafkaConsumer, timeout_ms: int) -> None:
        for records in (await client.getmany(self._broker.control, timeout_ms=timeout_ms)).values():
            for record in records:
                self._hear(record)

    def _hear(self, record: ConsumerRecord[bytes, bytes]) -> None:
        try:
            word = wire.decode_word(record.value or b"")
        except ValueError as error:
            log.warning("not a word of ours passed over", topic=record.topic, reason=type(error).__name__)
            return
        if isinstance(word, wire.GenerationBegun):
            self._generations.setdefault(word.topic, {})[word.generation] = word.starts
            return
        newest = self._watermarks.get(word.topic)
        if newest is None or (newest.generation, newest.complete_to) <= (word.generation, word.complete_to):
            self._watermarks[word.topic] = Watermark(word.complete_to, word.next, word.generation)
