"""The passages: since when what the counters changed had been waited for. How they are added to, and read.

A row of `waited` is a unit, a day and a passage, with one number for each of `BLOCK` days of waiting: those who pass on
one day have waited for many different times, and a row a time would be a row an event. Readers ask the view `passage`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import (
    APPROVED,
    BLOCK,
    FAILED,
    INDICATORS,
    RESIDENCE,
    RIGHT,
    TAKEN,
    UNKNOWN_BLOCK,
    Block,
    Counts,
    passage_part,
)
from tiendo_aggregator.rules.reconciliation import Part
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.restatements import FailureReason

_REASONS: Mapping[int, FailureReason] = {what: reason for reason, what in FAILED.items()}

#: The columns that identify a row, in the order in which all who write there write, and of a block.
WAITED_KEY = ("unit", "day", "known_day", "what", "block")
_COLUMNS = [*WAITED_KEY, "n"]

#: From this many rows on they come by COPY, as the counters do.
_COPY_FROM = 200
_NAMES, _KEY = ", ".join(_COLUMNS), ", ".join(WAITED_KEY)
# Lists of lists would be flattened: each comes as text.
_FROM_ARRAYS = (
    "(SELECT unit, day, known_day, what, block, n::int[] AS n FROM unnest($1::text[], $2::date[], $3::date[], "  # noqa: S608
    f"$4::smallint[], $5::int[], $6::text[]) AS sent ({_NAMES})) AS new"
)
# By COPY each number has a column: an array takes the driver more than twice as long.
_PLACES = [f"n{place}" for place in range(BLOCK)]
_SENT = [*WAITED_KEY, "places", *_PLACES]
_MAKE = (
    "CREATE TEMP TABLE IF NOT EXISTS new_waited (unit text, day date, known_day date, what smallint, block int, "
    f"places int, {', '.join(f'{place} int' for place in _PLACES)}) ON COMMIT DELETE ROWS"
)
_FROM_COPY = f"(SELECT {_KEY}, (ARRAY[{', '.join(_PLACES)}])[:places] AS n FROM new_waited) AS new"  # noqa: S608


def each_with(one: str, operator: str, other: str) -> str:
    """The numbers of one row and another, place by place; a row that isn't there has none."""
    return (
        f"ARRAY(SELECT coalesce(a, 0) {operator} coalesce(b, 0) "  # noqa: S608
        f"FROM unnest({one}, {other}) WITH ORDINALITY AS pair (a, b, place) ORDER BY place)"
    )


def adding_waits(source: str, table: str = "waited") -> str:
    """One statement that adds rows. Sorted, so that replicas which touch the same rows lock them in the same order."""
    return (
        f"INSERT INTO {table} AS old ({_NAMES}) SELECT {_NAMES} FROM {source} ORDER BY {_KEY} "  # noqa: S608
        f"ON CONFLICT ({_KEY}) DO UPDATE SET n = {each_with('old.n', '+', 'excluded.n')}"
    )


def passages_of_table(table: str) -> str:
    """Each passage of a table like `waited`, as the view `passage` has them."""
    return (
        f"SELECT unit, day, known_day, what, CASE WHEN block = {UNKNOWN_BLOCK} THEN '-infinity'::date "  # noqa: S608
        f"ELSE day - (block * {BLOCK} + place - 1)::int END AS since, each.n FROM {table} "
        f"CROSS JOIN LATERAL unnest({table}.n) WITH ORDINALITY AS each (n, place) WHERE each.n <> 0"
    )


async def add_waits(connection: Connection, waits: Mapping[Block, Counts], table: str = "waited") -> None:
    """Add to the passages, or to another table like theirs, in the caller's transaction. Whoever adds to the counters,
    too, does that first: all write in one order."""
    kept = [(block, _places(counts), counts) for block, counts in waits.items() if any(counts)]
    if len(kept) >= _COPY_FROM:
        rows = [(*block, places, *counts) for block, places, counts in kept]
        await connection.execute(_MAKE)
        await connection.copy_records_to_table("new_waited", records=rows, columns=_SENT)
        await connection.execute(adding_waits(_FROM_COPY, table))
    elif kept:
        keys = zip(*(block for block, _, _ in kept), strict=True)
        texts = [f"{{{','.join(map(str, counts[:places]))}}}" for _, places, counts in kept]
        await connection.execute(adding_waits(_FROM_ARRAYS, table), *keys, texts)


def _places(counts: Counts) -> int:
    """How many there are without the zeros at their end: most waits are short, and rows that are short are read
    faster."""
    end = len(counts)
    while not counts[end - 1]:
        end -= 1
    return end


async def since_when(
    connection: Connection, units: Sequence[str], as_of: date, known_at: date | None
) -> list[tuple[str, tuple[int, date], int]]:
    """What stands at these units at the end of `as_of`, as known at the end of `known_at` (None: all that is known):
    unit, passage and the day since when, how many.

    Of those taken and approved the rows say who is so since another day than the one on which the counters changed:
    they are added where they belong, and taken from that day's change. Attempts, which wait for nothing, stand together
    on `as_of`.
    """
    return [
        (unit, (what, since), n)
        for unit, what, since, n in await connection.fetch(
            "WITH found AS MATERIALIZED ("
            "SELECT unit, what, day, since, n FROM passage WHERE unit = ANY($1) AND day <= $2 AND known_day <= $3"
            ") SELECT unit, what, since, sum(n) FROM ("
            "SELECT unit, what, CASE WHEN what = ANY($5) THEN $2::date ELSE since END AS since, n FROM found "
            "UNION ALL SELECT unit, what, day, -n FROM found WHERE what = ANY($4) "
            "UNION ALL SELECT residence, indicator, day, n FROM counter "
            "WHERE residence = ANY($1) AND day <= $2 AND known_day <= $3 AND indicator = ANY($4)"
            ") AS each GROUP BY unit, what, since HAVING sum(n) <> 0",
            units,
            as_of,
            known_at or date.max,
            [TAKEN, APPROVED],
            [*FAILED.values(), *RIGHT.values()],
        )
    ]


async def attempts(
    connection: Connection, units: Sequence[str], first_day: date, last_day: date
) -> list[tuple[str, FailureReason | None, int]]:
    """The attempts to activate of these days at these units: the reason for which they failed, None of those that did
    not (the work credited to them), and how many."""
    return [
        (unit, None if what is None else _REASONS[what], n)
        for unit, what, n in await connection.fetch(
            "SELECT unit, what, sum(n) FROM passage "
            "WHERE unit = ANY($1) AND day BETWEEN $2 AND $3 AND what = ANY($4) GROUP BY 1, 2 "
            "UNION ALL SELECT collecting, NULL, sum(n) FROM counter "
            "WHERE collecting = ANY($1) AND day BETWEEN $2 AND $3 AND indicator = $5 GROUP BY 1",
            units,
            first_day,
            last_day,
            list(_REASONS),
            INDICATORS.index("activated"),
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
