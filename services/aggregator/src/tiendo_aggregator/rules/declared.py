"""Counts that communes declare: in which state each day's report is, and how they lie beside the records.

Nothing here is ever added to what is counted from records.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.revisions import Levels
from tiendo_aggregator.rules.units import Followed, Tree
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
    tell apart are None."""

    communes: int
    declared: DeclaredCount
    records: Levels
    difference: DeclaredCount


@dataclass(frozen=True, slots=True)
class UnitDeclared:
    """A unit and all below it. `states` counts communes; `newest` is what a commune itself declared, and `state` the
    one it is in; both None for units above, and for those that owe nothing and said nothing."""

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
    """The units of a later tree that the declaring communes have become, by code."""
    return sorted({followed.places[unit] for unit in declaring.units})


def states(owing: Iterable[str], declared: Mapping[str, Declared], *, due_passed: bool) -> dict[str, State]:
    """In which state the report of each unit is that owed one or declared all the same."""
    answer: dict[str, State] = dict.fromkeys(owing, "not_reported" if due_passed else "awaited")
    for unit, each in declared.items():
        answer[unit] = "late" if each.late else "reported"
    return answer


def side_by_side(
    tree: Tree,
    root: str,
    depth: int,
    by_unit: Mapping[str, State],
    declared: Mapping[str, Declared],
    counts: Iterable[Count],
) -> list[UnitDeclared]:
    """`root` and its descendants down to `depth`, each before its children. A unit above communes has the sums of those
    that declared, and beside them the records of these same communes: whoever did not report is in neither."""
    inside = set(tree.below(root))
    records: defaultdict[tuple[str, Indicator, int], int] = defaultdict(int)
    for count in counts:
        records[count.unit, count.indicator, count.level] += count.value
    parts: defaultdict[tuple[str, Indicator], list[tuple[DeclaredCount, Levels]]] = defaultdict(list)
    for unit in sorted(declared.keys() & inside):
        for indicator, count_ in declared[unit].counts.items():
            one, two = (records[unit, indicator, level] for level in (1, 2))
            for above in tree.up_to(unit, root):
                parts[above, indicator].append((count_, Levels(one + two, one, two)))
    number: defaultdict[str, dict[State, int]] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for unit, state in by_unit.items():
        if unit in inside:
            for above in tree.up_to(unit, root):
                number[above][state] += 1
    answer = []
    for code in tree.below(root, depth):
        unit_ = tree.units[code]
        answer.append(
            UnitDeclared(
                code,
                unit_.name,
                unit_.level,
                unit_.parent,
                number[code],
                by_unit.get(code),
                declared.get(code),
                {
                    indicator: _beside(parts[code, indicator])
                    for indicator in INDICATORS
                    if (code, indicator) in parts
                },
            )
        )
    return answer


def _beside(parts: Sequence[tuple[DeclaredCount, Levels]]) -> Beside:
    said = total_of([declared for declared, _ in parts])
    records = Levels(
        sum(each.value for _, each in parts),
        sum(each.level_1 for _, each in parts),
        sum(each.level_2 for _, each in parts),
    )
    return Beside(len(parts), said, records, difference(said, records))


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
