"""What must stay as it is for ever: where a record's events are, and what an event looks like."""

import msgspec
import pytest

from tests.support.events import intake_event, unit_event
from tiendo_common.errors import UnknownEvent
from tiendo_common.events.catalogue import TOPICS, EventDecoder, type_of
from tiendo_common.events.envelope import PARTITIONS, Event, encode, partition_of
from tiendo_common.events.restatements import IntakeRestated
from tiendo_common.events.state import UnitPublished


def test_a_records_partition_is_the_same_for_ever() -> None:
    assert PARTITIONS == 16
    assert [partition_of(f"record-{n}") for n in range(8)] == [6, 0, 10, 12, 15, 9, 3, 5]
    assert partition_of("5f0a2f2e-8a7d-4c3c-9d0e-2f1d6f3b9a11") == 2
    assert partition_of("Đăk Môn") == 6
    assert partition_of("anything", 1) == 0


def test_records_are_spread_evenly() -> None:
    counts = [0] * PARTITIONS
    for n in range(16_000):
        counts[partition_of(f"record {n}")] += 1
    assert min(counts) > 900
    assert max(counts) < 1100


def test_an_event_is_a_cloud_event() -> None:
    document = msgspec.json.decode(encode(intake_event("a").event))
    assert document["specversion"] == "1.0"
    assert document["type"] == "vn.tiendo.intake.intake-restated.v1"
    assert document["datacontenttype"] == "application/json"
    assert {"id", "source", "subject", "time", "partitionkey", "data"} <= set(document)
    # An extension that is not set is left out; null is no value of one.
    assert "campaign" not in document
    assert "traceparent" not in document


def test_what_is_encoded_is_decoded() -> None:
    events = [intake_event("a").event, unit_event("62", "Kon Tum").event]
    decoder = EventDecoder[Event]([IntakeRestated, UnitPublished])
    assert [decoder.decode(encode(event)) for event in events] == events


def test_an_event_with_fields_that_came_later_is_read() -> None:
    body = encode(intake_event("a").event)
    later = body.replace(b'{"type"', b'{"newattribute": 1, "type"').replace(
        b'"level"', b'"shoe_size": 43, "level"'
    )
    assert EventDecoder([IntakeRestated]).decode(later) == EventDecoder([IntakeRestated]).decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"{}",
        b'{"type": 1}',
        b'{"type": "\xff"}',
        b'{"type": "org.example.other"}',
        b"[" * 100_000,
        b'{"type": "vn.tiendo.intake.intake-restated.v1", "id": "\xff"}',
        b'{"type": "vn.tiendo.intake.intake-restated.v1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_event_is_poison(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        EventDecoder([IntakeRestated]).decode(body)


@pytest.mark.parametrize(
    "kind", ["vn.tiendo.intake.intake-restated.v2", "vn.tiendo.aggregator.unit-published.v1"]
)
def test_an_event_of_ours_that_this_build_does_not_read_is_not_poison(kind: str) -> None:
    body = encode(intake_event("a").event).replace(b"vn.tiendo.intake.intake-restated.v1", kind.encode())
    with pytest.raises(UnknownEvent, match=kind):
        EventDecoder([IntakeRestated]).decode(body)


def test_every_type_of_event_belongs_to_one_topic() -> None:
    types = [type_of(event) for topic in TOPICS.values() for event in topic.events]
    assert len(types) == len(set(types))
    assert [topic.name for topic in TOPICS.values() if topic.restricted] == ["dossier"]
    assert TOPICS["dossier"].consumers == ("activation",)
