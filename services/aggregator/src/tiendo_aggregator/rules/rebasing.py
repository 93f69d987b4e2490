"""A campaign on a later tree: its numbers under the units that its own have become, to the same totals.

Nothing stored is changed. Counters, targets and eligible populations stay with the codes to which they were
given, and are summed under the units of the tree that a report is on, parted where a unit was divided by shares; so to
take a reorganisation back is to stop summing so.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

import msgspec

from tiendo_aggregator.errors import EditionContradicted
from tiendo_aggregator.rules.dividing import are_parted, own_records, parts_of, records_of
from tiendo_aggregator.rules.exemptions import ExemptionDecision, exempt_citizens
from tiendo_aggregator.rules.pace import Reading
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets
from tiendo_aggregator.rules.progress import Count, sum_up
from tiendo_aggregator.rules.units import Followed, Gazetteer, History, Reorganisation, Tree
from tiendo_aggregator.rules.units.reorganisation import check_complete, preview
from tiendo_common.errors import Invalid

CountedT = TypeVar("CountedT", Count, Reading)
KeyT = TypeVar("KeyT")


def rebased_plan(plan: Plan, targets: UnitTargets, followed: Followed) -> tuple[Plan, UnitTargets]:
    """The plan's populations and the communes' targets where they count now, parted where shares say so; what is above
    has the sum.

    A target of a unit between commune and province is the sum of its communes' targets before, and after.
    """
    if not followed.changed:
        return plan, targets

    def there(population: Mapping[str, int]) -> dict[str, int]:
        placed: defaultdict[str, int] = defaultdict(int)
        for code, citizens in population.items():
            for part, number in parts_of(code, citizens, followed.steps).items():
                placed[part] += number
        return dict(placed)

    communes = (
        (part, goal, number)
        for (unit, goal), value in targets.items()
        if unit in plan.eligible
        for part, number in parts_of(unit, value, followed.steps).items()
    )
    cohorts = {
        cohort: msgspec.structs.replace(size, eligible=there(size.eligible))
        for cohort, size in plan.cohorts.items()
    }
    return (
        msgspec.structs.replace(plan, eligible=there(plan.eligible), cohorts=cohorts),
        dict(sum_up(followed.tree, followed.root, communes)),
    )


def rebased(counts: Iterable[CountedT], followed: Followed) -> list[CountedT]:
    """Each count under the unit where the cells of its code count now."""
    if followed.as_counted:
        return list(counts)
    return [msgspec.structs.replace(count, unit=followed.places[count.unit]) for count in counts]


def resident_codes(followed: Followed, root: str) -> list[str]:
    """The codes of whose residents some count, or counted before a division, at `root` or below it."""
    codes = followed.codes_below(root)
    if any(step.shares for step in followed.steps):
        inside = set(followed.tree.below(root))
        codes += [
            code
            for code, place in followed.places.items()
            if place not in inside and not inside.isdisjoint(records_of(code, 0, followed, date.min))
        ]
    return codes


def rebased_residents(
    counts: Iterable[CountedT], followed: Followed, root: str, as_of: date, first_day: date
) -> list[CountedT]:
    """Likewise of residents at `root` and below it (see `resident_codes`), as they stood at the end of `as_of`, a week
    before, and on the eve of `first_day`. What stood before a unit was divided by shares is parted as whatever else was
    told of it is; since then its records are where intake placed them."""
    if followed.as_counted:
        return list(counts)
    inside = set(followed.tree.below(root))
    week = timedelta(days=7)
    ends = {"value": as_of, "week_ago": as_of - week, "baseline": first_day - timedelta(days=1)}
    answer = []
    for each in counts:
        if not are_parted(each.unit, followed):
            answer.append(msgspec.structs.replace(each, unit=followed.places[each.unit]))
            continue
        parts = {
            name: records_of(each.unit, getattr(each, name), followed, day)
            for name, day in ends.items()
            if hasattr(each, name)
        }
        for unit in sorted(inside & {unit for of_end in parts.values() for unit in of_end}):
            numbers: dict[str, Any] = {name: of_end.get(unit, 0) for name, of_end in parts.items()}
            answer.append(msgspec.structs.replace(each, unit=unit, **numbers))
    return answer


def rebased_sums(sums: Iterable[tuple[str, KeyT, int]], followed: Followed) -> list[tuple[str, KeyT, int]]:
    """Numbers of a unit by something else, under the unit where the cells of its code count now."""
    if followed.as_counted:
        return list(sums)
    return [(followed.places[unit], key, n) for unit, key, n in sums]


def rebased_days(
    changes: Iterable[tuple[str, tuple[str, date], int]], followed: Followed, root: str, as_of: date
) -> list[tuple[str, tuple[str, date], int]]:
    """The changes of residents of `root` and below it on each day up to `as_of`, by goal.

    Up to any day they sum to what `rebased_residents` says of it. So the placing of records on the day of a division is
    nobody's progress and nobody's loss, but for what the shares missed by.
    """
    answer: list[tuple[str, tuple[str, date], int]] = []
    of_parted: defaultdict[tuple[str, str], Counter[date]] = defaultdict(Counter)
    for unit, (goal, day), n in changes:
        if are_parted(unit, followed):
            of_parted[unit, goal][day] += n
        else:
            answer.append((unit if followed.as_counted else followed.places[unit], (goal, day), n))
    inside = set(followed.tree.below(root)) if of_parted else set()
    divisions = {step.day for step in followed.steps if step.day <= as_of}
    for (unit, goal), by_day in of_parted.items():
        so_far, before = 0, Counter[str]()
        for day in sorted(by_day.keys() | divisions):
            so_far += by_day[day]
            now = Counter(records_of(unit, so_far, followed, day))
            parts = sorted(inside & (now.keys() | before.keys()))
            answer += [(part, (goal, day), now[part] - before[part]) for part in parts]
            before = now
    return answer


@dataclass(frozen=True, slots=True)
class Division:
    """That the records of a unit were divided by shares, so that each part has some of them since that day."""

    day: date
    code: str
    parts: Collection[str]

    def cuts(self, units: Iterable[str]) -> bool:
        """Whether these have some of its parts, and not all."""
        inside = set(units)
        return not inside.isdisjoint(self.parts) and not inside.issuperset(self.parts)


def divisions(followed: Followed, as_of: date) -> list[Division]:
    """Those after `as_of`, by day, with their parts on the tree to which was followed. A unit that was divided by
    hamlet is none of them: each hamlet's records were its own before."""
    found = []
    steps = followed.after(as_of)
    for place, step in enumerate(steps):
        for code in sorted((step.shares.keys() - step.by_hamlet) & followed.names.keys()):
            found.append(Division(step.day, code, own_records(code, 0, steps[place:], date.min).keys()))
    return found


def require_whole(followed: Followed, units: Iterable[str], as_of: date) -> None:
    """Raise Invalid if one of the `units` has but some parts of what was divided by shares after `as_of`: how long
    citizens had waited by then is of each by himself, and nobody was placed in a part yet."""
    later = divisions(followed, as_of)
    for unit in units if later else ():
        cut = [each for each in later if each.cuts(followed.tree.below(unit))]
        if cut:
            above = followed.tree.up_to(unit, followed.root)
            whole = next(
                each
                for each in above
                if not any(division.cuts(followed.tree.below(each)) for division in cut)
            )
            raise Invalid(
                f"{followed.names[unit]} ({unit}) has a part of {cut[0].code}, which was divided after {as_of}; since "
                "when its citizens had waited can't be parted.",
                field="tree",
                remedy=f"Ask with tree={as_of}, where {cut[0].code} is whole; with as_of={cut[-1].day} or later; or "
                f"with unit={whole} and depth=0, which has all its parts.",
            )


@dataclass(frozen=True, slots=True)
class Excess:
    """A commune of which more citizens are exempt on a day than are eligible."""

    day: date
    unit: str
    exempt: int
    eligible: int


def too_many(
    decisions: Collection[ExemptionDecision], plan: Plan, since: date, history: History
) -> Excess | None:
    """The first day from `since` on when a commune has fewer eligible than exempt, by all decisions that are known;
    None: there is none. Each day is looked at on its own tree. Raises Invalid for one to which the campaign can't be
    followed."""
    campaign = plan.campaign
    for day in sorted({since, *(each.from_day for each in decisions if each.from_day > since)}):
        followed = campaign.followed(history, day)
        followed.require(day, day, field="from_day")
        there, _ = rebased_plan(plan, {}, followed)
        for unit, exempt in sorted(exempt_citizens(decisions, day, None, followed).items()):
            if exempt > there.eligible.get(unit, 0):
                return Excess(day, unit, exempt, there.eligible.get(unit, 0))
    return None


def check_edition(
    now: Gazetteer,
    then: Gazetteer,
    reorganisations: Collection[Reorganisation],
    campaigns: Iterable[Campaign],
) -> None:
    """Raise EditionContradicted unless what is in force fits the trees of `then`: every mapping, and each campaign's
    units on its first day, to which its targets and eligible populations were given (their names may change); and
    unless each hamlet that ever was still was."""
    check_mappings(then, reorganisations, field="units")
    never = sorted(now.hamlets.keys() - then.hamlets.keys())
    if never:
        raise EditionContradicted(
            f"{len(never)} hamlets would never have been, since their communes would not: {', '.join(never[:6])}"
            f"{', …' if len(never) > 6 else ''}. Records may name them.",
            field="units",
            remedy="Send their lists for other days first: PUT /v1/units/hamlets/{province}/{from_day}.",
        )
    for campaign in campaigns:
        was, would_be = (_parents(each.as_of(campaign.first_day), campaign) for each in (now, then))
        if was != would_be:
            strange = sorted({code for code, _ in was ^ would_be})
            raise EditionContradicted(
                f"Campaign {campaign.id} would have other units on its first day, {campaign.first_day}: "
                f"{', '.join(strange[:6])}{', …' if len(strange) > 6 else ''}.",
                field="units",
                remedy="Let the tree begin after that day.",
            )


def check_mappings(then: Gazetteer, reorganisations: Collection[Reorganisation], *, field: str) -> None:
    """Raise EditionContradicted, naming the field, unless every mapping in force fits the trees and hamlets of
    `then`."""
    for each in reorganisations:
        others = [
            other
            for other in reorganisations
            if other is not each and other.effective_on == each.effective_on
        ]
        try:
            check_complete(preview(each, then, others))
        except Invalid as error:
            raise EditionContradicted(
                f"The reorganisation effective on {each.effective_on} would no longer fit: {error.detail}",
                field=field,
                remedy="DELETE /v1/reorganisations/{id} takes it back; then bring the tree, then apply it anew.",
            ) from error


def _parents(tree: Tree, campaign: Campaign) -> set[tuple[str, str | None]]:
    tops = campaign.units or (campaign.province,)
    return {
        (code, tree.units[code].parent)
        for top in tops
        if top in tree.units
        for code in (*tree.up_to(top, campaign.province), *tree.below(top))
    }
