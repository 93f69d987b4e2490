"""The fold: restated segments into counter cells. The one definition of what counts where.

A segment is +1 on its first day and −1 on the day after its last; a restatement adds the deltas of its
segments after and takes away those before (tiendo_common.events.restatements.deltas). The sums telescope to
the last state of every record, in whatever order topics are read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from operator import add
from typing import Literal, get_args

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
#: The parts that a total is broken down into, each with its dimension, in the order of a cell's counts. Only ever
#: append, with a column for each.
PARTS: tuple[tuple[int, str], ...] = (
    *((CHANNEL, channel) for channel in get_args(Channel)),
    *((COHORT, cohort) for cohort in get_args(Cohort)),
)

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

#: A segment's boundary: day, known day, indicator, level, residence, collecting.
Boundary = tuple[date, date, int, int, str, str]
#: unit, attribution, day, known day, indicator, level
Cell = tuple[str, int, date, date, int, int]
#: How many citizens; then how many of them there are in each of PARTS.
Counts = Sequence[int]
#: A cell, then dimension and value.
PartCell = tuple[str, int, date, date, int, int, int, str]

_NOTHING = [0] * (1 + len(PARTS))
_OF_CHANNEL, _OF_COHORT = (
    {value: place for place, (dimension, value) in enumerate(PARTS, 1) if dimension == each}
    for each in range(len(DIMENSIONS))
)


def fold(events: Iterable[Counted] | Iterable[Lean]) -> dict[Boundary, Counts]:
    """The net change at each distinct boundary. A citizen counts once under his channel and once under each of his
    cohorts. This is the hot path: a call for each boundary would take longer than all it does."""
    sums: dict[Boundary, list[int]] = {}
    known_sum = sums.get
    indicator_of = _INDICATOR_OF.get
    for event in events:
        indicator = indicator_of(type(event))
        if indicator is None:
            continue
        data: LeanData = event.data  # type: ignore[union-attr, assignment]  # a cast would be a call
        known = data.known_day
        for sign, segments in ((1, data.after), (-1, data.before)):
            for s in segments:
                day, n = s.from_day, sign
                while True:
                    boundary = day, known, indicator, s.level, s.residence, s.collecting
                    counts = known_sum(boundary)
                    if counts is None:
                        counts = sums[boundary] = _NOTHING.copy()
                    counts[0] += n
                    counts[_OF_CHANNEL[s.channel]] += n
                    for cohort in s.cohorts:
                        counts[_OF_COHORT[cohort]] += n
                    if s.until_day is None or n != sign:
                        break
                    day, n = s.until_day, -sign
    return sums  # type: ignore[return-value]  # nobody changes them from here on


def add_up(parts: Sequence[Mapping[Boundary, Counts]]) -> Mapping[Boundary, Counts]:
    """The changes of all of them together."""
    if len(parts) == 1:
        return parts[0]
    together: dict[Boundary, Counts] = {}
    for part in parts:
        for boundary, counts in part.items():
            before = together.get(boundary)
            together[boundary] = counts if before is None else list(map(add, before, counts))
    return together


def totals(sums: Mapping[Boundary, Counts]) -> dict[Cell, int]:
    """One cell for the unit of residence, one for the unit that did the work; without those that stay."""
    cells: defaultdict[Cell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting), (n, *_) in sums.items():
        cells[residence, RESIDENCE, day, known, indicator, level] += n
        cells[collecting, COLLECTING, day, known, indicator, level] += n
    return {cell: n for cell, n in cells.items() if n}


def breakdowns(sums: Mapping[Boundary, Counts]) -> dict[PartCell, int]:
    """The parts of these cells. Cohorts overlap, and sum to no total."""
    cells: defaultdict[PartCell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting), (_, *parts) in sums.items():
        for (dimension, value), n in zip(PARTS, parts, strict=True):
            if n:
                cells[residence, RESIDENCE, day, known, indicator, level, dimension, value] += n
                cells[collecting, COLLECTING, day, known, indicator, level, dimension, value] += n
    return {cell: n for cell, n in cells.items() if n}
