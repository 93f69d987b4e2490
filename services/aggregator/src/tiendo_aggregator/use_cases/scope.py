"""What a question about a campaign is about: which unit, which day, known when, on which tree."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

import asyncpg
import msgspec

from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.rules.hamlet_plan import hamlet_targets, homes_of, with_hamlets
from tiendo_aggregator.rules.phase_plan import plan_of_phase
from tiendo_aggregator.rules.phases import Phase
from tiendo_aggregator.rules.plan import Campaign
from tiendo_aggregator.rules.progress import ceilings, sum_up
from tiendo_aggregator.rules.rebasing import rebased_days, rebased_plan, resident_codes
from tiendo_aggregator.rules.stretches import plan_of_stretch, reaching, stretches
from tiendo_aggregator.rules.units import Followed, Hamlet, Tree
from tiendo_aggregator.storage.counting import daily_changes
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock, local_time
from tiendo_common.errors import Invalid

#: When hamlets are units that are told of: where one is asked for that has a plan; wherever there are any.
ToHamlets = Literal["never", "planned", "always"]


@dataclass(frozen=True, slots=True)
class Scope:
    """A question that can be answered. `stored` is the plan on the tree of the day `on`, to which the campaign's units
    were `followed`; of one phase, if it is asked about a `phase`. `today` is the campaign's day that goes on.
    `known_at` None: all that is known now."""

    stored: StoredPlan
    followed: Followed
    root: str
    day: date
    on: date
    today: date
    known_at: date | None
    complete_to: datetime | None
    phase: str | None = None

    @property
    def tree(self) -> Tree:
        """The units that are told of."""
        return self.followed.tree

    @property
    def codes(self) -> list[str]:
        """The codes whose cells count at `root` or below it; see `rules.rebasing` for where."""
        return self.followed.codes_below(self.root)

    @property
    def resident_codes(self) -> list[str]:
        """These, and the codes of which a part came here by a division."""
        return resident_codes(self.followed, self.root)


class Scopes:
    """Turns what was asked into what is counted, the same way for every figure."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        plans: Plans,
        units: Units,
        clock: Clock,
        complete_to: Callable[[], datetime | None],
    ) -> None:
        self._pool = pool
        self._plans = plans
        self._units = units
        self._clock = clock
        self._complete_to = complete_to

    async def of(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        tree: date | None = None,
        phase: str | None = None,
        hamlets: ToHamlets = "never",
    ) -> Scope:
        """`unit` (what the campaign's province is by then, unless said) at the end of `as_of` (today), as known at the
        end of `known_at`, against the plan of that day as it had been put then, on the tree of the day `tree` (as_of).

        With `phase`, one of the plan's or a stretch of days after the last one, the answer is about its days alone, and
        `as_of` is its last day once that is over.

        The campaign's units are followed from its first day to that tree: see rules.units.history. `hamlets` says when
        these are units of it, with what the plan says of them; else they are counted at their communes and no unit.

        Raises UnknownCampaign; Invalid for an unknown phase, a day outside it, a tree older than the figures, a unit
        outside the tree or outside the campaign, units of which nothing says what they became, and for a `known_at`
        that is still to come: the answer would be another one when asked again.
        """
        stored = await self._plans.get(campaign, known_at)
        today = stored.campaign.day_end.going_on(local_time(self._clock.now()))
        of_phase = _find(stored.campaign, phase, today) if phase is not None else None
        day = as_of if as_of is not None else today
        if of_phase is not None:
            day = _day_in(of_phase, as_of, today)
        if not stored.plan.holds_on(day):
            stored = await self._plans.get(campaign, known_at, day)
            of_phase = _find(stored.campaign, phase, today) if phase is not None else None
        on = tree if tree is not None else day
        check_known_at(known_at, self._clock.today())
        if on < day:
            raise Invalid(
                f"The tree of {on} has no place for what was counted at units that came later, up to {day}.",
                field="tree",
                remedy=f"Ask on the tree of {day} or a later one, or as of {on}.",
            )
        field = "as_of" if tree is None else "tree"
        followed = stored.campaign.followed(self._units.history, on)
        followed.require(day, on, field=field)
        hamlet = self._units.gazetteer.hamlet(unit, on) if unit is not None else None
        to_hamlets = hamlets == "always" or (hamlets == "planned" and hamlet is not None)
        if to_hamlets:
            followed = stored.campaign.followed_to_hamlets(self._units.history, on)
        root = unit if unit is not None else followed.root
        if root not in followed.tree.units:
            if hamlet is not None:
                raise _no_unit(root, hamlet, "this is told of communes and what is above them only")
            self._units.gazetteer.require(root, on, field="unit" if unit is not None else field)
        if root not in followed.tree.units or followed.root not in followed.tree.up_to(root, followed.root):
            raise Invalid(
                f"Unit {root} is none of the campaign's in {followed.root}.",
                field="unit",
                remedy=f"Leave unit out, or choose one of the campaign's below {followed.root}.",
            )
        # Before the counts are read: they hold at least what was complete by then.
        complete_to = self._complete_to()
        there = on_its_tree(stored, followed, hamlets=to_hamlets)
        if hamlets == "planned" and hamlet is not None and root not in there.plan.eligible_in_hamlets:
            raise _no_unit(
                root, hamlet, "the plan doesn't say how many are eligible there, so it has no target"
            )
        if of_phase is not None and of_phase not in stored.campaign.phases:
            there = await self._of_stretch(stored, followed, of_phase, day, known_at, hamlets=to_hamlets)
        elif of_phase is not None:
            plan, targets = plan_of_phase(there.plan, there.targets, of_phase)
            there = replace(there, campaign=plan.campaign, plan=plan, targets=targets)
        return Scope(there, followed, root, day, on, today, known_at, complete_to, phase)

    async def _of_stretch(
        self,
        stored: StoredPlan,
        followed: Followed,
        stretch: Phase,
        day: date,
        known_at: date | None,
        *,
        hamlets: bool,
    ) -> StoredPlan:
        """The plan of a stretch on the tree to which the campaign's units were followed."""
        tree = stored.campaign.followed(self._units.history, stored.campaign.first_day).tree
        plan, targets = plan_of_stretch(stored.plan, tree, stretch)
        own, brought = rebased_plan(plan, targets, followed)
        if hamlets:
            homes = homes_of(stored.plan, self._units.gazetteer)
            own, brought = with_hamlets(own, brought, hamlet_targets(plan, targets, homes, tree), followed)
        goals, units = list(own.targets), resident_codes(followed, followed.root)
        async with self._pool.acquire() as connection:
            before = await daily_changes(connection, units, goals, stretch.eve, stretch.eve, known_at)
        sums = sum_up(
            followed.tree, followed.root, rebased_days(before, followed, followed.root, stretch.eve)
        )
        exempt = exempt_citizens(stored.exemptions, day, known_at, followed)
        targets = reaching(
            brought,
            {(unit, goal): n for (unit, (goal, _)), n in sums.items()},
            {goal: ceilings(own, goal, exempt, followed.tree, followed.root) for goal in goals},
        )
        own = msgspec.structs.replace(own, targets={goal: targets[followed.root, goal] for goal in goals})
        return replace(stored, campaign=own.campaign, plan=own, targets=targets)


def _no_unit(code: str, hamlet: Hamlet, why: str) -> Invalid:
    return Invalid(
        f"{hamlet.name} ({code}) is a hamlet: {why}.",
        field="unit",
        remedy=f"Ask for its commune, {hamlet.parent}.",
    )


def _find(campaign: Campaign, phase: str, today: date) -> Phase:
    phases = [*campaign.phases, *stretches(campaign, today)]
    found = next((each for each in phases if each.id == phase), None)
    if found is None:
        known = ", ".join(each.id for each in phases) or "none"
        raise Invalid(
            f"{campaign.id} has no phase {phase!r}.",
            field="phase",
            remedy=f"Its phases: {known}. The plan's phases give spans of days a name.",
        )
    return found


def _day_in(phase: Phase, as_of: date | None, today: date) -> date:
    """The day at whose end a phase is looked at: from the day before it to its last one."""
    day = as_of if as_of is not None else min(today, phase.last_day)
    if not phase.eve <= day <= phase.last_day:
        raise Invalid(
            f"The phase {phase.id!r} lasts from {phase.first_day} to {phase.last_day}; {day} is outside it.",
            field="as_of",
            remedy=f"Ask for a day from {phase.eve}, at whose end it begins, to {phase.last_day}.",
        )
    return day


def check_known_at(known_at: date | None, today: date) -> None:
    """Raise Invalid for a day whose end is still to come."""
    if known_at is not None and known_at > today:
        raise Invalid(
            f"What will be known at the end of {known_at} is not known on {today}.",
            field="known_at",
            remedy=f"Ask for {today} or a day before it; without known_at all that is known counts.",
        )


def on_its_tree(stored: StoredPlan, followed: Followed, *, hamlets: bool = False) -> StoredPlan:
    """The plan with its numbers under the units that the campaign's own have become; with `hamlets`, to which it was
    followed then, also under these."""
    plan, targets = rebased_plan(stored.plan, stored.targets, followed)
    if hamlets:
        plan, targets = with_hamlets(plan, targets, stored.hamlet_targets, followed)
    return replace(stored, plan=plan, targets=targets)
