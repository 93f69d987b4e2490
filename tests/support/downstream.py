"""A service of somebody else's that reads our topics: written from docs/events.md, with nothing of ours."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition


@dataclass(frozen=True)
class Record:
    """What a client of Kafka gets."""

    topic: str
    partition: int
    key: str | None
    value: str
    headers: Sequence[tuple[str, str]]


@dataclass
class Downstream:
    """Folds a fact topic. `prefix` is what names of topics begin with."""

    prefix: str = "tiendo."
    #: Of a partition, the highest (generation, sequence) that took effect.
    highest: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    #: Of a topic, the generations that were begun, and where in each partition.
    begun: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    repeats: int = 0
    withdrawn: int = 0
    foreign: int = 0
    ids: list[str] = field(default_factory=list)
    #: By residence: unit, level, the first day.
    counts: Counter[tuple[str, int, date]] = field(default_factory=Counter)

    def hear(self, control: Iterable[Record]) -> None:
        """Take in what the control topic says."""
        for record in control:
            word = json.loads(record.value)
            if word["kind"] == "generation":
                self.begun.setdefault(word["topic"], {})[word["generation"]] = word["starts"]

    def read(self, records: Iterable[Record]) -> None:
        """Take in records of fact topics, those of a partition in their order."""
        for record in records:
            headers = dict(record.headers)
            try:
                place = int(headers["generation"]), int(headers["sequence"])
            except (KeyError, ValueError):
                self.foreign += 1
                continue
            if self._is_withdrawn(record, *place):
                self.withdrawn += 1
                continue
            at = record.topic, record.partition
            before = self.highest.get(at, (1, 0))
            if place <= before:
                self.repeats += 1
                continue
            assert place[1] == before[1] + 1, f"{at}: {place} after {before}: something is lost"
            self.highest[at] = place
            self._take_effect(json.loads(record.value))

    def _is_withdrawn(self, record: Record, generation: int, sequence: int) -> bool:
        generations = self.begun.get(record.topic.removeprefix(self.prefix), {})
        return any(
            later > generation and sequence >= starts[record.partition]
            for later, starts in generations.items()
        )

    def _take_effect(self, event: dict[str, Any]) -> None:
        self.ids.append(event["id"])
        for sign, side in ((1, "after"), (-1, "before")):
            for segment in event["data"].get(side, ()):
                place = segment["residence"], segment["level"]
                self.counts[*place, date.fromisoformat(segment["from_day"])] += sign
                if segment["until_day"] is not None:
                    self.counts[*place, date.fromisoformat(segment["until_day"])] -= sign


async def read_topic(bootstrap: str, topic: str, partitions: int) -> list[Record]:
    """All that a topic has, with a client of its own."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="none", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        found: list[Record] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += map(_record, records)
        return found
    finally:
        await consumer.stop()


def _record(record: ConsumerRecord[bytes, bytes]) -> Record:
    return Record(
        record.topic,
        record.partition,
        record.key.decode() if record.key is not None else None,
        (record.value or b"").decode(),
        [(name, value.decode()) for name, value in record.headers],
    )
