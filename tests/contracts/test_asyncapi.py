"""The AsyncAPI document is what version 3.0 of that specification asks for, and says what the catalogue says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tiendo_common.events.catalogue import TOPICS, type_of
from tiendo_common.events.contracts import FOLDER

Node = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Node:
    """The document that is checked in."""
    decoded: Node = msgspec.yaml.decode((FOLDER / "asyncapi.yaml").read_bytes())
    return decoded


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: Node, reference: str) -> Any:
    """What a reference inside the document points to. Raises KeyError."""
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


#: What each object of the document may and must have (AsyncAPI 3.0.0; those members that we use).
MEMBERS: dict[str, tuple[set[str], set[str]]] = {
    "document": ({"asyncapi", "info"}, {"defaultContentType", "channels", "operations", "components"}),
    "info": ({"title", "version"}, {"description", "license"}),
    "channel": (set(), {"address", "messages", "description", "tags", "bindings"}),
    "operation": ({"action", "channel"}, {"summary", "tags", "messages"}),
    "message": (
        set(),
        {"name", "title", "summary", "description", "contentType", "payload", "bindings"},
    ),
    "payload": ({"schemaFormat", "schema"}, set()),
}


def check_members(kind: str, node: Node) -> None:
    required, optional = MEMBERS[kind]
    assert required <= node.keys() <= required | optional, f"{kind}: {sorted(node)}"


def test_every_object_has_the_members_that_it_must_and_no_others(document: Node) -> None:
    check_members("document", document)
    assert document["asyncapi"] == "3.0.0"
    check_members("info", document["info"])
    for channel in document["channels"].values():
        check_members("channel", channel)
    for operation in document["operations"].values():
        check_members("operation", operation)
        assert operation["action"] in {"send", "receive"}
    for message in document["components"]["messages"].values():
        check_members("message", message)
        check_members("payload", message["payload"])


def test_every_reference_leads_somewhere(document: Node) -> None:
    found = list(references(document))
    assert found
    for reference in found:
        if reference.startswith("#/"):
            assert isinstance(resolve(document, reference), dict)
        else:
            assert (FOLDER / Path(reference)).is_file()


def test_an_operation_speaks_only_of_messages_of_its_channel(document: Node) -> None:
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"]
        assert channel.startswith("#/channels/")
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


def test_each_topic_is_sent_by_its_owner_and_received_by_its_consumers(document: Node) -> None:
    said = {
        (operation["tags"][0]["name"], operation["action"], operation["channel"]["$ref"].rpartition("/")[2])
        for operation in document["operations"].values()
    }
    assert said == {(topic.owner, "send", topic.name) for topic in TOPICS.values()} | {
        (consumer, "receive", topic.name) for topic in TOPICS.values() for consumer in topic.consumers
    }


def test_each_channel_is_laid_out_as_its_topic_is(document: Node) -> None:
    assert list(document["channels"]) == list(TOPICS)
    for topic in TOPICS.values():
        channel = document["channels"][topic.name]
        kafka = channel["bindings"]["kafka"]
        assert kafka["partitions"] == topic.partitions
        kept = kafka["topicConfiguration"]
        assert kept["retention.ms"] == -1
        assert kept["cleanup.policy"] == (["delete"] if topic.kind == "fact" else ["compact"])
        assert set(channel["messages"]) == {type_of(event) for event in topic.events}
        assert ({"name": "restricted"} in channel["tags"]) == topic.restricted


def test_each_message_says_what_its_payload_and_its_key_are(document: Node) -> None:
    for name, message in document["components"]["messages"].items():
        assert message["name"] == name
        assert message["contentType"] == "application/cloudevents+json"
        assert message["payload"]["schema"]["$ref"] == f"./events/{name}.schema.json"
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
