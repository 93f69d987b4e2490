"""The log itself: what is appended is read, in order, once it is committed, and nothing else ever is."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.conformance.backend import FACTS, STATE, LogBackend, append, append_in, beginning, read_all
from tests.conformance.consumer_world import until
from tests.support.events import intake_event, unit_event
from tiendo_common.clock import new_record_id
from tiendo_common.errors import Gap, Retry
from tiendo_common.eventlog.port import NewEvent, Partition, Position, Watermark
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import PARTITIONS, encode, partition_of
from tiendo_common.events.restatements import IntakeRestated
from tiendo_common.events.state import UnitPublished

decode = EventDecoder([IntakeRestated]).decode
T = datetime(2023, 11, 12, 3, 0, tzinfo=UTC)


def expected(events: Iterable[NewEvent]) -> dict[Partition, list[tuple[int, bytes]]]:
    """What a log of these events, and no others, is read as."""
    found: dict[Partition, list[tuple[int, bytes]]] = {partition: [] for partition in beginning(FACTS)}
    for new in events:
        into = found[Partition(FACTS, partition_of(new.event.partitionkey))]
        into.append((len(into) + 1, encode(new.event)))
    return found


def bodies_of(read: dict[Partition, list[tuple[int, bytes]]]) -> list[bytes]:
    return [body for part in read.values() for _, body in part]


class EventLogConformance:
    """Inherit, and bring the fixture `backend`."""

    @pytest.fixture
    async def backend(self) -> LogBackend:
        raise NotImplementedError  # each log's own module brings one

    async def test_events_are_read_in_order_and_byte_for_byte(self, backend: LogBackend) -> None:
        events = [intake_event(new_record_id()) for _ in range(200)]
        for start in range(0, 200, 50):
            await append(backend, *events[start : start + 50])
        await backend.settled()
        assert await read_all(backend.reader("aggregator"), FACTS) == expected(events)

    @pytest.mark.parametrize("limit", [1, 7, 16, 33])
    async def test_reading_goes_on_where_it_stopped_however_little_is_taken_at_a_time(
        self, backend: LogBackend, limit: int
    ) -> None:
        events = [intake_event(new_record_id()) for _ in range(60)]
        await append(backend, *events)
        await backend.settled()
        reader = backend.reader("aggregator")
        assert await read_all(reader, FACTS, limit=limit) == expected(events)
        for chunk in await reader.fetch(beginning(FACTS), limit):
            assert len(chunk.bodies) <= max(1, limit)
            assert chunk.after.next == chunk.sequences[-1] + 1

    async def test_there_is_nothing_to_read_past_the_end(self, backend: LogBackend) -> None:
        reader = backend.reader("aggregator")
        assert await reader.fetch(beginning(FACTS), 100) == []
        await append(backend, intake_event("a"))
        await backend.settled()
        partition = Partition(FACTS, partition_of("a"))
        [chunk] = await reader.fetch(beginning(FACTS), 100)
        assert (chunk.partition, list(chunk.sequences), chunk.after.next) == (partition, [1], 2)
        assert await reader.fetch({partition: chunk.after}, 100) == []

    async def test_only_the_partitions_asked_for_are_read(self, backend: LogBackend) -> None:
        by_partition = {partition_of(record): record for record in map(str, range(1000))}
        assert len(by_partition) == PARTITIONS
        await append(backend, *[intake_event(key, n) for key in by_partition.values() for n in (1, 2)])
        await backend.settled()
        asked = {Partition(FACTS, 3): Position(1), Partition(FACTS, 9): Position(2)}
        reader, found = backend.reader("aggregator"), set[tuple[int, int]]()
        while chunks := await reader.fetch(asked, 1000):
            found |= {(chunk.partition.number, n) for chunk in chunks for n in chunk.sequences}
            asked |= {chunk.partition: chunk.after for chunk in chunks}
        assert found == {(3, 1), (3, 2), (9, 2)}

    async def test_a_rollback_leaves_nothing(self, backend: LogBackend) -> None:
        await append(backend, intake_event("a", 1))
        before = await backend.log("intake").heads()
        async with backend.pool("intake").acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await append_in(backend, connection, [intake_event("a", 2), intake_event("b", 1)])
            await transaction.rollback()
        assert await backend.log("intake").heads() == before
        await append(backend, intake_event("a", 3))
        await backend.settled()
        part = (await read_all(backend.reader("aggregator"), FACTS))[Partition(FACTS, partition_of("a"))]
        assert [(sequence, decode(body).data.version) for sequence, body in part] == [(1, 1), (2, 3)]

    async def test_nothing_is_read_before_it_is_committed(self, backend: LogBackend) -> None:
        reader = backend.reader("aggregator")
        async with backend.pool("intake").acquire() as connection, connection.transaction():
            await append_in(backend, connection, [intake_event("a")])
            assert await reader.fetch(beginning(FACTS), 100) == []
        await backend.settled()
        assert len(await reader.fetch(beginning(FACTS), 100)) == 1

    async def test_an_append_of_nothing_changes_nothing(self, backend: LogBackend) -> None:
        before = await backend.log("intake").heads()
        await append(backend)
        assert await backend.log("intake").heads() == before

    async def test_sequences_have_no_gap_whatever_writers_do_at_once(self, backend: LogBackend) -> None:
        """Twelve writers commit, roll back and are cancelled in the middle, at random."""
        chance = random.Random(3)
        committed: list[bytes] = []

        async def write(dice: random.Random) -> None:
            for _ in range(12):
                events = [intake_event(new_record_id()) for _ in range(dice.choice((1, 1, 3, 70)))]
                try:
                    async with backend.pool("intake").acquire() as connection, connection.transaction():
                        await append_in(backend, connection, events)
                        if dice.random() < 0.25:
                            raise LookupError
                        if dice.random() < 0.3:
                            await asyncio.sleep(dice.random() / 100)
                except LookupError:
                    continue
                committed.extend(encode(new.event) for new in events)

        async def interrupted(dice: random.Random) -> None:
            for _ in range(8):
                events = [intake_event(new_record_id()) for _ in range(5)]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(append(backend, *events), dice.random() / 50)

        async with asyncio.TaskGroup() as group:
            for _ in range(9):
                group.create_task(write(random.Random(chance.random())))
            for _ in range(3):
                group.create_task(interrupted(random.Random(chance.random())))
        await backend.settled()
        read = await read_all(backend.reader("aggregator"), FACTS)
        for partition, part in read.items():
            assert [sequence for sequence, _ in part] == list(range(1, len(part) + 1))
            assert (await backend.log("intake").heads())[FACTS][partition.number] == len(part) + 1
        # A cancelled append was committed whole or not at all: whatever else is there came in fives.
        assert set(committed) <= set(bodies_of(read))
        assert (len(bodies_of(read)) - len(committed)) % 5 == 0

    async def test_nothing_ever_appears_behind_a_reader(self, backend: LogBackend) -> None:
        """A reader polls while writers commit late and out of order; the port raises Gap if it overtook one."""
        writing = True
        committed: list[bytes] = []

        async def write(dice: random.Random) -> None:
            for _ in range(15):
                events = [intake_event(new_record_id()) for _ in range(dice.choice((1, 2, 30)))]
                async with backend.pool("intake").acquire() as connection, connection.transaction():
                    await append_in(backend, connection, events)
                    await asyncio.sleep(dice.random() / 100)
                committed.extend(encode(new.event) for new in events)

        async def read() -> list[bytes]:
            reader = backend.reader("aggregator")
            positions = beginning(FACTS)
            seen: list[bytes] = []
            while True:
                last_look = not writing
                if last_look:
                    await backend.settled()
                chunks = await reader.fetch(positions, 100)
                for chunk in chunks:
                    assert chunk.sequences[0] == positions[chunk.partition].next
                    positions[chunk.partition] = chunk.after
                    seen += chunk.bodies
                if last_look and not chunks:
                    return seen

        reading = asyncio.create_task(read())
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(write(random.Random(number)))
        writing = False
        seen = await reading
        assert len(seen) == len(set(seen))
        assert set(seen) == set(committed)

    async def test_events_of_one_record_stay_in_one_partition_and_in_order(self, backend: LogBackend) -> None:
        records = [new_record_id() for _ in range(30)]

        async def live(some: list[str], dice: random.Random) -> None:
            for version in range(1, 6):
                await append(backend, *[intake_event(record, version) for record in some])
                await asyncio.sleep(dice.random() / 100)

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(live(records[number::6], random.Random(number)))
        await backend.settled()
        versions: dict[str, list[int]] = {record: [] for record in records}
        for partition, part in (await read_all(backend.reader("aggregator"), FACTS)).items():
            for _, body in part:
                data = decode(body).data
                assert partition.number == partition_of(data.record_id)
                versions[data.record_id].append(data.version)
        assert all(found == [1, 2, 3, 4, 5] for found in versions.values())

    async def test_writers_to_the_same_partitions_in_opposite_order_do_not_deadlock(
        self, backend: LogBackend
    ) -> None:
        keys = [new_record_id() for _ in range(40)]
        async with asyncio.timeout(60):
            await asyncio.gather(
                *[
                    append(backend, *[intake_event(key) for key in (keys if turn % 2 else keys[::-1])])
                    for turn in range(20)
                ]
            )
        assert sum((await backend.log("intake").heads())[FACTS]) == 20 * 40 + PARTITIONS

    async def test_heads_are_the_next_sequences_of_all_topics_that_the_service_owns(
        self, backend: LogBackend
    ) -> None:
        log = backend.log("intake")
        assert await log.heads() == {topic: [1] * PARTITIONS for topic in ("intake", "approval", "dossier")}
        await append(backend, *[intake_event("a", version) for version in range(1, 4)])
        heads = await log.heads()
        assert heads["approval"] == [1] * PARTITIONS
        assert heads["intake"] == [4 if n == partition_of("a") else 1 for n in range(PARTITIONS)]

    async def test_a_state_topic_ends_with_the_newest_of_each_key(self, backend: LogBackend) -> None:
        """Superseded events go at once or in time: whoever lets later ones win sees the same."""

        async def publish(*names: str) -> None:
            await append(backend, *[unit_event(name[0], name) for name in names], service="aggregator")

        def newest(bodies: Iterable[bytes]) -> dict[str, str]:
            return {name[0]: name for name in (name_of((0, body)) for body in bodies)}

        reader = backend.reader("notifier")
        await publish("a1", "b1", "a2")
        await backend.settled()
        [early] = await reader.fetch(beginning(STATE), 100)
        assert newest(early.bodies) == {"a": "a2", "b": "b1"}
        await publish("b2", "c1")
        await publish("a3", "a4")
        await backend.settled()
        late = (await read_all(reader, STATE))[Partition(STATE, 0)]
        assert newest(body for _, body in late) == {"a": "a4", "b": "b2", "c": "c1"}
        assert [sequence for sequence, _ in late] == sorted({sequence for sequence, _ in late})
        # Who has read before goes on from there and misses nothing.
        [rest] = await reader.fetch({early.partition: early.after}, 100)
        assert rest.sequences[0] >= early.after.next
        assert newest(rest.bodies) == {"a": "a4", "b": "b2", "c": "c1"}
        assert (await backend.log("aggregator").heads())[STATE] == [rest.after.next]

    async def test_writers_of_one_state_key_agree_on_which_event_is_the_last(
        self, backend: LogBackend
    ) -> None:
        await asyncio.gather(
            *[append(backend, unit_event("a", f"a{n}"), service="aggregator") for n in range(20)]
        )
        await backend.settled()
        [*_, (sequence, body)] = (await read_all(backend.reader("notifier"), STATE))[Partition(STATE, 0)]
        assert [sequence + 1] == (await backend.log("aggregator").heads())[STATE]
        kept = await backend.pool("aggregator").fetch("SELECT seq, body FROM log_units")
        assert [(row["seq"], row["body"]) for row in kept] == [(sequence, body)]

    async def test_there_is_no_watermark_before_the_first(self, backend: LogBackend) -> None:
        assert await backend.reader("aggregator").watermark(FACTS) is None

    async def test_a_watermark_says_where_the_log_stood(self, backend: LogBackend) -> None:
        await append(backend, intake_event("a"), intake_event("b"))
        await backend.log("intake").publish_watermark(T)
        await backend.settled()
        watermark = await backend.reader("aggregator").watermark(FACTS)
        assert watermark is not None
        assert watermark.complete_to == T
        assert list(watermark.next) == (await backend.log("intake").heads())[FACTS]

    async def test_a_watermark_never_goes_back(self, backend: LogBackend) -> None:
        log, reader = backend.log("intake"), backend.reader("aggregator")
        await log.publish_watermark(T)
        await append(backend, intake_event("a"))
        await log.publish_watermark(T - timedelta(seconds=1))
        await backend.settled()
        watermark = await reader.watermark(FACTS)
        assert watermark is not None
        assert (watermark.complete_to, sum(watermark.next)) == (T, PARTITIONS)
        await log.publish_watermark(T)
        await backend.settled()

        async def has_grown() -> bool:
            heard = await reader.watermark(FACTS)
            return heard is not None and (heard.complete_to, sum(heard.next)) == (T, PARTITIONS + 1)

        await until(has_grown)  # it may be on its way

    async def test_all_that_was_acknowledged_before_a_watermark_stands_below_it(
        self, backend: LogBackend
    ) -> None:
        acknowledged: dict[bytes, datetime] = {}
        watermarks: list[Watermark | None] = []
        until = time.monotonic() + 120
        reader = backend.reader("aggregator")

        async def write(dice: random.Random) -> None:
            while (len(set(watermarks)) < 6 or len(acknowledged) < 200) and time.monotonic() < until:
                new = intake_event(new_record_id())
                async with backend.pool("intake").acquire() as connection, connection.transaction():
                    await append_in(backend, connection, [new])
                    await asyncio.sleep(dice.random() / 100)
                acknowledged[encode(new.event)] = datetime.now(UTC)

        async def mark() -> None:
            while True:
                await backend.log("intake").publish_watermark(datetime.now(UTC))
                watermarks.append(await reader.watermark(FACTS))
                await asyncio.sleep(0.005)

        marking = asyncio.create_task(mark())
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(write(random.Random(number)))
        marking.cancel()
        await backend.settled()
        read = await read_all(backend.reader("aggregator"), FACTS)
        checked = 0
        for watermark in watermarks:
            if watermark is not None:
                for partition, part in read.items():
                    for sequence, body in part:
                        if acknowledged[body] < watermark.complete_to:
                            assert sequence < watermark.next[partition.number]
                            checked += 1
        assert checked > 100

    @pytest.mark.parametrize("lost", [1, 3])
    async def test_a_lost_event_of_a_fact_topic_is_a_gap(self, backend: LogBackend, lost: int) -> None:
        await append(backend, *[intake_event("a", version) for version in range(1, 6)])
        await backend.settled()
        await backend.lose(FACTS, partition_of("a"), lost)
        with pytest.raises(Gap, match=f"{FACTS}/{partition_of('a')}"):
            await read_all(backend.reader("aggregator"), FACTS)

    async def test_a_topic_that_is_not_there_yet_is_tried_again_later(self, backend: LogBackend) -> None:
        await backend.withhold(FACTS)
        reader = backend.reader("aggregator")
        with pytest.raises(Retry, match=FACTS):
            await reader.fetch(beginning(FACTS), 100)
        assert await reader.watermark(FACTS) is None


def name_of(event: tuple[int, bytes]) -> str:
    return msgspec.json.decode(event[1], type=UnitPublished).data.spans[0].name
