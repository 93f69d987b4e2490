"""Campaigns laid side by side: what each had reached on its n-th day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import asyncpg

from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.plan import Campaign
from tiendo_aggregator.use_cases.days import read_days
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_common.clock import Clock, local_time
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator


@dataclass(frozen=True, slots=True)
class Side:
    """A campaign in the province where it runs. `target` None: its plan sets none for the indicator."""

    campaign: str
    name: str
    unit: str
    first_day: date
    last_day: date
    target: int | None
    baseline: int
    complete_to: datetime | None


@dataclass(frozen=True, slots=True)
class DayStanding:
    """The end of one day of one campaign. `gained`: since the day before the campaign."""

    day: date
    value: int
    gained: int
    percent_of_target: str | None


@dataclass(frozen=True, slots=True)
class NumberedDay:
    """The n-th day of each campaign, from 1; None: that day of the campaign is still to come."""

    number: int
    standings: Sequence[DayStanding | None]


@dataclass(frozen=True, slots=True)
class SideBySideReport:
    """The campaigns in the order asked for, and their days."""

    indicator: Indicator
    known_at: date | None
    campaigns: Sequence[Side]
    days: Sequence[NumberedDay]


class SideBySide:
    """Sets campaigns against each other, whatever their provinces and years."""

    def __init__(self, pool: asyncpg.Pool, plans: Plans, scopes: Scopes, clock: Clock) -> None:
        self._pool = pool
        self._plans = plans
        self._scopes = scopes
        self._clock = clock

    async def report(
        self, campaigns: Sequence[str], *, indicator: Indicator, days: int | None, known_at: date | None
    ) -> SideBySideReport:
        """`days` None: as many as the longest campaign has. A campaign goes on being counted after its last day.

        Raises Invalid if one is named twice, and what `Scopes.of` raises.
        """
        if len(set(campaigns)) < len(campaigns):
            raise Invalid(
                "A campaign is named twice.",
                field="campaign",
                remedy="Name each campaign once, two at least.",
            )
        plans = [(await self._plans.get(campaign, known_at)).campaign for campaign in campaigns]
        if days is None:
            days = max((plan.last_day - plan.first_day).days + 1 for plan in plans)
        sides, columns = [], []
        for plan in plans:
            side, column = await self._side(plan, days, indicator, known_at)
            sides.append(side)
            columns.append(column)
        numbered = [
            NumberedDay(number, [column[number - 1] if number <= len(column) else None for column in columns])
            for number in range(1, days + 1)
        ]
        return SideBySideReport(indicator, known_at, sides, numbered)

    async def _side(
        self, campaign: Campaign, days: int, indicator: Indicator, known_at: date | None
    ) -> tuple[Side, list[DayStanding]]:
        """The campaign, and those of its days that have begun."""
        eve = campaign.first_day - timedelta(days=1)
        today = campaign.day_end.going_on(local_time(self._clock.now()))
        last = max(eve, min(eve + timedelta(days=days), today))
        scope = await self._scopes.of(campaign.id, as_of=last, known_at=known_at, unit=None)
        async with self._pool.acquire() as connection:
            read = await read_days(connection, scope, [indicator], last, known_at)
        plan, target = scope.stored.campaign, scope.stored.targets.get((scope.root, indicator))
        baseline, *ends = read.ends(scope.root, indicator)
        standings = [
            DayStanding(
                campaign.first_day + timedelta(days=n),
                value,
                value - baseline,
                cut_percent(value, target, 1) if target is not None else None,
            )
            for n, value in enumerate(ends)
        ]
        side = Side(
            campaign.id,
            plan.name,
            scope.root,
            plan.first_day,
            plan.last_day,
            target,
            baseline,
            scope.complete_to,
        )
        return side, standings
