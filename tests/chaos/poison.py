"""What no build of ours would append: bodies that are no events, put into the logs behind the services' backs."""

import random
from dataclasses import dataclass, field

import asyncpg

from tiendo_common.clock import new_event_id
from tiendo_common.database.roles import schema_of
from tiendo_common.events.catalogue import TOPICS, type_of

#: Which consumers of which service fold a topic, and so must set its poison aside. State topics that are only
#: read into memory pass it over.
CONSUMERS: dict[str, tuple[tuple[str, str], ...]] = {
    "intake": (("aggregator", "counting"),),
    "approval": (("aggregator", "counting"),),
    "activation": (("aggregator", "counting"),),
    "dossier": (("activation", "dossiers"),),
    "progress": (("notifier", "progress"),),
    "units": (),
    "campaigns": (),
    "targets": (),
}

#: Service, consumer, topic, partition, and its place there: a sequence, or the broker's offset of a foreign record.
Letter = tuple[str, str, str, int, str]


BODIES = (
    b"",
    b"\x00\xff\xfe not even text",
    # The type is one that belongs into the topic: one that does not is no poison, and stops a consumer.
    b'{"specversion": "1.0", "type": "%s", "data": {}}',
    b'{"specversion": "1.0", "type": "com.example.reading-taken.v1", "id": "1", "source": "/elsewhere"}',
    b"[" * 5000,
)


@dataclass
class Poison:
    """Appends poison and remembers it. An append whose outcome was lost is looked up in the log at the end."""

    event_ids: dict[str, set[str]] = field(default_factory=dict)

    async def append(self, dsn: str, chance: random.Random) -> str:
        """One body to one topic; which. Raises what the database raises."""
        # Most of it to where somebody must set it aside.
        topic = chance.choice(
            [topic for topic in sorted(CONSUMERS) for _ in range(1 + 2 * len(CONSUMERS[topic]))]
        )
        schema = schema_of(TOPICS[topic].owner)
        event_id = new_event_id()
        self.event_ids.setdefault(topic, set()).add(event_id)
        connection = await asyncpg.connect(dsn, timeout=5, command_timeout=15)
        try:
            async with connection.transaction():
                partition = chance.randrange(TOPICS[topic].partitions)
                sequence = await connection.fetchval(
                    f"UPDATE {schema}.log_partition SET next = next + 1 "
                    "WHERE topic = $1 AND partition = $2 RETURNING next - 1",
                    topic,
                    partition,
                )
                await connection.execute(
                    f"INSERT INTO {schema}.log_{topic} (partition, seq, event_id, body) VALUES ($1, $2, $3, $4)",
                    partition,
                    sequence,
                    event_id,
                    chance.choice(BODIES).replace(b"%s", type_of(TOPICS[topic].events[0]).encode()),
                )
        finally:
            await connection.close(timeout=5)
        return f"{topic}/{partition} at {sequence}"

    async def letters(self, connection: asyncpg.Connection) -> set[Letter]:
        """The dead letters that must be there."""
        expected: set[Letter] = set()
        for topic, ids in self.event_ids.items():
            rows = await connection.fetch(
                f"SELECT partition, seq FROM {schema_of(TOPICS[topic].owner)}.log_{topic} "
                "WHERE event_id = ANY($1::uuid[])",
                list(ids),
            )
            for service, consumer in CONSUMERS[topic]:
                expected |= {(service, consumer, topic, row["partition"], f"{row['seq']}") for row in rows}
        return expected


async def kept_letters(connection: asyncpg.Connection) -> set[Letter]:
    """The dead letters that there are."""
    found: set[Letter] = set()
    for service in sorted({service for each in CONSUMERS.values() for service, _ in each}):
        rows = await connection.fetch(
            "SELECT consumer, topic, partition, coalesce(seq::text, 'offset ' || kafka_offset) AS place "
            f"FROM {schema_of(service)}.dead_letter"
        )
        found |= {(service, *row) for row in rows}
    return found
