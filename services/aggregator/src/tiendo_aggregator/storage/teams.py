"""Work by team: added to with the counters, read for assignments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.assignments import Actual, Assignment
from tiendo_aggregator.rules.counting import COLLECTING, INDICATORS, TEAM, TeamCell
from tiendo_aggregator.rules.reconciliation import Part
from tiendo_aggregator.storage.sums import adding_sums
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.goals import goal_of
from tiendo_common.events.state import Indicator


@dataclass(frozen=True, slots=True)
class TeamWork:
    """What a team did at a collecting unit that no assignment counts."""

    unit: str
    team: str
    done: Mapping[Indicator, int]


#: The columns that identify a row, in the order in which all who write there write.
TEAM_KEY = ("collecting", "team", "day", "known_day", "indicator", "level")
_FROM_ARRAYS = (
    "unnest($1::text[], $2::text[], $3::date[], $4::date[], $5::smallint[], $6::smallint[], $7::int[]) "
    f"AS new ({', '.join(TEAM_KEY)}, n)"
)


async def add_team_work(
    connection: Connection, sums: Mapping[TeamCell, int], table: str = "team_counter"
) -> None:
    """Add to the team counters, or to another table like theirs, in the caller's transaction. Whoever adds to the
    passages, too, does that first: all write in one order."""
    rows = [(*cell, n) for cell, n in sums.items() if n]
    if rows:
        await connection.execute(adding_sums(TEAM_KEY, _FROM_ARRAYS, table), *zip(*rows, strict=True))


async def all_team_work(connection: Connection, units: Sequence[str]) -> dict[Part, int]:
    """All work by team at these units, whenever it became known."""
    return {
        (unit, COLLECTING, day, indicator, level, TEAM, team): n
        for unit, team, day, indicator, level, n in await connection.fetch(
            "SELECT collecting, team, day, indicator, level, sum(n) FROM team_counter "
            "WHERE collecting = ANY($1) GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0",
            units,
        )
    }


_LINES = (
    "unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::smallint[], $6::date[], $7::date[]) "
    "AS line (assignment, team, unit, indicator, level, from_day, to_day)"
)
_OF_LINE = (
    "counted.team = line.team AND (line.unit IS NULL OR line.unit = counted.collecting) "
    "AND counted.indicator = line.indicator AND (line.level IS NULL OR line.level = counted.level) "
    "AND counted.day BETWEEN line.from_day AND line.to_day"
)


def _lines(assignments: Sequence[Assignment]) -> list[list[object]]:
    rows: list[tuple[object, ...]] = []
    for each in assignments:
        goal = goal_of(each.goal)
        what = INDICATORS.index(goal.indicator), goal.level, each.from_day, each.to_day
        rows += [(each.id, team.team, team.unit, *what) for team in each.teams]
    return [[row[place] for row in rows] for place in range(7)]


async def actuals(
    connection: Connection,
    assignments: Sequence[Assignment],
    units: Sequence[str],
    as_of: date,
    known_at: date | None,
) -> dict[str, Actual]:
    """What the teams of each assignment did on its days at these units up to the end of `as_of`, and on that day."""
    return {
        assignment: Actual(value, done)
        for assignment, value, done in await connection.fetch(
            "SELECT line.assignment, sum(n), coalesce(sum(n) FILTER (WHERE day = $9), 0) "  # noqa: S608
            f"FROM {_LINES} JOIN team_counter AS counted ON {_OF_LINE} "
            "WHERE counted.collecting = ANY($8) AND counted.day <= $9 AND counted.known_day <= $10 GROUP BY 1",
            *_lines(assignments),
            units,
            as_of,
            known_at or date.max,
        )
    }


async def work_on_days(
    connection: Connection,
    assignments: Sequence[Assignment],
    units: Sequence[str],
    eve: date,
    as_of: date,
    known_at: date | None,
) -> dict[tuple[str, date], int]:
    """What the teams of each assignment did at these units on each of its days up to the end of `as_of`; what they did
    before `eve` is put on it."""
    return {
        (assignment, day): n
        for assignment, day, n in await connection.fetch(
            "SELECT line.assignment, greatest(day, $11), sum(n) "  # noqa: S608
            f"FROM {_LINES} JOIN team_counter AS counted ON {_OF_LINE} "
            "WHERE counted.collecting = ANY($8) AND counted.day <= $9 AND counted.known_day <= $10 GROUP BY 1, 2",
            *_lines(assignments),
            units,
            as_of,
            known_at or date.max,
            eve,
        )
    }


async def unassigned_work(
    connection: Connection,
    assignments: Sequence[Assignment],
    units: Sequence[str],
    first_day: date,
    as_of: date,
    known_at: date | None,
) -> list[TeamWork]:
    """What teams did at these units from `first_day` to the end of `as_of` that none of these assignments counts."""
    found: dict[tuple[str, str], dict[Indicator, int]] = {}
    for unit, team, indicator, n in await connection.fetch(
        "SELECT collecting, team, indicator, sum(n) FROM team_counter AS counted "  # noqa: S608
        "WHERE collecting = ANY($8) AND day BETWEEN $11 AND $9 AND known_day <= $10 "
        f"AND NOT EXISTS (SELECT FROM {_LINES} WHERE {_OF_LINE}) "
        "GROUP BY 1, 2, 3 HAVING sum(n) <> 0 ORDER BY 1, 2, 3",
        *_lines(assignments),
        units,
        as_of,
        known_at or date.max,
        first_day,
    ):
        found.setdefault((unit, team), {})[INDICATORS[indicator]] = n
    return [TeamWork(unit, team, done) for (unit, team), done in found.items()]


async def work_by_teams(
    connection: Connection, units: Sequence[str], first_day: date, as_of: date, known_at: date | None
) -> dict[Indicator, int]:
    """What all teams together did at these units from `first_day` to the end of `as_of`."""
    return {
        INDICATORS[indicator]: n
        for indicator, n in await connection.fetch(
            "SELECT indicator, sum(n) FROM team_counter WHERE collecting = ANY($1) "
            "AND day BETWEEN $2 AND $3 AND known_day <= $4 GROUP BY 1",
            units,
            first_day,
            as_of,
            known_at or date.max,
        )
    }
