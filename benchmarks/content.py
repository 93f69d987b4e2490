"""A province's events, made up and in the order of a campaign, as the services write them and as they lie on the
broker.

Real parts: the communes' codes, the event classes with their encoder, partitions, keys, headers, and the batches
in which `KafkaPublisher` sends them when it has much to send; they go straight to the broker by `send_batch`, at
some 15 us of CPU each. Made up: the citizens. 90 days of 22,222 events each follow one another (fewer days where
there are fewer than 2 million events: a day stays as full); a fact is known up to four days after it happened. Of
100 events 40 are intakes, 32 approvals, 24 accounts and 4 failed attempts; one in twelve replaces what was said
before, as after a move or an upgrade. Approvals and activations were waited for some days.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from msgspec import UNSET

from tiendo_aggregator.rules.counting import Counted
from tiendo_common.clock import VIETNAM, new_event_id, new_record_id
from tiendo_common.eventlog.kafka.connection import CONTROL, Broker
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.kafka.wire import Watermarked, encode_word, headers, key_of
from tiendo_common.eventlog.port import Partition
from tiendo_common.events.catalogue import TOPICS, owned_by
from tiendo_common.events.envelope import PARTITIONS, encode, partition_of
from tiendo_common.events.restatements import (
    AccountRestated,
    AccountRestatement,
    ApprovalRestated,
    ApprovalRestatement,
    AttemptFailed,
    Channel,
    Cohort,
    DossierRestated,
    DossierRestatement,
    DossierSegment,
    FailedAttempt,
    Failure,
    IntakeRestated,
    IntakeRestatement,
    Segment,
)

DAYS = 90
EVENTS_A_DAY = 2_000_000 / DAYS
FIRST_DAY = date(2023, 10, 1)
COUNTED_TOPICS = ("intake", "approval", "activation")
#: A broker's batch has room for as many records as the publisher reads of one partition in one round, and no more.
BATCH_BYTES = 900_000
_GENERATION = 1

_CHANNELS: tuple[Channel, ...] = ("fixed", "mobile", "mobile", "mobile", "home", "online")
_COHORTS: tuple[tuple[Cohort, ...], ...] = (
    *[()] * 12,
    ("students",),
    ("students",),
    ("workers",),
    ("elderly",),
    ("ethnic_minorities",),
    ("officials",),
    ("ethnic_minorities", "students"),
    ("elderly", "ethnic_minorities"),
)
_LAGS = (0,) * 14 + (1,) * 4 + (2, 4)
#: Days that somebody waited for an approval, or with it for the activation.
_WAITS = (0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 11, 14)


class Province:
    """Makes events. `open` counts what the counters must hold at the end: citizens by indicator and level."""

    def __init__(self, communes: Sequence[str], campaign: str, count: int, *, seed: int = 1) -> None:
        self.open: Counter[tuple[int, int]] = Counter()
        self._communes = communes
        self._campaign = campaign
        self._a_day = max(EVENTS_A_DAY, count / DAYS)
        self._made = 0
        self._random = random.Random(seed)

    def events(self, count: int) -> Iterator[tuple[str, Counted]]:
        """The next `count` events, each with its topic."""
        for number in range(self._made, self._made + count):
            day = FIRST_DAY + timedelta(days=number // self._a_day)
            share = self._random.random()
            if share < 0.40:
                yield "intake", self._intake(day, number)
            elif share < 0.72:
                yield "approval", self._approval(day, number)
            elif share < 0.96:
                yield "activation", self._account(day, number)
            else:
                yield "activation", self._attempt(day, number)
        self._made += count

    def _intake(self, day: date, number: int) -> Counted:
        record, attributes, before, after = self._change("intake", day, number, 0)
        data = IntakeRestatement(
            record_id=record,
            version=1 + len(before),
            change="moved" if before else "recorded",
            occurred_at=_morning(after[-1].from_day),
            known_day=day,
            before=before,
            after=after,
        )
        return IntakeRestated(**attributes, data=data)

    def _approval(self, day: date, number: int) -> Counted:
        record, attributes, before, after = self._change("intake", day, number, 1)
        data = ApprovalRestatement(
            record_id=record,
            version=2 + len(before),
            change="moved" if before else "approved",
            occurred_at=_morning(after[-1].from_day),
            known_day=day,
            before=before,
            after=after,
        )
        return ApprovalRestated(**attributes, data=data)

    def _account(self, day: date, number: int) -> Counted:
        record, attributes, before, after = self._change("activation", day, number, 2)
        data = AccountRestatement(
            record_id=record,
            version=1 + len(before),
            change="dossier" if before else "activated",
            occurred_at=_morning(after[-1].from_day),
            known_day=day,
            before=before,
            after=after,
        )
        return AccountRestated(**attributes, data=data)

    def _attempt(self, day: date, number: int) -> Counted:
        record = new_record_id()
        unit = self._random.choice(self._communes)
        data = FailedAttempt(
            record_id=record,
            reason="old_device",
            occurred_at=_morning(day),
            known_day=day,
            collecting=unit,
            channel="home",
            failure=Failure(unit=unit, reason="old_device", day=day),
        )
        return AttemptFailed(**self._attributes("activation", record, unit, day, number), data=data)

    def _change(
        self, service: str, day: date, number: int, indicator: int
    ) -> tuple[str, dict[str, Any], tuple[Segment, ...], tuple[Segment, ...]]:
        """A record, its event's attributes, the segments before and after."""
        record = new_record_id()
        choice = self._random.choice
        home = choice(self._communes)
        collecting = home if self._random.random() < 0.9 else choice(self._communes)
        level, channel, cohorts = choice((1, 2, 2, 2)), choice(_CHANNELS), choice(_COHORTS)
        waited = timedelta(days=choice(_WAITS))

        def segment(on: date, until: date | None, residence: str, level: int) -> Segment:
            return Segment(
                from_day=on,
                until_day=until,
                level=1 if level == 1 else 2,
                residence=residence,
                collecting=collecting,
                channel=channel,
                cohorts=cohorts,
                since=(before[0].from_day if before else on) - waited if indicator else UNSET,
            )

        before: tuple[Segment, ...] = ()
        if self._random.random() < 1 / 12:
            since = day - timedelta(days=self._random.randrange(5, 30))
            before = (segment(since, None, home, level),)
            self.open[indicator, level] -= 1
            ended = segment(since, day, home, level)
            home, level = choice(self._communes), 2
            after: tuple[Segment, ...] = (ended, segment(day, None, home, level))
        else:
            after = (segment(day - timedelta(days=choice(_LAGS)), None, home, level),)
        self.open[indicator, level] += 1
        return record, self._attributes(service, record, home, day, number), before, after

    def _attributes(self, service: str, record: str, unit: str, day: date, number: int) -> dict[str, Any]:
        return {
            "id": new_event_id(),
            "source": f"/vn/{service}",
            "subject": unit,
            "time": datetime(day.year, day.month, day.day, 2, 30, number % 60, number % 10**6, UTC),
            "partitionkey": record,
            "campaign": self._campaign,
        }


def _morning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 8, tzinfo=VIETNAM)


def dossier(event: Counted) -> DossierRestated:
    """What intake tells activation along with an event of its own."""
    assert isinstance(event, IntakeRestated | ApprovalRestated)
    said = event.data
    both = set(Segment.__struct_fields__) & set(DossierSegment.__struct_fields__)
    segments = tuple(
        DossierSegment(**{name: getattr(segment, name) for name in both}, approved=True, decided=True)
        for segment in said.after
    )
    return DossierRestated(
        id=new_event_id(),
        source=event.source,
        subject=event.subject,
        time=event.time,
        partitionkey=event.partitionkey,
        campaign=event.campaign,
        data=DossierRestatement(
            record_id=said.record_id,
            version=said.version,
            known_day=said.known_day,
            key_id=1,
            person_hash=sha256(said.record_id.encode()).digest(),
            segments=segments,
        ),
    )


def batch_records(topic: str) -> int:
    """How many records the publisher puts in one batch of a partition while it has much to send."""
    partitions = sum(each.partitions for each in owned_by(TOPICS[topic].owner))
    return KafkaPublisher.LIMIT // partitions


@dataclass
class _Open:
    """A partition that is being written."""

    next: int = 1
    batch: BatchBuilder | None = None
    records: int = 0


@dataclass
class Writer:
    """Writes events to the broker's topics as the publisher would, without a log behind it."""

    broker: Broker
    _places: dict[Partition, _Open] = field(default_factory=dict)

    async def __aenter__(self) -> "Writer":
        self._producer = AIOKafkaProducer(
            **self.broker.client("content"), acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._producer.stop()

    def heads(self) -> dict[str, list[int]]:
        """The next sequence of each partition of the counted topics."""
        return {
            topic: [self._place(Partition(topic, number)).next for number in range(PARTITIONS)]
            for topic in COUNTED_TOPICS
        }

    async def write(self, events: Iterator[tuple[str, Counted]]) -> None:
        """Write all of them, then say that the topics are complete."""
        limits = {topic: batch_records(topic) for topic in COUNTED_TOPICS}
        for topic, event in events:
            key = event.partitionkey
            partition = Partition(topic, partition_of(key))
            place = self._place(partition)
            if place.batch is None:
                place.batch = self._producer.create_batch()
            place.batch.append(
                timestamp=int(event.time.timestamp() * 1000),
                key=key.encode(),
                value=encode(event),
                headers=headers(_GENERATION, place.next),
            )
            place.next += 1
            place.records += 1
            if place.records == limits[topic]:
                await self._send(partition, place)
        for partition, place in self._places.items():
            if place.batch is not None:
                await self._send(partition, place)
        await self._producer.flush()
        for topic, next_ in self.heads().items():
            word = Watermarked(
                topic=topic,
                generation=_GENERATION,
                complete_to=datetime(2024, 1, 1, tzinfo=UTC),
                next=tuple(next_),
            )
            await self._producer.send_and_wait(
                self.broker.topic(CONTROL), encode_word(word), key=key_of(word), partition=0
            )

    def _place(self, partition: Partition) -> _Open:
        return self._places.setdefault(partition, _Open())

    async def _send(self, partition: Partition, place: _Open) -> None:
        at = self.broker.at(partition)
        await self._producer.send_batch(place.batch, at.topic, partition=at.partition)
        place.batch, place.records = None, 0
