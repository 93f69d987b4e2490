"""Plans: put, published, read."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import msgspec

from tiendo_aggregator.errors import PlanChanged, PlanContradicted, UnknownCampaign
from tiendo_aggregator.rules.contests import check_known
from tiendo_aggregator.rules.detail import Fold
from tiendo_aggregator.rules.exemptions import ExemptionDecision, exempt_citizens
from tiendo_aggregator.rules.hamlet_plan import (
    check_hamlets,
    hamlet_targets,
    homes_of,
    kept_when_over,
    set_by_hand,
)
from tiendo_aggregator.rules.plan import (
    Campaign,
    Plan,
    UnitTargets,
    changed_too_late,
    check_holds_from,
    check_place,
    check_plan,
    check_targets,
    unit_targets,
    with_shares,
    withdrawn,
)
from tiendo_aggregator.rules.progress import eligible_below
from tiendo_aggregator.rules.rebasing import rebased_plan, too_many
from tiendo_aggregator.rules.sub_campaigns import check_parent, check_sub_campaigns
from tiendo_aggregator.rules.units import Tree
from tiendo_aggregator.storage.assignments import actors_of
from tiendo_aggregator.storage.plan import (
    KeptPlans,
    PlanDatabase,
    PlanVersion,
    StoredCampaign,
    StoredPlan,
    add_version,
    driver_connection,
    held_version,
    lock_all_plans,
    lock_plan,
    store_plan,
    stored_campaigns,
    stored_plan,
    stored_versions,
)
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.eventlog.port import EventLog, NewEvent
from tiendo_common.events.declarations import DailyDeclarations
from tiendo_common.events.goals import goal_of
from tiendo_common.events.restatements import Cohort
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    TargetPublication,
    TargetSet,
)


class Plans:
    """The campaigns and what each unit must reach in them."""

    def __init__(
        self, database: PlanDatabase, event_log: EventLog, origin: Origin, units: Units, fold: Fold
    ) -> None:
        self._database = database
        self._log = event_log
        self._origin = origin
        self._units = units
        self._fold = fold
        self._kept = KeptPlans(database)

    async def put(self, plan: Plan, shares: Mapping[str, Decimal], if_match: str | None = None) -> StoredPlan:
        """Make this the campaign's plan; the same plan again changes and publishes nothing. Another one becomes the
        next version: what held before stays readable, and holds for what was known before.

        `shares`: the goals whose targets are percentages of the eligible (see with_shares); the plan's own targets are
        numbers. `if_match`: the tag of the version that the change was made from, or `*` for any.

        Raises PlanChanged if it is another one by now, Invalid for a plan that doesn't fit itself, the tree or the
        campaign of which it is a part, PlanContradicted for one that would withdraw a target (those who were given it
        would never hear of that), change one whose time is over, or leave out what a part of it is about; NotCounted.
        """
        for goal in (*plan.targets, *shares):
            if goal_of(goal).cohort is not None:
                self._fold.require_all(goal, "targets")
        history, first_day = self._units.history, plan.campaign.first_day
        check_place(plan.campaign, history.gazetteer.as_of(first_day))
        tree = plan.campaign.followed(history, first_day).tree
        check_plan(plan, tree)
        check_holds_from(plan, self._origin.clock.today())
        homes = homes_of(plan, history.gazetteer)
        check_hamlets(plan, homes, tree)
        async with self._database.transaction() as session:
            await lock_all_plans(session)
            await lock_plan(session, plan.campaign.id)
            others = {each.campaign.id: each.campaign for each in await stored_campaigns(session)}
            check_parent(plan.campaign, others, history)
            check_sub_campaigns(plan.campaign, others.values(), history)
            actors = await actors_of(await driver_connection(session), plan.campaign.id)
            check_known(plan.campaign.contests, actors, plan.campaign.id)
            old = await stored_plan(session, plan.campaign.id)
            _check_match(plan.campaign.id, old, if_match)
            plan = self._taking_shares(plan, shares, old)
            check_targets(plan, tree)
            targets = unit_targets(plan, tree)
            of_hamlets = hamlet_targets(plan, targets, homes, tree)
            if old is not None:
                if old.closed_through is not None:
                    of_hamlets = kept_when_over(
                        old.hamlet_targets, of_hamlets, plan.campaign, old.closed_through
                    )
                if (old.plan, old.targets, old.hamlet_targets) == (plan, targets, of_hamlets):
                    return old
                _refuse_withdrawal(old, plan, targets)
                _refuse_what_is_over(old, plan, targets)
                self._refuse_exempting_too_many(old, plan)
            today = self._origin.clock.today()
            known_since = old.known_since if old is not None else today
            if old is not None and not await stored_versions(session, plan.campaign.id):
                # Put by a build that kept none.
                await add_version(
                    session, PlanVersion(1, old.known_since, old.plan, old.targets, old.hamlet_targets)
                )
            version = PlanVersion(old.version + 1 if old is not None else 1, today, plan, targets, of_hamlets)
            declaring_since = self._declaring_since(old, plan)
            await store_plan(session, plan, targets, known_since, declaring_since)
            await add_version(session, version)
            await self._log.append(
                await driver_connection(session), self._changes(old, plan.campaign, targets, tree)
            )
        return StoredPlan(
            plan.campaign,
            known_since,
            old.closed_through if old is not None else None,
            declaring_since,
            plan,
            targets,
            version.version,
            old.exemptions if old is not None else (),
            of_hamlets,
        )

    def _taking_shares(self, plan: Plan, shares: Mapping[str, Decimal], old: StoredPlan | None) -> Plan:
        """The plan with the targets that are shares: of those who are eligible today, on today's tree; before the
        campaign and after it, on its first and last day."""
        if not shares:
            return plan
        campaign = plan.campaign
        day = min(max(self._origin.clock.today(), campaign.first_day), campaign.last_day)
        followed = campaign.followed(self._units.history, day)
        followed.require(day, day, field="targets")
        exempt = exempt_citizens(old.exemptions if old is not None else (), day, None, followed)
        there, _ = rebased_plan(plan, {}, followed)
        everybody = eligible_below(there, exempt, followed.tree, followed.root)[followed.root].number
        eligible: dict[Cohort | None, int] = {
            cohort: min(everybody, sum(size.eligible.values())) for cohort, size in plan.cohorts.items()
        }
        return with_shares(plan, shares, eligible | {None: everybody}, old.plan if old is not None else None)

    def _refuse_exempting_too_many(self, old: StoredPlan, plan: Plan) -> None:
        campaign = plan.campaign
        for each in old.exemptions:
            field = self._outside(campaign, each, old.campaign.province)
            if field is not None:
                raise PlanContradicted(
                    f"Decision {each.number}, which holds from {each.from_day} on, would be outside the campaign.",
                    field=field,
                    remedy="Leave its province and units in the campaign, and that day; or make a campaign of its own.",
                )
        over = too_many(old.exemptions, plan, campaign.first_day, self._units.history)
        if over is not None:
            raise PlanContradicted(
                f"On {over.day} decisions exempt {over.exempt:,} citizens of {over.unit}, of {over.eligible:,} whom "
                "this plan counts as eligible.",
                field="eligible",
                remedy="Raise it; or withdraw a decision first.",
            )

    def _outside(self, campaign: Campaign, decision: ExemptionDecision, province: str) -> str | None:
        """The field of the plan by which a decision of this province would be outside the campaign; None: it isn't."""
        if campaign.province != province:
            return "province"
        if not campaign.works_on(decision.from_day):
            return "first_day"
        places = campaign.followed(self._units.history, decision.from_day).places
        return "units" if any(line.unit not in places for line in decision.lines) else None

    def _declaring_since(self, old: StoredPlan | None, plan: Plan) -> datetime | None:
        if plan.campaign.declaring is None:
            return None
        return (old.declaring_since if old is not None else None) or self._origin.clock.now()

    async def all(self) -> list[StoredCampaign]:
        """Every campaign, by its first day."""
        async with self._database.transaction() as session:
            return await stored_campaigns(session)

    async def sub_campaigns(self, campaign: str) -> list[Campaign]:
        """The campaigns that are parts of this one, by their first day; not the parts of these."""
        return [each.campaign for each in await self.all() if each.campaign.parent == campaign]

    async def get(self, campaign: str, known_at: date | None = None, day: date | None = None) -> StoredPlan:
        """The plan, or the one that had been put by the end of `known_at`; with `day`, the newest of these that is the
        plan of that day: the first one, before any was. Raises UnknownCampaign."""
        stored = await self._kept.newest(campaign)
        if stored is None:
            raise UnknownCampaign(campaign)
        if known_at is None and (day is None or stored.plan.holds_on(day)):
            return stored
        async with self._database.transaction() as session:
            held = await held_version(session, campaign, known_at, day)
        if held is None or held.version == stored.version:
            return stored
        return replace(
            stored,
            campaign=held.plan.campaign,
            plan=held.plan,
            targets=held.targets,
            version=held.version,
            hamlet_targets=held.hamlet_targets,
        )

    async def versions(self, campaign: str) -> list[PlanVersion]:
        """Every plan that was put, oldest first. Raises UnknownCampaign."""
        async with self._database.transaction() as session:
            stored = await stored_plan(session, campaign)
            found = await stored_versions(session, campaign)
        if stored is None:
            raise UnknownCampaign(campaign)
        return found or [
            PlanVersion(1, stored.known_since, stored.plan, stored.targets, stored.hamlet_targets)
        ]

    def _changes(
        self, old: StoredPlan | None, campaign: Campaign, targets: UnitTargets, tree: Tree
    ) -> list[NewEvent]:
        events: list[NewEvent] = []
        if old is None or _publication(old.campaign) != _publication(campaign):
            events.append(
                NewEvent(
                    "campaigns",
                    CampaignPublished(
                        **self._origin.attributes(campaign.province, campaign.id, campaign.id),
                        data=_publication(campaign),
                    ),
                    key=campaign.id,
                )
            )
        before = old.targets if old is not None else {}
        for (unit, goal), value in targets.items():
            if before.get((unit, goal)) != value and not goal_of(goal).narrowed:
                events.append(target_set(self._origin, campaign.id, tree, unit, goal, value))
        return events


def target_set(origin: Origin, campaign: str, tree: Tree, unit: str, goal: str, value: int) -> NewEvent:
    """News of what a unit must reach of an indicator as a whole."""
    indicator = goal_of(goal).indicator
    target = TargetPublication(
        campaign=campaign, unit=unit, unit_name=tree.units[unit].name, indicator=indicator, value=value
    )
    return NewEvent(
        "targets",
        TargetSet(**origin.attributes(unit, campaign, campaign), data=target),
        key=f"{campaign}/{unit}/{indicator}",
    )


def _publication(campaign: Campaign) -> CampaignPublication:
    return CampaignPublication(
        campaign=campaign.id,
        name=campaign.name,
        province=campaign.province,
        first_day=campaign.first_day,
        last_day=campaign.last_day,
        day_cut_off=campaign.day_cut_off,
        # Absent where it says nothing, so that readers which don't know it lose nothing.
        day_weights=msgspec.UNSET if campaign.schedule.flat else campaign.schedule.weights,
        daily_declarations=msgspec.UNSET
        if campaign.declaring is None
        else DailyDeclarations(cut_off=campaign.declaring.cut_off, units=campaign.declaring.units),
        parent=msgspec.UNSET if campaign.parent is None else campaign.parent,
        days_end_after_midnight=True if campaign.days_end_after_midnight else msgspec.UNSET,
    )


def tag(version: int) -> str:
    """A version's ETag."""
    return f'"{version}"'


def _check_match(campaign: str, old: StoredPlan | None, if_match: str | None) -> None:
    if if_match is None:
        return
    tags = [each.strip() for each in if_match.split(",")]
    if old is not None and ("*" in tags or tag(old.version) in tags):
        return
    raise PlanChanged(
        f"The plan of {campaign} is "
        + (f"version {old.version} by now." if old is not None else "not there yet."),
        field="If-Match",
        remedy=f"GET /v1/campaigns/{campaign}, make the change in what it answers, and send its ETag."
        if old is not None
        else "Leave If-Match out to make a new campaign.",
    )


def _refuse_withdrawal(old: StoredPlan, plan: Plan, targets: UnitTargets) -> None:
    left = {each.goal for each in plan.campaign.daily}
    for each in old.campaign.daily:
        if each.goal not in left:
            raise PlanContradicted(
                f"It was said what each day after the last one is to bring on {each.goal}; this plan doesn't say so.",
                field="going_on.daily",
                remedy="Send another number, 0 if nothing is asked for any more; or the decision that stops it.",
            )
    gone = withdrawn(old.targets, targets)
    if gone is not None:
        unit, goal = gone
        raise PlanContradicted(
            f"Unit {unit} was given a target of {goal}, which this plan doesn't know.",
            field="targets",
            remedy="Set another value, 0 if nothing is asked for any more; or make a campaign of its own.",
        )


def _refuse_what_is_over(old: StoredPlan, plan: Plan, targets: UnitTargets) -> None:
    if old.closed_through is None:
        return
    goal = changed_too_late(old.targets, plan, targets, old.closed_through)
    if goal is None:
        goal = next(
            (
                each
                for each in sorted(plan.targets)
                if plan.campaign.due(each) <= old.closed_through
                and set_by_hand(old.plan, each) != set_by_hand(plan, each)
            ),
            None,
        )
    if goal is not None:
        raise PlanContradicted(
            f"The targets of {goal} are due on {plan.campaign.due(goal)}, and that day is closed: what was asked for "
            "cannot change any more.",
            field="targets",
            remedy="Send the targets as they were; or a later day; or make a campaign of its own.",
        )
