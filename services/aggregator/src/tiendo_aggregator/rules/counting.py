"""The fold: restated segments into counter cells. The one definition of what counts where.

A segment is +1 on its first day and −1 on the day after its last; a restatement adds the deltas of its
segments after and takes away those before (tiendo_common.events.restatements.deltas). The sums telescope to
the last state of every record, in whatever order topics are read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal, TypeVar, get_args

import msgspec

from tiendo_common.events.catalogue import type_of
from tiendo_common.events.restatements import (
    AccountRestated,
    ApprovalRestated,
    AttemptFailed,
    Channel,
    Cohort,
    IntakeRestated,
)
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


class LeanSegment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a segment is counted. The decoder passes over members that are not here: half the time is saved."""

    from_day: date
    until_day: date | None
    level: Literal[1, 2]
    residence: str
    collecting: str
    channel: Channel
    cohorts: tuple[Cohort, ...] = ()


class LeanData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a restatement is counted."""

    known_day: date
    before: tuple[LeanSegment, ...]
    after: tuple[LeanSegment, ...]


class LeanIntake(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(IntakeRestated)):
    """What of an IntakeRestated is counted."""

    data: LeanData


class LeanApproval(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(ApprovalRestated)):
    """What of an ApprovalRestated is counted."""

    data: LeanData


class LeanAccount(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AccountRestated)):
    """What of an AccountRestated is counted."""

    data: LeanData


class LeanAttempt(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AttemptFailed)):
    """A failed attempt: no citizen's state. One citizen may fail many times, and sums of citizens must stay sums of
    citizens."""


#: The same events with what is counted and no more: for the decoder of the hot path.
Lean = LeanIntake | LeanApproval | LeanAccount | LeanAttempt
LEAN: tuple[type[Lean], ...] = (LeanIntake, LeanApproval, LeanAccount, LeanAttempt)

# Each indicator is folded from exactly one topic, hence one type.
_INDICATOR_OF: dict[type, int] = {
    LeanIntake: 0,
    IntakeRestated: 0,
    LeanApproval: 1,
    ApprovalRestated: 1,
    LeanAccount: 2,
    AccountRestated: 2,
}

#: What a total needs of a segment's boundary: day, known day, indicator, level, residence, collecting.
TotalBoundary = tuple[date, date, int, int, str, str]
#: All that a segment's boundary says: day, known day, indicator, level, residence, collecting, channel, cohorts.
Boundary = tuple[date, date, int, int, str, str, str, tuple[str, ...]]
#: unit, attribution, day, known day, indicator, level
TotalCell = tuple[str, int, date, date, int, int]
#: the same, then dimension and value
BreakdownCell = tuple[str, int, date, date, int, int, int, str]
CellT = TypeVar("CellT", TotalCell, BreakdownCell)


def fold(events: Iterable[Counted] | Iterable[Lean]) -> Mapping[Boundary, int]:
    """The net change at each distinct boundary, with all that breakdowns need."""
    sums: defaultdict[Boundary, int] = defaultdict(int)
    indicator_of = _INDICATOR_OF.get
    for event in events:
        indicator = indicator_of(type(event))
        if indicator is None:
            continue
        data: LeanData = event.data  # type: ignore[union-attr, assignment]  # a cast would be a call
        known = data.known_day
        for s in data.after:
            sums[s.from_day, known, indicator, s.level, s.residence, s.collecting, s.channel, s.cohorts] += 1
            if s.until_day is not None:
                sums[
                    s.until_day, known, indicator, s.level, s.residence, s.collecting, s.channel, s.cohorts
                ] -= 1
        for s in data.before:
            sums[s.from_day, known, indicator, s.level, s.residence, s.collecting, s.channel, s.cohorts] -= 1
            if s.until_day is not None:
                sums[
                    s.until_day, known, indicator, s.level, s.residence, s.collecting, s.channel, s.cohorts
                ] += 1
    return sums


def totals(sums: Mapping[Boundary, int]) -> dict[TotalCell, int]:
    """One cell for the unit of residence, one for the unit that did the work; without those that stay."""
    cells: defaultdict[TotalCell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting, _, _), n in sums.items():
        if n:
            cells[residence, RESIDENCE, day, known, indicator, level] += n
            cells[collecting, COLLECTING, day, known, indicator, level] += n
    return {cell: n for cell, n in cells.items() if n}


def count_totals(events: Iterable[Counted] | Iterable[Lean]) -> dict[TotalCell, int]:
    """What `totals(fold(events))` is, in two thirds of the time: channel and cohorts are left out from the start, with
    which in a province hardly two boundaries of a batch are equal.

    The loop is written out twice: this is the hot path, and a call for each boundary takes longer than all it does.
    """
    sums: defaultdict[TotalBoundary, int] = defaultdict(int)
    indicator_of = _INDICATOR_OF.get
    for event in events:
        indicator = indicator_of(type(event))
        if indicator is None:
            continue
        data: LeanData = event.data  # type: ignore[union-attr, assignment]  # a cast would be a call
        known = data.known_day
        for s in data.after:
            sums[s.from_day, known, indicator, s.level, s.residence, s.collecting] += 1
            if s.until_day is not None:
                sums[s.until_day, known, indicator, s.level, s.residence, s.collecting] -= 1
        for s in data.before:
            sums[s.from_day, known, indicator, s.level, s.residence, s.collecting] -= 1
            if s.until_day is not None:
                sums[s.until_day, known, indicator, s.level, s.residence, s.collecting] += 1
    cells: defaultdict[TotalCell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting), n in sums.items():
        if n:
            cells[residence, RESIDENCE, day, known, indicator, level] += n
            cells[collecting, COLLECTING, day, known, indicator, level] += n
    return {cell: n for cell, n in cells.items() if n}


def add_up(parts: Sequence[Mapping[CellT, int]]) -> Mapping[CellT, int]:
    """The sums of the same cells, without those that stay."""
    if len(parts) == 1:
        return parts[0]
    cells: defaultdict[CellT, int] = defaultdict(int)
    for part in parts:
        for cell, n in part.items():
            cells[cell] += n
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
