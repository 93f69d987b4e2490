"""Writes the contracts: `python -m tiendo_common.events.contracts [--check]`.

From the event classes and the catalogue come `topics.yaml`, one JSON Schema a type of event and
`asyncapi.yaml`; from `examples.py`, one example a type, written when the type is new and never again. The
files are checked in, so that a change of what is published shows in review. `--check` writes nothing and
fails with the difference if a file is not what it would be.

A schema that is checked in may only grow by optional members: anything else breaks those who read the event,
and is refused. It needs a new type beside the old one (`….v2`).
"""

import argparse
import difflib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec.inspect import DateTimeType, StructType, UnionType, VarTupleType, type_info

from tiendo_common.errors import TiendoError
from tiendo_common.events.catalogue import TOPICS, Topic, type_of
from tiendo_common.events.envelope import Event, encode
from tiendo_common.events.examples import examples

#: Beside this package's sources; an installed copy has none.
FOLDER = Path(__file__).parents[3] / "contracts"

GENERATED = "# Written by `make contracts` from the event classes. Do not edit.\n"
JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
CLOUDEVENTS_JSON = "application/cloudevents+json"

Schema = dict[str, Any]


class BreakingChange(TiendoError):
    """A released event would no longer be what its readers were promised."""


def event_classes() -> list[type[Event]]:
    """Every type of event, in the order of the catalogue."""
    return [event for topic in TOPICS.values() for event in topic.events]


def schema_path(event: type[Event]) -> str:
    """Where the schema of a type stands, below the folder of the contracts."""
    return f"events/{type_of(event)}.schema.json"


def example_path(event: type[Event]) -> str:
    """Where the example of a type stands, below the folder of the contracts."""
    return f"events/{type_of(event)}.example.json"


def documents() -> dict[str, str]:
    """What is generated anew each time: the text of each file by its path."""
    schemas = {schema_path(event): _json(schema_of(event)) for event in event_classes()}
    return {
        "topics.yaml": GENERATED + _yaml({"topics": [_topic(topic) for topic in TOPICS.values()]}),
        "asyncapi.yaml": GENERATED + _yaml(asyncapi()),
        **schemas,
    }


def first_examples() -> dict[str, str]:
    """The text of each type's example by its path: for those types that have none yet."""
    return {example_path(type(event)): _json(msgspec.json.decode(encode(event))) for event in examples()}


# --- schemas -------------------------------------------------------------------------------------------


def schema_of(event: type[Event]) -> Schema:
    """The JSON Schema of a whole document of this type. Members that it doesn't know are allowed."""
    reference, definitions = _components(event)
    whole = definitions.pop(reference)
    whole["description"] += f"\n\n{inspect.cleandoc(Event.__doc__ or '')}"
    whole["properties"]["type"] = {"const": type_of(event)}
    # Not optional in CloudEvents, whatever our decoders put up with.
    whole["required"] = ["specversion", *whole["required"]]
    head = {"$schema": JSON_SCHEMA, "$id": f"urn:tiendo:event:{type_of(event)}"}
    # Defaults are values of our types, such as tuples: what is compared and written is plain JSON.
    plain: Schema = msgspec.json.decode(msgspec.json.encode({**head, **whole, "$defs": definitions}))
    return plain


def _components(event: type[Event]) -> tuple[str, dict[str, Schema]]:
    (reference,), definitions = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["description"] = inspect.cleandoc(definition["description"])
    for name, field in _instants(type_info(event)):
        definitions[name]["properties"][field]["format"] = "date-time"
    return reference["$ref"].rpartition("/")[2], dict(sorted(definitions.items()))


def _instants(kind: Any) -> Iterator[tuple[str, str]]:
    """Struct and field of every instant: msgspec calls only those a date-time that must have an offset."""
    if isinstance(kind, StructType):
        for field in kind.fields:
            if isinstance(field.type, DateTimeType):
                yield kind.cls.__name__, field.encode_name
            yield from _instants(field.type)
    elif isinstance(kind, VarTupleType):
        yield from _instants(kind.item_type)
    elif isinstance(kind, UnionType):
        for each in kind.types:
            yield from _instants(each)


def breaks(old: Schema, new: Schema) -> list[str]:
    """How `new` breaks a promise that `old` made: where, and what. Empty if it grew by optional members only."""
    return list(_breaks(old, new, old, new, "$"))


def _breaks(old: Any, new: Any, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        old, new = _resolved(old, old_root), _resolved(new, new_root)
        for word in sorted((old.keys() | new.keys()) - _ANNOTATIONS):
            if word == "properties":
                yield from _property_breaks(old, new, old_root, new_root, at)
            elif word == "required":
                for name in sorted(set(new.get(word, ())) - set(old.get(word, ()))):
                    yield f"{at}.{name}: required, and was not"
                for name in sorted(set(old.get(word, ())) - set(new.get(word, ()))):
                    yield f"{at}.{name}: may be missing now"
            elif word not in old or word not in new:
                yield f"{at}: {word} {'added' if word in new else 'removed'}"
            else:
                yield from _breaks(old[word], new[word], old_root, new_root, f"{at}/{word}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _breaks(one, other, old_root, new_root, f"{at}[{place}]")
    elif old != new:
        yield f"{at}: {old!r} became {new!r}"


def _property_breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from _breaks(schema, new["properties"][name], old_root, new_root, f"{at}.{name}")
        else:
            yield f"{at}.{name}: removed"


#: What says nothing about which documents are valid. `$defs` are looked at where they are referred to.
_ANNOTATIONS = {"$schema", "$id", "$defs", "$ref", "title", "description"}


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return found


# --- topics --------------------------------------------------------------------------------------------


def _topic(topic: Topic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "owner": topic.owner,
        "kind": topic.kind,
        "partitions": topic.partitions,
        "retention": _retention(topic),
        "restricted": topic.restricted,
        "consumers": list(topic.consumers),
        "events": [type_of(event) for event in topic.events],
        "purpose": topic.purpose,
    }


def _retention(topic: Topic) -> str:
    return "kept whole" if topic.kind == "fact" else "compacted: the newest event of each key"


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document: a channel a topic, an operation a service and topic, a message a type."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tiendo's events",
            "version": "1.0.0",
            "description": (
                "Every event is a CloudEvents 1.0 document in JSON. The log of each topic is kept in PostgreSQL, "
                "where the consumers named here read it; the Kafka bindings say how the same bytes and "
                "partitions are to lie on a broker."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CLOUDEVENTS_JSON,
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": {
            name: operation for topic in TOPICS.values() for name, operation in _operations(topic)
        },
        "components": {
            "messages": {
                type_of(event): _message(event, topic) for topic in TOPICS.values() for event in topic.events
            }
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    readers = f"{'Restricted; r' if topic.restricted else 'R'}ead by {', '.join(topic.consumers)}."
    return {
        "address": topic.name,
        "description": f"{topic.purpose} {readers}",
        "messages": {
            type_of(event): {"$ref": f"#/components/messages/{type_of(event)}"} for event in topic.events
        },
        "tags": [{"name": topic.kind}, *([{"name": "restricted"}] if topic.restricted else [])],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete" if topic.kind == "fact" else "compact"],
                    "retention.ms": -1,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> Iterator[tuple[str, dict[str, Any]]]:
    for service, action in ((topic.owner, "send"), *((consumer, "receive") for consumer in topic.consumers)):
        yield (
            f"{service}.{action}.{topic.name}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "summary": f"{service} {'appends to' if action == 'send' else 'reads'} {topic.name}.",
                "tags": [{"name": service}],
                "messages": [
                    {"$ref": f"#/channels/{topic.name}/messages/{type_of(event)}"} for event in topic.events
                ],
            },
        )


def _message(event: type[Event], topic: Topic) -> dict[str, Any]:
    # Compaction keeps one event a key, so on a state topic the key says what the document is about; on a
    # fact topic it only keeps the events of one record in order.
    key = "The event's partitionkey." if topic.kind == "fact" else "What the event is the state of."
    return {
        "name": type_of(event),
        "title": event.__name__,
        "summary": inspect.cleandoc(event.__doc__ or ""),
        "contentType": CLOUDEVENTS_JSON,
        "description": f"An example: ./{example_path(event)}",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{schema_path(event)}"},
        },
        "bindings": {
            "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"},
        },
    }


# --- files ---------------------------------------------------------------------------------------------


def _json(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _yaml(document: Any) -> str:
    return msgspec.yaml.encode(document).decode()


def stale(folder: Path) -> Iterator[str]:
    """The difference, file by file, between what is in the folder and what belongs there."""
    wanted = documents()
    for path, text in wanted.items():
        yield _difference(folder, path, text)
    for path, text in first_examples().items():
        if not (folder / path).exists():
            yield _difference(folder, path, text)
    known = wanted.keys() | {example_path(event) for event in event_classes()}
    for file in sorted(folder.rglob("*.*")):
        path = file.relative_to(folder).as_posix()
        if file.is_file() and path not in known:
            yield f"{path}: no type of event has this file\n"


def _difference(folder: Path, path: str, text: str) -> str:
    file = folder / path
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        text.splitlines(keepends=True),
        f"{path} (as it is)",
        f"{path} (wanted)",
    )
    return "".join(lines)


def write(folder: Path) -> list[str]:
    """Bring the folder up to date; the paths that changed. Raises BreakingChange with nothing written."""
    for event in event_classes():
        file = folder / schema_path(event)
        if file.exists():
            broken = breaks(msgspec.json.decode(file.read_bytes()), schema_of(event))
            if broken:
                raise BreakingChange(
                    f"{type_of(event)} is released and may only grow by optional members:\n  "
                    + "\n  ".join(broken)
                    + "\nGive the changed event a type of its own (the next version) and keep this one. "
                    + f"If it has reached nobody yet, remove {file} and its example first."
                )
    wanted = documents()
    wanted |= {path: text for path, text in first_examples().items() if not (folder / path).exists()}
    changed = [path for path, text in wanted.items() if _difference(folder, path, text)]
    for path in changed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(wanted[path], encoding="utf-8")
    return changed


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 if the contracts are (now) up to date."""
    parser = argparse.ArgumentParser(prog="python -m tiendo_common.events.contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: %(default)s")
    asked = parser.parse_args(arguments)
    if asked.check:
        difference = "".join(stale(asked.folder))
        if difference:
            sys.stderr.write(f"{difference}\nThe contracts are stale: run `make contracts`.\n")
        return 1 if difference else 0
    try:
        changed = write(asked.folder)
    except BreakingChange as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write("".join(f"written: {path}\n" for path in changed) or "The contracts are up to date.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
