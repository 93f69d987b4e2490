"""Plans: put, published, read."""

import msgspec

from tiendo_aggregator.errors import PlanContradicted, UnknownCampaign
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets, check_plan, unit_targets, withdrawn
from tiendo_aggregator.rules.units import Tree
from tiendo_aggregator.storage.plan import (
    PlanDatabase,
    StoredCampaign,
    StoredPlan,
    driver_connection,
    lock_plan,
    store_plan,
    stored_campaigns,
    stored_plan,
)
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.eventlog.port import EventLog, NewEvent
from tiendo_common.events.state import CampaignPublication, CampaignPublished, TargetPublication, TargetSet


class Plans:
    """The campaigns and what each unit must reach in them."""

    def __init__(self, database: PlanDatabase, event_log: EventLog, origin: Origin, units: Units) -> None:
        self._database = database
        self._log = event_log
        self._origin = origin
        self._units = units

    async def put(self, plan: Plan) -> StoredPlan:
        """Make this the campaign's plan; the same plan again changes and publishes nothing.

        Raises Invalid for a plan that doesn't fit itself or the tree, PlanContradicted for one that would
        withdraw a target: those who were given it would never hear of that.
        """
        tree = self._units.gazetteer.as_of(plan.campaign.first_day)
        check_plan(plan, tree)
        targets = unit_targets(plan, tree)
        async with self._database.transaction() as session:
            await lock_plan(session, plan.campaign.id)
            old = await stored_plan(session, plan.campaign.id)
            if old is not None:
                if (old.plan, old.targets) == (plan, targets):
                    return old
                _refuse_withdrawal(old, targets)
            known_since = old.known_since if old is not None else self._origin.clock.today()
            await store_plan(session, plan, targets, known_since)
            await self._log.append(
                await driver_connection(session), self._changes(old, plan.campaign, targets, tree)
            )
        closed_through = old.closed_through if old is not None else None
        return StoredPlan(plan.campaign, known_since, closed_through, plan, targets)

    async def all(self) -> list[StoredCampaign]:
        """Every campaign, by its first day."""
        async with self._database.transaction() as session:
            return await stored_campaigns(session)

    async def get(self, campaign: str) -> StoredPlan:
        """Raises UnknownCampaign."""
        async with self._database.transaction() as session:
            plan = await stored_plan(session, campaign)
        if plan is None:
            raise UnknownCampaign(campaign)
        return plan

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
                target = TargetPublication(
                    campaign=campaign.id,
                    unit=unit,
                    unit_name=tree.units[unit].name,
                    indicator=indicator,
                    value=value,
                )
                events.append(
                    NewEvent(
                        "targets",
                        TargetSet(**self._origin.attributes(unit, campaign.id, campaign.id), data=target),
                        key=f"{campaign.id}/{unit}/{indicator}",
                    )
                )
        return events


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
