"""Kafka's topics as everybody else sees them: with kcat, the committed schemas and what docs/events.md says."""

import functools
import json
import os
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.support.aggregator import plan_document
from tests.support.downstream import Downstream, Record
from tests.support.kafka import KafkaNode
from tests.support.parts import require
from tests.support.scratch import scratch_folder
from tests.support.services import NOW
from tests.support.up import Sender, Tiendo, Up
from tiendo.supervisor import free_port_base
from tiendo_common.events.catalogue import TOPICS

pytestmark = pytest.mark.timeout(600)

CONTRACTS = Path(__file__).parents[2] / "libs" / "common" / "contracts" / "events"
FACTS = tuple(topic.name for topic in TOPICS.values() if topic.kind == "fact")
#: Of which a test looks at every record; `units` has one for each unit of the country.
SHORT = tuple(name for name in TOPICS if name != "units")


@dataclass(frozen=True)
class Kcat:
    """kcat on one broker's topics of one prefix."""

    bootstrap: str
    prefix: str

    def read(self, topic: str, *, most: int | None = None) -> list[Record]:
        """What stands there, from the beginning to the end."""
        count = ("-c", str(most)) if most is not None else ()
        out = self._run("-C", "-t", f"{self.prefix}{topic}", "-o", "beginning", "-e", "-q", "-J", *count)
        return [_record(json.loads(line)) for line in out.splitlines()]

    def send_again(self, record: Record, folder: Path) -> None:
        """The same record once more, at the partition's end."""
        value = folder / "value"
        value.write_text(record.value)
        headers = [part for name, value in record.headers for part in ("-H", f"{name}={value}")]
        place = ("-t", record.topic, "-p", str(record.partition), "-k", record.key or "")
        self._run("-P", *place, *headers, str(value))

    def _run(self, *arguments: str) -> str:
        ended = subprocess.run(
            ["kcat", "-b", self.bootstrap, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


def _record(document: dict[str, Any]) -> Record:
    headers = document.get("headers", [])
    return Record(
        document["topic"],
        document["partition"],
        document["key"],
        document["payload"],
        list(zip(headers[::2], headers[1::2], strict=True)),
    )


@functools.cache
def validator(event_type: str) -> jsonschema.Draft202012Validator:
    """The committed schema of a type of event."""
    schema = json.loads((CONTRACTS / f"{event_type}.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)


@dataclass(frozen=True)
class Scene:
    """A Tiendo on Kafka through which lines went."""

    up: Up
    kcat: Kcat
    sender: Sender


def declare(up: Up) -> None:
    """Let a commune declare what it counts itself."""
    commune = "23281"
    campaign = f"{up.instance.url('aggregator')}/v1/campaigns/kon-tum-2023"
    plan = plan_document(declaring={"cut_off": "16:30:00", "units": [commune]})
    said = {"source": "Báo cáo nhanh", "counts": {"intake": {"value": 12}}}
    for path, document in (("", plan), (f"/declared/{commune}/{NOW.date()}", said)):
        answer = httpx2.put(
            campaign + path, json=document, headers=up.instance.headers, timeout=60, trust_env=False
        )
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def scene(kafka_node: KafkaNode) -> Iterator[Scene]:
    require("kcat", shutil.which("kcat") is not None, "On Debian: apt install kcat")
    prefix = f"kcat-{secrets.token_hex(4)}."
    with scratch_folder() as folder:
        tiendo = Tiendo(
            folder / "data",
            free_port_base(16_000 + os.getpid() % 1000 * 10),
            {"TIENDO_LOG": f"kafka://{kafka_node.bootstrap}", "TIENDO_KAFKA_TOPIC_PREFIX": prefix},
        )
        try:
            with tiendo.up("--clock", "driven") as up:
                sender = Sender()
                up.begin()
                declare(up)
                sender.send(up, 40)
                assert up.counters() == sender.expected()
                yield Scene(up, Kcat(kafka_node.bootstrap, prefix), sender)
        finally:
            tiendo.end_leftovers()


@pytest.mark.parametrize("topic", TOPICS)
def test_a_record_is_a_valid_event_under_its_key_with_its_place_beside_it(scene: Scene, topic: str) -> None:
    records = scene.kcat.read(topic, most=None if topic in SHORT else 300)
    assert records
    for record in records:
        event = json.loads(record.value)
        validator(event["type"]).validate(event)
        assert event["type"].startswith(f"vn.tiendo.{TOPICS[topic].owner}.")
        sequence, generation, content_type = record.headers
        assert sequence[0] == "sequence"
        assert int(sequence[1]) > 0
        assert generation == ("generation", "1")
        assert content_type == ("content-type", "application/cloudevents+json; charset=UTF-8")
        if topic in FACTS:
            assert record.key == event["partitionkey"] == event["data"]["record_id"]
        else:
            assert record.key in keys_by_the_docs(topic, event["data"])


def keys_by_the_docs(topic: str, data: dict[str, Any]) -> tuple[str, ...]:
    """What docs/events.md says that a state topic is compacted by."""
    match topic:
        case "units":
            return (data["code"],)
        case "campaigns":
            return (data["campaign"],)
        case "targets":
            return (f"{data['campaign']}/{data['unit']}/{data['indicator']}",)
        case "declared":
            # What a unit declared of a day; who had not by its cut-off.
            units = (data["unit"], data["day"]) if "unit" in data else (data["day"],)
            return ("/".join((data["campaign"], *units)),)
        case _:
            # A unit's newest totals; the last word on one of its days.
            newest = f"{data['campaign']}/{data['unit']}"
            return newest, f"{newest}/{data['day']}"


@pytest.mark.anyio
@pytest.mark.parametrize("topic", FACTS)
async def test_the_topic_is_the_log_to_the_byte(scene: Scene, topic: str) -> None:
    connection = await asyncpg.connect(scene.up.instance.database_url(TOPICS[topic].owner))
    rows = await connection.fetch(f"SELECT partition, seq, body FROM log_{topic} ORDER BY partition, seq")
    await connection.close()
    found = sorted(
        (record.partition, int(dict(record.headers)["sequence"]), record.value.encode())
        for record in scene.kcat.read(topic)
    )
    assert found == [tuple(row) for row in rows]


def test_the_control_topic_says_how_far_each_topic_is_complete(scene: Scene) -> None:
    words = {record.key: json.loads(record.value) for record in scene.kcat.read("control")}
    for topic in TOPICS.values():
        word = words[f"watermark/{topic.name}"]
        assert (word["kind"], word["topic"], word["generation"]) == ("watermark", topic.name, 1)
        assert len(word["next"]) == topic.partitions


def test_a_reader_that_keeps_the_highest_place_sees_each_event_once_whatever_is_repeated(
    scene: Scene, tmp_path: Path
) -> None:
    before = {topic: scene.kcat.read(topic) for topic in FACTS}
    repeats = [record for topic in FACTS for record in before[topic][:3]]
    for record in repeats:
        scene.kcat.send_again(record, tmp_path)
    scene.sender.send(scene.up, 20)
    counted = scene.up.counters()
    assert counted == scene.sender.expected()

    for indicator, topic in enumerate(("intake", "approval", "activation")):
        reader = Downstream(scene.kcat.prefix)
        records = scene.kcat.read(topic)
        reader.read(records)
        assert (reader.repeats, reader.withdrawn, reader.foreign) == (3, 0, 0)
        assert len(reader.ids) == len(set(reader.ids)) == len(records) - 3
        assert +reader.counts == Counter(
            {
                (unit, level, day): n
                for (which, attribution, unit, level, day), n in counted.items()
                if (which, attribution) == (indicator, 0)
            }
        )
