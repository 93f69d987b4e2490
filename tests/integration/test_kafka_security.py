"""A cluster that asks who its clients are: SASL_SSL with SCRAM-SHA-512, and access rules, on a real broker."""

import asyncio
import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest

from tests.conformance.backend import FACTS, STATE, read_all
from tests.conformance.kafka_backend import in_background
from tests.conformance.postgres_backend import make_tables
from tests.support.events import intake_event, unit_event
from tests.support.kafka import kafka_folder, require_kafka
from tests.support.parts import require
from tests.support.postgres import Database
from tests.support.up import Tiendo
from tiendo.broker.node import KafkaNode
from tiendo.broker.secured import Secured
from tiendo.supervisor import free_port_base
from tiendo_common.database.bootstrap import SERVICES
from tiendo_common.errors import Retry
from tiendo_common.eventlog.kafka.connection import Broker, start, stop
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.port import NewEvent, Partition, Position
from tiendo_common.eventlog.postgres import PostgresEventLog
from tiendo_common.events.envelope import encode, partition_of
from tiendo_common.service.settings import BrokerSettings

pytestmark = [pytest.mark.anyio, pytest.mark.long]

#: `setup` makes topics; the others are named like the services.
USERS = (*SERVICES, "setup")
PRODUCERS = ("intake", "activation", "aggregator")


@dataclass(frozen=True)
class Cluster:
    """The node, who signed its certificate, and each user's password in a file."""

    node: KafkaNode
    secured: Secured
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def settings(self, user: str, prefix: str, **other: str | Path | None) -> dict[str, str]:
        """A user's settings, as the environment of a service; None takes one away."""
        settings: dict[str, str | Path | None] = {
            "log": f"kafka://{self.secured.bootstrap}",
            "kafka_topic_prefix": prefix,
            "kafka_security": "SASL_SSL",
            "kafka_username": user,
            "kafka_password_file": self.folder / f"{user}.password",
            "kafka_ca_file": self.ca,
            **other,
        }
        return {f"TIENDO_{name.upper()}": str(value) for name, value in settings.items() if value is not None}

    def broker(self, user: str, prefix: str, **other: str | Path | None) -> Broker:
        """What a service makes of these settings."""
        names = self.settings(user, prefix, **other)
        given = {name.removeprefix("TIENDO_").lower(): value for name, value in names.items()}
        broker = BrokerSettings.model_validate(given).broker()
        assert broker is not None
        return broker

    def tiendo(self, user: str, prefix: str, **other: str | Path | None) -> Tiendo:
        return Tiendo(self.folder / "none", 1, self.settings(user, prefix, **other))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    require_kafka()
    require("openssl", shutil.which("openssl") is not None, "On Debian: apt install openssl")
    with kafka_folder() as folder:
        make_authority(folder, "ca")
        make_authority(folder, "stranger")
        sign(folder, "ca")
        passwords = {user: secrets.token_urlsafe(16) for user in USERS}
        for user, password in passwords.items():
            (folder / f"{user}.password").write_text(f"{password}\n")
        ports = free_port_base(21_000 + os.getpid() % 1000 * 10, count=3)
        secured = Secured(ports + 2, folder / "server.pem", passwords)
        with KafkaNode(folder / "home", port=ports, durable=False, secured=secured) as node:
            yield Cluster(node, secured, folder)


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


_NEW = ("-newkey", "rsa:2048", "-nodes", "-days", "2")


def make_authority(folder: Path, name: str) -> None:
    openssl(
        folder, "req", "-x509", *_NEW, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"
    )


def sign(folder: Path, authority: str) -> None:
    """The server's certificate and key, in one file as Kafka takes it."""
    openssl(folder, "req", *_NEW[:-2], "-subj", "/CN=kafka", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    by = ("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2")
    openssl(folder, "x509", "-req", "-in", "server.csr", *by, "-extfile", "names", "-out", "server.crt")
    (folder / "server.pem").write_text(
        (folder / "server.key").read_text() + (folder / "server.crt").read_text()
    )
    (folder / "server.pem").chmod(0o600)


# --- access rules, as kafka-acls.sh takes them -----------------------------------------------------------------

_RESOURCES = {"--topic": 2, "--group": 3, "--cluster": 4, "--transactional-id": 5}
_OPERATIONS = {
    "read": 3,
    "write": 4,
    "create": 5,
    "delete": 6,
    "alter": 7,
    "describe": 8,
    "describeconfigs": 10,
    "alterconfigs": 11,
}
_PATTERNS = {"literal": 3, "prefixed": 4}
_ALLOW = 3


def acls_of(command: str) -> list[CreateAclsRequest]:
    """What one command of kafka-acls.sh asks for. (The real one is in a jar that a node does not need.)"""
    program, *words = shlex.split(command)
    assert program == "kafka-acls.sh"
    operations, resources, principal, pattern = [], [], "", "literal"
    arguments = iter(words)
    for word in arguments:
        match word:
            case "--add":
                continue
            case "--bootstrap-server":
                next(arguments)
            case "--allow-principal":
                principal = next(arguments)
            case "--operation":
                operations.append(_OPERATIONS[next(arguments).lower()])
            case "--resource-pattern-type":
                pattern = next(arguments)
            case _:
                resources.append((_RESOURCES[word], next(arguments)))
    assert principal
    return [
        CreateAclsRequest(kind, name, _PATTERNS[pattern], principal, "*", operation, _ALLOW)
        for kind, name in resources
        for operation in operations
    ]


async def allow(cluster: Cluster, commands: Iterable[str]) -> None:
    """Apply rules as the cluster's administrator."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.node.bootstrap)
    await admin.start()
    try:
        for command in commands:
            for request in acls_of(command):
                answer = await admin._send_request(request)
                assert [code for code, _ in answer.creation_responses] == [0], answer
    finally:
        await admin.close()


def for_setup(prefix: str) -> str:
    """What docs/deploying.md asks for the user that makes topics."""
    operations = "create alter describe describeconfigs alterconfigs read"
    return (
        "kafka-acls.sh --bootstrap-server x --add --allow-principal User:setup "
        + " ".join(f"--operation {operation}" for operation in operations.split())
        + f" --topic {prefix} --resource-pattern-type prefixed"
    )


@pytest.fixture
async def prefix(cluster: Cluster) -> str:
    """Topics of a test's own, made by `setup`; nobody else may do anything with them."""
    prefix = f"secured-{secrets.token_hex(4)}."
    await allow(cluster, [for_setup(prefix)])
    made = await asyncio.to_thread(cluster.tiendo("setup", prefix).run, "topics", "create")
    assert made.status == 0, made.err
    return prefix


@pytest.fixture
async def allowed(cluster: Cluster, prefix: str) -> str:
    """The same, with the rules that `tiendo topics access` prints."""
    printed = await asyncio.to_thread(cluster.tiendo("setup", prefix).run, "topics", "access")
    assert printed.status == 0, printed.err
    await allow(cluster, printed.out.splitlines())
    return prefix


@pytest.fixture
async def pools(database: Database) -> AsyncIterator[Mapping[str, asyncpg.Pool]]:
    """An empty log of each service."""
    pools = {}
    for service in SERVICES:
        pools[service] = await asyncpg.create_pool(database.dsn(service), min_size=0, max_size=8)
        await make_tables(pools[service], service)
    yield pools
    for pool in pools.values():
        await pool.close()


async def append(pools: Mapping[str, asyncpg.Pool], service: str, *events: NewEvent) -> None:
    async with pools[service].acquire() as connection, connection.transaction():
        await PostgresEventLog(service, pools[service]).append(connection, events)


async def until_published(pool: asyncpg.Pool, *publishers: KafkaPublisher) -> None:
    async with asyncio.timeout(60):
        while await pool.fetchval(
            "SELECT count(*) FROM log_partition LEFT JOIN consumer_position AS done USING (topic, partition) "
            "WHERE (done.consumer IS NULL OR done.consumer = 'publisher') "
            "AND coalesce(done.next, 1) < log_partition.next"
        ):
            for publisher in publishers:
                assert publisher.stopped is None, publisher.stopped
            await asyncio.sleep(0.05)


async def read(broker: Broker, topic: str, reader: str) -> list[bytes]:
    log = KafkaLogReader(broker, reader)
    try:
        return [body for events in (await read_all(log, topic)).values() for _, body in events]
    finally:
        await log.close()


async def test_events_go_encrypted_and_by_name_with_the_rules_that_the_catalogue_gives(
    cluster: Cluster, allowed: str, pools: Mapping[str, asyncpg.Pool]
) -> None:
    facts, units = [intake_event("a", version) for version in (1, 2)], [unit_event("u", "name")]
    await append(pools, "intake", *facts)
    await append(pools, "aggregator", *units)
    for service, topic, events, reader in (
        ("intake", FACTS, facts, "aggregator"),
        ("aggregator", STATE, units, "notifier"),
    ):
        publisher = KafkaPublisher(service, pools[service], cluster.broker(service, allowed), driven=True)
        async with in_background(publisher.run):
            await until_published(pools[service], publisher)
            found = await read(cluster.broker(reader, allowed), topic, f"{reader}.test")
        assert found == [encode(new.event) for new in events]


async def test_who_is_not_activation_cannot_read_the_dossiers(cluster: Cluster, allowed: str) -> None:
    assert await read(cluster.broker("activation", allowed), "dossier", "activation.test") == []
    for user in ("aggregator", "notifier"):
        with pytest.raises(Retry) as refused:
            await read(cluster.broker(user, allowed), "dossier", f"{user}.test")
        assert f"{allowed}dossier" in str(refused.value)


async def test_nor_can_a_client_with_nothing_of_ours_that_has_such_a_users_password(
    cluster: Cluster, allowed: str
) -> None:
    """(kcat would be another's, but librdkafka before 2.6.1 has a SCRAM that Kafka 4 refuses.)"""
    for user in ("aggregator", "notifier"):
        options = cluster.broker(user, allowed).client("thief")
        thief = AIOKafkaConsumer(f"{allowed}dossier", **options, auto_offset_reset="earliest")
        with pytest.raises(TopicAuthorizationFailedError):
            await asyncio.wait_for(start(thief), 20)


async def test_a_service_cannot_write_to_anothers_topic(cluster: Cluster, allowed: str) -> None:
    forger = AIOKafkaProducer(**cluster.broker("notifier", allowed).client("forger"))
    try:
        await asyncio.wait_for(forger.start(), 20)
        with pytest.raises(TopicAuthorizationFailedError):
            await asyncio.wait_for(forger.send_and_wait(f"{allowed}intake", b"forged", partition=0), 20)
    finally:
        await stop(forger)


async def test_offsets_are_shown_to_tools_under_the_rules(
    cluster: Cluster, allowed: str, pools: Mapping[str, asyncpg.Pool]
) -> None:
    await append(pools, "intake", intake_event("a"))
    publisher = KafkaPublisher("intake", pools["intake"], cluster.broker("intake", allowed), driven=True)
    async with in_background(publisher.run):
        await until_published(pools["intake"], publisher)
    reader = KafkaLogReader(cluster.broker("aggregator", allowed), "aggregator.totals")
    place = Partition(FACTS, partition_of("a"))
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.node.bootstrap)
    await admin.start()
    try:
        [chunk] = await reader.fetch({place: Position(1)}, 10)
        async with asyncio.timeout(20):
            while True:
                reader.show_progress({place: chunk.after})
                with contextlib.suppress(GroupCoordinatorNotAvailableError):  # the broker makes it just now
                    offsets = await admin.list_consumer_group_offsets(f"{allowed}aggregator.totals")
                    if any(one.offset == 1 for one in offsets.values()):
                        break
                await asyncio.sleep(0.1)
    finally:
        await admin.close()
        await reader.close()


async def test_a_publisher_with_a_wrong_password_waits_and_the_one_with_the_right_goes_on(
    cluster: Cluster,
    allowed: str,
    pools: Mapping[str, asyncpg.Pool],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = [intake_event("a", version) for version in (1, 2)]
    await append(pools, "intake", *events)
    wrong = tmp_path / "password"
    wrong.write_text("not this one\n")
    broker = cluster.broker("intake", allowed, kafka_password_file=wrong)
    publisher = KafkaPublisher("intake", pools["intake"], broker, driven=True)
    async with in_background(publisher.run):
        async with asyncio.timeout(30):
            while "invalid credentials" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert publisher.stopped is None, "a password may be put right while it waits"
    publisher = KafkaPublisher("intake", pools["intake"], cluster.broker("intake", allowed), driven=True)
    async with in_background(publisher.run):
        await until_published(pools["intake"], publisher)
        found = await read(cluster.broker("aggregator", allowed), FACTS, "aggregator.test")
    assert found == [encode(new.event) for new in events]


def refused(cluster: Cluster, **other: str | Path | None) -> str:
    """What a command says of settings that do not fit the cluster."""
    ended = cluster.tiendo("setup", "wrong.", **other).run("topics", "check")
    assert ended.status == 1
    assert "tiendo: Kafka cannot be used: the brokers at 127.0.0.1:" in ended.err
    assert "TIENDO_KAFKA_" in ended.err.partition("What to do: ")[2]
    return ended.err


def test_each_way_to_be_wrong_is_said_in_words(cluster: Cluster, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("not this one\n")
    assert "invalid credentials" in refused(cluster, kafka_password_file=wrong)
    assert "invalid credentials" in refused(cluster, kafka_username="nobody")
    stranger = cluster.folder / "stranger.crt"
    assert "certificate verify failed" in refused(cluster, kafka_ca_file=stranger)
    nobody = dict.fromkeys(("kafka_username", "kafka_password_file", "kafka_ca_file"))
    assert "closed" in refused(cluster, kafka_security="PLAINTEXT", **nobody)
    assert "cannot be reached" in refused(cluster, log=f"kafka://{cluster.node.bootstrap}")
