"""A restore of PostgreSQL under a Kafka that is ahead: it is noticed, and the documented way on loses nothing."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.support.aggregator import counting_anew, eventually
from tests.support.command import Ended
from tests.support.downstream import Downstream, read_topic
from tests.support.kafka import KafkaNode
from tests.support.scratch import scratch_folder
from tests.support.up import Cell, Sender, Tiendo, Up, counters
from tiendo.folders import DataFolder
from tiendo.stack import Plan, database, service_table
from tiendo.supervisor import Program, free_port_base
from tiendo_aggregator.storage.rebuild import FOLDED
from tiendo_common.database.bootstrap import SERVICES
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.port import Partition, Position
from tiendo_common.events.catalogue import TOPICS

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

FACTS = tuple(topic.name for topic in TOPICS.values() if topic.kind == "fact")
#: What a log holds, in order.
Events = dict[Partition, list[bytes]]


@pytest.fixture
def tiendo(kafka_node: KafkaNode) -> Iterator[Tiendo]:
    """A data folder, on topics of its own."""
    with scratch_folder() as folder:
        tiendo = Tiendo(
            folder / "data",
            free_port_base(18_000 + os.getpid() % 1000 * 10),
            {
                "TIENDO_LOG": f"kafka://{kafka_node.bootstrap}",
                "TIENDO_KAFKA_TOPIC_PREFIX": f"restore-{secrets.token_hex(4)}.",
            },
        )
        try:
            yield tiendo
        finally:
            tiendo.end_leftovers()


def broker_of(tiendo: Tiendo) -> Broker:
    return Broker(
        tiendo.settings["TIENDO_LOG"].removeprefix("kafka://"),
        prefix=tiendo.settings["TIENDO_KAFKA_TOPIC_PREFIX"],
    )


class Backup:
    """A copy of PostgreSQL's folder while it is stopped: owners and times kept, as every backup tool does."""

    def __init__(self, tiendo: Tiendo) -> None:
        self._folder = tiendo.data / "postgres"
        self._copy = tiendo.data.with_name(f"backup-{secrets.token_hex(4)}")
        subprocess.run(["cp", "-a", self._folder, self._copy], check=True)

    def restore(self) -> None:
        shutil.rmtree(self._folder)
        subprocess.run(["cp", "-a", self._copy, self._folder], check=True)


async def logged(urls: Mapping[str, str]) -> Events:
    """All events of the fact topics, from the producers' own tables."""
    answer: Events = {}
    for topic in FACTS:
        connection = await asyncpg.connect(urls[TOPICS[topic].owner])
        rows = await connection.fetch(f"SELECT partition, body FROM log_{topic} ORDER BY partition, seq")
        await connection.close()
        answer |= {Partition(topic, number): [] for number in range(TOPICS[topic].partitions)}
        for row in rows:
            answer[Partition(topic, row["partition"])].append(row["body"])
    return answer


async def progress_published(up: Up) -> int:
    """How far the broker has the aggregator's progress, over all partitions."""
    connection = await asyncpg.connect(up.instance.database_url("aggregator"))
    told: int = await connection.fetchval(
        "SELECT sum(next) FROM consumer_position WHERE consumer = 'publisher' AND topic = 'progress'"
    )
    await connection.close()
    return told


async def published_beyond(up: Up, told: int) -> bool:
    return await progress_published(up) > told


def log_of(up: Up) -> Events:
    return asyncio.run(logged({name: up.instance.database_url(name) for name in up.instance.services}))


async def read_anew(broker: Broker) -> Events:
    """All events of the fact topics as a consumer sees them that begins today."""
    reader = KafkaLogReader(broker, "restore-test")
    positions = {
        Partition(topic, number): Position(1) for topic in FACTS for number in range(TOPICS[topic].partitions)
    }
    found: Events = {partition: [] for partition in positions}
    try:
        while chunks := await reader.fetch(positions, 5000):
            for chunk in chunks:
                found[chunk.partition] += chunk.bodies
                positions[chunk.partition] = chunk.after
    finally:
        await reader.close()
    return found


async def downstream(broker: Broker, topic: str) -> Downstream:
    """A reader with nothing of ours, once it has read all of a topic."""
    reader = Downstream(broker.prefix)
    reader.hear(await read_topic(broker.bootstrap, broker.topic("control"), 1))
    reader.read(await read_topic(broker.bootstrap, broker.topic(topic), TOPICS[topic].partitions))
    return reader


@contextlib.asynccontextmanager
async def started_directly(
    tiendo: Tiendo, *services: str
) -> AsyncIterator[tuple[dict[str, Program], Mapping[str, str]]]:
    """The services themselves, as containers start them: nobody looks first. With their databases' URLs."""
    plan = Plan(DataFolder(tiendo.data), port_base=tiendo.ports)
    async with database(plan, lambda _: None) as (urls, _server):
        programs = {
            program.name: program
            for program in service_table(plan, "driven", urls)
            if program.name in services
        }
        processes = []
        for program in programs.values():
            with program.log_file.open("ab") as log:
                environ = {**program.env, **tiendo.settings}
                processes.append(
                    await asyncio.create_subprocess_exec(*program.argv, env=environ, stdout=log, stderr=log)
                )
        try:
            yield programs, urls
        finally:
            for process in reversed(processes):
                process.terminate()
            await asyncio.gather(*(process.wait() for process in processes))


def new_generation(tiendo: Tiendo, urls: Mapping[str, str]) -> Ended:
    """As an operator of containers runs it, who has no data folder."""
    folder = tiendo.data.with_name("urls")
    folder.mkdir(exist_ok=True)
    for service, url in urls.items():
        (folder / service).write_text(f"{url}\n")
    return tiendo.run(
        *("topics", "new-generation", "--reason", "a disk died", "--database-urls", folder, "--out", folder)
    )


async def not_ready(program: Program, because: str, *, seconds: float = 90) -> str:
    """Wait until the service says that it is not ready because of something; the whole that it says."""
    until = time.monotonic() + seconds
    said = "nothing"
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        while time.monotonic() < until:
            with contextlib.suppress(httpx2.TransportError):
                answer = await client.get(f"{program.url}/readyz")
                said = answer.text
                if answer.status_code == 503 and because in said:
                    return said
            await asyncio.sleep(0.2)
    pytest.fail(f"{program.name} does not say {because!r}: {said}")


def withdrawn_events(folder: Path, topic: str) -> list[bytes]:
    return [
        json.loads(line)["event"].encode()
        for file in folder.glob(f"withdrawn-{topic}-*.ndjson")
        for line in file.read_text().splitlines()
    ]


def test_after_a_restore_a_new_generation_and_the_journal_sent_again_nothing_is_lost_and_nothing_double(
    tiendo: Tiendo,
) -> None:
    sender = Sender()
    with tiendo.up("--clock", "driven") as up:
        up.begin()
        sender.send(up, 60)
        assert up.counters() == sender.expected()
        kept = log_of(up)
    backup, before = Backup(tiendo), len(sender.journal)
    with tiendo.up() as up:
        told = asyncio.run(progress_published(up))
        sender.send(up, 90)
        assert up.counters() == sender.expected()
        # A while after the counters.
        asyncio.run(eventually(lambda: published_beyond(up, told)))
        lost = {
            topic: Counter(
                body
                for partition, bodies in log_of(up).items()
                if partition.topic == topic
                for body in bodies[len(kept[partition]) :]
            )
            for topic in FACTS
        }
    assert all(lost.values())
    backup.restore()

    # It is noticed: by `up` before anybody reads, and by the producers themselves.
    refused = tiendo.refused_up()
    assert (
        f"Kafka has {lost['intake'].total() + lost['approval'].total() + lost['dossier'].total()} events"
        in (refused)
    )
    assert "of intake that the database lacks" in refused
    assert "tiendo topics new-generation" in refused

    async def intake_alone() -> None:
        async with started_directly(tiendo, "intake") as (programs, urls):
            said = await not_ready(programs["intake"], "publisher: ")
            assert "the broker has" in said
            assert "tiendo topics new-generation" in said
            early = await asyncio.to_thread(new_generation, tiendo, urls)
            assert early.status == 1
            assert "intake runs" in early.err

    asyncio.run(intake_alone())

    # The documented way on.
    begun = tiendo.on_data("topics", "new-generation", "--reason", "a disk died")
    assert begun.status == 0, begun.err
    for topic in (*FACTS, "progress"):
        assert f"{topic}: generation 2 begins" in begun.out
    assert {topic: Counter(withdrawn_events(tiendo.data, topic)) for topic in FACTS} == lost
    again = tiendo.on_data("topics", "new-generation", "--reason", "a disk died")
    assert again.out.strip().endswith("no new generation is needed.")

    with tiendo.up() as up:
        assert sender.send_again(up) == {"duplicate": before, "accepted": len(sender.journal) - before}
        assert up.counters() == sender.expected()
        proof = tiendo.on_data("reconcile", "kon-tum-2023", "--json")
        assert proof.status == 0, proof.out
        assert proof.document["clean"] is True
        assert tiendo.on_data("doctor", "--json").document["ok"] is True
        assert sender.send_again(up) == {"duplicate": len(sender.journal)}
        sender.send(up, 20)
        assert up.counters() == sender.expected()
        # Whoever begins to read today reads the log, to the byte, and nothing of what was withdrawn.
        assert asyncio.run(read_anew(broker_of(tiendo))) == log_of(up)
        # So does somebody else's service that does what docs/events.md says.
        reader = asyncio.run(downstream(broker_of(tiendo), "intake"))
        assert reader.withdrawn == lost["intake"].total()
        assert +reader.counts == Counter(
            {
                (unit, level, day): n
                for (indicator, attribution, unit, level, day), n in sender.expected().items()
                if (indicator, attribution) == (0, 0)
            }
        )


def test_consumers_that_have_read_what_is_withdrawn_stop_and_the_aggregator_can_count_anew(
    tiendo: Tiendo,
) -> None:
    """What the aggregator counts was not restored with the logs."""
    sender = Sender()
    with tiendo.up("--clock", "driven") as up:
        up.begin()
        sender.send(up, 30)
        assert up.counters() == sender.expected()
    backup, before = Backup(tiendo), len(sender.journal)
    with tiendo.up() as up:
        sender.send(up, 30)
        assert up.counters() == sender.expected()
        counts = asyncio.run(Counts.of(up.instance.database_url("aggregator")))
    backup.restore()

    async def go_on() -> None:
        async with started_directly(tiendo) as (_programs, urls):
            await counts.put_back(urls["aggregator"])
            assert (await asyncio.to_thread(new_generation, tiendo, urls)).status == 0
        async with started_directly(tiendo, *SERVICES) as (programs, urls):
            said = await not_ready(programs["aggregator"], "some of them were withdrawn")
            assert "consumer counting: " in said
            assert "restore this service to before, or empty it and read everything anew" in said
        async with started_directly(tiendo) as (_programs, urls):
            await count_anew(urls["aggregator"])

    asyncio.run(go_on())

    with tiendo.up() as up:
        assert sender.send_again(up) == {"duplicate": before, "accepted": len(sender.journal) - before}
        assert up.counters() == sender.expected()
        assert tiendo.on_data("reconcile", "kon-tum-2023", "--json").document["clean"] is True


class Counts:
    """What the aggregator counted, and how far it had read."""

    TABLES = (*FOLDED, "consumer_position")

    def __init__(self, rows: dict[str, list[asyncpg.Record]]) -> None:
        self._rows = rows

    @classmethod
    async def of(cls, url: str) -> "Counts":
        connection = await asyncpg.connect(url)
        rows = {table: await connection.fetch(f"SELECT * FROM {table}") for table in cls.TABLES}
        await connection.close()
        # Its publisher's positions go with its log, which is restored.
        rows["consumer_position"] = [
            row for row in rows["consumer_position"] if row["consumer"] != "publisher"
        ]
        return cls(rows)

    async def put_back(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(f"TRUNCATE {', '.join(FOLDED)}")
        await connection.execute("DELETE FROM consumer_position WHERE consumer <> 'publisher'")
        for table, rows in self._rows.items():
            await connection.copy_records_to_table(table, records=[tuple(row) for row in rows])
        await connection.close()


async def count_anew(url: str) -> None:
    """To the letter of docs/kafka.md."""
    connection = await asyncpg.connect(url)
    await connection.execute(counting_anew())
    await connection.close()


def test_services_that_ran_before_anybody_looked_are_restored_once_more(tiendo: Tiendo) -> None:
    """Started too early, consumers read what their producers' logs lack; what they count stops being wrong with
    the same backup put back a second time."""
    sender = Sender()
    with tiendo.up("--clock", "driven") as up:
        up.begin()
        sender.send(up, 30)
        assert up.counters() == sender.expected()
    backup, before = Backup(tiendo), len(sender.journal)
    with tiendo.up() as up:
        sender.send(up, 30)
        assert up.counters() == sender.expected()
    backup.restore()

    async def too_early() -> None:
        async with started_directly(tiendo, *SERVICES) as (programs, urls):
            await not_ready(programs["intake"], "publisher: ")
            await until_counted(urls["aggregator"], sender.expected())
        async with started_directly(tiendo) as (_programs, urls):
            assert (await asyncio.to_thread(new_generation, tiendo, urls)).status == 0
        async with started_directly(tiendo, *SERVICES) as (programs, urls):
            for service, consumer in (("aggregator", "counting"), ("activation", "dossiers")):
                said = await not_ready(programs[service], "some of them were withdrawn")
                assert f"consumer {consumer}: " in said

    asyncio.run(too_early())
    backup.restore()
    assert "new-generation" in tiendo.refused_up()
    assert tiendo.on_data("topics", "new-generation", "--reason", "a disk died").status == 0
    with tiendo.up() as up:
        assert sender.send_again(up) == {"duplicate": before, "accepted": len(sender.journal) - before}
        assert up.counters() == sender.expected()
        assert tiendo.on_data("reconcile", "kon-tum-2023", "--json").document["clean"] is True
        assert asyncio.run(read_anew(broker_of(tiendo))) == log_of(up)


async def until_counted(url: str, expected: Counter[Cell]) -> None:
    async with asyncio.timeout(60):
        while await counters(url) != expected:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.2)
