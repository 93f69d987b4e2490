"""Lines on record, by submitter and line id: what makes sending a line again harmless."""

from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import asyncpg
import msgspec

from tiendo_common.database.bulk import insert_rows
from tiendo_common.errors import Problem, TiendoError, Unavailable
from tiendo_common.eventlog.port import Connection
from tiendo_common.service.lines import Answer, rejected
from tiendo_common.service.person_keys import ROTATED, HashedTable

#: Made by the migrations of each service that takes lines in. `content` is a digest of all that the line
#: says but for the citizen, for whom the subject stands, a hash under the person key `key_id`.
LINE_TABLE = """
CREATE TABLE line (
    submitter text NOT NULL,
    line_id text NOT NULL,
    subject bytea NOT NULL,
    content bytea NOT NULL,
    key_id smallint NOT NULL,
    PRIMARY KEY (submitter, line_id)
)
"""

LINE_COLUMNS = {
    "submitter": "text",
    "line_id": "text",
    "subject": "bytea",
    "content": "bytea",
    "key_id": "smallint",
}
HASHED_LINES = HashedTable("line", "subject", {"submitter": "text", "line_id": "text"})

LineKey = tuple[str, str]
ResultT = TypeVar("ResultT")

#: How often a chunk is run before its sender is asked to try again later. Each collision means that another
#: chunk with some of the same new citizens was committed; no more run at once than there are connections.
TRIES = 20


class KeysRotated(Unavailable):
    """The person keys were rotated while this process still has the old ones: it may write no more."""

    def __init__(self) -> None:
        super().__init__(
            "The keys of this service were renewed; it has yet to be restarted.",
            remedy="Send the same request again; nothing counts twice.",
        )


class Collision(TiendoError):
    """Another transaction recorded the same citizen or line first: run the chunk again."""


async def in_transaction(pool: asyncpg.Pool, work: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
    """Run `work` in a transaction, again from the start if it collides with another.

    Raises Unavailable when it keeps colliding, KeysRotated, and the database's errors, with nothing recorded.
    """
    for _ in range(TRIES):
        try:
            async with pool.acquire() as connection, connection.transaction():
                return await work(connection)
        except Collision:
            continue
        except asyncpg.CheckViolationError as error:
            if error.constraint_name == ROTATED:
                raise KeysRotated from None
            raise
    raise Unavailable(
        "The same citizens or lines are being recorded by others at this moment.",
        remedy="Send the same request again; nothing counts twice.",
    )


class LineIdReused(Problem):
    """A line id names one line for ever, within an API key."""

    status = 409
    code = "line-id-reused"
    title = "This line id was used for another line"


class SeenLine(msgspec.Struct, frozen=True, gc=False):
    """A line on record: whose it is, and a digest of what it says."""

    subject: bytes
    content: bytes


async def insert_or_collide(
    connection: Connection, table: str, columns: dict[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows, in the order of their keys. Raises Collision if a key is there already."""
    try:
        await insert_rows(connection, table, columns, rows)
    except asyncpg.UniqueViolationError as error:
        # Not the error's own words: they quote the key, a hash of somebody.
        raise Collision(f"a key of {error.constraint_name} is there already") from None


async def seen_lines(connection: Connection, keys: Sequence[LineKey], key_id: int) -> dict[LineKey, SeenLine]:
    """Those of these (submitter, line id) that are on record. Raises KeysRotated if one of them is under
    another person key than `key_id`, since it cannot be compared."""
    rows = await connection.fetch(
        "SELECT submitter, line_id, subject, content, key_id FROM line "
        "JOIN unnest($1::text[], $2::text[]) AS wanted (submitter, line_id) USING (submitter, line_id)",
        [submitter for submitter, _ in keys],
        [line_id for _, line_id in keys],
    )
    if any(row[4] != key_id for row in rows):
        raise KeysRotated
    return {(row[0], row[1]): SeenLine(row[2], row[3]) for row in rows}


async def write_lines(connection: Connection, lines: dict[LineKey, SeenLine], key_id: int) -> None:
    """Remember lines. Raises Collision if one of the ids was used by a concurrent transaction."""
    rows = [
        (*key, said.subject, said.content, key_id) for key, said in sorted(lines.items(), key=itemgetter(0))
    ]
    await insert_or_collide(connection, "line", LINE_COLUMNS, rows)


def answer_again(line_id: str, now: SeenLine, known: SeenLine, record_id: str | None) -> Answer:
    """The answer to a line id that was used before: harmless for the same line, an error for another."""
    if now == known:
        return Answer(line_id=line_id, status="duplicate", record_id=record_id)
    return rejected(
        line_id,
        LineIdReused(
            "This API key used this line id for a line with other content.",
            field="line_id",
            remedy="Give every line an id of its own; send corrections as amendments.",
        ),
    )
