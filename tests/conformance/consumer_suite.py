"""Consumers: each event takes effect exactly once, whatever happens to those who read it."""

import asyncio
import random
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from tests.conformance.backend import FACTS, LogBackend, append
from tests.conformance.consumer_world import (
    HEARTBEAT,
    LEASE,
    Doomed,
    HeldReader,
    Lasting,
    Ledger,
    Replica,
    ScriptedReader,
    Unhurried,
    World,
    is_halted,
    metric,
    nothing,
    running,
    shares_are,
    until,
    until_ready,
)
from tests.support.events import intake_event
from tiendo_common.clock import new_record_id
from tiendo_common.errors import Retry
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Chunk, Connection, Partition, Position
from tiendo_common.events.envelope import PARTITIONS, encode, partition_of
from tiendo_common.events.restatements import IntakeRestated


class ConsumerConformance:
    """Inherit, and bring the fixture `backend`."""

    @pytest.fixture
    async def world(self, backend: LogBackend) -> World:
        world = World(backend)
        await world.pool.execute(
            "CREATE TABLE effect (event_id uuid PRIMARY KEY, record_id text, version int, times int DEFAULT 1)"
        )
        return world

    async def test_every_event_takes_effect_once(self, world: World) -> None:
        await world.append(300)
        async with running(world.replica(batch_size=32)):
            await until(world.all_in)
            await world.append(20)
            await until(world.all_in)
        await world.check()

    @pytest.mark.parametrize(("gather", "heavy", "largest"), [(0, 1000, 16), (100, 1000, 100), (100, 33, 48)])
    async def test_what_is_read_while_a_commit_is_under_way_goes_with_the_next_one_up_to_a_bound(
        self, world: World, gather: int, heavy: int, largest: int
    ) -> None:
        committed: list[int] = []

        async def slow(_connection: Connection, events: int) -> None:
            committed.append(events)
            await asyncio.sleep(0.2)

        await world.append(400)
        await world.backend.settled()
        consumer = world.replica(batch_size=16, gather=gather, weigh=len, heavy=heavy, hook=slow)
        async with running(consumer):
            await until(world.all_in)
        await world.check()
        assert largest - 16 < max(committed) <= largest

    async def test_the_events_of_a_batch_are_gone_before_the_next_ones_come(self, world: World) -> None:
        batches: list[weakref.ref[Batch]] = []
        held: list[int] = []

        class Noting(Ledger):
            def prepare(self, batch: Batch) -> list[IntakeRestated]:
                batches.append(weakref.ref(batch))
                return super().prepare(batch)

        class Watched(ScriptedReader):
            async def fetch(
                self, positions: Mapping[Partition, Position], limit: int, *, wait: float | None = None
            ) -> list[Chunk]:
                held.append(sum(batch() is not None for batch in batches))
                return await super().fetch(positions, limit, wait=wait)

        await world.append(200)
        consumer = Replica(
            "ledger",
            [FACTS],
            Noting(),
            pool=world.pool,
            reader=Watched(world.backend.reader("aggregator"), []),
            batch_size=16,
            gather=100,
        )
        async with running(consumer):
            await until(world.all_in)
        assert len(batches) > 10
        assert not any(held)

    async def test_an_event_that_the_database_refuses_is_found_in_what_was_gathered(
        self, world: World
    ) -> None:
        class Choosy(Ledger):
            async def apply(self, connection: Connection, works: Sequence[list[IntakeRestated]]) -> None:
                await asyncio.sleep(0.05)
                await super().apply(connection, works)
                if any(event.id == refused for work in works for event in work):
                    await connection.execute("SELECT 1 / 0")

        await world.append(200)
        refused = world.appended.pop(120)
        consumer = Replica(
            "ledger",
            [FACTS],
            Choosy(),
            pool=world.pool,
            reader=world.backend.reader("aggregator"),
            batch_size=16,
            gather=100,
        )
        async with running(consumer):
            await until(world.all_in)
            await until(
                lambda: world.pool.fetchval("SELECT count(*) = 1 FROM dead_letter WHERE consumer = 'ledger'")
            )
        await world.check()

    async def test_what_was_gathered_is_committed_before_what_is_committed_carefully(
        self, world: World
    ) -> None:
        """Else it would set the position of a partition back that is in both, and whoever goes on repeats."""

        class Choosy(Ledger):
            async def apply(self, connection: Connection, works: Sequence[list[IntakeRestated]]) -> None:
                await super().apply(connection, works)
                if any(event.id == refused for work in works for event in work):
                    await connection.execute("SELECT 1 / 0")

        ones = [intake_event("a", version) for version in range(1, 13)]
        others = [intake_event("b", version) for version in range(1, 9)]
        one, other = (Partition(FACTS, partition_of(record)) for record in ("a", "b"))
        assert one != other
        await append(world.backend, *ones, *others)
        world.appended = [new.event.id for new in (*ones, *others)]
        refused = others[5].event.id
        world.appended.remove(refused)
        steps = [
            *([one], [other], [other], [], []),  # gathered, committed, refused: both are careful up to here
            *([one], [one], [one, other]),  # committed carefully; gathered; careful because of the other one
        ]
        consumer = Unhurried(
            "ledger",
            [FACTS],
            Choosy(),
            pool=world.pool,
            reader=ScriptedReader(world.backend.reader("aggregator"), steps),
            batch_size=4,
            gather=100,
        )
        async with running(consumer):
            await until(world.all_in)
        async with running(world.replica()):
            await until(lambda: world.is_read_to(len(ones) + len(others)))
        await world.check()

    async def test_events_of_a_record_take_effect_in_order(self, world: World) -> None:
        seen: dict[str, list[int]] = {}

        class Ordered(Ledger):
            def prepare(self, batch: Batch) -> list[IntakeRestated]:
                events = super().prepare(batch)
                for event in events:
                    seen.setdefault(event.data.record_id, []).append(event.data.version)
                return events

        records = [new_record_id() for _ in range(10)]
        for version in range(1, 11):
            await append(world.backend, *[intake_event(record, version) for record in records])
        replica = Replica(
            "ledger",
            [FACTS],
            Ordered(),
            pool=world.pool,
            reader=world.backend.reader("aggregator"),
            batch_size=16,
        )
        async with running(replica):
            await until(lambda: world.pool.fetchval("SELECT count(*) = 100 FROM effect"))
        assert all(versions == list(range(1, 11)) for versions in seen.values())

    async def test_a_restart_goes_on_where_it_stopped(self, world: World) -> None:
        await world.append(100)
        async with running(world.replica()):
            await until(world.all_in)
        assert await world.owners() == [None] * PARTITIONS
        await world.append(50)
        async with running(world.replica()):
            await until(world.all_in)
        await world.check()

    async def test_restarts_at_any_moment_lose_and_double_nothing(self, world: World) -> None:
        dice = random.Random(8)
        for _ in range(12):
            await world.append(40)
            async with running(world.replica(batch_size=16, gather=dice.choice([0, 100]))):
                await asyncio.sleep(dice.random() / 10)
        async with running(world.replica()):
            await until(world.all_in)
        await world.check()

    @pytest.mark.parametrize("fault", ["connection", "retry"])
    async def test_a_crash_between_effect_and_commit_leaves_neither(self, world: World, fault: str) -> None:
        crashes = 0

        async def crash(connection: Connection, _count: int) -> None:
            nonlocal crashes
            if crashes < 3:
                crashes += 1
                if fault == "retry":
                    raise Retry("the first three fail")
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        await world.append(40)
        async with running(world.replica(hook=crash)):
            await until(world.all_in)
        assert crashes == 3
        await world.check()

    async def test_replicas_share_the_partitions_and_the_work(self, world: World) -> None:
        async with running(world.replica(), world.replica(), world.replica()):

            async def shared() -> bool:
                return await world.shares() == [4, 6, 6]

            await until(shared)
            for _ in range(10):
                await world.append(50)
            await until(world.all_in)
        await world.check()

    async def test_a_newcomer_gets_its_share_and_a_leaver_gives_it_back_at_once(self, world: World) -> None:
        async def held(*shares: int) -> bool:
            return await world.shares() == list(shares)

        async with running(world.replica(kind=Lasting)):
            await until(lambda: held(16))
            async with running(world.replica(kind=Lasting)):
                await until(lambda: held(8, 8))
                await world.append(100)
            await until(lambda: held(16))
            await until(world.all_in)
        await world.check()

    async def test_the_partitions_of_a_killed_replica_move_when_its_lease_ends(self, world: World) -> None:
        doomed = world.replica(kind=Doomed)
        async with running(world.replica()):
            async with running(doomed):
                await until(lambda: shares_are(world, [8, 8]))
                await world.append(50)
            await world.append(200)
            await until(world.all_in)
            await until(lambda: shares_are(world, [16]))
        await world.check()

    async def test_a_zombie_changes_nothing(self, world: World) -> None:
        """Stopped with events in its hands, it wakes after its partitions have moved."""
        reader = HeldReader(world.backend.reader("aggregator"))
        before = metric("tiendo_consumer_fenced_total", "ledger")
        await world.append(100)
        async with running(world.replica(reader=reader, kind=Doomed)):
            await reader.caught.wait()
            assert await world.effects() == {}
            async with running(world.replica()):
                await until(world.all_in)
                await world.append(30)
                reader.go_on.set()

                async def fenced() -> bool:
                    return metric("tiendo_consumer_fenced_total", "ledger") > before

                await until(fenced)
                await until(world.all_in)
                await until(lambda: shares_are(world, [8, 8]))
        await world.check()

    async def test_a_zombie_is_fenced_though_its_heir_has_not_moved_the_position(self, world: World) -> None:
        """The epoch of the claim decides: a position alone could look untouched."""
        await world.append(10)
        reader = HeldReader(world.backend.reader("aggregator"))
        zombie = world.replica(reader=reader, kind=Doomed)
        async with running(zombie):
            await reader.caught.wait()
            await asyncio.sleep(LEASE)
            heir = world.replica(kind=Doomed)
            assert await heir._claim()
            before = metric("tiendo_consumer_fenced_total", "ledger")
            reader.go_on.set()

            async def fenced() -> bool:
                return metric("tiendo_consumer_fenced_total", "ledger") > before

            await until(fenced)
            assert await world.effects() == {}
        async with running(world.replica()):
            await until(world.all_in)
        await world.check()

    async def test_a_position_set_back_by_hand_is_taken_up(self, world: World) -> None:
        await world.append(40)
        async with running(world.replica(batch_size=16)):
            await until(world.all_in)
            await world.pool.execute(
                "UPDATE consumer_position SET next = 1, kafka_offset = NULL WHERE consumer = 'ledger'"
            )
            await world.pool.execute("TRUNCATE effect")
            # The replica goes on from where it stood, is fenced, and then believes the table.
            await world.append(40)
            await until(world.all_in)
        await world.check()

    async def test_epochs_only_rise(self, world: World) -> None:
        async def epochs() -> list[int]:
            return [
                row[0]
                for row in await world.pool.fetch(
                    "SELECT epoch FROM consumer_position WHERE consumer = 'ledger' ORDER BY partition"
                )
            ]

        async with running(world.replica()):
            await until(lambda: shares_are(world, [16]))
        first = await epochs()
        async with running(world.replica()):
            await until(lambda: shares_are(world, [16]))
            await asyncio.sleep(3 * HEARTBEAT)
        assert await epochs() == [epoch + 1 for epoch in first]

    async def test_poison_is_kept_aside_and_counted_and_the_position_moves(self, world: World) -> None:
        whole = encode(intake_event("a").event)
        poison = [
            b"",
            b"not json",
            b"[]",
            b'{"type": "somebody.elses.v1"}',
            whole[:-10],
            whole.replace(b'"level":2', b'"level":3'),
            whole.replace(b"23341", b"\xff\xfe"),
            whole.replace(b'"data":{', b'"data":{"x":' + b"[" * 50_000 + b"]" * 50_000 + b","),
        ]
        await world.append(20)
        for body in poison:
            await world.backend.append_body(FACTS, body, partition=5)
        await world.append(20)
        await world.backend.settled()
        async with running(world.replica(batch_size=32)):
            await until(world.all_in)
            await until(lambda: world.pool.fetchval("SELECT count(*) = 8 FROM dead_letter"))
        await world.check()
        kept = await world.pool.fetch("SELECT * FROM dead_letter ORDER BY seq")
        assert [row["body"] for row in kept] == poison
        assert {(row["consumer"], row["topic"], row["partition"]) for row in kept} == {("ledger", FACTS, 5)}
        assert all(row["reason"] for row in kept)
        assert metric("tiendo_dead_letters", "ledger") == 8

    async def test_an_event_that_the_database_refuses_is_kept_aside_alone(self, world: World) -> None:
        await world.append(20)
        whole = encode(intake_event("a").event)
        refused = whole.replace(b'"version":1', b'"version":3000000000')  # more than the column holds
        await world.backend.append_body(FACTS, refused, partition=5)
        await world.append(20)
        await world.backend.settled()
        async with running(world.replica(batch_size=500)):
            await until(world.all_in)
        await world.check()
        [letter] = await world.pool.fetch("SELECT partition, reason, body FROM dead_letter")
        assert (letter["partition"], letter["body"]) == (5, refused)
        assert letter["reason"].startswith("the database refuses it")

    async def test_past_the_bound_of_poison_its_partition_stops_and_no_other(self, world: World) -> None:
        """The letters up to then can be seen and settled; then it goes on by itself."""
        for _ in range(3):
            await world.backend.append_body(FACTS, b"poison", partition=5)
        await world.backend.settled()
        replica = world.replica(dead_letter_bound=3, batch_size=500)
        async with running(replica):
            await until(lambda: world.pool.fetchval("SELECT count(*) = 3 FROM dead_letter"))
            await until_ready(replica, world)
            await world.backend.append_body(FACTS, b"one too many", partition=5)
            await until(lambda: is_halted(replica))
            assert f"{FACTS}/5" in (replica.halted or "")
            assert not replica.ready
            await world.append(60)
            wanted = (await world.backend.log("intake").heads())[FACTS]
            wanted[5] = 4

            async def others_went_on() -> bool:
                return await world.position() == wanted

            await until(others_went_on)
            assert await world.pool.fetchval("SELECT count(*) FROM dead_letter") == 3
            await world.pool.execute(
                "UPDATE dead_letter SET state = 'discarded' WHERE id = (SELECT min(id) FROM dead_letter)"
            )
            # Not all that is folded: there may be nothing but poison left in that partition.
            await until(lambda: world.pool.fetchval("SELECT count(*) = 4 FROM dead_letter"))
            await until(world.all_in)
        await world.check()

    async def test_an_unknown_event_stops_its_partition_where_it_stands_and_no_other(
        self, world: World
    ) -> None:
        await world.append(5)
        replica = world.replica(name="ledger")
        async with running(replica):
            await until(world.all_in)
            await until_ready(replica, world)
            stopped = partition_of("a")
            before = await world.position()
            newer = encode(intake_event("a").event).replace(b"intake-restated.v1", b"intake-restated.v2")
            await world.backend.append_body(FACTS, newer, partition=stopped)
            await world.backend.settled()
            await until(lambda: is_halted(replica))
            assert not replica.ready
            assert metric("tiendo_consumer_halted", "ledger") == 1
            await world.append(60)
            wanted = (await world.backend.log("intake").heads())[FACTS]
            wanted[stopped] = before[stopped]

            async def others_went_on() -> bool:
                return await world.position() == wanted

            await until(others_went_on)
        assert "intake-restated.v2" in (replica.halted or "")
        assert await world.pool.fetchval("SELECT count(*) FROM dead_letter") == 0

    async def test_a_gap_stops_the_consumer_where_it_stands(self, world: World) -> None:
        await append(world.backend, *[intake_event("a", version) for version in range(1, 4)])
        await world.backend.settled()
        await world.backend.lose(FACTS, partition_of("a"), 1)
        replica = world.replica()
        async with running(replica):
            await until(lambda: is_halted(replica))
        assert f"{FACTS}/{partition_of('a')}" in (replica.halted or "")
        assert await world.effects() == {}
        assert await world.position() == [1] * PARTITIONS

    async def test_complete_to_never_runs_ahead_of_the_effects(self, world: World) -> None:
        """Writers, watermarks and two replicas at once; what was acknowledged before T is there at T."""
        acknowledged: dict[str, datetime] = {}
        writing = True

        async def write(dice: random.Random) -> None:
            for _ in range(25):
                new = intake_event(new_record_id())
                async with world.backend.pool("intake").acquire() as connection, connection.transaction():
                    await world.backend.log("intake").append(connection, [new])
                    await asyncio.sleep(dice.random() / 50)
                acknowledged[new.event.id] = datetime.now(UTC)

        async def mark() -> None:
            while True:
                await world.backend.log("intake").publish_watermark(datetime.now(UTC))
                await asyncio.sleep(0.01)

        async def look(replica: Replica) -> int:
            looks = 0
            while writing:
                reached = replica.complete_to
                if reached is not None:
                    due = {event for event, moment in acknowledged.items() if moment < reached}
                    assert due <= set(await world.effects())
                    looks += 1
                await asyncio.sleep(0.005)
            return looks

        replicas = world.replica(batch_size=16), world.replica(batch_size=16)
        async with running(*replicas):
            marking = asyncio.create_task(mark())

            async def both_follow() -> bool:
                return all(each.complete_to is not None for each in replicas)

            await until(both_follow)
            looking = [asyncio.create_task(look(replica)) for replica in replicas]
            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(write(random.Random(number)))
            last = datetime.now(UTC)

            async def complete() -> bool:
                return all(each.complete_to is not None and each.complete_to >= last for each in replicas)

            await until(complete)
            writing = False
            looks = [await each for each in looking]
            marking.cancel()
        assert min(looks) > 5
        assert await world.effects() == dict.fromkeys(acknowledged, 1)

    async def test_it_is_not_ready_before_it_has_passed_a_watermark(self, world: World) -> None:
        replica = world.replica()
        await world.append(10)
        async with running(replica):
            await until(world.all_in)
            await asyncio.sleep(0.1)
            assert replica.complete_to is None
            assert not replica.ready
            await until_ready(replica, world)

    async def test_consumers_of_one_topic_do_not_know_of_each_other(self, world: World) -> None:
        await world.append(30)
        other = world.replica(name="other", hook=nothing)
        async with running(world.replica(), other):
            await until(
                lambda: world.pool.fetchval("SELECT count(*) = 30 FROM effect WHERE times = 2"),
            )
            assert await other.positions() == await world.replica().positions()
