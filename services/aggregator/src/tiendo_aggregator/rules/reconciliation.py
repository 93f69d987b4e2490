"""Counters against records: whether both say the same of every unit and day."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.counting import (
    ATTRIBUTIONS,
    INDICATORS,
    RESIDENCE,
    Attribution,
    TotalCell,
)
from tiendo_common.events.state import Indicator

#: unit, attribution, day, indicator, level: a total whenever it became known.
Cell = tuple[str, int, date, int, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell of which records and counters say different things."""

    indicator: Indicator
    attribution: Attribution
    unit: str
    level: int
    day: date
    records: int
    counters: int


def add_known(cells: defaultdict[Cell, int], totals: Mapping[TotalCell, int], sign: int) -> None:
    """Add (sign 1) or take away (sign -1) totals, whichever day they became known."""
    for (unit, attribution, day, _known, indicator, level), n in totals.items():
        cells[unit, attribution, day, indicator, level] += sign * n


def differences(
    units: Iterable[str], records: Mapping[Cell, int], counters: Mapping[Cell, int]
) -> tuple[int, list[Difference]]:
    """How many cells of `units` were compared, and those that differ, in order. A missing cell is a zero."""
    wanted = frozenset(units)
    cells = sorted(cell for cell in records.keys() | counters.keys() if cell[0] in wanted)
    return len(cells), [
        Difference(
            INDICATORS[indicator],
            ATTRIBUTIONS[attribution],
            unit,
            level,
            day,
            records.get(cell, 0),
            counters.get(cell, 0),
        )
        for cell in cells
        for unit, attribution, day, indicator, level in (cell,)
        if records.get(cell, 0) != counters.get(cell, 0)
    ]


def citizens(units: Iterable[str], records: Mapping[Cell, int]) -> dict[Indicator, int]:
    """How many of the units' residents stand at each indicator in the end."""
    wanted = frozenset(units)
    sums: dict[Indicator, int] = dict.fromkeys(INDICATORS, 0)
    for (unit, attribution, _day, indicator, _level), n in records.items():
        if attribution == RESIDENCE and unit in wanted:
            sums[INDICATORS[indicator]] += n
    return sums
