"""Counters against records: whether both say the same of every unit and day."""

from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from tiendo_aggregator.rules.counting import (
    ATTRIBUTIONS,
    CHANNEL,
    DIMENSIONS,
    INDICATORS,
    KINDS,
    RESIDENCE,
    TEAM,
    Attribution,
    Cell,
    Kind,
    PartCell,
)
from tiendo_common.events.state import Indicator

#: unit, attribution, day, indicator, level: a total whenever it became known.
Whole = tuple[str, int, date, int, int]
#: the same, then the index of KINDS and a value
Part = tuple[str, int, date, int, int, int, str]

CellT = TypeVar("CellT", Whole, Part)


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell of which records and counters say different things; `dimension` and `value` of a breakdown, of work by
    team, or of a passage, whose level is 0: whatever level."""

    indicator: Indicator
    attribution: Attribution
    unit: str
    level: int
    day: date
    records: int
    counters: int
    dimension: Kind | None = None
    value: str | None = None


def add_known(
    cells: defaultdict[Whole, int], totals: Mapping[Cell, int], sign: int, units: Container[str]
) -> None:
    """Add (sign 1) or take away (sign -1) the totals of these units, whichever day they became known."""
    for (unit, attribution, day, _known, indicator, level), n in totals.items():
        if unit in units:
            cells[unit, attribution, day, indicator, level] += sign * n


def add_known_parts(
    parts: defaultdict[Part, int], breakdowns: Mapping[PartCell, int], sign: int, units: Container[str]
) -> None:
    """Likewise of breakdowns, passages and work by team."""
    for (unit, attribution, day, _known, indicator, level, dimension, value), n in breakdowns.items():
        if unit in units:
            parts[unit, attribution, day, indicator, level, dimension, value] += sign * n


def take_back(counters: defaultdict[CellT, int], since: Mapping[CellT, int], units: Container[str]) -> None:
    """Bring the counters of these units back to what they were before what has happened since."""
    for cell, n in since.items():
        if cell[0] in units:
            counters[cell] -= n


def totals_of(parts: Mapping[Part, int]) -> defaultdict[Whole, int]:
    """The totals that breakdowns come to: everybody came by exactly one channel."""
    cells: defaultdict[Whole, int] = defaultdict(int)
    for (unit, attribution, day, indicator, level, dimension, _value), n in parts.items():
        if dimension == CHANNEL:
            cells[unit, attribution, day, indicator, level] += n
    return cells


def beside_totals(parts: Mapping[Part, int]) -> dict[Part, int]:
    """The passages and the work by team among them: what is no breakdown of the totals."""
    return {part: n for part, n in parts.items() if part[5] >= len(DIMENSIONS)}


def without_teams(parts: Mapping[Part, int]) -> defaultdict[Part, int]:
    """All but the work by team."""
    return defaultdict(int, {part: n for part, n in parts.items() if part[5] != TEAM})


def differences(records: Mapping[CellT, int], counters: Mapping[CellT, int]) -> tuple[int, list[Difference]]:
    """How many cells were compared, and those that differ, in order. A missing cell is a zero."""
    cells = records.keys() | counters.keys()
    wrong = sorted(cell for cell in cells if records.get(cell, 0) != counters.get(cell, 0))
    return len(cells), [_difference(cell, records.get(cell, 0), counters.get(cell, 0)) for cell in wrong]


def _difference(cell: Whole | Part, records: int, counters: int) -> Difference:
    unit, attribution, day, indicator, level = cell[:5]
    dimension, value = (KINDS[cell[5]], cell[6]) if len(cell) == 7 else (None, None)
    return Difference(
        INDICATORS[indicator],
        ATTRIBUTIONS[attribution],
        unit,
        level,
        day,
        records,
        counters,
        dimension,
        value,
    )


def citizens(records: Mapping[Whole, int]) -> dict[Indicator, int]:
    """How many residents of the units stand at each indicator in the end."""
    sums: dict[Indicator, int] = dict.fromkeys(INDICATORS, 0)
    for (_unit, attribution, _day, indicator, _level), n in records.items():
        if attribution == RESIDENCE:
            sums[INDICATORS[indicator]] += n
    return sums
