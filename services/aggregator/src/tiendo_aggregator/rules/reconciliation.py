"""Counters against records: whether both say the same of every unit and day."""

from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from tiendo_aggregator.rules.counting import (
    ATTRIBUTIONS,
    CHANNEL,
    DIMENSIONS,
    INDICATORS,
    KINDS,
    RESIDENCE,
    TEAM,
    Attribution,
    Block,
    Boundary,
    Counts,
    Folded,
    Kind,
    TeamCell,
    breakdowns,
    team_parts,
    totals,
)
from tiendo_common.events.state import Indicator

#: unit, attribution, day, indicator, level: a total whenever it became known.
Whole = tuple[str, int, date, int, int]
#: the same, then the index of KINDS and a value
Part = tuple[str, int, date, int, int, int, str]

CellT = TypeVar("CellT", Whole, Part)
KeyT = TypeVar("KeyT", Boundary, Block)


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


class Happened:
    """What happened to the counters of some units, or has not yet: folded events added up.

    It is kept as it was folded and taken apart for those units that are asked for: as cells it would be several times
    as large.
    """

    def __init__(self, units: frozenset[str]) -> None:
        self.units = units
        self._counts: dict[Boundary, list[int]] = {}
        self._waits: dict[Block, list[int]] = {}
        self._teams: Counter[TeamCell] = Counter()
        # Each event brings codes and days of its own; most are those of other events, too.
        self._same: dict[Any, Any] = {}

    def __len__(self) -> int:
        """How many sums are kept, each of some 350 bytes."""
        return len(self._counts) + len(self._waits) + len(self._teams)

    def add(self, folded: Folded, sign: int) -> None:
        """What happened (sign 1), or what has not (-1)."""
        only = _only(folded, self.units)
        self._add(self._counts, only.counts, sign)
        self._add(self._waits, only.waits, sign)
        for cell, n in only.teams.items():
            self._teams[cell] += sign * n

    def narrow(self, wanted: frozenset[str]) -> None:
        """Forget the farther half of the units after the wanted ones, and all before them: pieces of a proof come in
        the order of codes. In the end the wanted ones alone are left."""
        last = max(wanted, default="")
        after = sorted(unit for unit in self.units if unit > last)
        units = wanted.union(after[: len(after) // 2])
        only = self._of(units)
        self.units, self._counts, self._waits, self._teams = units, {}, {}, Counter()
        self.add(only, 1)

    def cells(self, units: Container[str]) -> tuple[Mapping[Whole, int], Mapping[Part, int]]:
        """What it comes to at some of these units, whenever it became known: totals; and breakdowns, passages and work
        by team."""
        only = self._of(units)
        wholes: Counter[Whole] = Counter()
        parts: Counter[Part] = Counter()
        for (unit, attribution, day, _known, indicator, level), n in totals(only).items():
            if unit in units:
                wholes[unit, attribution, day, indicator, level] += n
        for of_kind in (breakdowns(only), team_parts(only)):
            for (unit, attribution, day, _known, indicator, level, kind, value), n in of_kind.items():
                if unit in units:
                    parts[unit, attribution, day, indicator, level, kind, value] += n
        return wholes, parts

    def _add(self, sums: dict[KeyT, list[int]], more: Mapping[KeyT, Counts], sign: int) -> None:
        same = self._same.setdefault
        for key, counts in more.items():
            stood = sums.get(key)
            if stood is None:
                sums[tuple(same(each, each) for each in key)] = [sign * n for n in counts]
            else:
                for place, n in enumerate(counts):
                    stood[place] += sign * n

    def _of(self, units: Container[str]) -> Folded:
        return _only(Folded(self._counts, self._waits, self._teams), units)


def _only(folded: Folded, units: Container[str]) -> Folded:
    """What is about some units: as those where citizens live, or where the work was done."""
    return Folded(
        {key: counts for key, counts in folded.counts.items() if key[4] in units or key[5] in units},
        {key: counts for key, counts in folded.waits.items() if key[0] in units},
        {key: n for key, n in folded.teams.items() if key[0] in units},
    )


def take_back(counters: defaultdict[CellT, int], since: Mapping[CellT, int]) -> None:
    """Bring counters back to what they were before what has happened since."""
    for cell, n in since.items():
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
