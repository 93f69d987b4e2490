"""The passages' table: since when what the counters changed had been waited for. How it is added to, and read."""

from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import APPROVED, RESIDENCE, TAKEN, PassageKey, passage_part
from tiendo_aggregator.rules.reconciliation import Part
from tiendo_common.eventlog.port import Connection

# In the order of a passage, with its number after it.
_COLUMNS = {
    "unit": "text",
    "day": "date",
    "known_day": "date",
    "what": "smallint",
    "since": "date",
    "n": "int",
}
#: The columns that identify a row, in the order in which all who write there write.
PASSAGE_KEY = tuple(column for column in _COLUMNS if column != "n")

#: From this many rows on they come by COPY, as the counters do.
_COPY_FROM = 200
_NAMES, _KEY = ", ".join(_COLUMNS), ", ".join(PASSAGE_KEY)
_ARRAYS = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_COLUMNS.values(), 1))
_FROM_ARRAYS = f"unnest({_ARRAYS}) AS new ({_NAMES})"
_MAKE = "CREATE TEMP TABLE IF NOT EXISTS new_passage (LIKE passage) ON COMMIT DELETE ROWS"


def adding_passages(source: str, table: str = "passage") -> str:
    """One statement that adds rows to passages. Sorted, so that replicas which touch the same rows lock them in the
    same order."""
    return (
        f"INSERT INTO {table} AS old ({_NAMES}) SELECT {_NAMES} FROM {source} ORDER BY {_KEY} "  # noqa: S608
        f"ON CONFLICT ({_KEY}) DO UPDATE SET n = old.n + excluded.n"
    )


async def add_passages(
    connection: Connection, passages: Mapping[PassageKey, int], table: str = "passage"
) -> None:
    """Add to the passages, or to another table like theirs, in the caller's transaction. Whoever adds to the counters,
    too, does that first: all write in one order."""
    rows = ((*key, n) for key, n in passages.items() if n)
    if len(passages) >= _COPY_FROM:
        await connection.execute(_MAKE)
        # As they are sent: a large batch is in memory once already.
        await connection.copy_records_to_table("new_passage", records=rows, columns=list(_COLUMNS))
        await connection.execute(adding_passages("new_passage", table))
    elif few := list(rows):
        await connection.execute(adding_passages(_FROM_ARRAYS, table), *zip(*few, strict=True))


async def since_when(
    connection: Connection, units: Sequence[str], as_of: date, known_at: date | None
) -> list[tuple[str, tuple[int, date], int]]:
    """What stands at these units at the end of `as_of`, as known at the end of `known_at` (None: all that is known):
    unit, passage and the day since when, how many.

    Of those taken and approved the rows say who is so since another day than the one on which the counters changed:
    they are added where they belong, and taken from that day's change.
    """
    return [
        (unit, (what, since), n)
        for unit, what, since, n in await connection.fetch(
            "SELECT unit, what, since, sum(n) FROM ("
            "SELECT unit, what, since, n FROM passage WHERE unit = ANY($1) AND day <= $2 AND known_day <= $3 "
            "UNION ALL SELECT unit, what, day, -n FROM passage "
            "WHERE unit = ANY($1) AND day <= $2 AND known_day <= $3 AND what = ANY($4) "
            "UNION ALL SELECT residence, indicator, day, n FROM counter "
            "WHERE residence = ANY($1) AND day <= $2 AND known_day <= $3 AND indicator = ANY($4)"
            ") AS each GROUP BY unit, what, since HAVING sum(n) <> 0",
            units,
            as_of,
            known_at or date.max,
            [TAKEN, APPROVED],
        )
    ]


async def all_passages(connection: Connection, units: Sequence[str]) -> dict[Part, int]:
    """Every passage at these units, whenever it became known."""
    answer: dict[Part, int] = {}
    for unit, day, what, since, n in await connection.fetch(
        "SELECT unit, day, what, since, sum(n) FROM passage WHERE unit = ANY($1) GROUP BY unit, day, what, since",
        units,
    ):
        indicator, kind, value = passage_part(what, since)
        answer[unit, RESIDENCE, day, indicator, 0, kind, value] = n
    return answer
