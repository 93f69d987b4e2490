"""What the consumers of these tests live in: a ledger, replicas of many characters, readers that can be held."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import asyncpg
from prometheus_client import REGISTRY

from tests.conformance.backend import FACTS, LogBackend, append
from tests.support.events import intake_event
from tiendo_common.clock import new_record_id
from tiendo_common.eventlog.consumer import Batch, Consumer
from tiendo_common.eventlog.port import Chunk, Connection, LogReader, Partition, Position, Watermark
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.restatements import IntakeRestated

LEASE, HEARTBEAT = 1.0, 0.2

#: What a projection does beside writing its effects, in the same transaction.
Hook = Callable[[Connection, int], Awaitable[None]]


async def nothing(_connection: Connection, _count: int) -> None:
    pass


class Ledger:
    """A projection that counts how often each event took effect, and with which version each record ended."""

    def __init__(self, hook: Hook = nothing) -> None:
        self._decoder = EventDecoder([IntakeRestated])
        self._hook = hook

    def prepare(self, batch: Batch) -> list[IntakeRestated]:
        return list(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[list[IntakeRestated]]) -> None:
        events = [event for work in works for event in work]
        await connection.execute(
            "INSERT INTO effect (event_id, record_id, version) SELECT * FROM unnest($1::uuid[], $2::text[], "
            "$3::int[]) ON CONFLICT (event_id) DO UPDATE SET times = effect.times + 1",
            [event.id for event in events],
            [event.data.record_id for event in events],
            [event.data.version for event in events],
        )
        await self._hook(connection, len(events))


class Replica(Consumer[list[IntakeRestated]]):
    """With leases short enough to wait for."""

    LEASE = LEASE
    HEARTBEAT = HEARTBEAT
    POLL = (0.005, 0.02)


class Lasting(Replica):
    """Its leases outlast any test: whoever comes by what it held has not waited for their end."""

    LEASE = 3600.0


class Unhurried(Replica):
    """Does not interrupt itself to renew its claims."""

    LEASE = 60.0
    HEARTBEAT = 20.0


class Doomed(Replica):
    """Dies as a killed process does: its claims are left to run out."""

    async def _release(self) -> None:
        pass


class HeldReader:
    """Holds back the first events that it fetches until told to go on: a process that is stopped there."""

    def __init__(self, inner: LogReader) -> None:
        self._inner = inner
        self.caught = asyncio.Event()
        self.go_on = asyncio.Event()

    async def fetch(
        self, positions: Mapping[Partition, Position], limit: int, *, wait: float | None = None
    ) -> list[Chunk]:
        chunks = await self._inner.fetch(positions, limit, wait=wait)
        if chunks and not self.caught.is_set():
            self.caught.set()
            await self.go_on.wait()
        return chunks

    async def watermark(self, topic: str) -> Watermark | None:
        return await self._inner.watermark(topic)

    def show_progress(self, positions: Mapping[Partition, Position]) -> None:
        self._inner.show_progress(positions)

    async def close(self) -> None:
        await self._inner.close()


class ScriptedReader(HeldReader):
    """Fetches from the partitions that each step names; in a step that names none, nothing, long enough for a commit
    under way to end. After the last step, from all of them."""

    def __init__(self, inner: LogReader, steps: Sequence[Sequence[Partition]]) -> None:
        super().__init__(inner)
        self._steps = list(steps)

    async def fetch(
        self, positions: Mapping[Partition, Position], limit: int, *, wait: float | None = None
    ) -> list[Chunk]:
        if not self._steps:
            return await self._inner.fetch(positions, limit, wait=wait)
        chunks = []
        step = self._steps.pop(0)
        if not step:
            await asyncio.sleep(0.2)
        for partition in step:
            # Thoroughly: a step is not passed over because it was slow.
            chunks += await self._inner.fetch({partition: positions[partition]}, limit)
        return chunks


@contextlib.asynccontextmanager
async def running(*consumers: Consumer[list[IntakeRestated]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Let them run for the duration; an error of one fails the test."""
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
    try:
        yield tasks
    finally:
        await ended(*tasks)


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they end, as the services' runtime does: a library may swallow the first one."""
    while not all(task.done() for task in tasks):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1)
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, asyncio.CancelledError | None), outcome


async def until(condition: Callable[[], Awaitable[object]], deadline: float = 60.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(deadline):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


class World:
    """A log with a consumer's tables, and what has taken effect."""

    def __init__(self, backend: LogBackend) -> None:
        self.backend = backend
        self.pool: asyncpg.Pool = backend.pool("aggregator")
        self.appended: list[str] = []

    def replica(
        self,
        *,
        name: str = "ledger",
        hook: Hook = nothing,
        kind: type[Replica] = Replica,
        reader: LogReader | None = None,
        batch_size: int = 50,
        gather: int = 0,
        heavy: int = 1,
        weigh: Callable[[list[IntakeRestated]], int] = lambda _: 0,
        dead_letter_bound: int = 1000,
    ) -> Replica:
        return kind(
            name,
            [FACTS],
            Ledger(hook),
            pool=self.pool,
            reader=reader or self.backend.reader("aggregator"),
            batch_size=batch_size,
            gather=gather,
            weigh=weigh,
            heavy=heavy,
            dead_letter_bound=dead_letter_bound,
        )

    async def append(self, count: int) -> None:
        events = [intake_event(new_record_id()) for _ in range(count)]
        await append(self.backend, *events)
        self.appended += [new.event.id for new in events]

    async def effects(self) -> dict[str, int]:
        """How often each event took effect."""
        rows = await self.pool.fetch("SELECT event_id::text, times FROM effect")
        return {row[0]: row[1] for row in rows}

    async def all_in(self) -> bool:
        return len(await self.effects()) == len(self.appended)

    async def check(self) -> None:
        """Each event took effect once, and the positions say so."""
        assert await self.effects() == dict.fromkeys(self.appended, 1)
        assert await self.position() == (await self.backend.log("intake").heads())[FACTS]

    async def position(self) -> list[int]:
        return [
            row[0]
            for row in await self.pool.fetch(
                "SELECT next FROM consumer_position WHERE consumer = 'ledger' ORDER BY topic, partition"
            )
        ]

    async def is_read_to(self, events: int) -> bool:
        return sum(next_ - 1 for next_ in await self.position()) == events

    async def owners(self) -> list[str | None]:
        rows = await self.pool.fetch(
            "SELECT owner FROM consumer_position WHERE consumer = 'ledger' ORDER BY topic, partition"
        )
        return [row[0] for row in rows]

    async def shares(self) -> list[int]:
        """How many partitions each live replica holds."""
        rows = await self.pool.fetch(
            "SELECT count(*) FROM consumer_position "
            "WHERE consumer = 'ledger' AND lease_until > clock_timestamp() GROUP BY owner"
        )
        return sorted(row[0] for row in rows)


def metric(name: str, consumer: str) -> float:
    return REGISTRY.get_sample_value(name, {"consumer": consumer}) or 0.0


async def shares_are(world: World, wanted: list[int]) -> bool:
    return await world.shares() == wanted


async def is_halted(replica: Replica) -> bool:
    return replica.halted is not None


async def until_ready(replica: Replica, world: World) -> None:
    """Publish a watermark and wait until it is passed."""
    await world.backend.log("intake").publish_watermark(datetime.now(UTC))

    async def ready() -> bool:
        return replica.ready

    await until(ready)
