"""Numbers put into the counters as the fold does it."""

from collections.abc import Mapping
from datetime import date

from tests.support.aggregator import RunningAggregator
from tiendo_aggregator.rules.counting import INDICATORS, PARTS, Boundary, Counts
from tiendo_aggregator.storage.counting import add_counts
from tiendo_common.events.state import Indicator


async def count_in(
    service: RunningAggregator,
    cells: Mapping[tuple[Indicator, int, str, date], int],
    known: date | None = None,
) -> None:
    """Add to (indicator, level, commune, day); the residents' own commune did the work. Known on the day itself unless
    said otherwise."""
    counted: dict[Boundary, Counts] = {
        (day, known or day, INDICATORS.index(indicator), level, unit, unit): (n, *(0 for _ in PARTS))
        for (indicator, level, unit, day), n in cells.items()
    }
    async with service.kit.pool.acquire() as connection, connection.transaction():
        await add_counts(connection, counted)
