"""The fold: restated segments into counter cells and passages. The one definition of what counts where.

A segment is +1 on its first day and −1 on the day after its last; a restatement adds the deltas of its
segments after and takes away those before (tiendo_common.events.restatements.deltas). The sums telescope to
the last state of every record, in whatever order topics are read.

A passage says of such a change since when it had been waited for: see `PASSAGES`. Work that names a team is summed by
team beside the counters: in their key, a team would multiply rows that most questions have to sum up again.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from operator import add
from typing import Literal, TypeVar, get_args

import msgspec

from tiendo_aggregator.rules.faults import FAULT_OF, FaultCell
from tiendo_common.events.catalogue import type_of
from tiendo_common.events.restatements import (
    AccountRestated,
    ApprovalRestated,
    ApprovalRestatement,
    AttemptFailed,
    Channel,
    Cohort,
    Failure,
    FailureReason,
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

Passage = Literal[
    "taken",
    "approved",
    "decided",
    "in_time",
    "late",
    "failed_old_device",
    "failed_no_smartphone",
    "failed_phone_not_owned",
    "failed_network",
    "failed_other",
    "right_old_device",
    "right_no_smartphone",
    "right_phone_not_owned",
    "right_network",
    "right_other",
]
#: What happened at a unit on a day after something else had happened to the same citizen, `since`:
#: - taken, approved: they entered or left the unit, and had been taken, or approved, on another day. Who is so since
#:   the day itself is in no passage: they are what is left of the counters' change on that day.
#: - decided: the dossier was approved or rejected, since the intake.
#: - in_time, late: the account was activated, since its approval, within `ACTIVATION_WINDOW` of it or later.
#: - failed, right: an attempt failed for this reason, since the same day; it came right, since it was made.
#: Rows hold the index. Only ever append; the first two are at their indicators' indexes.
PASSAGES: tuple[Passage, ...] = get_args(Passage)
TAKEN, APPROVED, DECIDED, IN_TIME, LATE = range(5)
FAILED: Mapping[FailureReason, int] = {
    reason: PASSAGES.index(f"failed_{reason}") for reason in get_args(FailureReason)
}
RIGHT: Mapping[FailureReason, int] = {
    reason: PASSAGES.index(f"right_{reason}") for reason in get_args(FailureReason)
}
#: An approved account is to be activated within so many days of the notice (Decree 69/2024). The notice is not told to
#: us; it goes out with the approval.
ACTIVATION_WINDOW = timedelta(days=7)
#: The `since` of what builds before told: they did not say it. PostgreSQL's `-infinity`.
UNKNOWN = date.min
#: Passages are stored by so many days of waiting: those of one unit and day share a row.
BLOCK = 16
#: The block of those of which nobody said since when; at its first place.
UNKNOWN_BLOCK = -(2**15)
#: What cells can be taken apart by, for the proof: dimensions by value, passages by `since`, work by the team's name.
Kind = Dimension | Passage | Literal["team"]
KINDS: tuple[Kind, ...] = (*DIMENSIONS, *PASSAGES, "team")
TEAM = KINDS.index("team")
#: The indicator that each passage belongs to.
_INDICATOR_OF_PASSAGE = (0, 1, 1, *(2 for _ in PASSAGES[3:]))

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
    since: date | msgspec.UnsetType = msgspec.UNSET
    team: str | None = None


class LeanData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a restatement is counted. `change` says whether it is a fault of a dossier."""

    known_day: date
    change: str
    before: tuple[LeanSegment, ...]
    after: tuple[LeanSegment, ...]


class LeanApprovalData(LeanData, frozen=True, kw_only=True, gc=False):
    """Likewise, with the days on which a rejection holds."""

    rejected_before: tuple[LeanSegment, ...] | msgspec.UnsetType = msgspec.UNSET
    rejected_after: tuple[LeanSegment, ...] | msgspec.UnsetType = msgspec.UNSET


class LeanAccountData(LeanData, frozen=True, kw_only=True, gc=False):
    """Likewise, with what became of failed attempts."""

    failures_before: tuple[Failure, ...] | msgspec.UnsetType = msgspec.UNSET
    failures_after: tuple[Failure, ...] | msgspec.UnsetType = msgspec.UNSET


class LeanAttemptData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a failed attempt is counted."""

    known_day: date
    failure: Failure | msgspec.UnsetType = msgspec.UNSET


class LeanIntake(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(IntakeRestated)):
    """What of an IntakeRestated is counted."""

    data: LeanData


class LeanApproval(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(ApprovalRestated)):
    """What of an ApprovalRestated is counted."""

    data: LeanApprovalData


class LeanAccount(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AccountRestated)):
    """What of an AccountRestated is counted."""

    data: LeanAccountData


class LeanAttempt(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AttemptFailed)):
    """A failed attempt: no citizen's state. One citizen may fail many times, and sums of citizens must stay sums of
    citizens: it is a passage and nothing else."""

    data: LeanAttemptData


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
#: How many citizens; then how many of them there are in each of PARTS, unless totals are all that is counted.
Counts = Sequence[int]
#: unit, day, known day, index of PASSAGES, since
PassageKey = tuple[str, date, date, int, date]
#: unit, day, known day, index of PASSAGES, and which `BLOCK` days of waiting, from the 0th on.
Block = tuple[str, date, date, int, int]
#: collecting unit, team, day, known day, indicator, level
TeamCell = tuple[str, str, date, date, int, int]
#: A cell, then the index of KINDS and a value; level 0: of whatever level.
PartCell = tuple[str, int, date, date, int, int, int, str]

_NOTHING = [0] * (1 + len(PARTS))
_OF_CHANNEL, _OF_COHORT = (
    {value: place for place, (dimension, value) in enumerate(PARTS, 1) if dimension == each}
    for each in range(len(DIMENSIONS))
)


@dataclass(frozen=True, slots=True)
class Folded:
    """The net change at each distinct boundary; of the passages, by days of waiting; of work by team; and what was
    wrong with dossiers."""

    counts: Mapping[Boundary, Counts] = field(default_factory=dict)
    waits: Mapping[Block, Counts] = field(default_factory=dict)
    teams: Mapping[TeamCell, int] = field(default_factory=dict)
    faults: Mapping[FaultCell, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows they change."""
        return len(self.counts) + len(self.waits) + len(self.teams) + len(self.faults)

    @property
    def passages(self) -> dict[PassageKey, int]:
        """Each passage that there is."""
        return {
            (unit, day, known, what, since_of(day, block, place)): n
            for (unit, day, known, what, block), counts in self.waits.items()
            for place, n in enumerate(counts)
            if n
        }


def since_of(day: date, block: int, place: int) -> date:
    """Since when somebody had waited on this day who stands at a place of a block."""
    return UNKNOWN if block == UNKNOWN_BLOCK else day - timedelta(days=block * BLOCK + place)


def fold(events: Iterable[Counted] | Iterable[Lean]) -> Folded:
    """What events come to. A citizen counts once under his channel and once under each of his cohorts. This is the hot
    path: a call for each boundary would take longer than all it does."""
    sums: dict[Boundary, list[int]] = {}
    waits: dict[Block, list[int]] = {}
    teams: defaultdict[TeamCell, int] = defaultdict(int)
    faults: defaultdict[FaultCell, int] = defaultdict(int)
    known_sum, known_wait = sums.get, waits.get
    window = ACTIVATION_WINDOW.days
    indicator_of = _INDICATOR_OF.get
    for event in events:
        indicator = indicator_of(type(event))
        if indicator is None:
            _add_attempt(waits, event)  # type: ignore[arg-type]  # the only one that restates nothing
            continue
        data: LeanData = event.data  # type: ignore[assignment]  # a cast would be a call
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
                    if s.team is not None:
                        teams[s.collecting, s.team, day, known, indicator, s.level] += n
                    if s.until_day is None or n != sign:
                        break
                    day, n = s.until_day, -sign
            if not segments:
                continue
            if indicator and len(segments) == 1:
                # By far the most: approved or activated, and so to this day. The others take the way around.
                [s] = segments
                wait = (s.from_day - s.since).days if s.since else -1
                if s.until_day is None and 0 <= wait < BLOCK:
                    what = DECIDED if indicator == 1 else LATE if wait > window else IN_TIME
                    block = s.residence, s.from_day, known, what, 0
                    numbers = known_wait(block)
                    if numbers is None:
                        numbers = waits[block] = [0] * BLOCK
                    numbers[wait] += sign
                    continue
            if indicator == 0:
                if len(segments) > 1:
                    _add_taken(waits, known, sign, segments)
            elif indicator == 1:
                _add_approved(waits, known, sign, segments)
            else:
                _add_activated(waits, known, sign, segments)
        fault = FAULT_OF[indicator].get(data.change)
        if fault is not None:
            _add_fault(faults, fault, data)
        if indicator == 1:
            approval: LeanApprovalData = data  # type: ignore[assignment]
            if approval.rejected_after is not msgspec.UNSET:
                _add_decided(waits, known, 1, approval.rejected_after)
            if approval.rejected_before is not msgspec.UNSET:
                _add_decided(waits, known, -1, approval.rejected_before)
        elif indicator == 2:
            account: LeanAccountData = data  # type: ignore[assignment]
            if account.failures_after is not msgspec.UNSET:
                _add_right(waits, known, 1, account.failures_after)
            if account.failures_before is not msgspec.UNSET:
                _add_right(waits, known, -1, account.failures_before)
    return Folded(sums, waits, teams, faults)  # nobody changes them from here on


_Waits = dict[Block, list[int]]


def _add(waits: _Waits, unit: str, day: date, known: date, what: int, since: date, n: int) -> None:
    if since == UNKNOWN:
        block, place = UNKNOWN_BLOCK, 0
    else:
        block, place = divmod((day - since).days, BLOCK)
    key = unit, day, known, what, block
    counts = waits.get(key)
    if counts is None:
        counts = waits[key] = [0] * BLOCK
    counts[place] += n


def _add_taken(waits: _Waits, known: date, sign: int, segments: Sequence[LeanSegment]) -> None:
    """A dossier's days have no gap: all of them are since the first."""
    taken_on = segments[0].from_day
    for s in segments:
        if s.from_day != taken_on:
            _add(waits, s.residence, s.from_day, known, TAKEN, taken_on, sign)
        if s.until_day is not None:
            _add(waits, s.residence, s.until_day, known, TAKEN, taken_on, -sign)


def _add_approved(waits: _Waits, known: date, sign: int, segments: Sequence[LeanSegment]) -> None:
    """Approved since the first day without a gap; decided since the intake."""
    approved_on = until = segments[0].from_day
    for s in segments:
        if s.from_day != until:
            approved_on = s.from_day
        until = s.until_day  # type: ignore[assignment]  # None: there is none after it
        if s.from_day != approved_on:
            _add(waits, s.residence, s.from_day, known, APPROVED, approved_on, sign)
        if until is not None:
            _add(waits, s.residence, until, known, APPROVED, approved_on, -sign)
    _add_decided(waits, known, sign, segments)


def _add_decided(waits: _Waits, known: date, sign: int, segments: Sequence[LeanSegment]) -> None:
    for s in segments:
        taken_on = s.since or UNKNOWN
        _add(waits, s.residence, s.from_day, known, DECIDED, taken_on, sign)
        if s.until_day is not None:
            _add(waits, s.residence, s.until_day, known, DECIDED, taken_on, -sign)


def _add_activated(waits: _Waits, known: date, sign: int, segments: Sequence[LeanSegment]) -> None:
    """Of one approval the first activation says whether it was in time; it may have been off and on since."""
    approved_on, what = None, IN_TIME
    for s in segments:
        since = s.since or UNKNOWN
        if since != approved_on:
            approved_on = since
            late = since != UNKNOWN and s.from_day - since > ACTIVATION_WINDOW
            what = LATE if late else IN_TIME
        _add(waits, s.residence, s.from_day, known, what, since, sign)
        if s.until_day is not None:
            _add(waits, s.residence, s.until_day, known, what, since, -sign)


def _add_right(waits: _Waits, known: date, sign: int, failures: Sequence[Failure]) -> None:
    for each in failures:
        if each.right_on is not None:
            _add(waits, each.unit, each.right_on, known, RIGHT[each.reason], each.day, sign)


def _add_attempt(waits: _Waits, event: AttemptFailed | LeanAttempt) -> None:
    failure = event.data.failure
    if failure is not msgspec.UNSET:
        known = event.data.known_day
        _add(waits, failure.unit, failure.day, known, FAILED[failure.reason], failure.day, 1)
        _add_right(waits, known, 1, [failure])


def _add_fault(faults: dict[FaultCell, int], fault: int, data: LeanData) -> None:
    """It is the fault of whoever did the work last that the dossier stood on."""
    segments = data.before
    if isinstance(data, LeanApprovalData | ApprovalRestatement) and data.rejected_after:
        segments = data.rejected_after
    if segments:
        faults[segments[-1].collecting, data.known_day, fault] += 1


def add_up(parts: Sequence[Folded]) -> Folded:
    """The changes of all of them together."""
    if len(parts) == 1:
        return parts[0]
    counts: dict[Boundary, Counts] = {}
    waits: dict[Block, Counts] = {}
    teams: Counter[TeamCell] = Counter()
    faults: Counter[FaultCell] = Counter()
    for part in parts:
        _add_each(counts, part.counts)
        _add_each(waits, part.waits)
        teams.update(part.teams)
        faults.update(part.faults)
    return Folded(counts, waits, teams, faults)


KeyT = TypeVar("KeyT", bound=Hashable)


def _add_each(together: dict[KeyT, Counts], part: Mapping[KeyT, Counts]) -> None:
    for key, counts in part.items():
        before = together.get(key)
        together[key] = counts if before is None else list(map(add, before, counts))


def totals(folded: Folded) -> dict[Cell, int]:
    """One cell for the unit of residence, one for the unit that did the work; without those that stay."""
    cells: defaultdict[Cell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting), (n, *_) in folded.counts.items():
        cells[residence, RESIDENCE, day, known, indicator, level] += n
        cells[collecting, COLLECTING, day, known, indicator, level] += n
    return {cell: n for cell, n in cells.items() if n}


def breakdowns(folded: Folded) -> dict[PartCell, int]:
    """The parts of these cells, and the passages. Cohorts overlap, and sum to no total."""
    cells: defaultdict[PartCell, int] = defaultdict(int)
    for (day, known, indicator, level, residence, collecting), (_, *parts) in folded.counts.items():
        for (dimension, value), n in zip(PARTS, parts, strict=False):  # totals alone have none
            if n:
                cells[residence, RESIDENCE, day, known, indicator, level, dimension, value] += n
                cells[collecting, COLLECTING, day, known, indicator, level, dimension, value] += n
    for (unit, day, known, what, since), n in folded.passages.items():
        indicator, kind, value = passage_part(what, since)
        cells[unit, RESIDENCE, day, known, indicator, 0, kind, value] += n
    return {cell: n for cell, n in cells.items() if n}


def team_parts(folded: Folded) -> dict[PartCell, int]:
    """Work by team as parts of what was done at a unit. Work that names no team is in none."""
    return {
        (unit, COLLECTING, day, known, indicator, level, TEAM, team): n
        for (unit, team, day, known, indicator, level), n in folded.teams.items()
        if n
    }


def passage_part(what: int, since: date) -> tuple[int, int, str]:
    """A passage as a part: its indicator, its index of KINDS and its value."""
    return (
        _INDICATOR_OF_PASSAGE[what],
        len(DIMENSIONS) + what,
        "unknown" if since == UNKNOWN else since.isoformat(),
    )
