"""Measures: indicators beyond accounts, which other systems count and report to us as standings.

A standing is where a unit was at the end of a day: a plain value (outreach turns) or a share (23 of 25 services). It is
nobody's sum of events, so it is never added to counters, and a later one replaces an earlier one, it doesn't add to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import msgspec

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.units import Followed, Tree
from tiendo_common.errors import Invalid


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The paper by which a target was set."""

    number: str
    signed_by: str
    from_day: date


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured. `out_of` names what the denominator counts; None: a plain value, which has none.

    `targets` are what units must reach, in the numerator's unit of count; percentages are cut after `decimals`.
    """

    id: str
    name: str
    out_of: str | None
    decimals: int
    targets: Mapping[str, int]
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a unit stood at the end of a day, as its source says; `out_of` None for a plain value."""

    unit: str
    day: date
    value: int
    out_of: int | None
    source: str


How = Literal["reported", "summed", "not_reported"]


@dataclass(frozen=True, slots=True)
class MeasuredUnit:
    """A unit on one measure. `how`: told by its source for the unit itself; the sum of what was told for units below
    it; or not reported, and then every number is None, which is not zero.

    `oldest_day` is the day of the oldest standing in it, `covered` how many of its `communes` are in it. `over_100`
    marks a share above the whole: shown as it was reported, since clipping would hide that something is wrong.
    """

    code: str
    name: str
    level: str
    parent: str | None
    how: How
    value: int | None
    out_of: int | None
    percent: str | None
    over_100: bool
    target: int | None
    percent_of_target: str | None
    oldest_day: date | None
    covered: int
    communes: int
    sources: tuple[str, ...]


def check_measure(measure: Measure, tree: Tree, province: str) -> None:
    """Raise Invalid, naming the field, unless the measure can be kept beside the counted indicators, and its targets
    are those of the campaign's units, none of which has less than those below it together."""
    if measure.id in INDICATORS:
        raise Invalid(
            f"{measure.id} is counted from citizens' records.",
            field="indicator",
            remedy="Choose another id: what other systems report is never mixed with what is counted.",
        )
    inside = set(tree.below(province))
    for unit in measure.targets:
        if unit not in inside:
            raise Invalid(
                f"{unit} is no unit of the campaign on its first day.",
                field=f"targets.{unit}",
                remedy="GET /v1/units?search= finds codes by name.",
            )
    for unit, value in measure.targets.items():
        below = sum(measure.targets[each] for each in _nearest(tree, unit, measure.targets))
        if below > value:
            raise Invalid(
                f"The targets set below {tree.units[unit].name} sum to {below:,}, more than its own, {value:,}.",
                field=f"targets.{unit}",
                remedy=f"Lower one of them, or raise this one to {below:,}.",
            )


def _nearest(tree: Tree, unit: str, among: Mapping[str, object]) -> list[str]:
    """The units of `among` that are below `unit`, with none of them in between."""
    found = []
    for child in tree.children.get(unit, ()):
        found += [child] if child in among else _nearest(tree, child, among)
    return found


def check_standing(measure: Measure, standing: Standing, place: int) -> None:
    """Raise Invalid, naming the field of the line at `place`, unless it says what this measure asks for."""
    if measure.out_of is None and standing.out_of is not None:
        raise Invalid(
            f"{measure.id} is a plain value: there is nothing that it is a share of.",
            field=f"standings.{place}.out_of",
            remedy="Leave out_of out.",
        )
    if measure.out_of is not None and not standing.out_of:
        raise Invalid(
            f"{measure.id} is a share of {measure.out_of}, and their number is "
            + ("0." if standing.out_of == 0 else "missing."),
            field=f"standings.{place}.out_of",
            remedy="Send their number, 1 or more; for a unit that has none of them, send no line.",
        )


def place_of(unit: str, followed: Followed, start: Tree) -> str | None:
    """Where what was said of a unit of the first day's tree, `start`, belongs on the tree that it was `followed` to.
    None: nowhere, since its level was dropped; what was said of its communes and of the whole goes on without it."""
    place = followed.places.get(unit)
    if place is None or unit not in start.units:
        return None
    return place if followed.tree.units[place].level == start.units[unit].level else None


def placed(
    newest: Iterable[Standing], followed: Followed, start: Tree, since: date | None
) -> dict[str, list[Standing]]:
    """Each unit's standings on the tree of a day: its own, or else those of all that it was made of.

    `since` is the day from which that tree holds, None if it is still that of the first day. What was told for a unit
    of the present tree stands in place of what its predecessors told. While one of these told nothing, their sum would
    pass a part for the whole: then the unit is not reported.
    """
    own: dict[str, list[Standing]] = {}
    before: dict[str, Standing] = {}
    for each in newest:
        if since is not None and each.day < since:
            before[each.unit] = each
        elif each.unit in followed.tree.units:
            own[each.unit] = [each]
    made_of: defaultdict[str, list[str]] = defaultdict(list)
    if before:
        for unit in followed.places:
            place = place_of(unit, followed, start)
            if place is not None:
                made_of[place].append(unit)
    taken_in = {
        place: [before[unit] for unit in units]
        for place, units in made_of.items()
        if all(unit in before for unit in units)
    }
    return taken_in | own


def measured_units(
    measure: Measure,
    found: Mapping[str, list[Standing]],
    followed: Followed,
    start: Tree,
    root: str,
    depth: int,
) -> list[MeasuredUnit]:
    """`root` and what is below it down to `depth` levels, each unit before those below it. `found` is what `placed`
    said; `start` the tree of the campaign's first day, to which the targets were given."""
    tree = followed.tree
    targets: dict[str, int] = {}
    for unit, wanted in measure.targets.items():
        place = place_of(unit, followed, start)
        if place is not None:
            targets[place] = targets.get(place, 0) + wanted
    cache: dict[str, tuple[list[Standing], int, int]] = {}

    def gather(unit: str) -> tuple[list[Standing], int, int]:
        """The standings that make up a unit, how many of its communes are in them, and how many it has."""
        if unit not in cache:
            # Nobody tells a measure of hamlets.
            children = [] if tree.units[unit].level == "commune" else tree.children.get(unit, [])
            parts = [gather(child) for child in children]
            communes = sum(each[2] for each in parts) if children else 1
            if unit in found:
                cache[unit] = found[unit], communes, communes
            else:
                below = [standing for each in parts for standing in each[0]]
                cache[unit] = below, sum(each[1] for each in parts), communes
        return cache[unit]

    answer = []
    for unit in tree.below(root, depth):
        standings, covered, communes = gather(unit)
        value = sum(each.value for each in standings) if standings else None
        out_of = sum(each.out_of or 0 for each in standings) if standings and measure.out_of else None
        target = targets.get(unit)
        span = tree.units[unit]
        answer.append(
            MeasuredUnit(
                code=unit,
                name=span.name,
                level=span.level,
                parent=span.parent,
                how="not_reported" if not standings else "reported" if unit in found else "summed",
                value=value,
                out_of=out_of,
                percent=_percent(value, out_of, measure.decimals),
                over_100=value is not None and out_of is not None and value > out_of,
                target=target,
                percent_of_target=_percent(value, target, measure.decimals),
                oldest_day=min((each.day for each in standings), default=None),
                covered=covered,
                communes=communes,
                sources=tuple(sorted({each.source for each in standings})),
            )
        )
    return answer


def _percent(value: int | None, of: int | None, decimals: int) -> str | None:
    return None if value is None or of is None else cut_percent(value, of, decimals)
