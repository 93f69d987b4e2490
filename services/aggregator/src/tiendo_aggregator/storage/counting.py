"""The two counter tables, and how they are read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import COLLECTING, INDICATORS, RESIDENCE, BreakdownCell, TotalCell
from tiendo_aggregator.rules.pace import Reading
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.reconciliation import Cell, Part
from tiendo_aggregator.rules.revisions import Change
from tiendo_common.eventlog.port import Connection, Partition
from tiendo_common.events.state import Indicator

# In the order of a cell, with its number after it.
_CELL = {
    "unit": "text",
    "attribution": "smallint",
    "day": "date",
    "known_day": "date",
    "indicator": "smallint",
    "level": "smallint",
}
_N = {"n": "int"}
_PART = {"dimension": "smallint", "value": "text"}
_KEY = ("attribution", "unit", "day", "known_day", "indicator", "level", "dimension", "value")

#: From this many cells on they come by COPY, for which the driver needs a third of the time; below, its two more
#: statements cost more than that.
_COPY_FROM = 200


def _adding(table: str, columns: Mapping[str, str], source: str) -> str:
    """One statement a batch. Sorted, so that replicas which touch the same cells lock them in the same order."""
    names = ", ".join(columns)
    key = ", ".join(name for name in _KEY if name in columns)
    return (
        f"INSERT INTO {table} AS old ({names}) SELECT {names} FROM {source} ORDER BY {key} "  # noqa: S608
        f"ON CONFLICT ({key}) DO UPDATE SET n = old.n + excluded.n"
    )


class _Counters:
    """How a table is added to; its columns with their types."""

    def __init__(self, table: str, columns: Mapping[str, str]) -> None:
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(columns.values(), 1))
        self._columns = list(columns)
        self._new = f"new_{table}"
        self._from_arrays = _adding(table, columns, f"unnest({arrays}) AS new ({', '.join(columns)})")
        self._from_copy = _adding(table, columns, self._new)
        self._make = f"CREATE TEMP TABLE IF NOT EXISTS {self._new} (LIKE {table}) ON COMMIT DELETE ROWS"

    async def add(
        self, connection: Connection, cells: Mapping[TotalCell, int] | Mapping[BreakdownCell, int]
    ) -> None:
        if len(cells) >= _COPY_FROM:
            await connection.execute(self._make)
            await connection.copy_records_to_table(
                self._new, records=[(*cell, n) for cell, n in cells.items()], columns=self._columns
            )
            await connection.execute(self._from_copy)
        elif cells:
            await connection.execute(self._from_arrays, *zip(*cells, strict=True), list(cells.values()))


#: PostgreSQL's `infinity`.
_EVER = date.max

_TOTALS = _Counters("total", _CELL | _N)
_BREAKDOWNS = _Counters("breakdown", _CELL | _PART | _N)


#: What identifies a cell of each table.
TOTAL_KEY = tuple(name for name in _KEY if name in _CELL)
BREAKDOWN_KEY = _KEY


def adding_to(table: str, key: Sequence[str]) -> _Counters:
    """How a table with the columns of one of these keys, and n, is added to."""
    return _Counters(table, (_CELL if tuple(key) == TOTAL_KEY else _CELL | _PART) | _N)


async def add_totals(connection: Connection, cells: Mapping[TotalCell, int]) -> None:
    """Add to the totals, in the caller's transaction."""
    await _TOTALS.add(connection, cells)


async def add_breakdowns(connection: Connection, cells: Mapping[BreakdownCell, int]) -> None:
    """Add to the breakdowns, in the caller's transaction."""
    await _BREAKDOWNS.add(connection, cells)


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


async def all_totals(connection: Connection, units: Sequence[str]) -> defaultdict[Cell, int]:
    """Every cell of these units, whenever it became known."""
    cells: defaultdict[Cell, int] = defaultdict(int)
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
