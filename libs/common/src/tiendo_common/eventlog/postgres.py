"""The event log in PostgreSQL: the producer's own tables, read in place by those who were granted it."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from tiendo_common.database.bulk import insert_rows
from tiendo_common.database.roles import schema_of
from tiendo_common.errors import Gap, Retry
from tiendo_common.eventlog.port import Chunk, Connection, NewEvent, Partition, Position, Watermark
from tiendo_common.events.catalogue import TOPICS, owned_by
from tiendo_common.events.envelope import encoder, partition_of

LOG_COLUMNS = {"partition": "smallint", "seq": "bigint", "event_id": "uuid", "body": "bytea", "key": "text"}


class PostgresEventLog:
    """Appends to the service's own log tables (see EventLog).

    A partition's counter row is locked by the first append of a transaction and held to its commit.
    Another transaction waits there, so no sequence is ever visible before a lower one: readers may trust
    that nothing will appear behind them.
    """

    def __init__(self, service: str, pool: asyncpg.Pool) -> None:
        self._topics = {topic.name: topic for topic in owned_by(service)}
        self._pool = pool

    async def append(self, connection: Connection, events: Sequence[NewEvent]) -> None:
        if not events:
            return
        # Encoded before the locks are taken: what they are held for is what others wait for.
        by_partition: defaultdict[tuple[str, int], list[tuple[str, bytes, str | None]]] = defaultdict(list)
        for topic, event, key in events:
            number = partition_of(event.partitionkey, self._topics[topic].partitions)
            by_partition[topic, number].append((event.id, encoder.encode(event), key))
        wanted = sorted(by_partition)
        topics = [topic for topic, _ in wanted]
        numbers = [number for _, number in wanted]
        # All writers lock in the same order, so they queue instead of deadlocking: the UPDATE alone would lock in
        # whatever order its plan visits the rows. It adds to what it then finds, not to what the statement saw.
        locked = await connection.fetch(
            "WITH wanted AS MATERIALIZED (SELECT topic, partition, n FROM log_partition "
            "JOIN unnest($1::text[], $2::smallint[], $3::bigint[]) AS asked (topic, partition, n) "
            "USING (topic, partition) ORDER BY topic, partition FOR UPDATE OF log_partition) "
            "UPDATE log_partition AS old SET next = old.next + n FROM wanted "
            "WHERE old.topic = wanted.topic AND old.partition = wanted.partition "
            "RETURNING old.topic, old.partition, old.next - n",
            topics,
            numbers,
            [len(by_partition[partition]) for partition in wanted],
        )
        rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for topic, number, first in locked:
            into = rows[topic]
            for sequence, (event_id, body, key) in enumerate(by_partition[topic, number], first):
                into.append((number, sequence, event_id, body, key))
        for topic, topic_rows in rows.items():
            await self._insert(connection, topic, topic_rows)

    async def _insert(self, connection: Connection, topic: str, rows: list[tuple[Any, ...]]) -> None:
        table = f"log_{topic}"
        if self._topics[topic].kind == "state":
            # Compaction: only the newest event of a key stays, also among those of this call.
            newest = {row[4]: row for row in rows}
            rows = sorted(newest.values())
            await connection.execute(f"DELETE FROM {table} WHERE key = ANY($1)", list(newest))  # noqa: S608
        await insert_rows(connection, table, LOG_COLUMNS, rows)

    async def heads(self) -> dict[str, list[int]]:
        answer: dict[str, list[int]] = {name: [] for name in self._topics}
        for row in await self._pool.fetch("SELECT topic, next FROM log_partition ORDER BY topic, partition"):
            answer[row["topic"]].append(row["next"])
        return answer

    async def publish_watermark(self, complete_to: datetime) -> None:
        await self._pool.execute(
            "INSERT INTO log_watermark AS old (topic, complete_to, next) "
            "SELECT topic, $1, array_agg(next ORDER BY partition) FROM log_partition GROUP BY topic "
            "ON CONFLICT (topic) DO UPDATE SET complete_to = excluded.complete_to, next = excluded.next "
            "WHERE old.complete_to <= excluded.complete_to "
            "AND (old.complete_to, old.next) IS DISTINCT FROM (excluded.complete_to, excluded.next)",
            complete_to,
        )


class PostgresLogReader:
    """Reads producers' log tables by position (see LogReader)."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._generations: dict[str, list[asyncpg.Record]] = {}

    async def fetch(
        self, positions: Mapping[Partition, Position], limit: int, *, wait: float | None = None
    ) -> list[Chunk]:
        by_topic: defaultdict[str, list[Partition]] = defaultdict(list)
        for partition in positions:
            by_topic[partition.topic].append(partition)
        chunks: list[Chunk] = []
        each = max(1, limit // max(1, len(positions)))
        for topic, partitions in by_topic.items():
            chunks += await self._fetch_topic(topic, partitions, positions, each)
        if not chunks and wait:
            # Polled, since a NOTIFY in each business transaction halves the rate at which they commit.
            await asyncio.sleep(wait)
        return chunks

    async def _fetch_topic(
        self,
        topic: str,
        partitions: list[Partition],
        positions: Mapping[Partition, Position],
        each: int,
    ) -> list[Chunk]:
        try:
            if topic not in self._generations:
                # Once: a generation begins while nobody reads.
                self._generations[topic] = await self._pool.fetch(
                    f"SELECT generation, starts FROM {schema_of(TOPICS[topic].owner)}.log_generation "  # noqa: S608
                    "WHERE topic = $1 ORDER BY generation",
                    topic,
                )
            found = await read_log(self._pool, topic, partitions, positions, each, "seq, body")
        except (
            asyncpg.UndefinedTableError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.InsufficientPrivilegeError,
        ) as error:
            raise Retry(f"topic {topic} is not there yet: {error}") from error
        chunks = []
        for partition, rows in found.items():
            sequences = [row[1] for row in rows]
            check_gapless(partition, positions[partition].next, sequences)
            after = Position(sequences[-1] + 1, self._generation(partition, sequences[-1]))
            chunks.append(
                Chunk(partition, sequences, [row[2] for row in rows], after, appended=rows[0]["appended"])
            )
        return chunks

    def _generation(self, partition: Partition, sequence: int) -> int:
        """Under which generation an event is on the broker: whoever reads on there must say so."""
        begun = self._generations[partition.topic]
        return max(
            (each["generation"] for each in begun if each["starts"][partition.number] <= sequence), default=1
        )

    async def watermark(self, topic: str) -> Watermark | None:
        try:
            row = await self._pool.fetchrow(
                "SELECT complete_to, next "  # noqa: S608
                f"FROM {schema_of(TOPICS[topic].owner)}.log_watermark WHERE topic = $1",
                topic,
            )
        except (
            asyncpg.UndefinedTableError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.InsufficientPrivilegeError,
        ):
            return None
        return Watermark(row["complete_to"], tuple(row["next"])) if row else None

    def show_progress(self, positions: Mapping[Partition, Position]) -> None:
        """The positions stand in the database already."""

    async def close(self) -> None:
        """The connections are the pool's."""


async def read_log(
    pool: asyncpg.Pool,
    topic: str,
    partitions: Sequence[Partition],
    positions: Mapping[Partition, Position],
    each: int,
    columns: str,
) -> dict[Partition, list[asyncpg.Record]]:
    """Up to `each` rows of these partitions of a topic from their positions on, those without any left out.

    A row is the partition's number, the columns asked for, and `appended`: seconds of the epoch in the row
    at the very position, null in the others, where nobody looks.
    """
    rows = await pool.fetch(
        f"SELECT wanted.partition, {columns}, appended "  # noqa: S608  (names from the catalogue)
        "FROM unnest($1::smallint[], $2::bigint[]) AS wanted (partition, next) "
        "CROSS JOIN LATERAL (SELECT *, "
        "CASE WHEN log.seq = wanted.next THEN extract(epoch FROM log.appended_at)::float8 END AS appended "
        f"FROM {schema_of(TOPICS[topic].owner)}.log_{topic} AS log "
        "WHERE log.partition = wanted.partition AND log.seq >= wanted.next "
        "ORDER BY log.seq LIMIT $3) AS part",
        [partition.number for partition in partitions],
        [positions[partition].next for partition in partitions],
        each,
    )
    found: dict[Partition, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(Partition(topic, row[0]), []).append(row)
    return found


def check_gapless(partition: Partition, expected: int, sequences: Sequence[int]) -> None:
    """Raise Gap unless these are the sequences of a fact topic from `expected` on, in order."""
    if TOPICS[partition.topic].kind == "fact" and (
        sequences[0] != expected or sequences[-1] != expected + len(sequences) - 1
    ):
        raise Gap(
            f"{partition.topic}/{partition.number}: expected {expected} to "
            f"{expected + len(sequences) - 1}, found {sequences[0]} to {sequences[-1]}",
            partition,
        )
