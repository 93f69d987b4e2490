"""Plans: put, published, read."""

from dataclasses import replace
from datetime import date, datetime

import msgspec

from tiendo_aggregator.errors import PlanChanged, PlanContradicted, UnknownCampaign
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets, check_plan, unit_targets, withdrawn
from tiendo_aggregator.rules.rebasing import too_many
from tiendo_aggregator.rules.units import Tree
from tiendo_aggregator.storage.plan import (
    PlanDatabase,
    PlanVersion,
    StoredCampaign,
    StoredPlan,
    add_version,
    driver_connection,
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
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    Indicator,
    TargetPublication,
    TargetSet,
)


class Plans:
    """The campaigns and what each unit must reach in them."""

    def __init__(self, database: PlanDatabase, event_log: EventLog, origin: Origin, units: Units) -> None:
        self._database = database
        self._log = event_log
        self._origin = origin
        self._units = units

    async def put(self, plan: Plan, if_match: str | None = None) -> StoredPlan:
        """Make this the campaign's plan; the same plan again changes and publishes nothing. Another one becomes the
        next version: what held before stays readable, and holds for what was known before.

        `if_match`: the tag of the version that the change was made from, or `*` for any. Raises PlanChanged if it is
        another one by now, Invalid for a plan that doesn't fit itself or the tree, PlanContradicted for one that would
        withdraw a target (those who were given it would never hear of that) or change one whose time is over.
        """
        tree = self._units.gazetteer.as_of(plan.campaign.first_day)
        check_plan(plan, tree)
        targets = unit_targets(plan, tree)
        async with self._database.transaction() as session:
            await lock_plan(session, plan.campaign.id)
            old = await stored_plan(session, plan.campaign.id)
            _check_match(plan.campaign.id, old, if_match)
            if old is not None:
                if (old.plan, old.targets) == (plan, targets):
                    return old
                _refuse_withdrawal(old, targets)
                _refuse_what_is_over(old, plan, targets)
                self._refuse_exempting_too_many(old, plan)
            today = self._origin.clock.today()
            known_since = old.known_since if old is not None else today
            if old is not None and not await stored_versions(session, plan.campaign.id):
                # Put by a build that kept none.
                await add_version(session, PlanVersion(1, old.known_since, old.plan, old.targets))
            version = PlanVersion(old.version + 1 if old is not None else 1, today, plan, targets)
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
        )

    def _refuse_exempting_too_many(self, old: StoredPlan, plan: Plan) -> None:
        campaign = plan.campaign
        outside = [
            each
            for each in old.exemptions
            if not campaign.first_day <= each.from_day <= campaign.last_day
            or campaign.province != old.campaign.province
        ]
        if outside:
            raise PlanContradicted(
                f"Decision {outside[0].number}, which holds from {outside[0].from_day} on, would be outside the "
                "campaign.",
                field="province" if campaign.province != old.campaign.province else "first_day",
                remedy="Leave the campaign's province and keep that day in it; or make a campaign of its own.",
            )
        over = too_many(old.exemptions, plan, campaign.first_day, self._units.history)
        if over is not None:
            raise PlanContradicted(
                f"On {over.day} decisions exempt {over.exempt:,} citizens of {over.unit}, of {over.eligible:,} whom "
                "this plan counts as eligible.",
                field="eligible",
                remedy="Raise it; or withdraw a decision first.",
            )

    def _declaring_since(self, old: StoredPlan | None, plan: Plan) -> datetime | None:
        if plan.campaign.declaring is None:
            return None
        return (old.declaring_since if old is not None else None) or self._origin.clock.now()

    async def all(self) -> list[StoredCampaign]:
        """Every campaign, by its first day."""
        async with self._database.transaction() as session:
            return await stored_campaigns(session)

    async def get(self, campaign: str, known_at: date | None = None) -> StoredPlan:
        """The plan, or the one that held at the end of `known_at`: the first one, before any was put. Raises
        UnknownCampaign."""
        async with self._database.transaction() as session:
            stored = await stored_plan(session, campaign)
            held = await stored_versions(session, campaign, known_at) if known_at is not None else []
        if stored is None:
            raise UnknownCampaign(campaign)
        for each in held:
            if each.version != stored.version:
                return replace(
                    stored,
                    campaign=each.plan.campaign,
                    plan=each.plan,
                    targets=each.targets,
                    version=each.version,
                )
        return stored

    async def versions(self, campaign: str) -> list[PlanVersion]:
        """Every plan that was put, oldest first. Raises UnknownCampaign."""
        async with self._database.transaction() as session:
            stored = await stored_plan(session, campaign)
            found = await stored_versions(session, campaign)
        if stored is None:
            raise UnknownCampaign(campaign)
        return found or [PlanVersion(1, stored.known_since, stored.plan, stored.targets)]

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
        for (unit, indicator), value in targets.items():
            if before.get((unit, indicator)) != value:
                events.append(target_set(self._origin, campaign.id, tree, unit, indicator, value))
        return events


def target_set(
    origin: Origin, campaign: str, tree: Tree, unit: str, indicator: Indicator, value: int
) -> NewEvent:
    """News of what a unit must reach."""
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


def _refuse_withdrawal(old: StoredPlan, targets: UnitTargets) -> None:
    gone = withdrawn(old.targets, targets)
    if gone is not None:
        unit, indicator = gone
        raise PlanContradicted(
            f"Unit {unit} was given a target of {indicator}, which this plan doesn't know.",
            field="targets",
            remedy="Set another value, 0 if nothing is asked for any more; or make a campaign of its own.",
        )


def _refuse_what_is_over(old: StoredPlan, plan: Plan, targets: UnitTargets) -> None:
    last_day = plan.campaign.last_day
    if old.targets != targets and old.closed_through is not None and old.closed_through >= last_day:
        raise PlanContradicted(
            f"The targets were due on {last_day}, and that day is closed: what was asked for cannot change any more.",
            field="targets",
            remedy="Send the targets as they were; or a later last_day; or make a campaign of its own.",
        )
