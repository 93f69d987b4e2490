"""Counts that communes declare: in which state each day's report is, and how they lie beside the records.

Nothing here is ever added to what is counted from records.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.dividing import are_parted, parts_of, records_of
from tiendo_aggregator.rules.plan import spread
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.revisions import Levels
from tiendo_aggregator.rules.told import Piece, Told, carried
from tiendo_aggregator.rules.units import Followed
from tiendo_common.errors import Invalid
from tiendo_common.events.declarations import DeclaredCount
from tiendo_common.events.state import Indicator

#: How a day's report of a commune stands. Not reported is never a count of zero; awaited: it isn't due yet.
State = Literal["reported", "late", "not_reported", "awaited"]
STATES: tuple[State, ...] = ("reported", "late", "not_reported", "awaited")

#: An indicator of which nothing was said is absent.
Counts = Mapping[Indicator, DeclaredCount]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a commune declared of a day. Revisions count from 1 and are never changed: a correction is the next one.
    `late`: the first came after the cut-off. `known_day`: the business day on which this one came."""

    unit: str
    day: date
    revision: int
    counts: Counts
    source: str
    declared_by: str
    declared_at: datetime
    known_day: date
    late: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """A declared figure and what the records of the same `communes` say, in citizens. Levels that one of them did not
    tell apart are None. In `of_divided` communes of the tree is a part of what one declared that was divided since."""

    communes: int
    of_divided: int
    declared: DeclaredCount
    records: Levels
    difference: DeclaredCount


@dataclass(frozen=True, slots=True)
class UnitDeclared:
    """A unit and all below it. `states` counts reports, each where its commune's records count; `newest` is what a
    commune itself declared, and `state` the one it is in; both None for units above, for those that owe nothing and
    said nothing, and where there is no single report: in a commune merged since, or a part of one."""

    code: str
    name: str
    level: str
    parent: str | None
    states: Mapping[State, int]
    state: State | None
    newest: Declared | None
    indicators: Mapping[Indicator, Beside]


def check_count(field: str, value: int, level_1: int | None, level_2: int | None) -> DeclaredCount:
    """Raise Invalid unless both levels are told and sum to the value, or neither is."""
    if (level_1 is None) != (level_2 is None):
        missing = "level_1" if level_1 is None else "level_2"
        raise Invalid(
            "One level is told and the other isn't.",
            field=f"{field}.{missing}",
            remedy="Send both levels, or only the value.",
        )
    if level_1 is not None and level_2 is not None and level_1 + level_2 != value:
        raise Invalid(
            f"The levels sum to {level_1 + level_2:,}, the value is {value:,}.",
            field=f"{field}.value",
            remedy="Correct one of the three; or leave the levels out.",
        )
    return DeclaredCount(value=value, level_1=level_1, level_2=level_2)


def may_declare(declaring: Declaring, followed: Followed) -> list[str]:
    """The units of a later tree that the declaring communes have become, by code; of a divided one every part."""
    return sorted({part for unit in declaring.units for part in parts_of(unit, 0, followed.steps)})


def states(owing: Iterable[str], declared: Mapping[str, Declared], *, due_passed: bool) -> dict[str, State]:
    """In which state the report of each unit is that owed one or declared all the same."""
    answer: dict[str, State] = dict.fromkeys(owing, "not_reported" if due_passed else "awaited")
    for unit, each in declared.items():
        answer[unit] = "late" if each.late else "reported"
    return answer


@dataclass(frozen=True, slots=True)
class _Said:
    """What a commune declared, and of each indicator that it named the count, or its part of it."""

    declared: Declared
    counts: Counts


#: Citizens by the commune of a report's day, the unit of a tree, the indicator and the level.
Records = Mapping[tuple[str, str, Indicator, int], int]


def records_beside(counts: Iterable[Count], then: Followed, followed: Followed, day: date) -> Records:
    """What the records said of each commune of the tree of `day` (`then`) at the end of that day, by where they are on
    the tree that the campaign was `followed` to."""
    records: Counter[tuple[str, str, Indicator, int]] = Counter()
    for each in counts:
        commune = then.places.get(each.unit, each.unit)
        there: Mapping[str, int] = {followed.places.get(each.unit, each.unit): each.value}
        if are_parted(each.unit, followed):
            there = records_of(each.unit, each.value, followed, day)
        for unit, citizens in there.items():
            records[commune, unit, each.indicator, each.level] += citizens
    return records


def side_by_side(
    followed: Followed,
    root: str,
    depth: int,
    by_unit: Mapping[str, State],
    declared: Mapping[str, Declared],
    records: Records,
) -> list[UnitDeclared]:
    """`root` and its descendants down to `depth` on the tree that the campaign was `followed` to, each before its
    children. States and what was declared are of the communes of the day of the reports; so are the `records`
    (`records_beside`).

    A unit above communes has the sums of those that declared, and beside them the records of these same communes:
    whoever did not report is in neither. What a commune declared is parted if it was divided since; its records are
    where they are.
    """
    tree = followed.tree
    inside = set(tree.below(root))
    told = [Told(unit, each.day, _Said(each, each.counts)) for unit, each in declared.items()]
    pieces = carried(told, followed, _part_said, whole=False)
    parts: defaultdict[tuple[str, Indicator], list[tuple[str, Piece[_Said]]]] = defaultdict(list)
    for unit in sorted(pieces.keys() & inside):
        for piece in pieces[unit]:
            for indicator in piece.document.counts:
                for above in tree.up_to(unit, root):
                    parts[above, indicator].append((unit, piece))
    number: defaultdict[str, Counter[State]] = defaultdict(Counter)
    for unit, state in by_unit.items():
        place = followed.places.get(unit)
        if place in inside:
            for above in tree.up_to(place, root):
                number[above][state] += 1
    answer = []
    for code in tree.below(root, depth):
        unit_ = tree.units[code]
        own = pieces.get(code, [])
        alone = own[0] if len(own) == 1 and not own[0].of_divided else None
        states_ = number[code]
        only = code not in tree.children and states_.total() == 1 and (alone is not None or not own)
        answer.append(
            UnitDeclared(
                code,
                unit_.name,
                unit_.level,
                unit_.parent,
                {state: states_[state] for state in STATES},
                next(iter(states_)) if only else None,
                alone.document.declared if alone is not None else None,
                {
                    indicator: _beside(indicator, parts[code, indicator], records)
                    for indicator in INDICATORS
                    if (code, indicator) in parts
                },
            )
        )
    return answer


def _part_said(said: _Said, weights: Mapping[str, int]) -> dict[str, _Said]:
    parts: defaultdict[str, dict[Indicator, DeclaredCount]] = defaultdict(dict)
    for indicator, count in said.counts.items():
        for part, part_of_it in part_count(count, weights).items():
            parts[part][indicator] = part_of_it
    return {part: _Said(said.declared, parts[part]) for part in weights}


def part_count(count: DeclaredCount, weights: Mapping[str, int]) -> dict[str, DeclaredCount]:
    """A count in parts, by level where levels were told."""
    if count.level_1 is None or count.level_2 is None:
        return {
            part: DeclaredCount(value=n, level_1=None, level_2=None)
            for part, n in spread(count.value, weights).items()
        }
    ones, twos = spread(count.level_1, weights), spread(count.level_2, weights)
    return {
        part: DeclaredCount(value=ones[part] + twos[part], level_1=ones[part], level_2=twos[part])
        for part in weights
    }


def _beside(indicator: Indicator, parts: Sequence[tuple[str, Piece[_Said]]], records: Records) -> Beside:
    said = total_of([piece.document.counts[indicator] for _, piece in parts])
    one, two = (
        sum(records.get((piece.document.declared.unit, unit, indicator, level), 0) for unit, piece in parts)
        for level in (1, 2)
    )
    levels = Levels(one + two, one, two)
    return Beside(
        len({piece.document.declared.unit for _, piece in parts}),
        len({unit for unit, piece in parts if piece.of_divided}),
        said,
        levels,
        difference(said, levels),
    )


def total_of(counts: Sequence[DeclaredCount]) -> DeclaredCount:
    """The sum; its levels only where all tell them apart."""
    ones = [each.level_1 for each in counts if each.level_1 is not None]
    twos = [each.level_2 for each in counts if each.level_2 is not None]
    apart = len(ones) == len(twos) == len(counts)
    return DeclaredCount(
        value=sum(each.value for each in counts),
        level_1=sum(ones) if apart else None,
        level_2=sum(twos) if apart else None,
    )


def difference(said: DeclaredCount, records: Levels) -> DeclaredCount:
    """What was said − what the records say; per level where levels were told."""
    return DeclaredCount(
        value=said.value - records.value,
        level_1=None if said.level_1 is None else said.level_1 - records.level_1,
        level_2=None if said.level_2 is None else said.level_2 - records.level_2,
    )
