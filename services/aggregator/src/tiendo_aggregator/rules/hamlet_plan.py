"""What a plan says of hamlets: how many of a commune's eligible live in which, and what each has of its target.

The tree that is planned, judged and published has no hamlets (decision 0058), so their numbers lie beside those of its
units, never among them: a commune's hold its hamlets', and those of whoever lives in none that is named.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date

import msgspec

from tiendo_aggregator.errors import EditionContradicted
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets, share_rest, spread
from tiendo_aggregator.rules.units import Followed, Gazetteer, Tree
from tiendo_aggregator.rules.units.reorganisation import ByHamlet
from tiendo_common.errors import Invalid

#: The commune of each hamlet that a plan names.
Homes = Mapping[str, str]


def home_of(code: str, campaign: Campaign, gazetteer: Gazetteer) -> str | None:
    """The commune of a hamlet on the first of the campaign's days on which it is there; None: it is on none."""
    until = campaign.works_until or date.max
    return next(
        (
            each.parent
            for each in gazetteer.hamlets.get(code, ())
            if each.from_day <= until and (each.until_day is None or each.until_day > campaign.first_day)
        ),
        None,
    )


def homes_of(plan: Plan, gazetteer: Gazetteer) -> Homes:
    """Where the hamlets are that the plan names, of those that are in communes of the campaign."""
    homes = {code: home_of(code, plan.campaign, gazetteer) for code in plan.eligible_in_hamlets}
    return {code: home for code, home in homes.items() if home is not None and home in plan.eligible}


def check_hamlets(plan: Plan, homes: Homes, tree: Tree) -> None:
    """Raise Invalid, naming the field, unless each hamlet that the plan names has its home, a commune of the campaign,
    and no commune has fewer eligible than its hamlets together. `tree` is that of the campaign's first day."""
    campaign = plan.campaign
    sums: defaultdict[str, int] = defaultdict(int)
    for code, citizens in plan.eligible_in_hamlets.items():
        if code not in homes:
            raise Invalid(
                f"{code} is no hamlet of a commune of the campaign on any of its days.",
                field=f"eligible_in_hamlets.{code}",
                remedy=f"GET /v1/units/hamlets/{campaign.province}?as_of={campaign.first_day} tells those of a day; "
                f"PUT /v1/units/hamlets/{campaign.province}/{{from_day}} brings them, also from an earlier day on.",
            )
        sums[homes[code]] += citizens
    for home, citizens in sums.items():
        if citizens > plan.eligible[home]:
            raise Invalid(
                f"{citizens:,} would be eligible in the hamlets of {tree.units[home].name} ({home}), of "
                f"{plan.eligible[home]:,} who are in all.",
                field=f"eligible_in_hamlets.{min(code for code in homes if homes[code] == home)}",
                remedy=f"Lower them by {citizens - plan.eligible[home]:,}, or raise eligible.{home}: whoever lives in "
                "no hamlet that is named is the rest.",
            )


def hamlet_targets(plan: Plan, targets: UnitTargets, homes: Homes, tree: Tree) -> dict[tuple[str, str], int]:
    """The communes' `targets` spread over their hamlets by eligible, in the way in which they were spread over the
    communes. Who lives in no hamlet that is named has a share like a hamlet's: it is what these leave of the commune's.

    A hamlet whose target was set by hand keeps it. Goals of a cohort whose size is told have no targets of hamlets: it
    is told by commune. Raises Invalid as `unit_targets` does.
    """
    hamlets: defaultdict[str, list[str]] = defaultdict(list)
    for code, home in sorted(homes.items()):
        hamlets[home].append(code)
    answer: dict[tuple[str, str], int] = {}
    for goal in sorted(plan.targets):
        if plan.could(goal) is not plan.eligible:
            continue
        by_hand = plan.set_targets.get(goal, {})
        for home, codes in hamlets.items():
            total = targets[home, goal]
            free = {code: plan.eligible_in_hamlets[code] for code in codes if code not in by_hand}
            free[home] = max(0, plan.eligible[home] - sum(plan.eligible_in_hamlets[code] for code in codes))
            left = total - sum(by_hand[code] for code in codes if code in by_hand)
            shares = share_rest(goal, tree.units[home].name, total, left, free)
            answer |= {(code, goal): by_hand[code] if code in by_hand else shares[code] for code in codes}
    return answer


def set_by_hand(plan: Plan, goal: str) -> dict[str, int]:
    """The targets of hamlets that were set by hand."""
    by_hand = plan.set_targets.get(goal, {})
    return {code: value for code, value in by_hand.items() if code in plan.eligible_in_hamlets}


def check_homes(plan: Plan, now: Gazetteer, then: Gazetteer) -> None:
    """Raise EditionContradicted if a hamlet that the plan names would be another commune's than it was when the plan
    was put: the numbers of both would be wrong."""
    was, would_be = homes_of(plan, now), homes_of(plan, then)
    moved = sorted(code for code, home in was.items() if would_be.get(code) != home)
    if moved:
        raise EditionContradicted(
            f"{len(moved)} hamlets would not be where the plan of {plan.campaign.id} says how many are eligible there: "
            f"{', '.join(moved[:6])}{', …' if len(moved) > 6 else ''}.",
            field="hamlets",
            remedy="Leave them in their communes; or put that plan without them first.",
        )


def kept_when_over(
    old: UnitTargets, new: UnitTargets, campaign: Campaign, closed_through: date
) -> dict[tuple[str, str], int]:
    """The `new` targets of hamlets, but for goals whose last day is closed the `old` ones: what was asked for stays,
    and a plan can tell of hamlets in the middle of a campaign."""
    return {
        (code, goal): value
        for targets, is_over in ((old, True), (new, False))
        for (code, goal), value in targets.items()
        if (campaign.due(goal) <= closed_through) is is_over
    }


def with_hamlets(
    plan: Plan, targets: UnitTargets, of_hamlets: UnitTargets, followed: Followed
) -> tuple[Plan, UnitTargets]:
    """`plan` and `targets`, which are on the tree that the campaign was followed to with its hamlets, with what their
    hamlets have of them there; `of_hamlets`: their targets as they were assigned.

    A hamlet that has ended is one of those that the commune doesn't name. Where a commune was divided by other weights
    than its hamlets' eligible, a part may have fewer than its hamlets: these share what it has, and nobody is left.
    """
    by_goal: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (code, goal), value in of_hamlets.items():
        by_goal[goal][code] = value
    placed = {
        (code, goal): value
        for goal, values in by_goal.items()
        for code, value in _placed(values, {unit: n for (unit, of), n in targets.items() if of == goal}, followed)
    }  # fmt: skip
    eligible = dict(_placed(plan.eligible_in_hamlets, plan.eligible, followed))
    return msgspec.structs.replace(plan, eligible_in_hamlets=eligible), {**targets, **placed}


def weights_of(division: ByHamlet, hamlets: Collection[str], plan: Plan) -> dict[str, int] | None:
    """How many eligible each part of a commune has that is divided by hamlet: those of the hamlets that go there, and
    with the part that stays, who lives in none that is named. None: the plan doesn't say so of each of its `hamlets`.

    `plan` is that of the tree before, with hamlets.
    """
    known = plan.eligible_in_hamlets
    if division.unit not in plan.eligible or not known.keys() >= set(hamlets):
        return None
    weights = {part: sum(known[code] for code in codes) for part, codes in division.parts.items()}
    weights[division.stays] += plan.eligible[division.unit] - sum(weights.values())
    return weights


def _placed(values: Mapping[str, int], whole: Mapping[str, int], followed: Followed) -> list[tuple[str, int]]:
    there: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for code, value in values.items():
        place = followed.hamlets.get(code)
        unit = followed.tree.units.get(place) if place is not None else None
        if place is not None and unit is not None and unit.level == "hamlet" and unit.parent is not None:
            there[unit.parent][place] += value
    return [
        each
        for commune, numbers in there.items()
        for each in (
            spread(whole.get(commune, 0), numbers)
            if sum(numbers.values()) > whole.get(commune, 0)
            else numbers
        ).items()
    ]
