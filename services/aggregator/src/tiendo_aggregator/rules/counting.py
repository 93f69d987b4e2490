"""The fold: restated segments into counter cells. The one definition of what counts where.

A segment is +1 on its first day and −1 on the day after its last; a restatement adds the deltas of its
segments after and takes away those before (tiendo_common.events.restatements.deltas). The sums telescope to
the last state of every record, in whatever order topics are read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, get_args

from tiendo_common.events.envelope import Event
from tiendo_common.events.restatements import AccountRestated, ApprovalRestated, AttemptFailed, IntakeRestated
from tiendo_common.events.state import Indicator

#: What a stored indicator's number means: rows hold the index. Only ever append.
INDICATORS: tuple[Indicator, ...] = ("intake", "approved", "activated")
#: Where a citizen lives, or who did the work.
Attribution = Literal["residence", "collecting"]
#: Likewise.
ATTRIBUTIONS: tuple[Attribution, ...] = get_args(Attribution)
RESIDENCE, COLLECTING = range(2)
#: How a citizen came; a group of citizens that plans name.
Dimension = Literal["channel", "cohort"]
#: Likewise.
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
CHANNEL, COHORT = range(2)

Counted = IntakeRestated | ApprovalRestated | AccountRestated | AttemptFailed
COUNTED: tuple[type[Counted], ...] = (IntakeRestated, ApprovalRestated, AccountRestated, AttemptFailed)

# Each indicator is folded from exactly one topic, hence one type. A failed attempt is known and counted nowhere
# here: it is no citizen's state, one citizen may fail many times, and sums of citizens must stay sums of citizens.
_INDICATOR_OF: dict[type[Event], int] = {IntakeRestated: 0, ApprovalRestated: 1, AccountRestated: 2}

#: All that a segment's boundary says: day, known day, indicator, level, residence, collecting, channel, cohorts.
Boundary = tuple[date, date, int, int, str, str, str, tuple[str, ...]]
#: unit, attribution, day, known day, indicator, level
TotalCell = tuple[str, int, date, date, int, int]
#: the same, then dimension and value
BreakdownCell = tuple[str, int, date, date, int, int, int, str]


def fold(events: Iterable[Counted]) -> Mapping[Boundary, int]:
    """The net change at each distinct boundary.

    The hot path: one look-up per boundary; who wants units or cohorts expands the few distinct ones after.
    """
    sums: defaultdict[Boundary, int] = defaultdict(int)
    for event in events:
        if isinstance(event, AttemptFailed):
            continue
        indicator = _INDICATOR_OF[type(event)]
        data = event.data
        known = data.known_day
        for sign, segments in ((1, data.after), (-1, data.before)):
            for s in segments:
                level, residence, collecting = s.level, s.residence, s.collecting
                channel, cohorts = s.channel, s.cohorts
                sums[s.from_day, known, indicator, level, residence, collecting, channel, cohorts] += sign
                if s.until_day is not None:
                    sums[s.until_day, known, indicator, level, residence, collecting, channel, cohorts] -= (
                        sign
                    )
    return sums


def totals(sums: Mapping[Boundary, int]) -> dict[TotalCell, int]:
    """One cell for the unit of residence, one for the unit that did the work; without those that stay."""
    cells: defaultdict[TotalCell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting, _, _), n in sums.items():
        if n:
            cells[residence, RESIDENCE, day, known, indicator, level] += n
            cells[collecting, COLLECTING, day, known, indicator, level] += n
    return {cell: n for cell, n in cells.items() if n}


def breakdowns(sums: Mapping[Boundary, int]) -> dict[BreakdownCell, int]:
    """A citizen counts once under his channel and once under each of his cohorts: cohorts sum to no total."""
    cells: defaultdict[BreakdownCell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting, channel, cohorts), n in sums.items():
        if n:
            for unit, attribution in ((residence, RESIDENCE), (collecting, COLLECTING)):
                cells[unit, attribution, day, known, indicator, level, CHANNEL, channel] += n
                for cohort in cohorts:
                    cells[unit, attribution, day, known, indicator, level, COHORT, cohort] += n
    return {cell: n for cell, n in cells.items() if n}
