"""Leases on partitions, with epochs that fence whoever lost one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from tiendo_common.clock import new_event_id
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Fenced
from tiendo_common.eventlog.port import Connection, Partition, Position
from tiendo_common.events.catalogue import TOPICS
from tiendo_common.observability import metrics

log = structlog.get_logger(__name__)


def _locking(which: str, statement: str) -> str:
    """A statement on some positions of consumer `$1` that has their rows locked first, in the order in which `renew`
    locks them. In whatever order its plan came to them, two replicas could wait for each other."""
    return (
        "WITH locked AS MATERIALIZED (SELECT topic, partition FROM consumer_position "  # noqa: S608
        f"WHERE consumer = $1 AND {which} ORDER BY topic, partition FOR UPDATE) {statement}"
    )


_ADVANCE = _locking(
    "(topic, partition) IN (SELECT * FROM unnest($2::text[], $3::smallint[]))",
    "UPDATE consumer_position AS old SET next = new.next, generation = new.generation, "
    "kafka_offset = new.kafka_offset "
    "FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[], "
    "$8::bigint[]) AS new (topic, partition, epoch, expected, next, generation, kafka_offset) "
    "JOIN locked USING (topic, partition) "
    "WHERE old.consumer = $1 AND old.topic = new.topic AND old.partition = new.partition "
    "AND old.epoch = new.epoch AND old.next = new.expected",
)
_RELEASE = _locking(
    "owner = $2",
    "UPDATE consumer_position AS old SET owner = NULL, lease_until = NULL FROM locked "
    "WHERE old.consumer = $1 AND old.topic = locked.topic AND old.partition = locked.partition "
    "AND old.owner = $2",
)


@dataclass(frozen=True, slots=True)
class Held:
    """A partition that this process holds: its next position and the epoch of the claim."""

    position: Position
    epoch: int


class Claims:
    """What one process holds of the partitions that replicas share under one name.

    A partition has one holder at a time, by the database's clock. `advance` moves positions in the caller's
    transaction only under the epoch of the claim: a process that lost its lease, however late it wakes,
    commits nothing. Lives in the tables of the service's own schema (`schema.CONSUMER_TABLES`).
    """

    def __init__(
        self, pool: asyncpg.Pool, name: str, topics: Sequence[str], *, lease: float, heartbeat: float
    ) -> None:
        """`lease`: seconds a claim lasts without renewal; `heartbeat`: seconds between renewals."""
        self.name = name
        self.topics = tuple(topics)
        self.held: dict[Partition, Held] = {}
        self._pool = pool
        self._owner = new_event_id()
        self._lease = lease
        self._heartbeat = heartbeat
        self._due = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to renew."""
        return time.monotonic() >= self._due

    def positions(self) -> dict[Partition, Position]:
        """Where each held partition stands."""
        return {partition: held.position for partition, held in self.held.items()}

    async def stored(self) -> dict[str, list[int]]:
        """The next sequence of every partition, from the table: true for all replicas together."""
        rows = await self._pool.fetch(
            "SELECT topic, next FROM consumer_position WHERE consumer = $1 AND topic = ANY($2) "
            "ORDER BY topic, partition",
            self.name,
            self.topics,
        )
        answer: dict[str, list[int]] = {topic: [] for topic in self.topics}
        for row in rows:
            answer[row["topic"]].append(row["next"])
        return answer

    async def renew(self) -> bool:
        """Renew what is held, give up what is over our share, claim what is free; whether it changed.

        All times are the database's, so replicas need not agree on theirs.
        """
        self._due = time.monotonic() + self._heartbeat
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO consumer_position (consumer, topic, partition) "
                "SELECT $1, * FROM unnest($2::text[], $3::smallint[]) ON CONFLICT DO NOTHING",
                self.name,
                [topic for topic in self.topics for _ in range(TOPICS[topic].partitions)],
                [number for topic in self.topics for number in range(TOPICS[topic].partitions)],
            )
            await connection.execute(
                "INSERT INTO consumer_member VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) "
                "ON CONFLICT (consumer, owner) DO UPDATE SET seen_until = excluded.seen_until",
                self.name,
                self._owner,
                self._lease,
            )
            # Not ourselves, whoever stood still since the statement before. Not those that another is about to
            # remove: two that remove each other's rows in opposite order would wait for ever.
            await connection.execute(
                "DELETE FROM consumer_member WHERE consumer = $1 AND owner IN (SELECT owner FROM consumer_member "
                "WHERE consumer = $1 AND owner <> $2 AND seen_until < clock_timestamp() "
                "FOR UPDATE SKIP LOCKED)",
                self.name,
                self._owner,
            )
            members = await connection.fetchval(
                "SELECT count(*) FROM consumer_member WHERE consumer = $1", self.name
            )
            rows = await connection.fetch(
                "SELECT *, coalesce(lease_until < clock_timestamp(), true) AS free FROM consumer_position "
                "WHERE consumer = $1 AND topic = ANY($2) ORDER BY topic, partition FOR UPDATE",
                self.name,
                self.topics,
            )
            share = -(-len(rows) // members)
            mine = [row for row in rows if row["owner"] == self._owner]
            free = [row for row in rows if row["free"] and row["owner"] != self._owner]
            kept, given_up = mine[:share], mine[share:]
            taken = free[: share - len(kept)]
            await self._write_lease(connection, given_up, None, 0)
            await self._write_lease(connection, kept, self._owner, 0)
            await self._write_lease(connection, taken, self._owner, 1)
        before = self.held.keys()
        held = {
            Partition(row["topic"], row["partition"]): Held(
                Position(row["next"], row["generation"], row["kafka_offset"]), row["epoch"] + rise
            )
            for part, rise in ((kept, 0), (taken, 1))
            for row in part
        }
        changed = held.keys() != before or bool(taken)
        self.held = held
        if changed:
            metrics.HELD_PARTITIONS.labels(self.name).set(len(held))
            log.info("partitions claimed", consumer=self.name, held=len(held), members=members)
        return changed

    async def advance(
        self, connection: Connection, since: Mapping[Partition, Position], to: Mapping[Partition, Position]
    ) -> None:
        """Move positions in the caller's transaction from where its effects begin, or raise Fenced: also if what comes
        before has not been committed, or these have been.

        The first statement of a batch, so that a zombie writes nothing. Call `moved` after the commit.
        """
        status = await connection.execute(
            _ADVANCE,
            self.name,
            [partition.topic for partition in to],
            [partition.number for partition in to],
            [self.held[partition].epoch for partition in to],
            [since[partition].next for partition in to],
            [position.next for position in to.values()],
            [position.generation for position in to.values()],
            [position.offset for position in to.values()],
        )
        if status != f"UPDATE {len(to)}":
            raise Fenced(f"{self.name}: {status} of {len(to)} positions")

    def moved(self, to: Mapping[Partition, Position]) -> None:
        """Take note that `advance` was committed."""
        for partition, position in to.items():
            self.held[partition] = Held(position, self.held[partition].epoch)

    async def keep_out(self, connection: Connection, partition: Partition) -> int:
        """Let no batch of this partition in until the caller's transaction ends, whoever holds the partition;
        the next sequence that a batch will read.

        `advance` needs the same row first: whoever writes effects is alone with the partition.
        """
        next_: int | None = await connection.fetchval(
            "SELECT next FROM consumer_position WHERE consumer = $1 AND topic = $2 AND partition = $3 FOR UPDATE",
            self.name,
            *partition,
        )
        return next_ or 1

    async def release(self) -> None:
        """Let replicas take over at once; if the database is away, the leases run out by themselves."""
        self.held = {}
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    _RELEASE,
                    self.name,
                    self._owner,
                )
                await connection.execute(
                    "DELETE FROM consumer_member WHERE consumer = $1 AND owner = $2", self.name, self._owner
                )
        except PASSING_FAULTS as error:
            log.info("leases left to run out", consumer=self.name, reason=str(error))

    async def _write_lease(
        self, connection: Connection, rows: list[asyncpg.Record], owner: str | None, rise: int
    ) -> None:
        if rows:
            await connection.execute(
                "UPDATE consumer_position SET owner = $4, epoch = epoch + $5, lease_until = CASE "
                "WHEN $4::text IS NULL THEN NULL ELSE clock_timestamp() + make_interval(secs => $6) END "
                "FROM unnest($2::text[], $3::smallint[]) AS chosen (topic, partition) "
                "WHERE consumer = $1 AND consumer_position.topic = chosen.topic "
                "AND consumer_position.partition = chosen.partition",
                self.name,
                [row["topic"] for row in rows],
                [row["partition"] for row in rows],
                owner,
                rise,
                self._lease,
            )
