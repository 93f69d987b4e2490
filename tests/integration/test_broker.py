"""The Kafka node on this machine: the real one, started, killed, fetched and refused."""

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from tests.support.kafka import kafka_folder, require_kafka, two_free_ports
from tests.support.parts import require
from tiendo.broker.jars import ToolMissing, WrongJars, deploy_folder, fetched_jars, find_java
from tiendo.broker.node import BrokerFailed, KafkaNode
from tiendo.broker.probe import cluster_at
from tiendo.errors import AlreadyRunning, PortTaken, Refused


@pytest.fixture(autouse=True)
def _tools() -> None:
    require_kafka()


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a name that Java and its properties files could stumble over."""
    with kafka_folder() as folder:
        yield folder / "Tiến độ, 1: home"


@pytest.fixture
def node(home: Path) -> Iterator[KafkaNode]:
    """A durable node, not started yet; killed at the end."""
    node = KafkaNode(home, port=two_free_ports())
    yield node
    node.kill()


@pytest.fixture
def own_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the jars that a test may spoil."""
    jars = fetched_jars()
    copy = tmp_path / "jars"
    copy.mkdir()
    for name in jars.names:
        shutil.copy(jars.folder / name, copy)
    monkeypatch.setenv("TIENDO_KAFKA_JARS", str(copy))
    return copy


async def make_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Send in one transaction: that needs the internal topics too."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="test")
    async with producer, producer.transaction():
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def read_back(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(30):
            return [(await consumer.getone()).value for _ in range(count)]


def run_command(home: Path, port: int) -> subprocess.Popen[str]:
    """`tiendo broker`; returns once it shows its screen, and checks what that says."""
    command = subprocess.Popen(
        [sys.executable, "-m", "tiendo", "broker", "--data", str(home), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    screen = ""
    while "Stop" not in screen:
        line = command.stdout.readline()
        assert line, f"it ended: {screen}"
        screen += line
    assert f"tiendo up --log kafka://127.0.0.1:{port}" in screen
    assert str(home) in screen
    return command


def test_data_survive_a_kill_and_a_move_to_another_folder_and_other_ports(node: KafkaNode) -> None:
    node.start()
    cluster = cluster_at("127.0.0.1", node.port)
    asyncio.run(make_topic(node.bootstrap, "kept"))
    asyncio.run(produce(node.bootstrap, "kept", [b"before"]))
    first = node.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    while node.alive():
        time.sleep(0.01)
    node.start()
    second = node.pid
    assert second not in (None, first)
    asyncio.run(produce(node.bootstrap, "kept", [b"after"]))
    assert node.stop() == "stopped"
    assert node.stop() == "not running"

    moved = node.home.rename(node.home.with_name("moved"))
    with KafkaNode(moved, port=two_free_ports() + 2, durable=False) as other:
        assert other.port != node.port
        assert cluster_at("127.0.0.1", other.port) == cluster
        assert asyncio.run(read_back(other.bootstrap, "kept", 2)) == [b"before", b"after"]


def test_the_command_replaces_what_a_killed_one_left_and_stops_when_told_to(home: Path) -> None:
    port = two_free_ports()
    killed = run_command(home, port)
    with pytest.raises(AlreadyRunning):
        KafkaNode(home, port=port).start()
    killed.kill()
    killed.communicate()
    cluster = cluster_at("127.0.0.1", port)
    assert cluster is not None

    command = run_command(home, port)
    assert cluster_at("127.0.0.1", port) == cluster
    command.terminate()
    said, _ = command.communicate(timeout=60)
    assert command.returncode == 0
    assert said.rstrip().endswith("Stopped")
    assert cluster_at("127.0.0.1", port) is None
    assert not (home / "process.json").exists()


@pytest.mark.parametrize("whose", ["the clients'", "its own"])
def test_a_port_that_is_taken_is_named_with_its_holder(node: KafkaNode, whose: str) -> None:
    port = node.port if whose == "the clients'" else node.controller_port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken) as refused:
        node.start()
    assert f"Port {port}" in refused.value.detail
    assert f"(pid {os.getpid()})" in refused.value.detail
    assert not node.alive()


def test_a_node_that_cannot_start_says_what_its_log_ends_with(node: KafkaNode) -> None:
    (node.home / "data").mkdir(parents=True)  # formatted by nobody
    (node.home / "cluster-id").write_text("4L6g3nShT-eMCtK--X86sw\n")
    with pytest.raises(BrokerFailed, match=r"meta\.properties") as refused:
        node.start()
    assert str(node.log_file) in refused.value.detail
    assert not node.alive()


def test_a_folder_of_something_else_is_no_home(node: KafkaNode) -> None:
    node.home.mkdir()
    (node.home / "letters.txt").touch()
    with pytest.raises(Refused, match="not empty"):
        node.start()
    assert [path.name for path in node.home.iterdir()] == ["letters.txt"]


def test_a_jar_that_differs_is_refused(own_jars: Path, node: KafkaNode) -> None:
    jar = next(own_jars.glob("kafka_*.jar"))
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.write_bytes(content)

    with pytest.raises(WrongJars, match=jar.name) as refused:
        node.start()
    assert hashlib.sha256(content).hexdigest() in refused.value.detail
    assert f"Remove {own_jars}" in refused.value.remedy
    assert not node.home.exists()


def test_a_jar_that_is_missing_is_named(own_jars: Path) -> None:
    next(own_jars.glob("zstd-jni-*.jar")).unlink()
    with pytest.raises(WrongJars, match="zstd-jni"):
        fetched_jars()


def test_jars_that_are_not_in_the_list_are_not_run(own_jars: Path) -> None:
    (own_jars / "aaa.jar").touch()
    assert "aaa.jar" not in fetched_jars().classpath


def test_without_java_it_says_what_to_install(
    node: KafkaNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ToolMissing) as refused:
        node.start()
    assert "apt install default-jre-headless maven" in refused.value.remedy
    assert not node.home.exists()


def test_an_old_java_is_refused_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.20\" 2023-07-18' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"17 or newer; .* is 11\.0\.20"):
        find_java()


def test_maven_is_asked_for_only_while_the_jars_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched_jars()
    java = find_java()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(java.program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    fetched_jars()
    monkeypatch.setenv("TIENDO_KAFKA_JARS", str(tmp_path / "none"))
    with pytest.raises(ToolMissing, match="mvn") as refused:
        fetched_jars()
    assert "apt install" in refused.value.remedy
    assert not (tmp_path / "none").exists()


@pytest.mark.long
def test_two_that_fetch_at_once_fetch_once(tmp_path: Path) -> None:
    require("Maven", shutil.which("mvn") is not None, "On Debian: apt install maven")
    shared = tmp_path / "shared" / "jars"
    code = "from tiendo.broker.jars import fetched_jars; print(len(fetched_jars().names))"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "TIENDO_KAFKA_JARS": str(shared)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=200) for one in both]

    listed = (deploy_folder() / "jars.sha256").read_text().splitlines()
    assert [out.strip() for out, _ in said] == [str(len(listed))] * 2, said
    errors = "".join(error for _, error in said)
    assert errors.count("fetching Apache Kafka with Maven") == 1
    assert errors.count("waiting for it") <= 1
    assert {path.name for path in shared.iterdir()} == {line.split("  ")[1] for line in listed}
    assert {path.name for path in shared.parent.iterdir()} == {"jars", "fetch.lock"}


def test_a_fetch_that_was_killed_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maven is a stand-in here: it copies what was fetched before."""
    whole = fetched_jars().folder
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text(
        '#!/bin/sh\nfor word; do case "$word" in -DoutputDirectory=*) to=${word#*=};; esac; done\n'
        f'cp "{whole}"/*.jar "$to"\n'
    )
    maven.chmod(0o755)
    shared = tmp_path / "shared" / "jars"
    draft = shared.parent / ".draft-of-the-dead"
    draft.mkdir(parents=True)
    (draft / "kafka_half.jar").touch()
    monkeypatch.setenv("TIENDO_KAFKA_JARS", str(shared))
    monkeypatch.setenv("PATH", f"{maven.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("MAVEN_HOME", raising=False)

    assert fetched_jars().folder == shared
    assert not draft.exists()


def test_a_missing_part_skips_a_test_on_a_laptop_and_fails_it_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    require("A kettle", True, "Buy one.")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="A kettle is not on this machine"):
        require("A kettle", False, "Buy one.")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="A kettle is not on this machine"):
        require("A kettle", False, "Buy one.")
