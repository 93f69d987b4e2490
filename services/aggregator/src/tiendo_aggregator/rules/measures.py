"""Measures: indicators beyond accounts, which other systems count and report to us as standings.

A standing is where a unit was at the end of a day: a plain value (outreach turns) or a share (23 of 25 services). It is
nobody's sum of events, so it is never added to counters, and a later one replaces an earlier one, it doesn't add to it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import msgspec

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.dividing import parts_of
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.plan import spread
from tiendo_aggregator.rules.told import Piece, Told, carried
from tiendo_aggregator.rules.units import Followed, Tree
from tiendo_common.errors import Invalid


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The paper by which a target was set."""

    number: str
    signed_by: str
    from_day: date


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured. `out_of` names what the denominator counts; None: a plain value, which has none.

    `adds_up`: people or things of which a unit has as many as those below it together (cards, turns), so that it can be
    summed, and parted when a unit is divided. Otherwise (25 services that each commune offers) a number is of the unit
    alone of which it was told.

    `targets` are what units must reach, in the numerator's unit of count; percentages are cut after `decimals`.
    """

    id: str
    name: str
    out_of: str | None
    decimals: int
    targets: Mapping[str, int]
    decision: Decision | None
    adds_up: bool = True


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
    """A unit on one measure. `how`: told by its source for the unit itself, or for what it came of; the sum of what was
    told for units below it; or not reported, and then every number is None, which is not zero.

    `oldest_day` is the day of the oldest standing in it, `covered` how many of its `communes` are in it. `over_100`
    marks a share above the whole: shown as it was reported, since clipping would hide that something is wrong.
    `of_divided`: in how many of its communes is what was told of a unit that has been divided since.
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
    of_divided: int
    sources: tuple[str, ...]


def check_measure(measure: Measure, tree: Tree, province: str) -> None:
    """Raise Invalid, naming the field, unless the measure can be kept beside the counted indicators, and its targets
    are those of the campaign's units, none of which has less than those below it together, if it adds up."""
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
    for unit, value in measure.targets.items() if measure.adds_up else ():
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
    measure: Measure, newest: Iterable[Standing], followed: Followed
) -> dict[str, list[Piece[Standing]]]:
    """Each unit's standings on the tree of a day: its own, or else those of all that it was made of (see rules.told).
    `newest` are the newest of each unit, and the newest before each change of the tree."""
    told = (Told(each.unit, each.day, each) for each in newest)
    return carried(told, followed, _part_standing if measure.adds_up else None, whole=True)


def _part_standing(standing: Standing, weights: Mapping[str, int]) -> dict[str, Standing]:
    """What is parted are those who are reached, those who are not, and what was told beyond the whole: so no part is
    above the whole unless its unit was."""
    of = standing.value if standing.out_of is None else standing.out_of
    reached = spread(min(standing.value, of), weights)
    missing, beyond = (spread(max(0, n), weights) for n in (of - standing.value, standing.value - of))
    return {
        part: replace(
            standing,
            unit=part,
            value=reached[part] + beyond[part],
            out_of=None if standing.out_of is None else reached[part] + missing[part],
        )
        for part in weights
    }


def _placed_targets(measure: Measure, followed: Followed, start: Tree) -> dict[str, int]:
    """The targets under the units of the tree that the campaign was followed to."""
    targets: Counter[str] = Counter()
    made_of = Counter(place_of(unit, followed, start) for unit in followed.places)
    for unit, wanted in measure.targets.items():
        place = place_of(unit, followed, start)
        if place is not None and measure.adds_up:
            targets.update(parts_of(unit, wanted, followed.steps))
        elif place is not None and made_of[place] == 1:
            targets[place] = wanted
    return dict(targets)


def measured_units(
    measure: Measure,
    found: Mapping[str, list[Piece[Standing]]],
    followed: Followed,
    start: Tree,
    root: str,
    depth: int,
) -> list[MeasuredUnit]:
    """`root` and what is below it down to `depth` levels, each unit before those below it. `found` is what `placed`
    said; `start` the tree of the campaign's first day, to which the targets were given."""
    tree = followed.tree
    targets = _placed_targets(measure, followed, start)
    cache: dict[str, tuple[list[Piece[Standing]], int, int, int]] = {}

    def gather(unit: str) -> tuple[list[Piece[Standing]], int, int, int]:
        """The standings that make up a unit, how many of its communes are in them, how many it has, and in how many of
        those that are in them is something of a divided unit."""
        if unit not in cache:
            # Nobody tells a measure of hamlets.
            children = [] if tree.units[unit].level == "commune" else tree.children.get(unit, [])
            parts = [gather(child) for child in children]
            communes = sum(each[2] for each in parts) if parts else 1
            if unit in found:
                of_divided = any(piece.of_divided for piece in found[unit])
                cache[unit] = found[unit], communes, communes, int(of_divided)
            elif measure.adds_up:
                below = [piece for each in parts for piece in each[0]]
                cache[unit] = below, sum(each[1] for each in parts), communes, sum(each[3] for each in parts)
            else:
                cache[unit] = [], 0, communes, 0
        return cache[unit]

    answer = []
    for unit in tree.below(root, depth):
        pieces, covered, communes, of_divided = gather(unit)
        standings = [piece.document for piece in pieces]
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
                of_divided=of_divided,
                sources=tuple(sorted({each.source for each in standings})),
            )
        )
    return answer


def _percent(value: int | None, of: int | None, decimals: int) -> str | None:
    return None if value is None or of is None else cut_percent(value, of, decimals)
