"""Who waits for something on Kafka asks for it seldom, and hears of it at once."""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from tests.conformance.backend import FACTS, STATE, append
from tests.conformance.consumer_world import until
from tests.conformance.kafka_backend import KafkaBackend, OnKafka, in_background
from tests.support.events import intake_event, unit_event
from tiendo_common.errors import Retry
from tiendo_common.eventlog.kafka.control import Control
from tiendo_common.eventlog.kafka.offsets import Offsets
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.postgres import read_log
from tiendo_common.eventlog.replica import StateReplica
from tiendo_common.events.state import UnitPublished

pytestmark = pytest.mark.anyio

T = datetime(2023, 11, 12, 3, 0, tzinfo=UTC)


class TestWaitingOnKafka(OnKafka):
    async def test_a_watermark_is_heard_without_a_question_each_time(
        self, backend: KafkaBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = questions(monkeypatch)
        reader = backend.reader("aggregator")
        looks, began = 0, time.monotonic()
        for minute in range(5):
            said = T + timedelta(minutes=minute)
            await backend.log("intake").publish_watermark(said)
            heard = None
            while heard is None or heard.complete_to < said:
                with contextlib.suppress(Retry):  # on a machine too busy for an answer in time
                    heard = await reader.watermark(FACTS)
                looks += 1
                assert time.monotonic() - began < 60
                await asyncio.sleep(0.005)
        assert looks > 10
        assert asked[backend.broker.control.topic] <= 2 + (time.monotonic() - began)

    async def test_a_watermark_is_passed_on_though_a_newer_one_is_always_ahead(
        self, backend: KafkaBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(KafkaPublisher, "LINGER", (0.2, 0.2))  # as much is under way as on a busy machine
        publisher, log = backend.publishers["intake"], backend.log("intake")
        await append(backend, intake_event("a"))
        await backend.settled()
        async with asyncio.timeout(20):
            while FACTS not in publisher.said:
                await append(backend, intake_event("a"))
                await log.publish_watermark(datetime.now(UTC))

    async def test_who_hears_behind_one_that_failed_goes_on(
        self, backend: KafkaBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take = Control._take

        async def failing(self: Control, client: AIOKafkaConsumer, timeout_ms: int) -> None:
            current = asyncio.current_task()
            if current is not None and current.get_name() == "fails":
                raise KafkaConnectionError("the broker went away")
            await take(self, client, timeout_ms)

        monkeypatch.setattr(Control, "_take", failing)
        control = Control(backend.broker)
        await control.listen()
        try:
            await backend.log("intake").publish_watermark(T)
            await backend.settled()
            reader = KafkaLogReader(backend.broker, "aggregator.behind", control)
            async with control._lock:
                control._next_question = 0.0
                fails = asyncio.create_task(reader.watermark(FACTS), name="fails")
                await asyncio.sleep(0)
            control._next_question = math.inf
            await control.hear()  # waits for it, though nobody has the lock at this moment
            with pytest.raises(Retry):
                await fails
            heard = await reader.watermark(FACTS)
            assert heard is not None
            assert heard.complete_to == T
        finally:
            await control.close()

    async def test_a_replica_that_has_all_hears_of_more_without_a_question_each_time(
        self, backend: KafkaBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(StateReplica, "POLL", 0.01)
        names: list[str] = []
        replica = StateReplica(
            STATE,
            UnitPublished,
            backend.reader("intake"),
            lambda event: names.append(event.data.spans[0].name),
        )

        async def has_heard(name: str) -> bool:
            return replica.loaded and names[-1:] == [name]

        async with in_background(replica.run):
            await append(backend, unit_event("unit", "a"), service="aggregator")
            await until(lambda: has_heard("a"))
            asked, began = questions(monkeypatch), time.monotonic()
            for name in "bcdef":
                await append(backend, unit_event("unit", name), service="aggregator")
                await until(partial(has_heard, name))
                await asyncio.sleep(0.1)
            assert asked[backend.broker.topic(STATE)] <= 2 + (time.monotonic() - began)

    async def test_a_publisher_looks_into_no_partition_while_the_log_stands_still(
        self, backend: KafkaBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await append(backend, intake_event("a"))
        await backend.settled()
        looks = 0

        async def counting(*of: Any) -> Any:
            nonlocal looks
            looks += 1
            return await read_log(*of)

        monkeypatch.setattr("tiendo_common.eventlog.kafka.publisher.read_log", counting)
        await asyncio.sleep(0.5)
        assert looks <= 20
        await append(backend, intake_event("b"))
        await backend.settled()
        assert looks > 0


def questions(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the end of a topic's partitions is asked for from now on."""
    asked: Counter[str] = Counter()
    end = Offsets.end

    async def counting(self: Offsets, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        asked.update({at.topic for at in partitions})
        return await end(self, partitions)

    monkeypatch.setattr(Offsets, "end", counting)
    return asked
