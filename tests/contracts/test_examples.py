"""An example of each version that was ever released: it must stay readable for ever."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tiendo_common.errors import UnknownEvent
from tiendo_common.events.catalogue import TOPICS, EventDecoder, Topic, type_of
from tiendo_common.events.contracts import FOLDER, event_classes, example_path, schema_path
from tiendo_common.events.envelope import Event, encode
from tiendo_common.events.examples import examples

EVENTS = [
    pytest.param(topic, event, id=type_of(event)) for topic in TOPICS.values() for event in topic.events
]


def example_of(event: type[Event]) -> bytes:
    return (FOLDER / example_path(event)).read_bytes()


def schema_of(event: type[Event]) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / schema_path(event)).read_bytes())
    return schema


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_an_example_is_valid_under_its_schema(topic: Topic, event: type[Event]) -> None:
    schema = schema_of(event)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert list(validator.iter_errors(json.loads(example_of(event)))) == []


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_an_example_decodes_and_encodes_to_the_same_document(topic: Topic, event: type[Event]) -> None:
    body = example_of(event)
    decoded = EventDecoder[Event](topic.events).decode(body)
    assert type(decoded) is event
    assert json.loads(encode(decoded)) == json.loads(body)


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_since_its_example_was_frozen_a_schema_grew_by_optional_members_only(
    topic: Topic, event: type[Event]
) -> None:
    schema = schema_of(event)
    assert list(contradictions(json.loads(example_of(event)), schema, schema)) == []


def contradictions(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> Iterator[str]:
    """Members of the value that its schema does not name, and members that the value lacks and may not."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, dict):
        yield from (f"{at}.{name}: not named" for name in value if name not in schema["properties"])
        yield from (f"{at}.{name}: required" for name in schema["required"] if name not in value)
        for name in value.keys() & schema["properties"].keys():
            yield from contradictions(value[name], schema["properties"][name], root, f"{at}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from contradictions(item, schema["items"], root, f"{at}[]")


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_members_that_a_reader_does_not_know_change_nothing_for_it(topic: Topic, event: type[Event]) -> None:
    decoder = EventDecoder[Event](topic.events)
    body = example_of(event)
    grown = json.dumps(with_more(json.loads(body))).encode()
    assert b"from_a_later_build" in grown
    assert decoder.decode(grown) == decoder.decode(body)
    jsonschema.validate(json.loads(grown), schema_of(event), jsonschema.Draft202012Validator)


def with_more(value: Any) -> Any:
    """The document with another member in every object."""
    if isinstance(value, dict):
        return {
            **{name: with_more(each) for name, each in value.items()},
            "from_a_later_build": {"deep": [1]},
        }
    return [with_more(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_a_version_that_a_reader_does_not_know_stops_it(topic: Topic, event: type[Event]) -> None:
    newer = example_of(event).replace(b".v1", b".v2")
    with pytest.raises(UnknownEvent, match=r"\.v2"):
        EventDecoder[Event](topic.events).decode(newer)


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_an_example_is_a_cloud_event(topic: Topic, event: type[Event]) -> None:
    document = json.loads(example_of(event))
    assert document["specversion"] == "1.0"
    assert document["type"] == type_of(event)
    assert document["source"] == f"/vn/{topic.owner}"
    assert all(document[name] for name in ("id", "source", "subject", "partitionkey"))
    assert all(name.isalnum() and name == name.lower() for name in document)
    assert datetime.fromisoformat(document["time"]).tzinfo is not None


def test_the_examples_tell_of_every_type() -> None:
    assert [type(event) for event in examples()] == event_classes()
