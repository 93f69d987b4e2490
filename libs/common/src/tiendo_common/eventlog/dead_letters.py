"""Dead letters: events that cannot be read, kept aside until a person replays or discards them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from tiendo_common.errors import Conflict, NotFound
from tiendo_common.eventlog.port import Connection, Partition

State = Literal["waiting", "replayed", "discarded"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that cannot be read, and why. A foreign record has a broker's offset instead of a sequence."""

    partition: Partition
    sequence: int | None
    reason: str
    body: bytes
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter on record. `note`: the reason that was given for discarding it. `size`: the body's bytes,
    of which a list holds the first."""

    id: int
    consumer: str
    letter: DeadLetter
    size: int
    at: datetime
    state: State
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


async def bury(connection: Connection, consumer: str, letters: Sequence[DeadLetter]) -> None:
    """Keep letters aside, in the transaction of the batch that they came in. One that is kept stays as it is:
    a broker's foreign record is met again by whoever reads from an earlier offset."""
    await connection.executemany(
        "INSERT INTO dead_letter (consumer, topic, partition, seq, kafka_offset, reason, body) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        [
            (consumer, *letter.partition, letter.sequence, letter.offset, letter.reason, letter.body)
            for letter in letters
        ],
    )


async def count_waiting(connection: Connection | asyncpg.Pool, consumer: str) -> int:
    """How many letters of a consumer wait for a person."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM dead_letter WHERE consumer = $1 AND state = 'waiting'", consumer
    )
    return count


async def waiting_by_consumer(pool: asyncpg.Pool) -> dict[str, int]:
    """How many letters wait, of each consumer that has any, also of one that no build runs any more."""
    rows = await pool.fetch(
        "SELECT consumer, count(*) FROM dead_letter WHERE state = 'waiting' GROUP BY consumer"
    )
    return {row[0]: row[1] for row in rows}


async def has_letters(pool: asyncpg.Pool, consumer: str) -> bool:
    """Whether this consumer ever had a dead letter."""
    found: bool = await pool.fetchval("SELECT EXISTS (SELECT FROM dead_letter WHERE consumer = $1)", consumer)
    return found


#: Of each body, what a list brings along: enough to tell what it was to be.
HEAD = 4096

_ABOUT = (
    "id, consumer, topic, partition, seq, kafka_offset, reason, at, state, settled_at, settled_by, note, "
    "octet_length(body) AS size"
)
_COLUMNS = f"{_ABOUT}, body"


async def list_letters(
    pool: asyncpg.Pool, *, consumer: str | None, state: State | None, after: int, limit: int
) -> list[KeptLetter]:
    """Letters with an id above `after`, oldest first, with no more than HEAD bytes of each body."""
    rows = await pool.fetch(
        f"SELECT {_ABOUT}, substring(body FOR {HEAD}) AS body FROM dead_letter WHERE id > $1 "  # noqa: S608
        "AND ($2::text IS NULL OR consumer = $2) AND ($3::text IS NULL OR state = $3) ORDER BY id LIMIT $4",
        after,
        consumer,
        state,
        limit,
    )
    return [_kept(row) for row in rows]


async def find_letter(pool: asyncpg.Pool, number: int) -> KeptLetter:
    """Raises NotFound."""
    row = await pool.fetchrow(f"SELECT {_COLUMNS} FROM dead_letter WHERE id = $1", number)  # noqa: S608
    if row is None:
        raise NotFound(f"There is no dead letter {number}.", field="id")
    return _kept(row)


async def settle(
    pool: asyncpg.Pool,
    number: int,
    state: Literal["replayed", "discarded"],
    *,
    by: str,
    note: str | None = None,
    effects: Callable[[Connection, KeptLetter], Awaitable[None]] | None = None,
) -> KeptLetter:
    """Settle a letter together with its `effects`: both are committed or neither.

    The letter is locked first, so two people settle it once. Raises NotFound; Conflict if it is settled;
    whatever `effects` raises.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM dead_letter WHERE id = $1 FOR UPDATE",  # noqa: S608
            number,
        )
        if row is None:
            raise NotFound(f"There is no dead letter {number}.", field="id")
        kept = _kept(row)
        if kept.state != "waiting":
            raise Conflict(f"Dead letter {number} was {kept.state} by {kept.settled_by} already.", field="id")
        if effects is not None:
            await effects(connection, kept)
        row = await connection.fetchrow(
            "UPDATE dead_letter SET state = $2, settled_at = now(), settled_by = $3, note = $4 "  # noqa: S608
            f"WHERE id = $1 RETURNING {_COLUMNS}",
            number,
            state,
            by,
            note,
        )
        assert row is not None
        return _kept(row)


def _kept(row: asyncpg.Record) -> KeptLetter:
    return KeptLetter(
        id=row["id"],
        consumer=row["consumer"],
        letter=DeadLetter(
            Partition(row["topic"], row["partition"]),
            row["seq"],
            row["reason"],
            row["body"],
            row["kafka_offset"],
        ),
        size=row["size"],
        at=row["at"],
        state=row["state"],
        settled_at=row["settled_at"],
        settled_by=row["settled_by"],
        note=row["note"],
    )
