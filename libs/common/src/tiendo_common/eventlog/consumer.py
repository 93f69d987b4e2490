"""Consumers: leased partitions, epochs that fence, positions stored with their effects."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import asyncpg
import msgspec
import structlog

from tiendo_common.clock import new_event_id
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Fenced, Retry, Stop
from tiendo_common.eventlog.port import Chunk, Connection, LogReader, Partition, Position, Watermark
from tiendo_common.events.catalogue import TOPICS, EventDecoder
from tiendo_common.events.envelope import Event
from tiendo_common.observability import metrics

EventT = TypeVar("EventT", bound=Event)
WorkT = TypeVar("WorkT")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DeadLetter:
    """An event that cannot be read, and why."""

    partition: Partition
    sequence: int
    reason: str
    body: bytes


@dataclass(slots=True)
class Batch:
    """What was fetched in one go. `rejected` collects poison; it is stored with the batch's effects."""

    chunks: Sequence[Chunk]
    rejected: list[DeadLetter] = field(default_factory=list)

    def events(self, decoder: EventDecoder[EventT]) -> Iterator[EventT]:
        """Every readable event, in order within each partition. Raises UnknownEvent (see EventDecoder)."""
        for chunk in self.chunks:
            for sequence, body in zip(chunk.sequences, chunk.bodies, strict=True):
                try:
                    event = decoder.decode(body)
                except msgspec.DecodeError as error:
                    self.rejected.append(DeadLetter(chunk.partition, sequence, str(error), body))
                    continue
                yield event

    def __len__(self) -> int:
        return sum(len(chunk.bodies) for chunk in self.chunks)


class Projection(Protocol[WorkT]):
    """What a consumer does with events."""

    def prepare(self, batch: Batch) -> WorkT:
        """Decode and sum up in memory. No I/O: runs while the previous batch is being committed."""
        ...

    async def apply(self, connection: Connection, work: WorkT) -> None:
        """Write the effects, in the transaction that also moves the position."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """A partition that this process holds: its next position and the epoch of the claim."""

    position: Position
    epoch: int


class Consumer(Generic[WorkT]):
    """Runs one projection over some topics, sharing partitions with its replicas.

    Guarantees: the effects of an event and the position after it commit together, under the epoch of the
    claim. A process that lost its lease, however late it wakes, changes nothing. `complete_to` is the
    newest instant up to which every acknowledged fact is in the effects.

    `linger`: seconds to wait after a small batch, so that the next one is larger: many events change the same
    few counters, and a row is cheaper to write once than often.
    """

    #: Seconds a claim lasts without renewal; a dead replica's partitions move after this.
    LEASE = 6.0
    #: Seconds between renewals.
    HEARTBEAT = 2.0
    #: Seconds between looks at an idle log: short after an event, longer when nothing comes. Polling, since
    #: a NOTIFY in each business transaction halves the rate at which they commit.
    POLL = (0.01, 0.08)

    def __init__(
        self,
        name: str,
        topics: Sequence[str],
        projection: Projection[WorkT],
        *,
        pool: asyncpg.Pool,
        reader: LogReader,
        batch_size: int = 8000,
        linger: float = 0.0,
        dead_letter_bound: int = 1000,
    ) -> None:
        self.name = name
        self.topics = tuple(topics)
        self.complete_to: datetime | None = None
        self.halted: str | None = None
        self._projection = projection
        self._pool = pool
        self._reader = reader
        self._batch_size = batch_size
        self._linger = linger
        self._dead_letter_bound = dead_letter_bound
        self._owner = new_event_id()
        self._held: dict[Partition, _Held] = {}
        self._awaited: dict[str, Watermark] = {}
        self._reached: dict[str, datetime] = {}
        self._next_look = 0.0
        self._next_heartbeat = 0.0

    @property
    def ready(self) -> bool:
        """Whether it is running; lag is a metric, not unreadiness."""
        return self.halted is None and self.complete_to is not None

    async def run(self) -> None:
        """Consume until cancelled; releases its claims then."""
        pause = 0.1
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._consume()
                except Stop as error:
                    self.halted = str(error)
                    metrics.CONSUMER_HALTED.labels(self.name).set(1)
                    log.error("consumer stopped: a person must look", consumer=self.name, reason=str(error))
                    await self._release()
                    await asyncio.Event().wait()
                except Fenced as error:
                    metrics.FENCED.labels(self.name).inc()
                    log.warning("fenced: claiming again", consumer=self.name, reason=str(error))
                except (Retry, *PASSING_FAULTS) as error:
                    if time.monotonic() - began > self.LEASE:
                        pause = 0.1
                    log.warning("will retry", consumer=self.name, reason=str(error), seconds=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 2.0)
                    continue
                pause = 0.1
        finally:
            await self._release()

    async def positions(self) -> dict[str, list[int]]:
        """The next sequence of every partition, from the table: true for all replicas together."""
        rows = await self._pool.fetch(
            "SELECT topic, next FROM consumer_position WHERE consumer = $1 AND topic = ANY($2) "
            "ORDER BY topic, partition",
            self.name,
            self.topics,
        )
        answer: dict[str, list[int]] = {topic: [] for topic in self.topics}
        for row in rows:
            answer[row["topic"]].append(row["next"])
        return answer

    async def _consume(self) -> None:
        """Claim, then fetch, prepare and commit, the commit of one batch beside the next one's fetch."""
        await self._claim()
        positions = {partition: held.position for partition, held in self._held.items()}
        commit: asyncio.Task[None] | None = None
        pause = self.POLL[0]
        try:
            while True:
                if time.monotonic() >= self._next_heartbeat:
                    if commit is not None:
                        await commit
                        commit = None
                    if await self._claim():
                        positions = {partition: held.position for partition, held in self._held.items()}
                chunks = await self._reader.fetch(positions, self._batch_size) if positions else []
                if chunks:
                    pause = self.POLL[0]
                    batch = Batch(chunks)
                    work = self._projection.prepare(batch)
                    if commit is not None:
                        await commit
                    commit = asyncio.create_task(self._commit(batch, work))
                    positions |= {chunk.partition: chunk.after for chunk in chunks}
                    if self._linger and len(batch) < self._batch_size // 4:
                        await asyncio.sleep(self._linger)
                elif commit is not None:
                    await commit
                    commit = None
                else:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.2, self.POLL[1])
                if commit is None or time.monotonic() >= self._next_look:
                    await self._look_at_watermarks()
        finally:
            if commit is not None:
                commit.cancel()
                await asyncio.gather(commit, return_exceptions=True)

    async def _commit(self, batch: Batch, work: WorkT) -> None:
        started = time.perf_counter()
        async with self._pool.acquire() as connection, connection.transaction():
            await self._advance(connection, batch)
            await self._projection.apply(connection, work)
            if batch.rejected:
                await self._bury(connection, batch.rejected)
        for chunk in batch.chunks:
            held = self._held[chunk.partition]
            self._held[chunk.partition] = _Held(chunk.after, held.epoch)
        metrics.CONSUMED.labels(self.name).inc(len(batch))
        metrics.BATCH_SECONDS.labels(self.name).observe(time.perf_counter() - started)

    async def _advance(self, connection: Connection, batch: Batch) -> None:
        """Move the positions, or raise Fenced: the batch's first statement, so a zombie writes nothing."""
        chunks = batch.chunks
        held = [self._held[chunk.partition] for chunk in chunks]
        status = await connection.execute(
            "UPDATE consumer_position AS old SET next = new.next, kafka_offset = new.kafka_offset "
            "FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) "
            "AS new (topic, partition, epoch, expected, next, kafka_offset) "
            "WHERE old.consumer = $1 AND old.topic = new.topic AND old.partition = new.partition "
            "AND old.epoch = new.epoch AND old.next = new.expected",
            self.name,
            [chunk.partition.topic for chunk in chunks],
            [chunk.partition.number for chunk in chunks],
            [each.epoch for each in held],
            [each.position.next for each in held],
            [chunk.after.next for chunk in chunks],
            [chunk.after.offset for chunk in chunks],
        )
        if status != f"UPDATE {len(chunks)}":
            raise Fenced(f"{self.name}: {status} of {len(chunks)} positions")

    async def _bury(self, connection: Connection, letters: list[DeadLetter]) -> None:
        await connection.executemany(
            "INSERT INTO dead_letter (consumer, topic, partition, seq, reason, body) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (self.name, *letter.partition, letter.sequence, letter.reason, letter.body)
                for letter in letters
            ],
        )
        count = await connection.fetchval("SELECT count(*) FROM dead_letter WHERE consumer = $1", self.name)
        if count > self._dead_letter_bound:
            raise Stop(f"{self.name}: {count} dead letters, more than the bound of {self._dead_letter_bound}")
        metrics.DEAD_LETTERS.labels(self.name).set(count)
        log.error("events dead-lettered", consumer=self.name, count=len(letters), reason=letters[0].reason)

    async def _claim(self) -> bool:
        """Renew what is held, give up what is over our share, claim what is free; whether it changed.

        All times are the database's, so replicas need not agree on theirs.
        """
        self._next_heartbeat = time.monotonic() + self.HEARTBEAT
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO consumer_position (consumer, topic, partition) "
                "SELECT $1, * FROM unnest($2::text[], $3::smallint[]) ON CONFLICT DO NOTHING",
                self.name,
                [topic for topic in self.topics for _ in range(TOPICS[topic].partitions)],
                [number for topic in self.topics for number in range(TOPICS[topic].partitions)],
            )
            await connection.execute(
                "INSERT INTO consumer_member VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) "
                "ON CONFLICT (consumer, owner) DO UPDATE SET seen_until = excluded.seen_until",
                self.name,
                self._owner,
                self.LEASE,
            )
            await connection.execute(
                "DELETE FROM consumer_member WHERE consumer = $1 AND seen_until < clock_timestamp()",
                self.name,
            )
            members = await connection.fetchval(
                "SELECT count(*) FROM consumer_member WHERE consumer = $1", self.name
            )
            rows = await connection.fetch(
                "SELECT *, coalesce(lease_until < clock_timestamp(), true) AS free FROM consumer_position "
                "WHERE consumer = $1 AND topic = ANY($2) ORDER BY topic, partition FOR UPDATE",
                self.name,
                self.topics,
            )
            share = -(-len(rows) // members)
            mine = [row for row in rows if row["owner"] == self._owner]
            free = [row for row in rows if row["free"] and row["owner"] != self._owner]
            kept, given_up = mine[:share], mine[share:]
            taken = free[: share - len(kept)]
            await self._write_lease(connection, given_up, None, 0)
            await self._write_lease(connection, kept, self._owner, 0)
            await self._write_lease(connection, taken, self._owner, 1)
        before = self._held.keys()
        held = {
            Partition(row["topic"], row["partition"]): _Held(
                Position(row["next"], row["generation"], row["kafka_offset"]), row["epoch"] + rise
            )
            for part, rise in ((kept, 0), (taken, 1))
            for row in part
        }
        changed = held.keys() != before or bool(taken)
        self._held = held
        if changed:
            metrics.HELD_PARTITIONS.labels(self.name).set(len(held))
            log.info("partitions claimed", consumer=self.name, held=len(held), members=members)
        return changed

    async def _write_lease(
        self, connection: Connection, rows: list[asyncpg.Record], owner: str | None, rise: int
    ) -> None:
        if rows:
            await connection.execute(
                "UPDATE consumer_position SET owner = $4, epoch = epoch + $5, lease_until = CASE "
                "WHEN $4::text IS NULL THEN NULL ELSE clock_timestamp() + make_interval(secs => $6) END "
                "FROM unnest($2::text[], $3::smallint[]) AS chosen (topic, partition) "
                "WHERE consumer = $1 AND consumer_position.topic = chosen.topic "
                "AND consumer_position.partition = chosen.partition",
                self.name,
                [row["topic"] for row in rows],
                [row["partition"] for row in rows],
                owner,
                rise,
                self.LEASE,
            )

    async def _release(self) -> None:
        """Let replicas take over at once; if the database is away, the leases run out by themselves."""
        self._held = {}
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "UPDATE consumer_position SET owner = NULL, lease_until = NULL "
                    "WHERE consumer = $1 AND owner = $2",
                    self.name,
                    self._owner,
                )
                await connection.execute(
                    "DELETE FROM consumer_member WHERE consumer = $1 AND owner = $2", self.name, self._owner
                )
        except PASSING_FAULTS as error:
            log.info("leases left to run out", consumer=self.name, reason=str(error))

    async def _look_at_watermarks(self) -> None:
        """Raise `complete_to` once every partition of every topic has passed a watermark.

        A watermark is kept until it is passed: under constant load the newest one is always just ahead.
        """
        self._next_look = time.monotonic() + 0.25
        positions = await self.positions()
        for topic in self.topics:
            awaited = self._awaited.get(topic)
            for _ in range(2):
                if awaited is not None and self._passed(positions[topic], awaited):
                    self._reached[topic] = awaited.complete_to
                    awaited = None
                awaited = awaited or await self._reader.watermark(topic)
            if awaited is not None:
                self._awaited[topic] = awaited
        if len(self._reached) == len(self.topics):
            self.complete_to = min(self._reached.values())

    @staticmethod
    def _passed(positions: list[int], watermark: Watermark) -> bool:
        return len(positions) == len(watermark.next) and all(
            position >= head for position, head in zip(positions, watermark.next, strict=True)
        )
