"""The two counter tables, and how they are read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import COLLECTING, INDICATORS, BreakdownCell, TotalCell
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.reconciliation import Cell, Part
from tiendo_common.eventlog.port import Connection, Partition
from tiendo_common.events.state import Indicator

# One statement a batch. Sorted, so that replicas which touch the same cells lock them in the same order.
_ADD_TOTALS = """
INSERT INTO total AS old (unit, attribution, day, known_day, indicator, level, n)
SELECT * FROM unnest(
    $1::text[], $2::smallint[], $3::date[], $4::date[], $5::smallint[], $6::smallint[], $7::int[]
) AS new (unit, attribution, day, known_day, indicator, level, n)
ORDER BY attribution, unit, day, known_day, indicator, level
ON CONFLICT (attribution, unit, day, known_day, indicator, level) DO UPDATE SET n = old.n + excluded.n
"""

_ADD_BREAKDOWNS = """
INSERT INTO breakdown AS old (unit, attribution, day, known_day, indicator, level, dimension, value, n)
SELECT * FROM unnest(
    $1::text[], $2::smallint[], $3::date[], $4::date[], $5::smallint[], $6::smallint[], $7::smallint[],
    $8::text[], $9::int[]
) AS new (unit, attribution, day, known_day, indicator, level, dimension, value, n)
ORDER BY attribution, unit, day, known_day, indicator, level, dimension, value
ON CONFLICT (attribution, unit, day, known_day, indicator, level, dimension, value)
DO UPDATE SET n = old.n + excluded.n
"""


async def add_totals(connection: Connection, cells: Mapping[TotalCell, int]) -> None:
    """Add to the totals."""
    await _add(connection, _ADD_TOTALS, cells)


async def add_breakdowns(connection: Connection, cells: Mapping[BreakdownCell, int]) -> None:
    """Add to the breakdowns."""
    await _add(connection, _ADD_BREAKDOWNS, cells)


async def _add(
    connection: Connection, statement: str, cells: Mapping[TotalCell, int] | Mapping[BreakdownCell, int]
) -> None:
    if cells:
        await connection.execute(statement, *zip(*cells, strict=True), list(cells.values()))


async def count(
    connection: Connection, units: Sequence[str], attribution: int, as_of: date, first_day: date
) -> list[Count]:
    """What stood at these units at the end of `as_of`, and at the end of the day before `first_day`."""
    return [
        Count(unit, INDICATORS[indicator], level, value, baseline)
        for unit, indicator, level, value, baseline in await connection.fetch(
            "SELECT unit, indicator, level, coalesce(sum(n) FILTER (WHERE day <= $3), 0), "
            "coalesce(sum(n) FILTER (WHERE day < $4), 0) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND (day <= $3 OR day < $4) "
            "GROUP BY unit, indicator, level",
            units,
            attribution,
            as_of,
            first_day,
        )
    ]


async def work_done(
    connection: Connection, units: Sequence[str], day: date
) -> list[tuple[str, Indicator, int]]:
    """The net change of `day` that is credited to these units, as those who did the work."""
    return [
        (unit, INDICATORS[indicator], n)
        for unit, indicator, n in await connection.fetch(
            "SELECT unit, indicator, sum(n) FROM total "
            "WHERE attribution = $2 AND unit = ANY($1) AND day = $3 GROUP BY unit, indicator",
            units,
            COLLECTING,
            day,
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
