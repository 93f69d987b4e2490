"""Carries a producer's log to the broker: same partition, same order, nothing left out."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import ge
from typing import Any

import asyncpg
import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from tiendo_common.clock import epoch_seconds
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Diverged, Fenced, Retry, Stop
from tiendo_common.eventlog.claims import Claims
from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import (
    CONTROL,
    REQUEST_TIMEOUT,
    Broker,
    break_offs_as_faults,
    said,
    start,
    stop,
)
from tiendo_common.eventlog.kafka.ends import Ends
from tiendo_common.eventlog.kafka.topics import check_partitions
from tiendo_common.eventlog.port import Partition, Position
from tiendo_common.eventlog.postgres import check_gapless, read_log
from tiendo_common.events.catalogue import TOPICS, owned_by
from tiendo_common.observability import metrics

log = structlog.get_logger(__name__)


class _Key(msgspec.Struct):
    partitionkey: str


_key = msgspec.json.Decoder(_Key)
#: Under which name its claims and positions stand.
PUBLISHER = "publisher"
#: Bytes of a batch; the broker takes requests of up to a mebibyte.
_BATCH_BYTES = 900_000
#: Producers that the facts' partitions are dealt out to. Each has one request under way, and a broker that is durable
#: writes its partitions to the disk one after another; requests of several producers it writes side by side.
_LANES = 4


#: A watermark: complete to when, and the next sequence of each partition.
_Mark = tuple[datetime, list[int]]


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Batches of one partition, ready to be sent, and the position once they are acknowledged."""

    partition: Partition
    batches: list[tuple[BatchBuilder, int]]
    next: int
    events: int


class KafkaPublisher:
    """Sends what a service appended to the partitions of the same numbers, in order, at least once.

    Replicas share partitions by leases, as consumers do. A position is stored after the broker has
    acknowledged; who takes a partition over first compares the broker's end with the log, so a repeat is
    sent only by a publisher that lost its lease and does not know yet. Readers drop repeats by their
    sequence; on state topics, which compaction reads by offset, such a publisher is fenced by its
    transactions instead.

    If the broker has what the log lacks, as after a restore from backup, publishing stops (`stopped`). `said`
    has the newest watermark of each topic that was passed on.
    """

    LEASE = 6.0
    HEARTBEAT = 2.0
    POLL = (0.005, 0.04)
    LIMIT = 8000
    #: Seconds to wait after a round that was not full, so that the next one is larger: a request to the broker costs
    #: the same for one event as for many, and where cores are scarce an event waits longer for them than it would
    #: here. First while few come, for which somebody may wait; then at most while many come, for as long as they do.
    LINGER = (0.015, 0.2)
    #: From so many events a second on, many come.
    MANY = 3000

    def __init__(self, service: str, pool: asyncpg.Pool, broker: Broker, *, driven: bool = False) -> None:
        self.stopped: str | None = None
        self._service = service
        self._pool = pool
        self._broker = broker
        self._topics = [topic.name for topic in owned_by(service)]
        self._claims = Claims(pool, PUBLISHER, self._topics, lease=self.LEASE, heartbeat=self.HEARTBEAT)
        self._facts: dict[int, AIOKafkaProducer] = {}
        self._state: dict[Partition, AIOKafkaProducer] = {}
        self._verified: set[tuple[Partition, int]] = set()
        self.said: dict[str, _Mark] = {}
        self._awaited: dict[str, _Mark] = {}
        # A driven clock waits for nobody: whoever drives it waits for what we forward.
        self._period = 0.03 if driven else 0.25
        self._next_forward = 0.0
        #: How far all partitions of the log were, together, when nothing was left to send; None: not known.
        self._sent_to: int | None = None

    async def run(self) -> None:
        """Publish until cancelled."""
        pause = 0.1
        try:
            while True:
                began = time.monotonic()
                try:
                    with break_offs_as_faults():
                        await self._publish()
                except Stop as problem:
                    self.stopped = f"publisher: {problem}"
                    metrics.PUBLISHER_STOPPED.set(1)
                    log.error("publishing stopped: a person must look", reason=str(problem))
                    await self._let_go()
                    await asyncio.Event().wait()
                except Fenced as error:
                    metrics.FENCED.labels(self._claims.name).inc()
                    log.warning("fenced: claiming again", consumer=self._claims.name, reason=str(error))
                except (Retry, KafkaError, *PASSING_FAULTS) as error:
                    if time.monotonic() - began > self.LEASE:
                        pause = 0.1
                    reason = said(error) if isinstance(error, KafkaError) else str(error)
                    log.warning("will publish again", reason=reason, seconds=pause)
                    await self._disconnect()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 2.0)
                    continue
                pause = 0.1
        finally:
            await self._let_go()

    async def measure(self) -> None:
        """Bring the gauges of what waits up to date, for all replicas together."""
        for topic in self._topics:
            rows = await self._pool.fetch(
                "SELECT log.partition, log.next AS head, coalesce(published.next, 1) AS next "
                "FROM log_partition AS log LEFT JOIN consumer_position AS published "
                "ON published.consumer = $1 AND published.topic = log.topic "
                "AND published.partition = log.partition WHERE log.topic = $2",
                self._claims.name,
                topic,
            )
            behind = {
                Partition(topic, row["partition"]): Position(row["next"])
                for row in rows
                if row["next"] < row["head"]
            }
            metrics.UNPUBLISHED.labels(topic).set(sum(row["head"] - row["next"] for row in rows))
            oldest = [
                found[0]["appended"]
                for found in (
                    await read_log(self._pool, topic, list(behind), behind, 1, "seq") if behind else {}
                ).values()
                if found[0]["appended"] is not None
            ]
            age = max(0.0, epoch_seconds() - min(oldest)) if oldest else 0.0
            metrics.UNPUBLISHED_AGE.labels(topic).set(age)

    async def _publish(self) -> None:
        """Claim, then read and send, the sending of one round beside the reading of the next."""
        await check_partitions(self._broker, [*self._topics, CONTROL])
        await self._claim()
        positions = self._claims.positions()
        sending: asyncio.Task[None] | None = None
        pause = self.POLL[0]
        last = time.monotonic()
        try:
            while True:
                if self._claims.due:
                    if sending is not None:
                        await sending
                        sending = None
                    await self._claim()
                    positions = self._claims.positions()
                parcels = await self._read_new(positions)
                if parcels:
                    pause = self.POLL[0]
                    if sending is not None:
                        await sending
                    sending = asyncio.create_task(self._send(parcels))
                    positions |= {
                        parcel.partition: Position(parcel.next, positions[parcel.partition].generation)
                        for parcel in parcels
                    }
                    events = sum(parcel.events for parcel in parcels)
                    before, last = last, time.monotonic()
                    if events < self.LIMIT // 4:
                        await self._linger(many=events >= self.MANY * (last - before))
                elif sending is not None:
                    await sending
                    sending = None
                else:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.2, self.POLL[1])
                if time.monotonic() >= self._next_forward:
                    await self._forward_watermarks()
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _claim(self) -> None:
        """Renew the claims; compare log and broker wherever a claim is new, before anything is sent there."""
        self._sent_to = None
        await self._claims.renew()
        held = {(partition, held.epoch) for partition, held in self._claims.held.items()}
        self._verified &= held
        await stop(*(self._state.pop(each) for each in list(self._state) if not self._holds(each)))
        fresh = held - self._verified
        if not fresh:
            return
        await self._announce_generations()
        for partition, _ in sorted(fresh):
            if TOPICS[partition.topic].kind == "state":
                # Its start fences the publisher that held this partition before, and ends what it left open.
                await self._fence(partition)
        to = {}
        async with Ends(self._broker, self._pool) as ends:
            found = await ends.compare({each: self._claims.held[each].position for each, _ in sorted(fresh)})
        for end in found:
            if end.strangers:
                raise Diverged(
                    f"{end.partition.topic}/{end.partition.number}: the broker has {len(end.strangers)} events "
                    f"that this log lacks, the first at offset {end.strangers[0].offset}. If the database was "
                    "restored from a backup: tiendo topics new-generation (docs/kafka.md)",
                    end.partition,
                )
            if end.agreed != self._claims.held[end.partition].position:
                to[end.partition] = end.agreed
        if to:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._claims.advance(connection, self._claims.positions(), to)
            self._claims.moved(to)
        self._verified = held

    def _holds(self, partition: Partition) -> bool:
        return partition in self._claims.held

    async def _linger(self, *, many: bool) -> None:
        """Let more events come together."""
        few, most = self.LINGER
        until = time.monotonic() + most
        await asyncio.sleep(few)
        grown_to = await self._grown_to() if many else None
        while grown_to is not None and time.monotonic() < until:
            await asyncio.sleep(few)
            before, grown_to = grown_to, await self._grown_to()
            if grown_to == before:
                return  # they have come to an end, and whoever sent them may wait for the last

    async def _grown_to(self) -> int:
        """How far all partitions of the log are, together."""
        next_: int = await self._pool.fetchval("SELECT sum(next)::bigint FROM log_partition")
        return next_

    async def _read_new(self, positions: Mapping[Partition, Position]) -> list[_Parcel]:
        """As `_read`, without looking into each partition again while the log stands still."""
        grown_to = await self._grown_to()
        if grown_to == self._sent_to:
            return []
        parcels = await self._read(positions)
        self._sent_to = None if parcels else grown_to
        return parcels

    async def _read(self, positions: Mapping[Partition, Position]) -> list[_Parcel]:
        """The next rows of the held partitions, put into batches."""
        by_topic: defaultdict[str, list[Partition]] = defaultdict(list)
        for partition in positions:
            by_topic[partition.topic].append(partition)
        each = max(1, self.LIMIT // max(1, len(positions)))
        parcels = []
        for topic, partitions in by_topic.items():
            found = await read_log(
                self._pool,
                topic,
                partitions,
                positions,
                each,
                "seq, key, body, (extract(epoch FROM appended_at) * 1000)::bigint AS at",
            )
            for partition, rows in found.items():
                check_gapless(partition, positions[partition].next, [row["seq"] for row in rows])
                parcels.append(await self._pack(partition, positions[partition].generation, rows))
        return parcels

    async def _pack(self, partition: Partition, generation: int, rows: Sequence[asyncpg.Record]) -> _Parcel:
        producer = await self._producer(partition)
        facts = TOPICS[partition.topic].kind == "fact"
        mark = (wire.GENERATION, b"%d" % generation)
        batches: list[tuple[BatchBuilder, int]] = []
        batch, count = producer.create_batch(), 0
        for _, sequence, key, body, at, _ in rows:
            record: dict[str, Any] = {
                "timestamp": at,
                # Compaction wants a key. Only what is no event of ours has none: it gets one that nothing else has.
                "key": _partition_key(body) if facts else (key or f"no key/{sequence}").encode(),
                "value": body,
                "headers": [(wire.SEQUENCE, b"%d" % sequence), mark, wire.CONTENT_TYPE],
            }
            if batch.append(**record) is None:
                batches.append((batch, count))
                batch, count = producer.create_batch(), 0
                batch.append(**record)
            count += 1
        batches.append((batch, count))
        return _Parcel(partition, batches, rows[-1]["seq"] + 1, len(rows))

    async def _send(self, parcels: Sequence[_Parcel]) -> None:
        """Send, wait until all is acknowledged, then store the positions. No transaction is open meanwhile."""
        async with asyncio.timeout(3 * REQUEST_TIMEOUT):
            offsets = await asyncio.gather(*(self._deliver(parcel) for parcel in parcels))
        since = {parcel.partition: self._claims.held[parcel.partition].position for parcel in parcels}
        to = {}
        for parcel, offset in zip(parcels, offsets, strict=True):
            before = since[parcel.partition]
            # Where the broker did not say, the offset from before serves: it is where comparing begins.
            to[parcel.partition] = Position(parcel.next, before.generation, offset or before.offset)
        async with self._pool.acquire() as connection, connection.transaction():
            await self._claims.advance(connection, since, to)
        self._claims.moved(to)
        for parcel in parcels:
            metrics.PUBLISHED.labels(parcel.partition.topic).inc(parcel.events)

    async def _deliver(self, parcel: _Parcel) -> int | None:
        """The broker's offset after the parcel, if it said."""
        producer = await self._producer(parcel.partition)
        if TOPICS[parcel.partition.topic].kind == "fact":
            return await self._deliver_with(producer, parcel)
        async with producer.transaction():
            return await self._deliver_with(producer, parcel)

    async def _deliver_with(self, producer: AIOKafkaProducer, parcel: _Parcel) -> int | None:
        at = self._broker.at(parcel.partition)
        acknowledged = [
            await producer.send_batch(batch, at.topic, partition=at.partition) for batch, _ in parcel.batches
        ]
        last = (await asyncio.gather(*acknowledged))[-1]
        return last.offset + parcel.batches[-1][1] if last is not None and last.offset >= 0 else None

    async def _announce_generations(self) -> None:
        """Make sure that readers know every generation of our topics before they see one of its records."""
        await self._say(await generations_begun(self._pool))

    async def _forward_watermarks(self) -> None:
        """Tell readers what the service has said of its topics, once all below it is on the broker. Whoever holds
        a topic's first partition does."""
        self._next_forward = time.monotonic() + self._period
        held = [topic for topic in self._topics if self._holds(Partition(topic, 0))]
        news: dict[str, _Mark] = {}
        words: list[wire.Word] = []
        for topic, complete_to, heads, done, generation in await self._pool.fetch(
            "SELECT topic, complete_to, mark.next, array_agg(done.next ORDER BY done.partition), "
            "max(done.generation) FROM log_watermark AS mark JOIN consumer_position AS done USING (topic) "
            "WHERE consumer = $1 AND topic = ANY($2) GROUP BY topic, complete_to, mark.next",
            self._claims.name,
            held,
        ):
            newest: _Mark = (complete_to, heads)
            # One that could not be said is kept until it can: under constant load the newest is always just ahead.
            awaited = self._awaited.pop(topic, newest)
            passed = next((mark for mark in (newest, awaited) if _covers(done, mark[1])), None)
            if passed is not newest:
                self._awaited[topic] = awaited if passed is None else newest
            if passed is not None and passed != self.said.get(topic):
                news[topic] = passed
                words.append(
                    wire.Watermarked(
                        topic=topic, generation=generation, complete_to=passed[0], next=tuple(passed[1])
                    )
                )
        await self._say(words)
        self.said |= news

    async def _say(self, words: Iterable[wire.Word]) -> None:
        await say(self._broker, await self._fact_producer(0), words)

    async def _producer(self, partition: Partition) -> AIOKafkaProducer:
        if TOPICS[partition.topic].kind == "fact":
            return await self._fact_producer(partition.number % _LANES)
        return self._state[partition]

    async def _fact_producer(self, lane: int) -> AIOKafkaProducer:
        if lane not in self._facts:
            self._facts[lane] = await self._connect()
        return self._facts[lane]

    async def _fence(self, partition: Partition) -> None:
        if partition in self._state:
            await stop(self._state.pop(partition))
        at = self._broker.at(partition)
        self._state[partition] = producer = await self._connect(f"{at.topic}/{at.partition}")
        async with asyncio.timeout(3 * REQUEST_TIMEOUT), producer.transaction():
            pass  # the first transaction waits for the producer's epoch: from here on, older ones are fenced

    async def _connect(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._broker.client(f"{self._service}-publisher"),
            acks="all",
            enable_idempotence=True,
            max_batch_size=_BATCH_BYTES,
            transactional_id=transactional_id,
        )
        await start(producer)
        return producer

    async def _disconnect(self) -> None:
        """Drop all connections: after a failure an idempotent producer may refuse everything to come."""
        metrics.PUBLISHER_RESTARTS.inc()
        producers = [*self._state.values(), *self._facts.values()]
        self._facts, self._state, self._verified = {}, {}, set()
        self.said, self._awaited = {}, {}
        await stop(*producers)

    async def _let_go(self) -> None:
        await self._claims.release()
        await self._disconnect()


async def generations_begun(pool: asyncpg.Pool) -> list[wire.GenerationBegun]:
    """All generations of a producer's topics but the first."""
    rows = await pool.fetch(
        "SELECT topic, generation, starts, reason FROM log_generation ORDER BY topic, generation"
    )
    return [
        wire.GenerationBegun(
            topic=row["topic"],
            generation=row["generation"],
            starts=tuple(row["starts"]),
            reason=row["reason"],
        )
        for row in rows
    ]


async def say(broker: Broker, producer: AIOKafkaProducer, words: Iterable[wire.Word]) -> None:
    """Send words to the control topic and wait until they are acknowledged. Raises KafkaError, TimeoutError."""
    async with asyncio.timeout(3 * REQUEST_TIMEOUT):
        acknowledged = [
            await producer.send(
                broker.control.topic,
                wire.encode_word(word),
                key=wire.key_of(word),
                partition=broker.control.partition,
            )
            for word in words
        ]
        await asyncio.gather(*acknowledged)


def _covers(done: Sequence[int], heads: Sequence[int]) -> bool:
    return len(done) == len(heads) and all(map(ge, done, heads))


def _partition_key(body: bytes) -> bytes | None:
    """The key that keeps events of one record together for tools that partition anew; None for poison."""
    try:
        return _key.decode(body).partitionkey.encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
