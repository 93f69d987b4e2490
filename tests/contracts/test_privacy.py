"""No event that many may read can say who somebody is."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tiendo_common.events.catalogue import TOPICS, type_of
from tiendo_common.events.contracts import FOLDER, event_classes, example_path, schema_of
from tiendo_common.events.envelope import Event

PUBLIC = [event for topic in TOPICS.values() if not topic.restricted for event in topic.events]
RESTRICTED = [event for topic in TOPICS.values() if topic.restricted for event in topic.events]

#: Words in the name or description of a member that holds, or may hold, what identifies somebody.
IDENTIFIES = re.compile(
    r"citizen_?id|personal|person_|hash|phone|mobile_?number|e-?mail|address|birth|identity|cccd|passport"
    r"|(^|[._])(\w*_)?names?$|(first|last|family|given|full|person's|citizen's)[ _]?name",
    re.IGNORECASE,
)
#: Names that are no person's.
OF_NO_PERSON = {"UnitSpan.name", "HamletSpan.name", "CampaignPublication.name", "TargetPublication.unit_name"}


def members(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every member of a document, by the name of its object, with its schema."""
    for owner, definition in [("event", schema), *schema["$defs"].items()]:
        for name, member in definition["properties"].items():
            yield f"{owner}.{name}", member


def ids(event: type[Event]) -> str:
    return type_of(event)


@pytest.mark.parametrize("event", PUBLIC, ids=ids)
def test_no_member_of_a_public_event_is_named_or_described_like_what_identifies_somebody(
    event: type[Event],
) -> None:
    for path, member in members(schema_of(event)):
        if path not in OF_NO_PERSON:
            assert not IDENTIFIES.search(path), path
        assert not IDENTIFIES.search(member.get("description", "")), path
        assert "contentEncoding" not in member, f"{path}: bytes could be a hash"


def test_the_words_find_what_the_restricted_topic_has() -> None:
    (event,) = RESTRICTED
    found = {path for path, _ in members(schema_of(event)) if IDENTIFIES.search(path)}
    assert found == {"DossierRestatement.person_hash"}


@pytest.mark.parametrize(
    "name", ["citizen_id", "personal_number", "phone", "full_name", "name", "birth_date"]
)
def test_the_words_would_find_a_new_member(name: str) -> None:
    assert IDENTIFIES.search(f"Segment.{name}")


@pytest.mark.parametrize("event", event_classes(), ids=ids)
def test_no_example_holds_what_could_be_a_personal_number_or_a_phone(event: type[Event]) -> None:
    """Twelve digits in a row, or nine and more after a zero or a country code; ids and traces are no numbers."""
    document = json.loads((FOLDER / example_path(event)).read_bytes())
    texts = [
        text
        for path, text in leaves(document)
        if not path.endswith(("id", "partitionkey", "traceparent", "person_hash"))
    ]
    assert [text for text in texts if re.search(r"\d{9}", text)] == []


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, f"{at}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, at)
    else:
        yield at, str(value)
