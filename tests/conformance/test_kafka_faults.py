"""What Kafka adds to the ways in which things go wrong, and each trap that the client library holds."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ProducerFenced
from aiokafka.record._crecords.default_records import DefaultRecord
from prometheus_client import REGISTRY

from tests.conformance.backend import FACTS, STATE, append, beginning, read_all
from tests.conformance.consumer_world import World, is_halted, running, until
from tests.conformance.kafka_backend import KafkaBackend, OnKafka, carried, in_background
from tests.support.events import intake_event, unit_event
from tiendo_common.clock import new_record_id
from tiendo_common.errors import Diverged, Retry, Stop
from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.generations import begin_generation, strangers
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.kafka.topics import ensure_topics, examine_topics
from tiendo_common.eventlog.port import NewEvent, Partition, Position
from tiendo_common.events.envelope import encode, partition_of

pytestmark = pytest.mark.anyio

PLACE = Partition(FACTS, partition_of("a"))


def some(count: int, first: int = 1) -> list[NewEvent]:
    """Versions of one record: one partition, in order."""
    return [intake_event("a", version) for version in range(first, first + count)]


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextlib.contextmanager
def faults_of_the_client_ignored() -> Iterator[None]:
    """The client leaves tasks behind whose exceptions nobody asks for; a test would fail by them."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)
    try:
        yield
        gc.collect()
    finally:
        loop.set_exception_handler(handler)


class TestPublisher(OnKafka):
    async def test_records_are_the_log_with_its_sequence_generation_and_key(
        self, backend: KafkaBackend
    ) -> None:
        events = some(3)
        await append(backend, *events)
        await backend.settled()
        records = await backend.records(*PLACE)
        assert [record.value for record in records] == [encode(new.event) for new in events]
        assert [wire.place(record.headers) for record in records] == [(1, 1), (1, 2), (1, 3)]
        assert {record.key for record in records} == {b"a"}
        assert {record.headers[2] for record in records} == {wire.CONTENT_TYPE}

    async def test_what_was_sent_and_not_noted_is_not_sent_again(self, silent: KafkaBackend) -> None:
        """Killed between the broker's acknowledgement and the note of it."""
        await append(silent, *some(5))
        async with carried(silent):
            await silent.settled()
        await silent.pools["intake"].execute(
            "UPDATE consumer_position SET next = 2, kafka_offset = 1 WHERE consumer = 'publisher' "
            "AND topic = $1 AND partition = $2",
            *PLACE,
        )
        await append(silent, *some(2, first=6))
        async with carried(silent):
            await silent.settled()
        assert [wire.place(record.headers)[1] for record in await silent.records(*PLACE)] == [
            1,
            2,
            3,
            4,
            5,
            6,
            7,
        ]

    async def test_what_the_broker_has_lost_is_sent_again(self, silent: KafkaBackend) -> None:
        await append(silent, *some(5))
        async with carried(silent):
            await silent.settled()
        await silent.withhold(FACTS)
        await ensure_topics(silent.broker, 1)

        async def all_there() -> bool:
            return len(await silent.records(*PLACE)) >= 5

        async with carried(silent):
            await until(all_there)
        assert [wire.place(record.headers)[1] for record in await silent.records(*PLACE)] == [1, 2, 3, 4, 5]

    async def test_poison_is_published_too(self, backend: KafkaBackend) -> None:
        """Readers set it aside under its sequence: the log has no holes for it."""
        for body in (b"", b"not json", b"[" * 100_000):
            await backend.append_body(FACTS, body, partition=3)
        await backend.settled()
        assert [record.value for record in await backend.records(FACTS, 3)] == [
            b"",
            b"not json",
            b"[" * 100_000,
        ]

    async def test_two_publishers_share_the_partitions_and_send_each_event_once(
        self, backend: KafkaBackend
    ) -> None:
        second = KafkaPublisher("intake", backend.pools["intake"], backend.broker, driven=True)
        async with in_background(second.run):
            for _ in range(20):
                await append(backend, *[intake_event(new_record_id()) for _ in range(40)])
                await asyncio.sleep(0.05)
            await backend.settled()
        records = [record for n in range(16) for record in await backend.records(FACTS, n)]
        assert len({record.value for record in records}) == len(records) == 800

    async def test_a_publisher_that_lost_its_lease_is_fenced_on_a_state_topic(
        self, silent: KafkaBackend
    ) -> None:
        """Compaction reads by offset: an old event after a newer one would be the one that stays."""
        zombie, heir = (KafkaPublisher("aggregator", silent.pools["aggregator"], silent.broker) for _ in "zh")
        place = Partition(STATE, 0)
        with faults_of_the_client_ignored():
            try:
                await zombie._fence(place)
                await heir._fence(place)
                at, late = silent.broker.at(place), zombie._state[place]
                async with asyncio.timeout(60):
                    with pytest.raises(ProducerFenced):
                        async with late.transaction():
                            await late.send_and_wait(at.topic, b"older", key=b"a", partition=0)
                    async with heir._state[place].transaction():
                        await heir._state[place].send_and_wait(at.topic, b"newer", key=b"a", partition=0)
            finally:
                await zombie._disconnect()
                await heir._disconnect()
        assert [record.value for record in await silent.records(STATE, 0)] == [b"newer"]

    async def test_a_broker_that_has_yet_to_name_itself_is_waited_for(
        self, silent: KafkaBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """aiokafka asserts that it knows one: found when a broker was killed while a publisher claimed its topics."""
        look_up = AIOKafkaClient.coordinator_lookup
        lost: list[Any] = []

        async def at_first_lost(client: AIOKafkaClient, *asked: Any) -> Any:
            if not lost:
                lost.append(asked)
                client.get_random_node = lambda: None
            try:
                return await look_up(client, *asked)
            finally:
                vars(client).pop("get_random_node", None)

        await append(silent, unit_event("23281", "Xã Đăk Môn"), service="aggregator")
        monkeypatch.setattr(AIOKafkaClient, "coordinator_lookup", at_first_lost)
        async with carried(silent):
            await silent.settled()
        assert lost
        assert len(await silent.records(STATE, 0)) == 1

    async def test_it_stops_where_the_broker_is_ahead_of_the_log(self, silent: KafkaBackend) -> None:
        await append(silent, *some(5))
        async with carried(silent):
            await silent.settled()
        await restored(silent, to=3)
        await append(silent, *some(4, first=40))  # what was accepted after the restore
        publisher = silent.publishers["intake"]
        async with in_background(publisher.run):
            await until(lambda: stopped(publisher))
        assert f"{FACTS}/{PLACE.number}" in (publisher.stopped or "")
        assert "new-generation" in (publisher.stopped or "")
        assert len(await silent.records(*PLACE)) == 5

    async def test_a_new_generation_goes_on_after_a_restore_and_readers_pass_over_what_was_withdrawn(
        self, silent: KafkaBackend
    ) -> None:
        events = some(5)
        await append(silent, *events)
        await append(silent, unit_event("u", "u1"), unit_event("v", "v1"), service="aggregator")
        async with carried(silent):
            await silent.settled()
        reader = silent.reader("aggregator")
        behind = (await reader.fetch({PLACE: Position(1)}, 2))[0].after
        assert behind.next == 3
        ahead = (await reader.fetch({PLACE: behind}, 100))[0].after
        await reader.close()
        await restored(silent, to=3)
        again = some(3, first=40)
        await append(silent, *again)
        begun, withdrawn = await begin_generation(
            silent.broker, silent.pools["intake"], "intake", "a restore"
        )
        assert begun == {FACTS: 2}
        assert [(each.sequence, each.body) for each in withdrawn] == [
            (4, encode(events[3].event)),
            (5, encode(events[4].event)),
        ]
        assert await strangers(silent.broker, silent.pools["intake"], "intake") == []
        async with carried(silent):
            await silent.settled()
            wanted = [encode(new.event) for new in (*events[:3], *again)]
            fresh = silent.reader("aggregator")
            read = (await read_all(fresh, FACTS))[PLACE]
            assert [body for _, body in read] == wanted
            assert [sequence for sequence, _ in read] == [1, 2, 3, 4, 5, 6]
            # Who had read less than was withdrawn goes on; who had read more must not.
            [rest] = await fresh.fetch({PLACE: behind}, 100)
            assert list(rest.bodies) == wanted[2:]
            assert rest.after.generation == 2
            with pytest.raises(Diverged, match="withdrawn"):
                await fresh.fetch({PLACE: ahead}, 100)

    async def test_a_new_generation_of_a_state_topic_is_written_anew_whole(
        self, silent: KafkaBackend
    ) -> None:
        await append(silent, unit_event("a", "a1"), unit_event("b", "b1"), service="aggregator")
        async with carried(silent):
            await silent.settled()
        saved = await silent.pools["aggregator"].fetch("SELECT * FROM log_units")
        await append(silent, unit_event("a", "ghost"), unit_event("c", "ghost"), service="aggregator")
        async with carried(silent):
            await silent.settled()
        pool = silent.pools["aggregator"]
        await pool.execute("TRUNCATE log_units")
        await pool.copy_records_to_table("log_units", records=[tuple(row) for row in saved])
        await pool.execute("UPDATE log_partition SET next = 3 WHERE topic = 'units'")
        await pool.execute(
            "UPDATE consumer_position SET next = 3, kafka_offset = 2 "
            "WHERE consumer = 'publisher' AND topic = 'units'"
        )
        begun, withdrawn = await begin_generation(silent.broker, pool, "aggregator", "a restore")
        assert (begun, len(withdrawn)) == ({STATE: 2}, 2)
        async with carried(silent):
            await silent.settled()
            read = (await read_all(silent.reader("notifier"), STATE))[Partition(STATE, 0)]
        names = [body for _, body in read]
        assert not any(b"ghost" in body for body in names)
        assert names[-2:] == [row["body"] for row in saved]

    async def test_nothing_is_begun_where_nothing_diverged(self, silent: KafkaBackend) -> None:
        await append(silent, *some(3))
        async with carried(silent):
            await silent.settled()
        assert await begin_generation(silent.broker, silent.pools["intake"], "intake", "none") == ({}, [])


async def restored(backend: KafkaBackend, *, to: int) -> None:
    """The database again as it was when the partition had `to` events, all of them published."""
    pool = backend.pools["intake"]
    await pool.execute(f"DELETE FROM log_{FACTS} WHERE partition = $1 AND seq > $2", PLACE.number, to)
    await pool.execute(
        "UPDATE log_partition SET next = $3 WHERE topic = $1 AND partition = $2", *PLACE, to + 1
    )
    await pool.execute(
        "UPDATE consumer_position SET next = $3, kafka_offset = $4 "
        "WHERE consumer = 'publisher' AND topic = $1 AND partition = $2",
        *PLACE,
        to + 1,
        to,
    )


async def stopped(publisher: KafkaPublisher) -> bool:
    return publisher.stopped is not None


class TestReader(OnKafka):
    @pytest.fixture
    async def world(self, backend: KafkaBackend) -> World:
        world = World(backend)
        await world.pool.execute(
            "CREATE TABLE effect (event_id uuid PRIMARY KEY, record_id text, version int, times int DEFAULT 1)"
        )
        return world

    async def test_repeats_are_dropped_wherever_they_stand(self, backend: KafkaBackend) -> None:
        events = some(4)
        await append(backend, *events[:2])
        await backend.settled()
        for record in await backend.records(*PLACE):
            await backend.send(*PLACE, record.value, record.headers, record.key)
        await append(backend, *events[2:])
        await backend.settled()
        before = counted("tiendo_log_repeats_total", topic=FACTS)
        read = (await read_all(backend.reader("aggregator"), FACTS))[PLACE]
        assert [sequence for sequence, _ in read] == [1, 2, 3, 4]
        assert [body for _, body in read] == [encode(new.event) for new in events]
        assert counted("tiendo_log_repeats_total", topic=FACTS) == before + 2

    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [("sequence", b"2")],
            [("sequence", b"two"), ("generation", b"1")],
            [("sequence", b"-2"), ("generation", b"1")],
            [("sequence", b""), ("generation", b"1")],
            [("generation", b"1"), ("sequence", b"2")],
            [("sequence", b"9" * 30), ("generation", b"1")],
            [("sequence", b"\xd9\xa2"), ("generation", b"1")],
        ],
    )
    async def test_a_foreign_record_is_set_aside_and_the_sequence_does_not_move(
        self, world: World, backend: KafkaBackend, headers: list[tuple[str, bytes]]
    ) -> None:
        await world.append(10)
        await backend.settled()
        await backend.send(*PLACE, b"somebody's", headers)
        await world.append(10)
        async with running(world.replica(batch_size=4)):
            await until(world.all_in)
            await until(lambda: world.pool.fetchval("SELECT count(*) = 1 FROM dead_letter"))
        await world.check()
        letter = await world.pool.fetchrow("SELECT * FROM dead_letter")
        assert letter is not None
        assert (letter["seq"], letter["body"], letter["partition"]) == (None, b"somebody's", PLACE.number)
        # Read again from the beginning, it stays one letter.
        await world.pool.execute(
            "UPDATE consumer_position SET next = 1, kafka_offset = NULL WHERE consumer = 'ledger'"
        )
        await world.pool.execute("TRUNCATE effect")
        async with running(world.replica()):
            await until(world.all_in)
        assert await world.pool.fetchval("SELECT count(*) FROM dead_letter") == 1

    async def test_a_wrong_offset_does_no_harm_since_the_sequence_decides(
        self, world: World, backend: KafkaBackend
    ) -> None:
        await world.append(60)
        await backend.settled()
        async with running(world.replica()):
            await until(world.all_in)
        for offset in ("0", "kafka_offset + 1", "999999", "NULL"):
            await world.pool.execute(
                f"UPDATE consumer_position SET kafka_offset = {offset} WHERE consumer = 'ledger'"
            )
            async with running(world.replica()):
                await world.append(30)
                # The watermark tells whoever skipped the newest event of a partition that there is one.
                await backend.log("intake").publish_watermark(datetime.now(UTC))
                await until(world.all_in)
        await world.check()

    async def test_a_lost_event_is_noticed_though_nothing_follows_it(
        self, world: World, backend: KafkaBackend
    ) -> None:
        await append(backend, *some(3))
        await backend.settled()
        replica = world.replica()
        async with running(replica):
            await until(lambda: world.pool.fetchval("SELECT count(*) = 3 FROM effect"))
            # As a broker that lost its newest records, and a publisher that does not know.
            await backend.pools["intake"].execute(
                "UPDATE log_partition SET next = 5 WHERE topic = $1 AND partition = $2", *PLACE
            )
            await backend.pools["intake"].execute(
                "UPDATE consumer_position SET next = 5, epoch = epoch WHERE consumer = 'publisher' "
                "AND topic = $1 AND partition = $2",
                *PLACE,
            )
            await backend.log("intake").publish_watermark(datetime.now(UTC))
            await until(lambda: is_halted(replica))
        assert "looked through all of it" in (replica.halted or "")

    async def test_its_client_makes_no_second_record_of_what_it_has_unpacked(
        self, backend: KafkaBackend
    ) -> None:
        """It would take two fifths of an event's unpacking. There is no option: a new build of the client may bring it
        back unnoticed."""
        await append(backend, *some(3))
        await backend.settled()
        reader = KafkaLogReader(backend.broker, "unpacking")
        try:
            client = await reader._started()
            at = backend.broker.at(PLACE)
            client.assign([at])
            client.seek(at, 0)
            records = (await client.getmany(timeout_ms=10_000))[at]
        finally:
            await reader.close()
        assert {type(record) for record in records} == {DefaultRecord}
        assert [wire.place(record.headers) for record in records] == [(1, 1), (1, 2), (1, 3)]

    async def test_group_offsets_are_there_for_tools(self, world: World, backend: KafkaBackend) -> None:
        await world.append(50)
        await backend.settled()
        group = f"{backend.broker.prefix}aggregator.conformance"

        async def shown() -> bool:
            async with backend.admin() as admin:
                offsets = await admin.list_consumer_group_offsets(group)
            ends = {n: len(await backend.records(FACTS, n)) for n in range(16)}
            return {at.partition: one.offset for at, one in offsets.items() if one.offset > 0} == {
                n: end for n, end in ends.items() if end
            }

        async with running(world.replica()):
            await until(world.all_in)
            await until(shown)


class TestTopics(OnKafka):
    async def test_they_are_made_once_and_as_they_must_be(self, silent: KafkaBackend) -> None:
        assert await ensure_topics(silent.broker, 1) == []
        assert await examine_topics(silent.broker, 1) == []
        async with silent.admin() as admin:
            found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        assert found[silent.broker.topic(FACTS)] == 16
        assert found[silent.broker.topic(STATE)] == 1

    async def test_two_may_make_them_at_once(self, silent: KafkaBackend) -> None:
        broker = Broker(silent.broker.bootstrap, prefix=f"{silent.broker.prefix}twice.")
        made = await asyncio.gather(ensure_topics(broker, 1), ensure_topics(broker, 1))
        assert await examine_topics(broker, 1) == []
        async with silent.admin() as admin:
            await admin.delete_topics(sorted({name for names in made for name in names}))

    async def test_a_changed_setting_is_found_and_put_right(self, silent: KafkaBackend) -> None:
        name = silent.broker.topic(FACTS)
        async with silent.admin() as admin:
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1000"})]
            )

        async def found() -> bool:
            findings = await examine_topics(silent.broker, 1)
            return any(each.topic == name and "retention.ms is 1000" in each.problem for each in findings)

        async def right() -> bool:
            return await examine_topics(silent.broker, 1) == []

        await until(found)
        await ensure_topics(silent.broker, 1)
        await until(right)

    async def test_another_number_of_partitions_is_refused_by_all(self, silent: KafkaBackend) -> None:
        async with silent.admin() as admin:
            await admin.create_partitions({silent.broker.topic(FACTS): NewPartitions(17)})

            async def there() -> bool:
                return await count_of(admin, silent.broker.topic(FACTS)) == 17

            await until(there)
        with pytest.raises(Stop, match="17 partitions instead of 16"):
            await ensure_topics(silent.broker, 1)
        with pytest.raises(Stop, match="17 partitions instead of 16"):
            await silent.reader("aggregator").fetch(beginning(FACTS), 10)
        publisher = silent.publishers["intake"]
        async with in_background(publisher.run):
            await until(lambda: stopped(publisher))
        assert "17 partitions" in (publisher.stopped or "")

    async def test_brokers_that_are_away_are_waited_for(self, unused_port: int) -> None:
        broker = Broker(f"127.0.0.1:{unused_port}")
        with pytest.raises(Retry, match="cannot be reached"):
            await ensure_topics(broker, 1)


async def count_of(admin: AIOKafkaAdminClient, name: str) -> int:
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}[name]


class TestTrapsOfTheClient(OnKafka):
    """Each shows why the adapter does not do the simpler thing. One that passes no more may be taken out."""

    async def test_a_question_for_offsets_waits_behind_a_fetch_on_the_same_connection(
        self, silent: KafkaBackend
    ) -> None:
        at = silent.broker.at(PLACE)
        async with consumer(silent) as client:
            await client.end_offsets([at])
            client.assign([at])
            client.seek(at, 0)
            loop = asyncio.get_running_loop()
            waits: list[float] = []
            # More than once: a busy machine may come to ask only when the fetch is about to end.
            while max(waits, default=0.0) < 0.2 and len(waits) < 10:
                await asyncio.sleep(0.1)
                began = loop.time()
                await client.end_offsets([at])
                waits.append(loop.time() - began)
            assert max(waits) > 0.2

    async def test_records_that_nobody_takes_hold_up_all_others_of_their_broker(
        self, silent: KafkaBackend
    ) -> None:
        taken, left = silent.broker.at(Partition(FACTS, 0)), silent.broker.at(Partition(FACTS, 1))
        loop = asyncio.get_running_loop()
        waits = []
        async with (
            AIOKafkaProducer(bootstrap_servers=silent.broker.bootstrap) as producer,
            consumer(silent, fetch_max_wait_ms=10) as client,
        ):
            client.assign([taken, left])
            client.seek(taken, 0)
            client.seek(left, 0)
            for _ in range(5):
                await producer.send_and_wait(
                    left.topic, b"nobody asks for this one", partition=left.partition
                )
                await asyncio.sleep(0.03)
                began = loop.time()
                await producer.send_and_wait(
                    taken.topic, b"this one is waited for", partition=taken.partition
                )
                while not await client.getmany(taken, timeout_ms=10):
                    assert loop.time() - began < 60
                waits.append(loop.time() - began)
                await client.getmany(left, timeout_ms=300)
        assert max(waits) > 0.05


@contextlib.asynccontextmanager
async def consumer(backend: KafkaBackend, **options: str | int) -> AsyncIterator[AIOKafkaConsumer]:
    client = AIOKafkaConsumer(
        bootstrap_servers=backend.broker.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        **options,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()
