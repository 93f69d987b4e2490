"""The log's tables, made by each service's own migrations in its own schema."""

from collections.abc import Iterable

from tiendo_common.database.roles import role_of
from tiendo_common.events.catalogue import Topic

CONSUMER_TABLES = """
CREATE TABLE consumer_position (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition smallint NOT NULL,
    generation int NOT NULL DEFAULT 1,
    next bigint NOT NULL DEFAULT 1,
    kafka_offset bigint,
    epoch bigint NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz,
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);
CREATE TABLE consumer_member (
    consumer text NOT NULL,
    owner text NOT NULL,
    seen_until timestamptz NOT NULL,
    PRIMARY KEY (consumer, owner)
);
CREATE TABLE dead_letter (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition smallint NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, topic, partition, seq)
);
"""

DRIVEN_CLOCK_TABLE = """
CREATE TABLE driven_clock (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    now timestamptz NOT NULL
);
"""


def log_tables(topics: Iterable[Topic]) -> list[str]:
    """The statements that make a producing service's log.

    One table a topic, so that the right to read it can be granted to its consumers alone. Rows of
    `log_partition` are updated by every transaction: a low fill factor keeps those updates in their page.
    """
    statements = [
        """
        CREATE TABLE log_partition (
            topic text NOT NULL,
            partition smallint NOT NULL,
            generation int NOT NULL DEFAULT 1,
            next bigint NOT NULL DEFAULT 1,
            PRIMARY KEY (topic, partition)
        ) WITH (fillfactor = 10)
        """,
        """
        CREATE TABLE log_watermark (
            topic text PRIMARY KEY,
            complete_to timestamptz NOT NULL,
            next bigint[] NOT NULL
        ) WITH (fillfactor = 10)
        """,
    ]
    for topic in topics:
        table = f"log_{topic.name}"
        statements += [
            f"""
            CREATE TABLE {table} (
                partition smallint NOT NULL,
                seq bigint NOT NULL,
                event_id uuid NOT NULL,
                key text,
                body bytea NOT NULL,
                appended_at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (partition, seq)
            )
            """,
            f"INSERT INTO log_partition (topic, partition) "
            f"SELECT '{topic.name}', generate_series(0, {topic.partitions - 1})",
        ]
        if topic.kind == "state":
            statements.append(f"CREATE UNIQUE INDEX {table}_key ON {table} (key)")
        for consumer in topic.consumers:
            statements.append(f"GRANT SELECT ON {table}, log_partition, log_watermark TO {role_of(consumer)}")
    return statements
