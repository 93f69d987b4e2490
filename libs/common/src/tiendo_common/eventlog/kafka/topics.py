"""Topics on the broker: made and checked on purpose, never by accident."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from tiendo_common.errors import Retry, Stop
from tiendo_common.eventlog.kafka.connection import CONTROL, Broker, said, undisturbed
from tiendo_common.events.catalogue import TOPICS

#: The broker's settings of each kind of topic; all values as the broker says them.
_DURABLE = {"unclean.leader.election.enable": "false", "message.timestamp.type": "CreateTime"}
_SETTINGS: dict[str, dict[str, str]] = {
    # Kept whole: whoever begins to read tomorrow must be able to count everything.
    "fact": {**_DURABLE, "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
    # Read whole at each start, so it is kept small.
    "state": {**_DURABLE, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"},
    # A few words a second for ever, of which the newest of each key matter.
    "control": {
        **_DURABLE,
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.1",
        "segment.bytes": str(2**20),
        "segment.ms": "600000",
    },
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a topic must be like. Replicas: at least two must have a record before it counts as written."""

    name: str
    partitions: int
    replication: int
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a topic. `mendable`: `ensure` puts it right."""

    topic: str
    problem: str
    mendable: bool


def expected_topics(broker: Broker, replication: int) -> list[Expected]:
    """Every topic of the catalogue, and the control topic."""
    in_sync = {"min.insync.replicas": str(min(2, replication))}
    wanted = [
        Expected(broker.topic(topic.name), topic.partitions, replication, _SETTINGS[topic.kind] | in_sync)
        for topic in TOPICS.values()
    ]
    wanted.append(Expected(broker.topic(CONTROL), 1, replication, _SETTINGS["control"] | in_sync))
    return wanted


async def ensure_topics(broker: Broker, replication: int) -> list[str]:
    """Make the topics that are missing and put settings right; the names of those that were made.

    Safe to run again, and by two at once. Raises Stop if a topic has another number of partitions or copies:
    what is written in it would be in the wrong places. Raises Retry while the brokers cannot be reached.
    """
    async with _Admin(broker) as admin:
        findings = await _examine(admin, expected_topics(broker, replication))
        hopeless = [finding for finding in findings if not finding.mendable]
        if hopeless:
            raise Stop("; ".join(f"{finding.topic}: {finding.problem}" for finding in hopeless))
        concerned = {finding.topic for finding in findings}
        wanted = [each for each in expected_topics(broker, replication) if each.name in concerned]
        missing = [each for each in wanted if each.name not in await _counts(admin)]
        if missing:
            made = await admin.create_topics(
                [
                    NewTopic(each.name, each.partitions, each.replication, topic_configs=each.settings)
                    for each in missing
                ]
            )
            for name, code, *_ in made.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:
                    raise Retry(f"{name} could not be made: {error.__name__}")
            await _until_known(admin, {each.name for each in missing})
        for each in wanted:
            if each not in missing:
                resource = ConfigResource(ConfigResourceType.TOPIC, each.name, each.settings)
                await admin.alter_configs([resource])
        return [each.name for each in missing]


async def _until_known(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Brokers make topics in the background. Raises Retry if that takes long."""
    for _ in range(200):
        if names <= (await _counts(admin)).keys():
            return
        await asyncio.sleep(0.05)
    raise Retry(f"the brokers have not made {', '.join(sorted(names))} yet")


async def examine_topics(broker: Broker, replication: int) -> list[Finding]:
    """What is missing or other than it must be. Raises Retry while the brokers cannot be reached."""
    async with _Admin(broker) as admin:
        return await _examine(admin, expected_topics(broker, replication))


async def check_partitions(broker: Broker, topics: Iterable[str]) -> None:
    """Raise Retry if a topic is not there, Stop if its partitions are not as many as they must be."""
    counts = await undisturbed(_present(broker))
    for topic in topics:
        name = broker.topic(topic)
        wanted = 1 if topic == CONTROL else TOPICS[topic].partitions
        if name not in counts:
            raise Retry(f"{name} is not there yet: tiendo topics create")
        if counts[name] != wanted:
            raise Stop(_too_many(name, counts[name], wanted))


def access_rules(broker: Broker) -> list[tuple[str, str, str]]:
    """Who may do what: (user, operation, topic), from the catalogue. Users are named like the services."""
    rules = []
    for topic in TOPICS.values():
        rules.append((topic.owner, "write", broker.topic(topic.name)))
        rules += [(reader, "read", broker.topic(topic.name)) for reader in (topic.owner, *topic.consumers)]
    services = sorted({user for user, _, _ in rules})
    owners = sorted({topic.owner for topic in TOPICS.values()})
    rules += [(user, "read", broker.topic(CONTROL)) for user in services]
    rules += [(user, "write", broker.topic(CONTROL)) for user in owners]
    return sorted(rules)


class _Admin:
    """aiokafka's admin client for the duration; its errors as ours."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def __aenter__(self) -> AIOKafkaAdminClient:
        self._client = AIOKafkaAdminClient(**self._broker.client("topics"))
        try:
            await self._client.start()
        except KafkaError as error:
            await self._client.close()
            raise Retry(
                f"the brokers at {self._broker.bootstrap} cannot be reached: {said(error)}"
            ) from error
        return self._client

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._client.close()
        if isinstance(error, KafkaError):
            raise Retry(f"the brokers did not do as asked: {said(error)}") from error


async def _present(broker: Broker) -> dict[str, int]:
    async with _Admin(broker) as admin:
        return await _counts(admin)


async def _counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


async def _examine(admin: AIOKafkaAdminClient, wanted: Collection[Expected]) -> list[Finding]:
    found = {topic["topic"]: topic for topic in await admin.describe_topics()}
    findings = []
    for each in wanted:
        topic = found.get(each.name)
        if topic is None:
            findings.append(Finding(each.name, "is missing", True))
            continue
        if len(topic["partitions"]) != each.partitions:
            findings.append(
                Finding(each.name, _too_many(each.name, len(topic["partitions"]), each.partitions), False)
            )
        copies = min(len(partition["replicas"]) for partition in topic["partitions"])
        if copies < each.replication:
            findings.append(Finding(each.name, f"has {copies} copies instead of {each.replication}", False))
    there = [each for each in wanted if each.name in found]
    for each, settings in zip(there, await _settings(admin, [each.name for each in there]), strict=True):
        findings += [
            Finding(each.name, f"{name} is {settings.get(name)} instead of {value}", True)
            for name, value in each.settings.items()
            if settings.get(name) != value
        ]
    return findings


async def _settings(admin: AIOKafkaAdminClient, names: list[str]) -> list[dict[str, str]]:
    if not names:
        return []
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, n) for n in names]):
        for code, _message, _kind, name, entries in answer.resources:
            if code:
                raise for_code(code)(name)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return [found[name] for name in names]


def _too_many(name: str, count: int, wanted: int) -> str:
    return (
        f"{name} has {count} partitions instead of {wanted}: the events of one citizen would not stay in order, "
        "so this is refused; make the topic anew"
    )
