"""Reads topics on the broker by position (see LogReader)."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from tiendo_common.errors import Diverged, Gap, Retry
from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import (
    REQUEST_TIMEOUT,
    Broker,
    break_offs_as_faults,
    said,
    start,
    stop,
)
from tiendo_common.eventlog.kafka.control import Control
from tiendo_common.eventlog.kafka.groups import GroupOffsets
from tiendo_common.eventlog.kafka.offsets import Offsets
from tiendo_common.eventlog.kafka.topics import check_partitions
from tiendo_common.eventlog.kafka.unpacking import Record, leave_as_unpacked
from tiendo_common.eventlog.port import Chunk, Foreign, Partition, Position, Watermark
from tiendo_common.events.catalogue import TOPICS
from tiendo_common.observability import metrics

log = structlog.get_logger(__name__)

#: Records that are taken from the client at once.
_SLICE = 1000

#: Seconds without a record, though the broker has some, after which the client is not believed any more.
_SILENCE = 5.0


class KafkaLogReader:
    """Reads assigned partitions from stored positions; never a member of a group.

    The sequence in a record's header decides, the broker's offset only says where to seek: a sequence below
    the position is a repeat and is dropped; one above it is a gap: the partition is read once more from its
    beginning, and if it is still missing, Gap is raised. What a later generation withdrew is passed over.
    """

    def __init__(self, broker: Broker, name: str, control: Control | None = None) -> None:
        """`name` is the group under which outside tools see the offsets. `control` is shared by the readers of
        a process, and closed by whoever made it; without one, the reader has its own."""
        self._broker = broker
        self._name = name
        self._client: AIOKafkaConsumer | None = None
        self._offsets = Offsets(broker, name)
        self._group = GroupOffsets(broker, f"{broker.prefix}{name}")
        self._at: dict[Partition, Position] = {}
        self._checked: set[str] = set()
        self._next_search = 0.0
        self._delivered = 0.0
        self._searched: dict[Partition, int] = {}
        self._control = control or Control(broker)
        self._own_control = control is None

    async def fetch(
        self, positions: Mapping[Partition, Position], limit: int, *, wait: float | None = None
    ) -> list[Chunk]:
        try:
            with break_offs_as_faults():
                return await self._fetch(positions, limit, wait)
        except (KafkaError, TimeoutError) as error:
            await self.close()
            raise Retry(f"{self._name}: {said(error)}") from error
        except BaseException:
            # What was taken from the client and not returned would be missing from the next call.
            self._at = {}
            raise

    async def _fetch(
        self, positions: Mapping[Partition, Position], limit: int, wait: float | None
    ) -> list[Chunk]:
        client = await self._started()
        await self._assign(client, positions)
        if not positions:
            await asyncio.sleep(wait or 0)
            return []
        try:
            chunks = await (
                self._look_thoroughly(client, limit) if wait is None else self._take(client, limit, wait)
            )
            if chunks:
                self._delivered = time.monotonic()
            elif time.monotonic() >= self._next_search:
                await self._search_what_never_came(client)
            return chunks
        except OffsetOutOfRangeError as error:
            # Trimmed, or made anew: the sequence decides, so looking through all that is there is safe.
            for at in error.args[0]:
                log.warning("offset out of range: reading from the beginning", at=at)
                await self._seek_to_beginning(client, self._broker.of(at))
            return []

    async def watermark(self, topic: str) -> Watermark | None:
        try:
            await self._control.hear()
        except Retry:
            pass
        except (KafkaError, TimeoutError) as error:
            raise Retry(f"{self._name}: {said(error)}") from error
        return self._control.watermark(topic)

    def show_progress(self, positions: Mapping[Partition, Position]) -> None:
        offsets = {
            self._broker.at(partition): position.offset
            for partition, position in positions.items()
            if position.offset is not None
        }
        if offsets:
            topics = {partition.topic for partition in positions}
            counts = {self._broker.topic(topic): TOPICS[topic].partitions for topic in topics}
            self._group.show(offsets, counts)

    async def close(self) -> None:
        client, self._client, self._at, self._checked = self._client, None, {}, set()
        async with contextlib.AsyncExitStack() as stack:  # all of them, though we are told to stop meanwhile
            if client is not None:
                stack.push_async_callback(stop, client)
            if self._own_control:
                stack.push_async_callback(self._control.close)
            stack.push_async_callback(self._group.close)
            stack.push_async_callback(self._offsets.close)

    async def _started(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = AIOKafkaConsumer(
                **self._broker.client(self._name),
                enable_auto_commit=False,
                auto_offset_reset="none",
                # State topics are written in transactions, which fence a publisher that lost its lease.
                isolation_level="read_committed",
                max_partition_fetch_bytes=2**20,
                # Of all partitions together; aiokafka's 50 MB are copied some times on their way.
                fetch_max_bytes=2**23,
            )
            await start(client)
            leave_as_unpacked(client)
            self._client = client
        return self._client

    async def _assign(self, client: AIOKafkaConsumer, positions: Mapping[Partition, Position]) -> None:
        """Make the client go on where the caller stands; nothing to do while it has followed us."""
        if positions.keys() == self._at.keys() and all(
            (at.next, at.generation) == (position.next, position.generation)
            for at, position in zip(self._at.values(), (positions[each] for each in self._at), strict=True)
        ):
            return
        unchecked = {partition.topic for partition in positions} - self._checked
        if unchecked:
            await check_partitions(self._broker, unchecked)
            self._checked |= unchecked
        # Nothing is delivered before it is known what was withdrawn.
        await self._control.listen()
        for partition, position in positions.items():
            self._check_not_withdrawn(partition, position)
        wanted = {self._broker.at(partition): position for partition, position in positions.items()}
        unknown = [at for at, position in wanted.items() if position.offset is None]
        first, last = await self._offsets.first(unknown), await self._offsets.end(unknown)
        # No await from here on: between the assignment and the last seek the client knows no position, and
        # would fetch from one of its own choosing. Every partition is sought, also those that stay.
        client.assign(list(wanted))
        for at, position in wanted.items():
            if position.offset is not None:
                client.seek(at, position.offset)
            else:
                client.seek(at, self._lowest(self._broker.of(at), position, first[at], last[at]))
        self._at = dict(positions)
        self._delivered = time.monotonic()

    @staticmethod
    def _lowest(partition: Partition, position: Position, first: int, last: int) -> int:
        """An offset before which a sequence surely isn't: on fact topics each one below it has one of its own."""
        if TOPICS[partition.topic].kind == "state":
            return first
        return min(max(first, position.next - 1), last)

    async def _look_thoroughly(self, client: AIOKafkaConsumer, limit: int) -> list[Chunk]:
        """Take; if that is nothing, up to what is there now."""
        chunks = await self._take(client, limit, 0.0)
        if chunks:
            return chunks
        until = time.monotonic() + 2 * REQUEST_TIMEOUT
        ends = await self._offsets.end([self._broker.at(partition) for partition in self._at])
        while not chunks:
            behind = [at for at, end in ends.items() if await client.position(at) < end]
            if not behind:
                break
            if time.monotonic() > until:
                await self.close()
                raise Retry(f"{self._name}: {behind[0].topic}/{behind[0].partition} is not delivered")
            chunks = await self._take(client, limit, 0.1)
        return chunks

    async def _take(self, client: AIOKafkaConsumer, limit: int, wait: float) -> list[Chunk]:
        places = list(map(self._broker.at, self._at))
        chunks: list[Chunk] = []
        left = max(1, limit)
        while left > 0:
            # In slices: what is unpacked at once still lies in the processor's cache when it is looked at, and a
            # commit under way gets its turns between them.
            size = min(left, _SLICE)
            found = await client.getmany(*places, timeout_ms=int(wait * 1000), max_records=size)
            for at, records in found.items():
                chunk = await self._chunk(client, self._broker.of(at), records)
                if chunk is not None:
                    chunks.append(chunk)
                    self._at[chunk.partition] = chunk.after
            taken = sum(map(len, found.values()))
            if taken < size:
                break
            left -= taken
            wait = 0.0
            await asyncio.sleep(0)
        return chunks

    async def _chunk(
        self, client: AIOKafkaConsumer, partition: Partition, records: Sequence[Record]
    ) -> Chunk | None:
        """What of these records is new. None: nothing, or the partition has to be read from its beginning."""
        position = self._at[partition]
        first = position.next
        # The usual case, in few steps: exactly the sequences that are expected, of the expected generation.
        try:
            sequences: Sequence[int] = [int(record.headers[0][1] or b"") for record in records]
            generations = {record.headers[1] for record in records}
        except (IndexError, ValueError):
            sequences = ()
        if (
            sequences == list(range(first, first + len(records)))
            and generations == {(wire.GENERATION, b"%d" % position.generation)}
            and all(record.headers[0][0] == wire.SEQUENCE for record in records)
            and not self._control.withdrawn(partition, position.generation, sequences[-1])
        ):
            self._searched.pop(partition, None)
            return Chunk(
                partition,
                range(first, first + len(records)),
                [record.value or b"" for record in records],
                Position(first + len(records), position.generation, records[-1].offset + 1),
                appended=records[0].timestamp / 1000,
            )
        return await self._sift(client, partition, records)

    async def _sift(
        self, client: AIOKafkaConsumer, partition: Partition, records: Sequence[Record]
    ) -> Chunk | None:
        """The same record by record: repeats dropped, foreign ones set aside, gaps noticed."""
        position = self._at[partition]
        generation, expected, offset = position.generation, position.next, position.offset
        facts = TOPICS[partition.topic].kind == "fact"
        sequences: list[int] = []
        bodies: list[bytes] = []
        foreign: list[Foreign] = []
        appended: float | None = None
        for record in records:
            offset = record.offset + 1
            try:
                place = wire.place(record.headers)
            except wire.NotOurs as error:
                foreign.append(Foreign(record.offset, str(error), record.value or b""))
                continue
            if place[0] > self._control.newest_generation(partition.topic):
                await self._control.listen()
                if place[0] > self._control.newest_generation(partition.topic):
                    raise Diverged(
                        f"{partition.topic}/{partition.number}: generation {place[0]} was never announced",
                        partition,
                    )
            if self._control.withdrawn(partition, *place):
                metrics.WITHDRAWN.labels(partition.topic).inc()
                continue
            if place[0] > generation:
                self._check_not_withdrawn(partition, Position(expected, generation))
                # A state topic is written anew under a new generation: what it holds is all there is.
                expected = expected if facts else 1
                generation = place[0]
            if place < (generation, expected):
                metrics.REPEATS.labels(partition.topic).inc()
                continue
            if facts and place[1] > expected:
                if sequences or foreign:
                    break  # first what came before it; the client is sought back to here
                await self._search(client, partition, expected, place[1])
                return None
            expected = place[1] + 1
            if record.value is not None:  # a tombstone takes a key away, and says nothing
                sequences.append(place[1])
                bodies.append(record.value)
                appended = appended or record.timestamp / 1000
        else:
            after = Position(expected, generation, offset)
            if after.next > position.next:
                self._searched.pop(partition, None)
            if sequences or foreign or after.next != position.next:
                return Chunk(partition, sequences, bodies, after, foreign, appended)
            self._at[partition] = after
            return None
        offset = record.offset
        client.seek(self._broker.at(partition), offset)
        return Chunk(partition, sequences, bodies, Position(expected, generation, offset), foreign, appended)

    async def _search(
        self, client: AIOKafkaConsumer, partition: Partition, expected: int, found: int
    ) -> None:
        """Read a partition once more from its beginning for the sequence that is missing. Raises Gap."""
        if self._searched.get(partition) == expected:
            raise Gap(
                f"{partition.topic}/{partition.number}: expected {expected}, found {found}, and looked through "
                "all of it",
                partition,
            )
        self._searched[partition] = expected
        log.warning("gap: reading from the beginning", partition=partition, expected=expected, found=found)
        metrics.RESEEKS.labels(partition.topic).inc()
        await self._seek_to_beginning(client, partition)

    async def _search_what_never_came(self, client: AIOKafkaConsumer) -> None:
        """Notice a gap also where nothing follows it, and a client that delivers no more.

        A watermark is passed on once all below it is on the broker: who has read a partition to its end, and
        is not there, has missed something. Who has not read it to its end for long is not being served: after
        a broker's death a client may wait for ever (aiokafka 0.14, seen). Raises Retry.
        """
        self._next_search = time.monotonic() + 1.0
        ends = await self._offsets.end([self._broker.at(partition) for partition in self._at])
        for partition, position in list(self._at.items()):
            at = self._broker.at(partition)
            if await client.position(at) < ends[at]:
                if time.monotonic() - self._delivered > _SILENCE:
                    await self.close()
                    raise Retry(f"{self._name}: nothing is delivered: connecting anew")
                continue
            heard = self._control.watermark(partition.topic)
            if (
                heard is not None
                and TOPICS[partition.topic].kind == "fact"
                and position.generation == heard.generation
                and position.next < heard.next[partition.number]
            ):
                await self._search(client, partition, position.next, heard.next[partition.number])

    async def _seek_to_beginning(self, client: AIOKafkaConsumer, partition: Partition) -> None:
        at = self._broker.at(partition)
        client.seek(at, (await self._offsets.first([at]))[at])

    def _check_not_withdrawn(self, partition: Partition, position: Position) -> None:
        """Raise Diverged if effects were taken from what is withdrawn now."""
        if TOPICS[partition.topic].kind == "fact" and self._control.withdrawn(
            partition, position.generation, position.next - 1
        ):
            raise Diverged(
                f"{partition.topic}/{partition.number}: the events up to {position.next - 1} of generation "
                f"{position.generation} took effect here, and some of them were withdrawn: restore this "
                "service to before, or empty it and read everything anew (docs/kafka.md)",
                partition,
            )
