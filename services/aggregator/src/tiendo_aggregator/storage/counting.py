"""The counters' table, how it is added to, and how it is read.

A row of `counter` is a boundary: where the citizens live and who did the work, together. Who reads asks for one of
both, by the view `total`; for channels and cohorts by the view `breakdown`.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any

from tiendo_aggregator.rules.counting import (
    DIMENSIONS,
    INDICATORS,
    PARTS,
    Boundary,
    Counts,
)
from tiendo_aggregator.rules.pace import Reading
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.reconciliation import Part, Whole
from tiendo_aggregator.rules.revisions import Change
from tiendo_common.eventlog.port import Connection, Partition
from tiendo_common.events.goals import goal_of

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

#: From this many rows on they come by COPY, for which the driver needs a third of the time; below, its two more
#: statements cost more than that.
_COPY_FROM = 200


def adding(source: str, table: str = "counter", counts: Sequence[str] = COUNTS) -> str:
    """One statement that adds rows to counters, or to some of their counts. Sorted, so that replicas which touch the
    same rows lock them in the same order."""
    names, key = ", ".join([*_BOUNDARY, *counts]), ", ".join(KEY)
    added = ", ".join(f"{count} = old.{count} + excluded.{count}" for count in counts)
    return (
        f"INSERT INTO {table} AS old ({names}) SELECT {names} FROM {source} ORDER BY {key} "  # noqa: S608
        f"ON CONFLICT ({key}) DO UPDATE SET {added}"
    )


async def add_counts(connection: Connection, sums: Mapping[Boundary, Counts], table: str = "counter") -> None:
    """Add to the counters, or to another table like theirs, in the caller's transaction; totals alone where there is
    nothing else."""
    rows = [(*boundary, *counts) for boundary, counts in sums.items() if any(counts)]
    if not rows:
        return
    counts = COUNTS[: len(rows[0]) - len(_BOUNDARY)]
    columns = _BOUNDARY | dict.fromkeys(counts, "int")
    if len(rows) >= _COPY_FROM:
        await connection.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS new_counter ({', '.join(map(' '.join, columns.items()))}) "
            "ON COMMIT DELETE ROWS"
        )
        await connection.copy_records_to_table("new_counter", records=rows, columns=list(columns))
        await connection.execute(adding("new_counter", table, counts))
    else:
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(columns.values(), 1))
        source = f"unnest({arrays}) AS new ({', '.join(columns)})"
        await connection.execute(adding(source, table, counts), *zip(*rows, strict=True))


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


async def _of_goals(
    connection: Connection, goals: Sequence[str], question: str, *arguments: object
) -> AsyncIterator[tuple[str, Sequence[Any]]]:
    """What `question` answers of each goal, as (goal, the further columns); once for each level where another goal is
    of one level. It selects an indicator, `{level}`, then the columns; sums `{n}`; and groups by `{level}`, too. Its
    last argument is an array of indicators."""
    for cohort in dict.fromkeys(goal_of(goal).cohort for goal in goals):
        alike = [goal for goal in goals if goal_of(goal).cohort == cohort]
        wanted = [(goal, INDICATORS.index(goal_of(goal).indicator), goal_of(goal).level) for goal in alike]
        # The names of columns are ours: nothing of them was sent.
        query = question.format(
            n="n" if cohort is None else f"cohort_{cohort}",
            level="level" if any(level for _, _, level in wanted) else "0",
        )
        indicators = sorted({indicator for _, indicator, _ in wanted})
        for counted, level, *columns in await connection.fetch(query, *arguments, indicators):
            for goal, indicator, only in wanted:
                if counted == indicator and only in (None, level):
                    yield goal, columns


async def readings(
    connection: Connection,
    units: Sequence[str],
    as_of: date,
    first_day: date,
    known_at: date | None,
    goals: Sequence[str],
) -> list[Reading]:
    """How many of their residents stood at these units at the ends of the days that a pace is taken from. Those of one
    goal and unit are to be summed."""
    return [
        Reading(unit, goal, value, week_ago, baseline)
        async for goal, (unit, value, week_ago, baseline) in _of_goals(
            connection,
            goals,
            "SELECT indicator, {level}, residence, coalesce(sum({n}) FILTER (WHERE day <= $2), 0), "
            "coalesce(sum({n}) FILTER (WHERE day <= $2 - 7), 0), "
            "coalesce(sum({n}) FILTER (WHERE day < $3), 0) FROM counter "
            "WHERE residence = ANY($1) AND (day <= $2 OR day < $3) AND known_day <= $4 "
            "AND indicator = ANY($5) GROUP BY 1, 2, 3",
            units,
            as_of,
            first_day,
            known_at or _EVER,
        )
    ]


async def daily_changes(
    connection: Connection,
    units: Sequence[str],
    goals: Sequence[str],
    eve: date,
    as_of: date,
    known_at: date | None,
) -> list[tuple[str, tuple[str, date], int]]:
    """The net change of these units' residents on each day up to `as_of`; what came before `eve` is put on it. Those of
    one goal, unit and day are to be summed."""
    return [
        (unit, (goal, day), n)
        async for goal, (unit, day, n) in _of_goals(
            connection,
            goals,
            "SELECT indicator, {level}, residence, greatest(day, $2), sum({n}) FROM counter "
            "WHERE residence = ANY($1) AND day <= $3 AND known_day <= $4 AND indicator = ANY($5) "
            "GROUP BY 1, 2, 3, 4",
            units,
            eve,
            as_of,
            known_at or _EVER,
        )
    ]


async def work_by_day(
    connection: Connection,
    units: Sequence[str],
    first_day: date,
    last_day: date,
    known_at: date | None,
    goals: Sequence[str],
) -> Mapping[tuple[str, date], int]:
    """The net change of each day that is credited to these units together, as those who did the work, by goal."""
    work: Counter[tuple[str, date]] = Counter()
    async for goal, (day, n) in _of_goals(
        connection,
        goals,
        "SELECT indicator, {level}, day, sum({n}) FROM counter WHERE collecting = ANY($1) "
        "AND day BETWEEN $2 AND $3 AND known_day <= $4 AND indicator = ANY($5) GROUP BY 1, 2, 3",
        units,
        first_day,
        last_day,
        known_at or _EVER,
    ):
        work[goal, day] += n
    return work


async def work_done(
    connection: Connection,
    units: Sequence[str],
    day: date,
    goals: Sequence[str],
    known_at: date | None = None,
) -> list[tuple[str, str, int]]:
    """The net change of `day` that is credited to these units, as those who did the work. Those of one goal and unit
    are to be summed."""
    return [
        (unit, goal, n)
        async for goal, (unit, n) in _of_goals(
            connection,
            goals,
            "SELECT indicator, {level}, collecting, sum({n}) FROM counter "
            "WHERE collecting = ANY($1) AND day = $2 AND known_day <= $3 AND indicator = ANY($4) "
            "GROUP BY 1, 2, 3",
            units,
            day,
            known_at or _EVER,
        )
    ]


async def daily_work(
    connection: Connection, units: Sequence[str], goals: Sequence[str], first_day: date, last_day: date
) -> list[tuple[str, tuple[str, date], int]]:
    """The net change of each of these days that is credited to these units, as those who did the work. Those of one
    goal, unit and day are to be summed."""
    return [
        (unit, (goal, day), n)
        async for goal, (unit, day, n) in _of_goals(
            connection,
            goals,
            "SELECT indicator, {level}, collecting, day, sum({n}) FROM counter WHERE collecting = ANY($1) "
            "AND day BETWEEN $2 AND $3 AND indicator = ANY($4) GROUP BY 1, 2, 3, 4",
            units,
            first_day,
            last_day,
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
    """Likewise of the breakdowns, in the caller's transaction: some at a time, since they are many."""
    parts: defaultdict[Part, int] = defaultdict(int)
    async for *part, n in connection.cursor(
        "SELECT unit, attribution, day, indicator, level, dimension, value, sum(n) FROM breakdown "
        "WHERE attribution IN (0, 1) AND unit = ANY($1) "
        "GROUP BY unit, attribution, day, indicator, level, dimension, value",
        units,
        prefetch=2000,
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
