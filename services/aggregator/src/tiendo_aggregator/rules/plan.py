"""The plan of a campaign: what must be reached where, and whether the document makes sense."""

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Literal

import msgspec

from tiendo_aggregator.rules.calendar import Calendar, Schedule, check_calendar
from tiendo_aggregator.rules.contests import Contest, check_contests
from tiendo_aggregator.rules.declaring import Declaring, check_declaring
from tiendo_aggregator.rules.going_on import DailyQuota, GoingOn, check_going_on
from tiendo_aggregator.rules.phases import Phase, check_phases
from tiendo_aggregator.rules.units import Followed, History, Tree
from tiendo_common.errors import Invalid
from tiendo_common.events.goals import goal_of
from tiendo_common.events.restatements import Cohort
from tiendo_common.events.state import Indicator
from tiendo_common.nights import DayEnd, check_day_end

#: What a figure can be a share of: what should be reached, who could be, or another count.
Over = Literal["target", "eligible", "intake", "approved", "activated"]

#: What each unit must reach, by the name of the goal: see tiendo_common.events.state.Goal.
UnitTargets = Mapping[tuple[str, str], int]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio that the campaign's reports print, cut after `decimals` decimals."""

    id: str
    indicator: Indicator
    over: Over
    decimals: int


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Who, where, when; days and the cut-off hour are those of the campaign's place, and the hour is one of the
    following date if `days_end_after_midnight`.

    `units`: the districts and communes of its first day that it is about, none within another; empty: all of the
    province. `parent`: the campaign of which it is a part (rules.sub_campaigns).
    """

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
    phases: tuple[Phase, ...] = ()
    going_on: GoingOn | None = None
    contests: tuple[Contest, ...] = ()
    parent: str | None = None
    units: tuple[str, ...] = ()
    days_end_after_midnight: bool = False

    @property
    def day_end(self) -> DayEnd:
        """When its days end."""
        return DayEnd(self.day_cut_off, self.days_end_after_midnight)

    def followed(self, history: History, day: date) -> Followed:
        """What its units are on the tree of a day."""
        return history.follow(self.province, self.first_day, day, self.units)

    def followed_to_hamlets(self, history: History, day: date) -> Followed:
        """The same with their hamlets as units of their own."""
        return history.follow_to_hamlets(self.province, self.first_day, day, self.units)

    @property
    def schedule(self) -> Schedule:
        """Its days with their weights."""
        return Schedule.of(self.calendar, self.first_day, self.last_day)

    @property
    def works_until(self) -> date | None:
        """The last day on which it works: after its last one if it goes on; None: until somebody stops it."""
        if self.going_on is None:
            return self.last_day
        return self.going_on.stop.last_day if self.going_on.stop is not None else None

    @property
    def asks_until(self) -> date | None:
        """The last day of which the plan says what it is to bring; None: every day until somebody stops it."""
        return self.works_until if self.daily else self.last_day

    @property
    def daily(self) -> tuple[DailyQuota, ...]:
        """What each day after the last one is to bring."""
        return self.going_on.daily if self.going_on is not None else ()

    def works_on(self, day: date) -> bool:
        """Whether it works on a day: on one of its own, or while it goes on."""
        return self.first_day <= day and (self.works_until is None or day <= self.works_until)

    def due(self, goal: str) -> date:
        """The last day for the goal of this name."""
        return goal_of(goal).due or self.last_day

    def schedule_of(self, goal: str) -> Schedule:
        """The days on which the goal of this name is worked for."""
        return Schedule.of(self.calendar, self.first_day, self.due(goal))


class CohortSize(msgspec.Struct, frozen=True, kw_only=True):
    """How many citizens of a cohort each commune has, and who says so."""

    source: str
    eligible: Mapping[str, int]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A target that was set as `percent` (two decimals at most) of so many `eligible` citizens: those of that day."""

    percent: Decimal
    eligible: int

    @property
    def citizens(self) -> int:
        """Rounded up: whoever reaches so many has reached the share."""
        return -(-self.eligible * int(self.percent * 100) // 10_000)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with the province's targets by the names of their goals, and its communes' eligible citizens.

    `set_targets` are those of districts, communes and hamlets that were set by hand; the others are spread. `cohorts`:
    the sizes of those that are told. `shares`: which of `targets` were set as a share. `eligible_in_hamlets`: how many
    of its commune's eligible live in each hamlet of which that is told (rules.hamlet_plan). `signed_by`: who signed it.
    `holds_from`: the first of the days that it is the plan of; None: of all of them.
    """

    campaign: Campaign
    targets: Mapping[str, int]
    eligible: Mapping[str, int]
    set_targets: Mapping[str, Mapping[str, int]] = {}
    cohorts: Mapping[Cohort, CohortSize] = {}
    shares: Mapping[str, Share] = {}
    eligible_in_hamlets: Mapping[str, int] = {}
    signed_by: str | None = None
    holds_from: date | None = None

    def holds_on(self, day: date) -> bool:
        """Whether it is the plan of a day, unless a later version is."""
        return self.holds_from is None or self.holds_from <= day

    def could(self, goal: str) -> Mapping[str, int]:
        """How many citizens of each commune could count for a goal, exempt ones among them: of a cohort whose size is
        told, those; else all who are eligible."""
        cohort = goal_of(goal).cohort
        size = self.cohorts.get(cohort) if cohort is not None else None
        return self.eligible if size is None else size.eligible


def check_place(campaign: Campaign, tree: Tree) -> None:
    """Raise Invalid, naming the field, unless the campaign is in a province of the tree of its first day, and its units
    are below that, each once."""
    unit = tree.units.get(campaign.province)
    if unit is None or unit.level != "province":
        raise Invalid(
            f"{campaign.province!r} is no province on {campaign.first_day}.",
            field="province",
            remedy="GET /v1/units?search= finds codes; provinces have two digits.",
        )
    inside = set(tree.below(campaign.province)) - {campaign.province}
    taken: dict[str, str] = {}
    for place, code in enumerate(campaign.units):
        if code not in inside:
            raise Invalid(
                f"{code} is no district or commune of {unit.name} on {campaign.first_day}.",
                field=f"units.{place}",
                remedy=f"GET /v1/units?as_of={campaign.first_day} tells the units of that day.",
            )
        for below in tree.below(code):
            if below in taken:
                raise Invalid(
                    f"{tree.units[below].name} ({below}) is in {taken[below]} and in {code}."
                    if taken[below] != code
                    else f"{code} is there twice.",
                    field=f"units.{place}",
                    remedy="Name each unit once; a district stands for all of its communes.",
                )
            taken[below] = code


def check_plan(plan: Plan, tree: Tree) -> None:
    """Raise Invalid, naming the field, unless the plan's days, calendar, phases and populations fit each other and
    `tree`, which has the campaign's units on its first day. Of targets see check_targets."""
    campaign = plan.campaign
    if campaign.first_day > campaign.last_day:
        raise Invalid(
            f"The campaign would end on {campaign.last_day}, before it begins on {campaign.first_day}.",
            field="last_day",
            remedy="Send a last_day at or after first_day.",
        )
    check_day_end(campaign.day_end)
    check_calendar(campaign.calendar, campaign.first_day, campaign.last_day, campaign.asks_until)
    check_phases(campaign.phases, campaign.first_day, campaign.last_day)
    check_going_on(campaign.going_on, campaign.last_day, campaign.calendar, campaign.phases)
    communes = tree.communes(campaign.province)
    where = (
        f"{'the campaign' if campaign.units else tree.units[campaign.province].name} on {campaign.first_day}"
    )
    _check_population(plan.eligible, communes, "eligible", where, campaign)
    if not any(plan.eligible.values()):
        raise Invalid("Nobody is eligible.", field="eligible", remedy="Send the communes' populations.")
    for cohort, size in plan.cohorts.items():
        field = f"cohorts.{cohort}.eligible"
        _check_population(size.eligible, communes, field, where, campaign)
        for code, citizens in size.eligible.items():
            if citizens > plan.eligible[code]:
                raise Invalid(
                    f"{citizens:,} of the cohort {cohort} would be eligible in {code}, of {plan.eligible[code]:,} who "
                    "are in all.",
                    field=f"{field}.{code}",
                    remedy="Correct one of both: a cohort is a part of the eligible.",
                )
    for place, each in enumerate(campaign.daily):
        most = sum(plan.could(each.goal).values())
        if each.citizens > most:
            raise Invalid(
                f"A day would bring {each.citizens:,} on {each.goal}, and {most:,} are eligible in all.",
                field=f"going_on.daily.{place}.citizens",
                remedy="Send what one day is to bring.",
            )
    if campaign.declaring is not None:
        check_declaring(campaign.declaring, communes, campaign.first_day)


def _check_population(
    population: Mapping[str, int], communes: list[str], field: str, where: str, campaign: Campaign
) -> None:
    strangers = sorted(population.keys() - set(communes))
    if strangers:
        raise Invalid(
            f"{len(strangers)} of the units are no communes of {where}: {_some(strangers)}.",
            field=f"{field}.{strangers[0]}",
            remedy=f"GET /v1/units?as_of={campaign.first_day} tells the units of that day.",
        )
    missing = [code for code in communes if code not in population]
    if missing:
        raise Invalid(
            f"{len(missing)} of the {len(communes)} communes of {where} have no eligible population: {_some(missing)}.",
            field=field,
            remedy="Name every commune; 0 says that nobody there is eligible.",
        )


def check_holds_from(plan: Plan, today: date) -> None:
    """Raise Invalid for a plan that would hold later only: what it asks for is published and judged once it is put."""
    if not plan.holds_on(today):
        raise Invalid(
            f"The plan would hold from {plan.holds_from} on, and it is {today}.",
            field="holds_from",
            remedy="Put it on that day: units hear of their targets, and are judged by them, once it is put.",
        )


def check_targets(plan: Plan, tree: Tree) -> None:
    """Raise Invalid, naming the field, unless the targets of a plan that passed check_plan are within its days and
    populations, and set for the campaign's units on the tree of its first day."""
    campaign = plan.campaign
    for goal, value in plan.targets.items():
        due = goal_of(goal).due
        if due is not None and not campaign.first_day <= due < campaign.last_day:
            raise Invalid(
                f"The target of {goal} would be due outside the campaign, or on its last day."
                if due != campaign.last_day
                else f"{due} is the campaign's last day, on which every target is due that says nothing else.",
                field="targets",
                remedy=f"Send a due day from {campaign.first_day} to before {campaign.last_day}, or leave it out.",
            )
        if not any(campaign.schedule_of(goal).weights):
            raise Invalid(
                f"No day up to {due} has a weight: there would be no day to work for the target of {goal}.",
                field="targets",
                remedy="Send a later due day, or give a weight to one of these days.",
            )
        eligible = sum(plan.could(goal).values())
        if value > eligible:
            raise Invalid(
                f"The target of {goal}, {value:,}, is above the {eligible:,} who are eligible.",
                field="targets",
                remedy="The communes' eligible populations must sum to the province's.",
            )
    _check_set_targets(plan, tree)
    check_contests(
        campaign.contests, campaign.first_day, campaign.last_day, plan.targets, tree, campaign.province
    )
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


def unit_targets(plan: Plan, tree: Tree) -> dict[tuple[str, str], int]:
    """The province's targets spread to its communes by their eligible; what is between has its communes' sum.

    A unit whose target was set by hand keeps it: its communes share that, and what is left of the target above it is
    spread over the communes that are in none. Raises Invalid, naming the field, if units set by hand have more than
    what is above them, or less with nobody to take the rest.
    """
    province = plan.campaign.province
    targets = {(unit, goal): 0 for goal in sorted(plan.targets) for unit in tree.below(province)}
    for goal, total in plan.targets.items():
        by_hand = plan.set_targets.get(goal, {})
        for commune, share in _shares(plan.could(goal), tree, goal, by_hand, province, total).items():
            for unit in tree.up_to(commune, province):
                targets[unit, goal] += share
    return targets


def _shares(
    could: Mapping[str, int], tree: Tree, goal: str, by_hand: Mapping[str, int], root: str, total: int
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
            shares |= _shares(could, tree, goal, by_hand, unit, by_hand[unit])
        elif tree.units[unit].level == "commune":
            free[unit] = could[unit]
        else:
            waiting += tree.children.get(unit, ())
    return shares | share_rest(goal, tree.units[root].name, total, rest, free)


def share_rest(goal: str, name: str, total: int, rest: int, free: Mapping[str, int]) -> dict[str, int]:
    """What targets set by hand leave of the `total` of the unit of this name, spread by the eligible of those who have
    none. Raises Invalid if it is less than nothing, or there is nobody to take it."""
    if rest < 0:
        raise Invalid(
            f"The targets of {goal} that are set below {name} are {-rest:,} more than its own, {total:,}.",
            field=f"set_targets.{goal}",
            remedy=f"Lower one of them, or raise the target of {name} to {total - rest:,}.",
        )
    if any(free.values()):
        return spread(rest, free)
    if rest:
        raise Invalid(
            f"The targets of {goal} that are set below {name} leave {rest:,} of its {total:,} to nobody.",
            field=f"set_targets.{goal}",
            remedy="Raise one of them, or leave one out that has eligible citizens.",
        )
    return dict.fromkeys(free, 0)


def _check_set_targets(plan: Plan, tree: Tree) -> None:
    province = plan.campaign.province
    below = set(tree.below(province)) - {province}
    for goal, by_hand in plan.set_targets.items():
        if goal not in plan.targets:
            raise Invalid(
                f"Targets of {goal} are set below the province, which has none.",
                field=f"set_targets.{goal}",
                remedy="Set the province's own target in targets.",
            )
        could = plan.could(goal)
        for unit, value in by_hand.items():
            is_hamlet = unit in plan.eligible_in_hamlets
            if unit not in below and not is_hamlet:
                raise Invalid(
                    f"{unit} is no district or commune of the campaign on {plan.campaign.first_day}, and no hamlet of "
                    "which the plan tells the eligible.",
                    field=f"set_targets.{goal}.{unit}",
                    remedy=f"GET /v1/units?as_of={plan.campaign.first_day} tells the units of that day; "
                    "eligible_in_hamlets is to name the hamlets.",
                )
            if is_hamlet and could is not plan.eligible:
                raise Invalid(
                    f"{unit} is a hamlet, and the cohort of {goal} is told by commune: no hamlet has a target of it.",
                    field=f"set_targets.{goal}.{unit}",
                    remedy="Leave it out; or set the target of its commune.",
                )
            eligible = (
                plan.eligible_in_hamlets[unit]
                if is_hamlet
                else sum(could.get(code, 0) for code in tree.below(unit))
            )
            if value > eligible:
                raise Invalid(
                    f"The target of {unit}, {value:,}, is above the {eligible:,} who are eligible there.",
                    field=f"set_targets.{goal}.{unit}",
                    remedy="Lower it, or correct the eligible population.",
                )


def withdrawn(old: UnitTargets, new: UnitTargets) -> tuple[str, str] | None:
    """A target that the old plan assigned and the new one doesn't know, if there is one."""
    return min(old.keys() - new.keys(), default=None)


def changed_too_late(old: UnitTargets, plan: Plan, new: UnitTargets, closed_through: date) -> str | None:
    """A goal whose last day is closed and whose targets are not what they were, if there is one."""
    changed = {key[1] for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    return min((goal for goal in changed if plan.campaign.due(goal) <= closed_through), default=None)


def with_shares(
    plan: Plan, asked: Mapping[str, Decimal], eligible: Mapping[Cohort | None, int], old: Plan | None
) -> Plan:
    """The plan with those targets that are asked for as a percentage of the eligible of today: of everybody (None), or
    of a cohort. Raises Invalid for one of a cohort whose size nobody told.

    Once assigned, a number stays under the paper that set it, though citizens are exempted meanwhile: it is taken anew
    only for another percentage, other populations, or a plan under another number or date of issue.
    """
    targets, shares = dict(plan.targets), {}
    for goal, percent in asked.items():
        cohort = goal_of(goal).cohort
        if cohort not in eligible:
            raise Invalid(
                f"The target of {goal} is a share of a cohort of which the plan tells no eligible number.",
                field=f"cohorts.{cohort}",
                remedy="Tell the cohort's eligible citizens of each commune, with their source; or set a number.",
            )
        before = old.shares.get(goal) if old is not None else None
        if (
            old is not None
            and before is not None
            and (before.percent, _paper(old), old.could(goal)) == (percent, _paper(plan), plan.could(goal))
        ):
            shares[goal] = before
        else:
            shares[goal] = Share(percent=percent, eligible=eligible[cohort])
        targets[goal] = shares[goal].citizens
    return msgspec.structs.replace(plan, targets=targets, shares=shares)


def _paper(plan: Plan) -> tuple[str, date]:
    return plan.campaign.plan_number, plan.campaign.plan_issued_on
