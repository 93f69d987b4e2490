"""Those who are not reached, and why: what communes say of them, beside what is left by the counts.

Whoever remains stays among the eligible, whatever the reason; only a signed decision exempts (rules.exemptions).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import msgspec

from tiendo_aggregator.rules.exemptions import REASONS, Reason, check_words
from tiendo_aggregator.rules.plan import spread
from tiendo_aggregator.rules.progress import UnitProgress
from tiendo_aggregator.rules.told import Piece, Told, carried
from tiendo_aggregator.rules.units import Followed, Tree
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator


class Remaining(msgspec.Struct, frozen=True, kw_only=True):
    """So many citizens who are not reached, for one reason; `words` say it where the reason is another one."""

    reason: Reason
    citizens: int
    words: str | None = None


@dataclass(frozen=True, slots=True)
class RemainingReport:
    """Who had not been reached at the end of a day, as a commune says; whole, and cumulative: it stands until the next
    one. Revisions count from 1 and are never changed. `known_day`: the business day on which this one came."""

    unit: str
    indicator: Indicator
    day: date
    revision: int
    lines: tuple[Remaining, ...]
    source: str
    reported_by: str
    reported_at: datetime
    known_day: date


@dataclass(frozen=True, slots=True)
class OtherReason:
    """Citizens who remain for a reason in words."""

    words: str
    citizens: int


@dataclass(frozen=True, slots=True)
class Explained:
    """One indicator of a unit. `remaining` = eligible − reached; `unexplained` = remaining − explained. Either may be
    negative and is then flagged: `over_eligible`, `over_explained`. Nothing is clipped.

    `explained` None: none of its `communes` has `reported`, which is not zero; all that remains is unexplained.
    `oldest_day` is the day of the oldest report in it. In `of_divided` of its communes is a part of what was reported
    of one that has been divided since.
    """

    reached: int
    remaining: int | None
    explained: int | None
    by_reason: Mapping[Reason, int]
    other: Sequence[OtherReason]
    unexplained: int | None
    over_eligible: bool
    over_explained: bool
    reported: int
    communes: int
    of_divided: int
    oldest_day: date | None


@dataclass(frozen=True, slots=True)
class UnitRemaining:
    """A unit and all below it. `eligible` is without those who are `exempt`, `planned` with them; None for a unit that
    the plan doesn't know."""

    code: str
    name: str
    level: str
    parent: str | None
    eligible: int | None
    exempt: int | None
    planned: int | None
    indicators: Mapping[Indicator, Explained]


def check_lines(lines: Sequence[Remaining]) -> None:
    """Raise Invalid, naming the line, unless each reason stands there once and another one is said in words."""
    seen: set[tuple[Reason, str | None]] = set()
    for place, line in enumerate(lines):
        check_words(line.reason, line.words, f"lines.{place}")
        if (line.reason, line.words) in seen:
            raise Invalid(
                "Two lines give the same reason.",
                field=f"lines.{place}",
                remedy="Send one line with the sum of both.",
            )
        seen.add((line.reason, line.words))


def standing_reports(
    newest: Iterable[RemainingReport], followed: Followed
) -> dict[tuple[str, Indicator], list[Piece[RemainingReport]]]:
    """What stands for each commune of the tree that the campaign was `followed` to: its own report, or those of all
    that it was made of (see rules.told). `newest` are the newest of each code, and the newest before each change of the
    tree. A report of a merged commune is about all of it: it stands in place of what its parts said before."""
    told: defaultdict[Indicator, list[Told[RemainingReport]]] = defaultdict(list)
    for report in newest:
        told[report.indicator].append(Told(report.unit, report.day, report))
    return {
        (unit, indicator): pieces
        for indicator, reports in told.items()
        for unit, pieces in carried(reports, followed, _part_report, whole=False).items()
    }


def _part_report(report: RemainingReport, weights: Mapping[str, int]) -> dict[str, RemainingReport]:
    """Each reason's citizens are parted; who has none of one doesn't say so."""
    lines: defaultdict[str, list[Remaining]] = defaultdict(list)
    for line in report.lines:
        for part, citizens in spread(line.citizens, weights).items():
            if citizens:
                lines[part].append(msgspec.structs.replace(line, citizens=citizens))
    return {part: replace(report, unit=part, lines=tuple(lines[part])) for part in weights}


def explain(
    units: Iterable[UnitProgress],
    tree: Tree,
    root: str,
    reports: Mapping[tuple[str, Indicator], Sequence[Piece[RemainingReport]]],
) -> list[UnitRemaining]:
    """The units, each with what its communes say of those who remain, summed up the tree to `root`."""
    inside = set(tree.below(root))
    said: defaultdict[tuple[str, Indicator], list[RemainingReport]] = defaultdict(list)
    number: Counter[tuple[str, Indicator]] = Counter()
    divided: Counter[tuple[str, Indicator]] = Counter()
    for (unit, indicator), each in reports.items():
        if unit in inside:
            for above in tree.up_to(unit, root):
                said[above, indicator] += [piece.document for piece in each]
                number[above, indicator] += 1
                divided[above, indicator] += any(piece.of_divided for piece in each)
    answer = []
    for progress in units:
        communes = len(tree.communes(progress.code))
        standings = progress.indicators
        any_ = next(iter(standings.values()))
        indicators = {
            indicator: _explained(
                standing.value,
                standing.eligible,
                said.get((progress.code, indicator), []),
                number[progress.code, indicator],
                communes,
                divided[progress.code, indicator],
            )
            for indicator, standing in standings.items()
        }
        answer.append(
            UnitRemaining(
                progress.code,
                progress.name,
                progress.level,
                progress.parent,
                any_.eligible,
                any_.exempt,
                any_.planned,
                indicators,
            )
        )
    return answer


def _explained(
    reached: int,
    eligible: int | None,
    reports: Sequence[RemainingReport],
    number: int,
    communes: int,
    of_divided: int,
) -> Explained:
    by_reason: Counter[Reason] = Counter()
    other: Counter[str] = Counter()
    for report in reports:
        for line in report.lines:
            by_reason[line.reason] += line.citizens
            if line.words is not None:
                other[line.words] += line.citizens
    explained = by_reason.total() if reports else None
    remaining = None if eligible is None else eligible - reached
    unexplained = None if remaining is None else remaining - (explained or 0)
    return Explained(
        reached=reached,
        remaining=remaining,
        explained=explained,
        by_reason={reason: by_reason[reason] for reason in REASONS if reason in by_reason},
        other=[OtherReason(words, other[words]) for words in sorted(other)],
        unexplained=unexplained,
        over_eligible=remaining is not None and remaining < 0,
        over_explained=bool(explained) and unexplained is not None and unexplained < 0,
        reported=number,
        communes=communes,
        of_divided=of_divided,
        oldest_day=min((report.day for report in reports), default=None),
    )
