"""The plan of a campaign: what must be reached where, and whether the document makes sense."""

from collections.abc import Mapping
from datetime import date, time
from typing import Literal

import msgspec

from tiendo_aggregator.rules.calendar import Calendar, Schedule, check_calendar
from tiendo_aggregator.rules.declaring import Declaring, check_declaring
from tiendo_aggregator.rules.units import Tree
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator

#: What a figure can be a share of: what should be reached, who could be, or another count.
Over = Literal["target", "eligible", "intake", "approved", "activated"]

#: What each unit must reach by the last day.
UnitTargets = Mapping[tuple[str, Indicator], int]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio that the campaign's reports print, cut after `decimals` decimals."""

    id: str
    indicator: Indicator
    over: Over
    decimals: int


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Who, where, when; days and the cut-off hour are those of the campaign's place."""

    id: str
    name: str
    plan_number: str
    plan_issued_on: date
    province: str
    first_day: date
    last_day: date
    day_cut_off: time
    figures: tuple[Figure, ...]
    calendar: Calendar = Calendar()
    declaring: Declaring | None = None

    @property
    def schedule(self) -> Schedule:
        """Its days with their weights."""
        return Schedule.of(self.calendar, self.first_day, self.last_day)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with the province's targets, due on the last day, and its communes' eligible citizens. `set_targets`
    are those of districts and communes that were set by hand; the others are spread."""

    campaign: Campaign
    targets: Mapping[Indicator, int]
    eligible: Mapping[str, int]
    set_targets: Mapping[Indicator, Mapping[str, int]] = {}


def check_plan(plan: Plan, tree: Tree) -> None:
    """Raise Invalid, naming the field, unless the plan fits itself and the tree of its first day."""
    campaign = plan.campaign
    if campaign.first_day > campaign.last_day:
        raise Invalid(
            f"The campaign would end on {campaign.last_day}, before it begins on {campaign.first_day}.",
            field="last_day",
            remedy="Send a last_day at or after first_day.",
        )
    check_calendar(campaign.calendar, campaign.first_day, campaign.last_day)
    unit = tree.units.get(campaign.province)
    if unit is None or unit.level != "province":
        raise Invalid(
            f"{campaign.province!r} is no province on {campaign.first_day}.",
            field="province",
            remedy="GET /v1/units?search= finds codes; provinces have two digits.",
        )
    communes = tree.communes(campaign.province)
    strangers = sorted(plan.eligible.keys() - set(communes))
    if strangers:
        raise Invalid(
            f"{len(strangers)} of the units are no communes of {unit.name} on {campaign.first_day}: "
            f"{_some(strangers)}.",
            field=f"eligible.{strangers[0]}",
            remedy=f"GET /v1/units?as_of={campaign.first_day} tells the units of that day.",
        )
    missing = [code for code in communes if code not in plan.eligible]
    if missing:
        raise Invalid(
            f"{len(missing)} of the {len(communes)} communes of {unit.name} have no eligible population: "
            f"{_some(missing)}.",
            field="eligible",
            remedy="Name every commune; 0 says that nobody there is eligible.",
        )
    eligible = sum(plan.eligible.values())
    if not eligible:
        raise Invalid("Nobody is eligible.", field="eligible", remedy="Send the communes' populations.")
    for indicator, value in plan.targets.items():
        if value > eligible:
            raise Invalid(
                f"The target of {indicator}, {value:,}, is above the {eligible:,} who are eligible.",
                field="targets",
                remedy="The communes' eligible populations must sum to the province's.",
            )
    if campaign.declaring is not None:
        check_declaring(campaign.declaring, communes, campaign.first_day)
    _check_set_targets(plan, tree)
    for figure in campaign.figures:
        if figure.over == "target" and figure.indicator not in plan.targets:
            raise Invalid(
                f"Figure {figure.id!r} is over the target of {figure.indicator}, which has none.",
                field="figures",
                remedy="Set that target, or take the figure over another denominator.",
            )


def _some(codes: list[str]) -> str:
    return ", ".join(codes[:5]) + (", …" if len(codes) > 5 else "")


def spread(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Shares of `total` in proportion to `weights`, whole numbers that sum to it exactly.

    Largest remainder: each gets its share cut to a whole number, what is left goes one by one to the largest
    fractions, among equal ones to the lower code. No share is a whole unit off its exact value, and the same
    plan is spread the same way everywhere. At least one weight must be positive, none negative.
    """
    whole = sum(weights.values())
    shares = {code: total * weight // whole for code, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda code: (-(total * weights[code] % whole), code))
    for code in by_remainder[: total - sum(shares.values())]:
        shares[code] += 1
    return shares


def unit_targets(plan: Plan, tree: Tree) -> dict[tuple[str, Indicator], int]:
    """The province's targets spread to its communes by their eligible; what is between has its communes' sum.

    A unit whose target was set by hand keeps it: its communes share that, and what is left of the target above it is
    spread over the communes that are in none. Raises Invalid, naming the field, if units set by hand have more than
    what is above them, or less with nobody to take the rest.
    """
    province = plan.campaign.province
    targets = {(unit, indicator): 0 for indicator in sorted(plan.targets) for unit in tree.below(province)}
    for indicator, total in plan.targets.items():
        by_hand = plan.set_targets.get(indicator, {})
        for commune, share in _shares(plan, tree, indicator, by_hand, province, total).items():
            for unit in tree.up_to(commune, province):
                targets[unit, indicator] += share
    return targets


def _shares(
    plan: Plan, tree: Tree, indicator: Indicator, by_hand: Mapping[str, int], root: str, total: int
) -> dict[str, int]:
    """What each commune of `root` has of its `total`."""
    if tree.units[root].level == "commune":
        return {root: total}
    shares: dict[str, int] = {}
    rest, free = total, {}
    waiting = list(tree.children.get(root, ()))
    while waiting:
        unit = waiting.pop()
        if unit in by_hand:
            rest -= by_hand[unit]
            shares |= _shares(plan, tree, indicator, by_hand, unit, by_hand[unit])
        elif tree.units[unit].level == "commune":
            free[unit] = plan.eligible[unit]
        else:
            waiting += tree.children.get(unit, ())
    name = tree.units[root].name
    if rest < 0:
        raise Invalid(
            f"The targets of {indicator} that are set below {name} are {-rest:,} more than its own, {total:,}.",
            field=f"set_targets.{indicator}",
            remedy=f"Lower one of them, or raise the target of {name} to {total - rest:,}.",
        )
    if any(free.values()):
        return shares | spread(rest, free)
    if rest:
        raise Invalid(
            f"The targets of {indicator} that are set below {name} leave {rest:,} of its {total:,} to nobody.",
            field=f"set_targets.{indicator}",
            remedy="Raise one of them, or leave one out that has eligible citizens.",
        )
    return shares | dict.fromkeys(free, 0)


def _check_set_targets(plan: Plan, tree: Tree) -> None:
    province = plan.campaign.province
    below = set(tree.below(province)) - {province}
    for indicator, by_hand in plan.set_targets.items():
        if indicator not in plan.targets:
            raise Invalid(
                f"Targets of {indicator} are set below the province, which has none.",
                field=f"set_targets.{indicator}",
                remedy="Set the province's own target in targets.",
            )
        for unit, value in by_hand.items():
            if unit not in below:
                raise Invalid(
                    f"{unit} is no district or commune of the province on {plan.campaign.first_day}.",
                    field=f"set_targets.{indicator}.{unit}",
                    remedy=f"GET /v1/units?as_of={plan.campaign.first_day} tells the units of that day.",
                )
            eligible = sum(plan.eligible.get(code, 0) for code in tree.below(unit))
            if value > eligible:
                raise Invalid(
                    f"The target of {unit}, {value:,}, is above the {eligible:,} who are eligible there.",
                    field=f"set_targets.{indicator}.{unit}",
                    remedy="Lower it, or correct the eligible population.",
                )


def withdrawn(old: UnitTargets, new: UnitTargets) -> tuple[str, Indicator] | None:
    """A target that the old plan assigned and the new one doesn't know, if there is one."""
    return min(old.keys() - new.keys(), default=None)
