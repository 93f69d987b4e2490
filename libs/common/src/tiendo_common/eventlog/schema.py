"""The log's tables, made by each service's own migrations in its own schema."""

from collections.abc import Iterable

from tiendo_common.database.roles import role_of
from tiendo_common.events.catalogue import Topic

#: As the first migrations made them; `settled_dead_letters` and `log_generations` are what came later.
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


def settled_dead_letters() -> list[str]:
    """Dead letters with a life of their own: an id, whether they are settled, by whom and why.

    A broker's foreign record has an offset and no sequence.
    """
    return [
        """
        ALTER TABLE dead_letter
            DROP CONSTRAINT dead_letter_pkey,
            ALTER COLUMN seq DROP NOT NULL,
            ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            ADD COLUMN kafka_offset bigint,
            ADD COLUMN state text NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'replayed', 'discarded')),
            ADD COLUMN settled_at timestamptz,
            ADD COLUMN settled_by text,
            ADD COLUMN note text,
            ADD CHECK (seq IS NOT NULL OR kafka_offset IS NOT NULL)
        """,
        "CREATE UNIQUE INDEX dead_letter_event ON dead_letter (consumer, topic, partition, seq)",
        "CREATE UNIQUE INDEX dead_letter_foreign ON dead_letter (consumer, topic, partition, kafka_offset) "
        "WHERE seq IS NULL",
    ]


def log_generations(topics: Iterable[Topic]) -> list[str]:
    """A producer's log generations: which sequences of the one before were withdrawn, and why."""
    consumers = sorted({role_of(consumer) for topic in topics for consumer in topic.consumers})
    return [
        """
        CREATE TABLE log_generation (
            topic text NOT NULL,
            generation int NOT NULL,
            starts bigint[] NOT NULL,
            reason text NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (topic, generation)
        )
        """,
        *(f"GRANT SELECT ON log_generation TO {consumer}" for consumer in consumers),
    ]


def statements(script: str) -> list[str]:
    """The single statements of one of the scripts above: the driver takes one at a time."""
    return [statement for statement in script.split(";") if statement.strip()]


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
        statements += added_topic(topic)
    return statements


def added_topic(topic: Topic) -> list[str]:
    """The statements that add a topic to a log. A new database has it from the start: then they change nothing."""
    table = f"log_{topic.name}"
    statements = [
        f"""
        CREATE TABLE IF NOT EXISTS {table} (
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
        f"SELECT '{topic.name}', generate_series(0, {topic.partitions - 1}) ON CONFLICT DO NOTHING",
    ]
    if topic.kind == "state":
        statements.append(f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_key ON {table} (key)")
    for consumer in topic.consumers:
        statements.append(f"GRANT SELECT ON {table}, log_partition, log_watermark TO {role_of(consumer)}")
    return statements
