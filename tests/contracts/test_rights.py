"""Who may read which topic is what the catalogue says, enforced by the database."""

import asyncio

import asyncpg
import pytest

from tests.support.postgres import Database
from tiendo_common.database.migrate import migrate
from tiendo_common.database.roles import SERVICES, role_of, schema_of
from tiendo_common.events.catalogue import TOPICS, Topic, owned_by


@pytest.fixture(scope="module")
def rights(module_database: Database) -> dict[tuple[str, str, str], bool]:
    """Whether a service has a right on a topic's table: (service, right, topic)."""

    async def ask() -> dict[tuple[str, str, str], bool]:
        for service in SERVICES:
            await migrate(module_database.dsn(service), service)
        admin = await asyncpg.connect(module_database.admin_dsn)
        try:
            return {
                (service, right, topic.name): await admin.fetchval(
                    "SELECT has_table_privilege($1, $2, $3)",
                    role_of(service),
                    f"{schema_of(topic.owner)}.log_{topic.name}",
                    right,
                )
                for service in SERVICES
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
                for topic in TOPICS.values()
            }
        finally:
            await admin.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_a_topic_is_read_by_its_owner_and_its_consumers_alone(
    topic: Topic, rights: dict[tuple[str, str, str], bool]
) -> None:
    readers = {service for service in SERVICES if rights[service, "SELECT", topic.name]}
    assert readers == {topic.owner, *topic.consumers}


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_a_topic_is_written_by_its_owner_alone(
    topic: Topic, rights: dict[tuple[str, str, str], bool]
) -> None:
    for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        assert {service for service in SERVICES if rights[service, right, topic.name]} == {topic.owner}


def test_only_activation_reads_the_restricted_topic() -> None:
    (restricted,) = [topic for topic in TOPICS.values() if topic.restricted]
    assert (restricted.name, restricted.owner, restricted.consumers) == ("dossier", "intake", ("activation",))


def test_each_topic_belongs_to_a_service_and_is_read_by_others() -> None:
    for topic in TOPICS.values():
        assert topic.owner in SERVICES
        assert topic.consumers
        assert topic.owner not in topic.consumers
        assert set(topic.consumers) <= set(SERVICES)
    assert owned_by("notifier") == []
