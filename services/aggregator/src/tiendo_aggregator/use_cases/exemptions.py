"""Signed decisions that exempt citizens: entered, listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.errors import DecisionContradicted, UnknownCampaign
from tiendo_aggregator.rules.exemptions import (
    ExemptionDecision,
    check_decision,
    check_lines,
    in_force,
)
from tiendo_aggregator.rules.rebasing import too_many
from tiendo_aggregator.storage.exemptions import add_decision
from tiendo_aggregator.storage.plan import PlanDatabase, lock_plan, stored_plan
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import check_known_at
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True)
class ListedDecision:
    """A decision. `withdrawn_by`: the number of the one that ends it, as known then; `in_force`: at the end of the day
    that was asked for."""

    decision: ExemptionDecision
    in_force: bool
    withdrawn_by: str | None


@dataclass(frozen=True, slots=True)
class DecisionsReport:
    """A campaign's decisions that were known at the end of `known_at` (None: now), by the day from which they hold."""

    campaign: str
    as_of: date
    known_at: date | None
    decisions: Sequence[ListedDecision]


class Exemptions:
    """Keeps signed decisions. They take turns with the campaign's plans: neither is checked against a stale other."""

    def __init__(self, database: PlanDatabase, plans: Plans, units: Units, origin: Origin) -> None:
        self._database = database
        self._plans = plans
        self._units = units
        self._origin = origin

    async def decide(self, campaign: str, decision: ExemptionDecision) -> ExemptionDecision:
        """Enter a decision; the same paper again changes nothing.

        Raises UnknownCampaign; DecisionContradicted if another paper has this number; Invalid for what the rules
        refuse, and for more citizens than a commune has eligible, on whatever day. Nothing is written then.
        """
        async with self._database.transaction() as session:
            await lock_plan(session, campaign)
            stored = await stored_plan(session, campaign)
            if stored is None:
                raise UnknownCampaign(campaign)
            before = stored.exemptions
            there = next((each for each in before if each.number == decision.number), None)
            if there is not None:
                if there.says_the_same(decision):
                    return there
                raise DecisionContradicted(
                    f"Decision {decision.number} was entered on {there.known_day} and says something else.",
                    field="number",
                    remedy="A decision is never overwritten: withdraw it by a later one, then decide anew.",
                )
            check_decision(decision, stored.plan, before)
            followed = stored.campaign.followed(self._units.history, decision.from_day)
            followed.require(decision.from_day, decision.from_day, field="from_day")
            check_lines(decision, followed)
            over = too_many([*before, decision], stored.plan, decision.from_day, self._units.history)
            if over is not None:
                raise Invalid(
                    f"{over.exempt:,} citizens of {over.unit} would be exempt on {over.day}, of {over.eligible:,} who "
                    "are eligible.",
                    field="lines",
                    remedy="Lower the number; or correct the plan's eligible population first.",
                )
            await add_decision(session, campaign, decision)
        return decision

    async def listed(self, campaign: str, *, as_of: date | None, known_at: date | None) -> DecisionsReport:
        """All that were known, also those that no longer hold or don't yet. Raises UnknownCampaign; Invalid for a
        `known_at` that is still to come."""
        today = self._origin.clock.today()
        check_known_at(known_at, today)
        day = as_of or today
        every = (await self._plans.get(campaign)).exemptions
        known = [each for each in every if known_at is None or each.known_day <= known_at]
        holding = {each.number for each in in_force(known, day, known_at)}
        ended = {each.withdraws: each.number for each in known}
        return DecisionsReport(
            campaign,
            day,
            known_at,
            [
                ListedDecision(each, each.number in holding and bool(each.lines), ended.get(each.number))
                for each in known
            ],
        )
