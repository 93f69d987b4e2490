"""Consumers: leased partitions, epochs that fence, positions stored with their effects."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import asyncpg
import msgspec
import structlog

from tiendo_common.clock import epoch_seconds
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Conflict, Fenced, Retry, Stop, TooMuchPoison, UnknownEvent
from tiendo_common.eventlog import dead_letters
from tiendo_common.eventlog.claims import Claims
from tiendo_common.eventlog.dead_letters import DeadLetter
from tiendo_common.eventlog.port import Chunk, Connection, LogReader, Partition, Position, Watermark
from tiendo_common.events.catalogue import TOPICS, EventDecoder
from tiendo_common.observability import metrics

EventT = TypeVar("EventT", bound=msgspec.Struct)
WorkT = TypeVar("WorkT")

log = structlog.get_logger(__name__)

#: What the database says of values that it cannot store: no wait mends that.
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


class Batch:
    """What was fetched in one go. `rejected` collects poison; it is stored with the batch's effects."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = chunks
        self.rejected = [
            DeadLetter(chunk.partition, None, foreign.reason, foreign.body, foreign.offset)
            for chunk in chunks
            for foreign in chunk.foreign
        ]

    def events(self, decoder: EventDecoder[EventT]) -> Iterator[EventT]:
        """Every readable event, in order within each partition. Raises UnknownEvent (see EventDecoder)."""
        decode = decoder.decode
        for chunk in self.chunks:
            readable = decoder.decode_all(chunk.bodies)
            if readable is not None:
                yield from readable
                continue
            for sequence, body in zip(chunk.sequences, chunk.bodies, strict=True):
                try:
                    event = decode(body)
                except msgspec.DecodeError as error:
                    self.rejected.append(DeadLetter(chunk.partition, sequence, str(error), body))
                    continue
                except UnknownEvent as error:
                    raise UnknownEvent(f"{_place(chunk.partition)}: {error}", chunk.partition) from None
                yield event

    def singles(self) -> Iterator["Batch"]:
        """The same, an event at a time: together they end where the whole does."""
        for chunk in self.chunks:
            last = len(chunk.bodies) - 1
            for place, (sequence, body) in enumerate(zip(chunk.sequences, chunk.bodies, strict=True)):
                # Where the broker has the next one is not known: the sequence decides.
                after = chunk.after if place == last else Position(sequence + 1, chunk.after.generation)
                foreign = chunk.foreign if place == last else ()
                yield Batch([Chunk(chunk.partition, [sequence], [body], after, foreign)])
            if not chunk.bodies:
                yield Batch([chunk])

    def refused(self, why: str) -> "Batch":
        """The same batch of one event, to be kept aside."""
        [chunk] = self.chunks
        answer = Batch(self.chunks)
        answer.rejected += [
            DeadLetter(chunk.partition, sequence, f"the database refuses it: {why}", body)
            for sequence, body in zip(chunk.sequences, chunk.bodies, strict=True)
        ]
        return answer

    def __len__(self) -> int:
        return sum(len(chunk.bodies) for chunk in self.chunks)


class Effects(Generic[WorkT]):
    """What is to be committed together: the works of some batches, in order, where they begin and where they end.

    The events themselves are not kept: catching up, that would be most of a process's memory.
    """

    def __init__(self) -> None:
        self.works: list[WorkT] = []
        self.since: dict[Partition, Position] = {}
        self.to: dict[Partition, Position] = {}
        self.rejected: list[DeadLetter] = []
        self.events = 0
        self.weight = 0
        self.oldest: float | None = None

    @classmethod
    def of(cls, batch: Batch, work: WorkT, since: Mapping[Partition, Position]) -> "Effects[WorkT]":
        effects = cls()
        effects.add(batch, work, since)
        return effects

    def add(self, batch: Batch, work: WorkT, since: Mapping[Partition, Position]) -> None:
        """`since`: from where the batch was fetched, of its partitions at least."""
        self.works.append(work)
        for chunk in batch.chunks:
            self.since.setdefault(chunk.partition, since[chunk.partition])
        self.to |= {chunk.partition: chunk.after for chunk in batch.chunks}
        self.rejected += batch.rejected
        self.events += len(batch)
        appended = [chunk.appended for chunk in batch.chunks if chunk.appended is not None]
        self.oldest = min(appended if self.oldest is None else [self.oldest, *appended], default=None)


class Projection(Protocol[WorkT]):
    """What a consumer does with events."""

    def prepare(self, batch: Batch) -> WorkT:
        """Decode and sum up in memory, maybe in another thread. No I/O: the previous batch is being committed."""
        ...

    async def apply(self, connection: Connection, works: Sequence[WorkT]) -> None:
        """Write the effects of what was prepared, in that order, in the transaction that also moves the position."""
        ...


class Consumer(Generic[WorkT]):
    """Runs one projection over some topics, sharing partitions with its replicas.

    Guarantees: the effects of an event and the position after it commit together, under the epoch of the
    claim. A process that lost its lease, however late it wakes, changes nothing. `complete_to` is the
    newest instant up to which every acknowledged fact is in the effects. A partition that may not go on
    (Stop) is held and stands still; the others go on.

    `linger`: seconds to wait after a small batch, so that the next one is larger: many events change the same
    few counters, and a row is cheaper to write once than often. `gather`: up to so many events are committed
    together, likewise: those that were read while a commit was under way, and, as long as a fetch shows by its size
    that there are more, those of the next one. None are unless it is above `batch_size`.
    """

    #: Seconds a claim lasts without renewal; a dead replica's partitions move after this.
    LEASE = 6.0
    #: Seconds between renewals.
    HEARTBEAT = 2.0
    #: Seconds that a look at an idle log may take: short after an event, longer when nothing comes.
    POLL = (0.01, 0.08)
    #: Batches of so many events are prepared in a thread: the commit beside, and all that the service does, go on
    #: meanwhile. Smaller ones are done before a thread has begun.
    THREAD_FROM = 500

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
        gather: int = 0,
        weigh: Callable[[WorkT], int] = lambda _: 0,
        heavy: int = 1,
        dead_letter_bound: int = 1000,
    ) -> None:
        self.name = name
        self.topics = tuple(topics)
        self.complete_to: datetime | None = None
        self._projection = projection
        self._pool = pool
        self._reader = reader
        self._batch_size = batch_size
        self._linger = linger
        self._gather = gather
        self._weigh = weigh
        self._heavy = heavy
        self._dead_letter_bound = dead_letter_bound
        self._claims = Claims(pool, name, topics, lease=self.LEASE, heartbeat=self.HEARTBEAT)
        self._stopped: dict[tuple[str, int] | None, Stop] = {}
        self._awaited: dict[str, Watermark] = {}
        # Positions are not asked for until there is a newer one.
        self._passed_last: dict[str, Watermark] = {}
        self._reached: dict[str, datetime] = {}
        self._next_look = 0.0
        # Up to where each partition goes batch by batch, since the database refused something on the way.
        self._careful: dict[Partition, int] = {}

    @property
    def halted(self) -> str | None:
        """Why it, or which of its partitions, waits for a person."""
        return "; ".join(str(stop) for stop in self._stopped.values()) or None

    @property
    def ready(self) -> bool:
        """Whether it is running; lag is a metric, not unreadiness."""
        return not self._stopped and self.complete_to is not None

    async def run(self) -> None:
        """Consume until cancelled; releases its claims then."""
        pause = 0.1
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._consume()
                except Stop as stop:
                    self._stop(stop)
                    if stop.where is None:
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
            await self._reader.close()

    async def positions(self) -> dict[str, list[int]]:
        """The next sequence of every partition, from the table: true for all replicas together."""
        return await self._claims.stored()

    async def measure_lag(self) -> None:
        """Bring the lag gauges up to date."""
        positions = await self.positions()
        for topic in self.topics:
            watermark = await self._reader.watermark(topic)
            if watermark is not None:
                behind = sum(watermark.next) - sum(positions[topic])
                metrics.CONSUMER_LAG.labels(self.name, topic).set(max(0, behind))

    async def replay(self, connection: Connection, letter: DeadLetter) -> None:
        """Give a dead letter its effects after all, in the caller's transaction.

        No batch of its partition runs beside it, here or in a replica: projections look at what stands and
        then write. Raises Stop or msgspec.DecodeError if it still cannot be read, Conflict if the position
        was set back to before it: then nothing may be committed.
        """
        assert letter.sequence is not None
        next_ = await self._claims.keep_out(connection, letter.partition)
        if TOPICS[letter.partition.topic].kind == "fact" and letter.sequence >= next_:
            raise Conflict(
                f"{self.name} has yet to read {_place(letter.partition)} from {next_} on, and will meet this "
                f"event, {letter.sequence}, by itself.",
                field="id",
                remedy="Discard the letter once the position has passed it: the event takes effect there.",
            )
        batch = Batch([Chunk(letter.partition, [letter.sequence], [letter.body], Position(letter.sequence))])
        work = self._projection.prepare(batch)
        if batch.rejected:
            raise msgspec.DecodeError(batch.rejected[0].reason)
        await self._projection.apply(connection, [work])

    async def _consume(self) -> None:
        """Claim, then fetch, prepare and commit; the next fetches go on while a commit is under way."""
        positions = await self._claim()
        effects = Effects[WorkT]()
        commit: asyncio.Task[None] | None = None
        pause = self.POLL[0]
        try:
            while True:
                if self._claims.due:
                    if commit is not None:
                        await commit
                        commit = None
                    if effects.to:
                        await self._commit(effects)
                        effects = Effects()
                    positions = await self._claim()
                behind = False
                if not effects.to or self._has_room(effects):
                    chunks = await self._reader.fetch(positions, self._batch_size, wait=pause)
                else:
                    chunks = []
                    if commit is not None:
                        await commit
                if chunks:
                    pause = self.POLL[0]
                    batch = Batch(chunks)
                    work = await self._prepare(batch)
                    since = dict(positions)
                    positions |= {chunk.partition: chunk.after for chunk in chunks}
                    if self._is_careful(chunks):
                        if commit is not None:
                            await commit
                            commit = None
                        if effects.to:  # what was read before comes before
                            await self._commit(effects)
                            effects = Effects()
                        await self._commit_carefully(batch, work, since)
                        continue
                    effects.add(batch, work, since)
                    effects.weight += self._weigh(work)
                    behind = len(batch) >= self._batch_size // 4
                    # A batch of events is tens of megabytes: it goes before the next one comes.
                    del batch, work
                    chunks = []
                if commit is not None and commit.done():
                    await commit
                    commit = None
                if commit is None and effects.to and not (behind and self._has_room(effects)):
                    small = effects.events < self._batch_size // 16
                    commit = asyncio.create_task(self._commit(effects))
                    effects = Effects()
                    if self._linger and small:
                        await asyncio.sleep(self._linger)
                elif not effects.to and commit is None:
                    pause = min(pause * 1.2, self.POLL[1])
                if commit is None or time.monotonic() >= self._next_look:
                    await self._look_at_watermarks()
        finally:
            if commit is not None:
                commit.cancel()
                await asyncio.gather(commit, return_exceptions=True)

    def _has_room(self, effects: Effects[WorkT]) -> bool:
        """Whether one more batch may be committed with these."""
        return effects.events + self._batch_size <= self._gather and effects.weight < self._heavy

    async def _prepare(self, batch: Batch) -> WorkT:
        if len(batch) < self.THREAD_FROM:
            return self._projection.prepare(batch)
        return await asyncio.to_thread(self._projection.prepare, batch)

    async def _commit(self, effects: Effects[WorkT]) -> None:
        try:
            await self._store(effects)
        except REFUSED as refusal:
            self._careful |= {partition: position.next for partition, position in effects.to.items()}
            raise Retry(f"the database refuses a batch: {type(refusal).__name__}") from refusal

    def _is_careful(self, chunks: Sequence[Chunk]) -> bool:
        """Whether any of these lies where the database refused something: then a batch that it refuses again is
        committed event by event, and what it refuses alone is kept aside."""
        for chunk in chunks:
            first = chunk.sequences[0] if chunk.sequences else chunk.after.next
            if first >= self._careful.get(chunk.partition, first):
                self._careful.pop(chunk.partition, None)
        return any(chunk.partition in self._careful for chunk in chunks)

    async def _commit_carefully(self, batch: Batch, work: WorkT, since: Mapping[Partition, Position]) -> None:
        try:
            await self._store(Effects.of(batch, work, since))
        except REFUSED as refusal:
            log.warning("a batch is refused: one by one", consumer=self.name, reason=type(refusal).__name__)
            at = dict(since)
            for single in batch.singles():
                await self._commit_single(single, at)
                at |= {chunk.partition: chunk.after for chunk in single.chunks}

    async def _commit_single(self, single: Batch, since: Mapping[Partition, Position]) -> None:
        """Commit a batch of one event, or keep that event aside if the database will not have it."""
        try:
            await self._store(Effects.of(single, self._projection.prepare(single), since))
        except REFUSED as refusal:
            aside = single.refused(type(refusal).__name__)
            await self._store(Effects.of(aside, self._projection.prepare(Batch([])), since))

    async def _store(self, effects: Effects[WorkT]) -> None:
        started = time.perf_counter()
        async with self._pool.acquire() as connection, connection.transaction():
            await self._claims.advance(connection, effects.since, effects.to)
            await self._projection.apply(connection, effects.works)
            if effects.rejected:
                await self._bury(connection, effects.rejected)
        self._claims.moved(effects.to)
        metrics.CONSUMED.labels(self.name).inc(effects.events)
        metrics.BATCH_SECONDS.labels(self.name).observe(time.perf_counter() - started)
        if effects.oldest is not None:
            metrics.EVENT_AGE.labels(self.name).observe(max(0.0, epoch_seconds() - effects.oldest))

    async def _bury(self, connection: Connection, letters: list[DeadLetter]) -> None:
        """Keep poison aside. The bound is looked at before: a batch's letters are kept together or not at all,
        and what has stopped a partition can be seen and settled by a person."""
        waiting = await dead_letters.count_waiting(connection, self.name)
        if waiting >= self._dead_letter_bound:
            where = letters[0].partition
            raise TooMuchPoison(
                f"{_place(where)}: another dead letter, where {waiting} wait already: replay or discard some",
                where,
            )
        await dead_letters.bury(connection, self.name, letters)
        metrics.DEAD_LETTERS.labels(self.name).set(waiting + len(letters))
        # Not the reasons: they quote what stands in the bodies.
        log.error(
            "events dead-lettered", consumer=self.name, count=len(letters), at=_place(letters[0].partition)
        )

    def _stop(self, stop: Stop) -> None:
        """Remember what may not go on. The lease is kept: another replica would only find the same."""
        self._stopped[stop.where] = stop
        metrics.CONSUMER_HALTED.labels(self.name).set(len(self._stopped))
        log.error("stopped: a person must look", consumer=self.name, reason=str(stop))

    async def _claim(self) -> dict[Partition, Position]:
        """Renew the claims; where each partition stands that may go on."""
        await self._claims.renew()
        held = self._claims.positions()
        self._reader.show_progress(held)
        if self._stopped:
            await self._let_go_on(held)
        return {partition: position for partition, position in held.items() if partition not in self._stopped}

    async def _let_go_on(self, held: Mapping[Partition, Position]) -> None:
        """Forget the stops of partitions that are another's now, and those that a person has settled."""
        waiting = await dead_letters.count_waiting(self._pool, self.name)
        self._stopped = {
            where: stop
            for where, stop in self._stopped.items()
            if where in held and not (isinstance(stop, TooMuchPoison) and waiting < self._dead_letter_bound)
        }
        metrics.CONSUMER_HALTED.labels(self.name).set(len(self._stopped))

    async def _release(self) -> None:
        await self._claims.release()

    async def _look_at_watermarks(self) -> None:
        """Raise `complete_to` once every partition of every topic has passed a watermark.

        A watermark is kept until it is passed: under constant load the newest one is always just ahead. One
        of a newer generation replaces it, since what it waited for was withdrawn.
        """
        self._next_look = time.monotonic() + 0.25
        news = {
            topic: newest
            for topic in self.topics
            if (newest := await self._reader.watermark(topic)) is not None
            and (topic in self._awaited or newest != self._passed_last.get(topic))
        }
        positions = await self.positions() if news else {}
        for topic, newest in news.items():
            awaited = self._awaited.pop(topic, newest)
            if newest.generation > awaited.generation:
                awaited = newest
            if self._passed(positions[topic], awaited):
                self._reached[topic] = awaited.complete_to
                awaited = newest
                if self._passed(positions[topic], newest):
                    self._reached[topic] = newest.complete_to
                    self._passed_last[topic] = newest
                    continue
            self._awaited[topic] = awaited
        if len(self._reached) == len(self.topics):
            self.complete_to = min(self._reached.values())

    @staticmethod
    def _passed(positions: list[int], watermark: Watermark) -> bool:
        return len(positions) == len(watermark.next) and all(
            position >= head for position, head in zip(positions, watermark.next, strict=True)
        )


def _place(partition: Partition) -> str:
    return f"{partition.topic}/{partition.number}"
