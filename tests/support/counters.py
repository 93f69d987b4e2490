"""Numbers put into the counters as the fold does it."""

from collections.abc import Mapping
from datetime import date

from tests.support.aggregator import RunningAggregator
from tiendo_aggregator.rules.counting import COLLECTING, INDICATORS, RESIDENCE, TotalCell
from tiendo_aggregator.storage.counting import add_totals
from tiendo_common.events.state import Indicator


async def count_in(
    service: RunningAggregator,
    cells: Mapping[tuple[Indicator, int, str, date], int],
    known: date | None = None,
) -> None:
    """Add to (indicator, level, commune, day); the residents' own commune did the work. Known on the day itself unless
    said otherwise."""
    totals: dict[TotalCell, int] = {
        (unit, attribution, day, known or day, INDICATORS.index(indicator), level): n
        for (indicator, level, unit, day), n in cells.items()
        for attribution in (RESIDENCE, COLLECTING)
    }
    async with service.kit.pool.acquire() as connection, connection.transaction():
        await add_totals(connection, totals)
