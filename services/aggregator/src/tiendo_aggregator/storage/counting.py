"""The counters' table, how it is added to, and how it is read.

A row of `counter` is a boundary: where the citizens live and who did the work, together. Who reads asks for one of
both, by the view `total`; for channels and cohorts by the view `breakdown`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import (
    COLLECTING,
    DIMENSIONS,
    INDICATORS,
    PARTS,
    RESIDENCE,
    Boundary,
    Counts,
)
from tiendo_aggregator.rules.pace import Reading
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.reconciliation import Part, Whole
from tiendo_aggregator.rules.revisions import Change
from tiendo_common.eventlog.port import Connection, Partition
from tiendo_common.events.state import Indicator

# In the order of a boundary, with its counts after it.
_BOUNDARY = {
    "day": "date",
    "known_day": "date",
    "indicator": "smallint",
    "level": "smallint",
    "residence": "text",
    "collecting": "text",
}
#: The columns that identify a row of the counters, in the order in which all who write there write.
KEY = ("residence", "day", "known_day", "indicator", "level", "collecting")
#: Those that are added to.
COUNTS = ("n", *(f"{DIMENSIONS[dimension]}_{value}" for dimension, value in PARTS))
_COLUMNS = [*_BOUNDARY, *COUNTS]

#: From this many rows on they come by COPY, for which the driver needs a third of the time; below, its two more
#: statements cost more than that.
_COPY_FROM = 200


def adding(source: str, table: str = "counter") -> str:
    """One statement that adds rows to counters. Sorted, so that replicas which touch the same rows lock them in the
    same order."""
    names, key = ", ".join(_COLUMNS), ", ".join(KEY)
    added = ", ".join(f"{count} = old.{count} + excluded.{count}" for count in COUNTS)
    return (
        f"INSERT INTO {table} AS old ({names}) SELECT {names} FROM {source} ORDER BY {key} "  # noqa: S608
        f"ON CONFLICT ({key}) DO UPDATE SET {added}"
    )


_ARRAYS = ", ".join(
    f"${place}::{kind}[]" for place, kind in enumerate([*_BOUNDARY.values(), *["int"] * len(COUNTS)], 1)
)
_FROM_ARRAYS = f"unnest({_ARRAYS}) AS new ({', '.join(_COLUMNS)})"
_MAKE = "CREATE TEMP TABLE IF NOT EXISTS new_counter (LIKE counter) ON COMMIT DELETE ROWS"


async def add_counts(connection: Connection, sums: Mapping[Boundary, Counts], table: str = "counter") -> None:
    """Add to the counters, or to another table like theirs, in the caller's transaction."""
    rows = [(*boundary, *counts) for boundary, counts in sums.items() if any(counts)]
    if len(rows) >= _COPY_FROM:
        await connection.execute(_MAKE)
        await connection.copy_records_to_table("new_counter", records=rows, columns=_COLUMNS)
        await connection.execute(adding("new_counter", table))
    elif rows:
        await connection.execute(adding(_FROM_ARRAYS, table), *zip(*rows, strict=True))


#: PostgreSQL's `infinity`.
_EVER = date.max


async def count(
    connection: Connection,
    units: Sequence[str],
    attribution: int,
    as_of: date,
    first_day: date,
    known_at: date | None = None,
) -> list[Count]:
    """What stood at these units at the end of `as_of`, and at the end of the day before `first_day`, as far as it
    was known at the end of `known_at` (None: all that is known)."""
    return [
        Count(unit, INDICATORS[indicator], level, value, baseline)
        for unit, indicator, level, value, baseline in await connection.fetch(
            "SELECT unit, indicator, level, coalesce(sum(n) FILTER (WHERE day <= $3), 0), "
            "coalesce(sum(n) FILTER (WHERE day < $4), 0) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND (day <= $3 OR day < $4) AND known_day <= $5 "
            "GROUP BY unit, indicator, level",
            units,
            attribution,
            as_of,
            first_day,
            known_at or _EVER,
        )
    ]


async def changes(
    connection: Connection,
    units: Sequence[str],
    attribution: int,
    eve: date,
    as_of: date,
    known_at: date | None,
) -> list[Change]:
    """The net changes of these units together by day and known day, up to `as_of` and as known at `known_at`; what
    came before `eve` is put on it."""
    return [
        Change(day, known_day, INDICATORS[indicator], level, n)
        for day, known_day, indicator, level, n in await connection.fetch(
            "SELECT greatest(day, $3), known_day, indicator, level, sum(n) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND day <= $4 AND known_day <= $5 "
            "GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0",
            units,
            attribution,
            eve,
            as_of,
            known_at or _EVER,
        )
    ]


async def readings(
    connection: Connection,
    units: Sequence[str],
    as_of: date,
    first_day: date,
    known_at: date | None,
    indicators: Sequence[Indicator],
) -> list[Reading]:
    """How many of their residents stood at these units at the ends of the days that a pace is taken from."""
    return [
        Reading(unit, INDICATORS[indicator], value, yesterday, week_ago, baseline)
        for unit, indicator, value, yesterday, week_ago, baseline in await connection.fetch(
            "SELECT unit, indicator, coalesce(sum(n) FILTER (WHERE day <= $3), 0), "
            "coalesce(sum(n) FILTER (WHERE day < $3), 0), "
            "coalesce(sum(n) FILTER (WHERE day <= $3 - 7), 0), "
            "coalesce(sum(n) FILTER (WHERE day < $4), 0) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND (day <= $3 OR day < $4) AND known_day <= $5 "
            "AND indicator = ANY($6) GROUP BY unit, indicator",
            units,
            RESIDENCE,
            as_of,
            first_day,
            known_at or _EVER,
            [INDICATORS.index(indicator) for indicator in indicators],
        )
    ]


async def daily_changes(
    connection: Connection,
    units: Sequence[str],
    indicators: Sequence[Indicator],
    eve: date,
    as_of: date,
    known_at: date | None,
) -> list[tuple[str, tuple[Indicator, date], int]]:
    """The net change of these units' residents on each day up to `as_of`; what came before `eve` is put on it."""
    return [
        (unit, (INDICATORS[indicator], day), n)
        for unit, indicator, day, n in await connection.fetch(
            "SELECT unit, indicator, greatest(day, $3), sum(n) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND day <= $4 AND known_day <= $5 "
            "AND indicator = ANY($6) GROUP BY 1, 2, 3",
            units,
            RESIDENCE,
            eve,
            as_of,
            known_at or _EVER,
            [INDICATORS.index(indicator) for indicator in indicators],
        )
    ]


async def work_by_day(
    connection: Connection,
    units: Sequence[str],
    first_day: date,
    last_day: date,
    known_at: date | None,
) -> dict[tuple[date, Indicator], int]:
    """The net change of each day that is credited to these units together, as those who did the work."""
    return {
        (day, INDICATORS[indicator]): n
        for day, indicator, n in await connection.fetch(
            "SELECT day, indicator, sum(n) FROM total WHERE attribution = $2 AND unit = ANY($1) "
            "AND day BETWEEN $3 AND $4 AND known_day <= $5 GROUP BY day, indicator",
            units,
            COLLECTING,
            first_day,
            last_day,
            known_at or _EVER,
        )
    }


async def work_done(
    connection: Connection, units: Sequence[str], day: date, known_at: date | None = None
) -> list[tuple[str, Indicator, int]]:
    """The net change of `day` that is credited to these units, as those who did the work."""
    return [
        (unit, INDICATORS[indicator], n)
        for unit, indicator, n in await connection.fetch(
            "SELECT unit, indicator, sum(n) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND day = $3 AND known_day <= $4 "
            "GROUP BY unit, indicator",
            units,
            COLLECTING,
            day,
            known_at or _EVER,
        )
    ]


async def all_totals(connection: Connection, units: Sequence[str]) -> defaultdict[Whole, int]:
    """Every cell of these units, whenever it became known."""
    cells: defaultdict[Whole, int] = defaultdict(int)
    for *cell, n in await connection.fetch(
        "SELECT unit, attribution, day, indicator, level, sum(n) FROM total "
        "WHERE attribution IN (0, 1) AND unit = ANY($1) GROUP BY unit, attribution, day, indicator, level",
        units,
    ):
        cells[tuple(cell)] = n
    return cells


async def all_breakdowns(connection: Connection, units: Sequence[str]) -> defaultdict[Part, int]:
    """Likewise of the breakdowns."""
    parts: defaultdict[Part, int] = defaultdict(int)
    for *part, n in await connection.fetch(
        "SELECT unit, attribution, day, indicator, level, dimension, value, sum(n) FROM breakdown "
        "WHERE attribution IN (0, 1) AND unit = ANY($1) "
        "GROUP BY unit, attribution, day, indicator, level, dimension, value",
        units,
    ):
        parts[tuple(part)] = n
    return parts


async def positions(connection: Connection, consumer: str) -> dict[Partition, int]:
    """The next sequence that a consumer will fold, of every partition: what its table holds is all before."""
    return {
        Partition(topic, partition): next_
        for topic, partition, next_ in await connection.fetch(
            "SELECT topic, partition, next FROM consumer_position WHERE consumer = $1", consumer
        )
    }
