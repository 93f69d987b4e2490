"""`tiendo topics`, and `tiendo up` with Kafka: run as commands, on a real broker."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.support.kafka import KafkaNode
from tests.support.scratch import scratch_folder
from tests.support.up import Sender, Tiendo
from tiendo.supervisor import free_port_base
from tiendo_common.events.catalogue import TOPICS


@pytest.fixture
def prefix() -> str:
    """Topics of a test's own."""
    return f"command-{secrets.token_hex(4)}."


pytestmark = pytest.mark.long


@pytest.fixture
def tiendo(kafka_node: KafkaNode, prefix: str) -> Iterator[Tiendo]:
    with scratch_folder() as folder:
        tiendo = Tiendo(
            folder / "data",
            free_port_base(17_000 + os.getpid() % 1000 * 10),
            {"TIENDO_LOG": f"kafka://{kafka_node.bootstrap}", "TIENDO_KAFKA_TOPIC_PREFIX": prefix},
        )
        try:
            yield tiendo
        finally:
            tiendo.end_leftovers()


@contextlib.asynccontextmanager
async def admin_of(tiendo: Tiendo) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for the duration."""
    admin = AIOKafkaAdminClient(bootstrap_servers=tiendo.settings["TIENDO_LOG"].removeprefix("kafka://"))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def alter(tiendo: Tiendo, topic: str, setting: str, value: str) -> None:
    async with admin_of(tiendo) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {setting: value})])


async def add_partitions(tiendo: Tiendo, topic: str, total: int) -> None:
    async with admin_of(tiendo) as admin:
        await admin.create_partitions({topic: NewPartitions(total)})
        while len((await admin.describe_topics([topic]))[0]["partitions"]) != total:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def test_topics_are_checked_made_and_checked_again(tiendo: Tiendo, prefix: str) -> None:
    names = {f"{prefix}{name}" for name in (*TOPICS, "control")}
    before = tiendo.run("topics", "check", "--json")
    assert before.status == 1
    assert before.document["ok"] is False
    assert {(each["topic"], each["problem"], each["mendable"]) for each in before.document["findings"]} == {
        (name, "is missing", True) for name in names
    }
    made = tiendo.run("topics", "create")
    assert made.status == 0, made.err
    assert all(name in made.out for name in names)
    assert "Made now: none." in tiendo.run("topics", "create").out
    checked = tiendo.run("topics", "check")
    assert checked.status == 0, checked.out
    assert checked.out.count(" ok") == len(names)
    assert tiendo.run("topics", "check", "--json").document == {"ok": True, "findings": []}


def test_a_changed_setting_is_shown_and_put_right(tiendo: Tiendo, prefix: str) -> None:
    assert tiendo.run("topics", "create").status == 0
    asyncio.run(alter(tiendo, f"{prefix}intake", "retention.ms", "604800000"))
    shown = tiendo.run("topics", "check")
    assert shown.status == 1
    assert "retention.ms is 604800000 instead of -1" in " ".join(shown.out.split())
    assert "tiendo topics create" in shown.out
    assert tiendo.run("topics", "create").status == 0
    assert tiendo.run("topics", "check", "--json").status == 0


def test_another_number_of_partitions_is_refused_by_create_check_and_up(tiendo: Tiendo, prefix: str) -> None:
    assert tiendo.run("topics", "create").status == 0
    asyncio.run(add_partitions(tiendo, f"{prefix}intake", 17))
    [finding] = tiendo.run("topics", "check", "--json").document["findings"]
    assert (finding["topic"], finding["mendable"]) == (f"{prefix}intake", False)
    refused = tiendo.run("topics", "create")
    assert refused.status == 1
    for said in (refused.err, tiendo.refused_up()):
        assert f"{prefix}intake has 17 partitions instead of 16" in said
        assert "What to do: " in said
        assert "TIENDO_KAFKA_TOPIC_PREFIX" in said


def test_brokers_that_are_away_are_waited_for_and_then_named(tiendo: Tiendo, unused_port: int) -> None:
    there = f"kafka://127.0.0.1:{unused_port}"
    for command in ("create", "check"):
        refused = tiendo.run("topics", command, "--log", there)
        assert refused.status == 1
        assert f"the brokers at 127.0.0.1:{unused_port} cannot be reached" in refused.err
        assert "What to do: " in refused.err


def test_commands_say_what_is_missing_or_wrong_in_their_settings(tiendo: Tiendo) -> None:
    nowhere = Tiendo(tiendo.data, tiendo.ports)
    for command in ("create", "check", "access"):
        refused = nowhere.run("topics", command)
        assert refused.status == 1
        assert "No broker was named" in refused.err
    wrong = Tiendo(tiendo.data, tiendo.ports, {**tiendo.settings, "TIENDO_KAFKA_SECURITY": "SASL_SSL"})
    refused = wrong.run("topics", "create")
    assert refused.status == 1
    assert "needs kafka_username and kafka_password_file" in refused.err
    assert nowhere.run("topics", "create", "--log", "rabbit://here").status == 1


def test_the_services_go_on_with_one_log_in_either_mode(tiendo: Tiendo) -> None:
    """Begun with Kafka, gone on with the log in PostgreSQL, and back: the same counters each time."""
    sender = Sender()
    with tiendo.up("--clock", "driven") as up:
        address = tiendo.settings["TIENDO_LOG"].removeprefix("kafka://")
        assert any(line.split()[1:3] == ["kafka", address] for line in up.screen.splitlines()), up.screen
        assert tiendo.run("topics", "check", "--json").status == 0
        up.begin()
        sender.send(up, 30)
        assert up.counters() == sender.expected()
        assert tiendo.on_data("doctor", "--json").document["ok"] is True
        assert tiendo.on_data("reconcile", "kon-tum-2023", "--json").document["clean"] is True
        running = tiendo.on_data("topics", "new-generation", "--reason", "no reason")
        assert running.status == 1
        assert "already running" in running.err
    nothing = tiendo.on_data("topics", "new-generation", "--reason", "no reason")
    assert nothing.status == 0, nothing.err
    assert nothing.out.strip() == "Kafka has nothing that the database lacks: no new generation is needed."
    assert not list(tiendo.data.glob("withdrawn-*"))

    with tiendo.up("--log", "postgres") as up:
        assert " kafka " not in up.screen
        assert up.counters() == sender.expected()
        sender.send(up, 30)
        assert up.counters() == sender.expected()

    with tiendo.up() as up:
        sender.send(up, 30)
        assert up.counters() == sender.expected()
        assert tiendo.on_data("reconcile", "kon-tum-2023", "--json").document["clean"] is True
