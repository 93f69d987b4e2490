"""Those who are not reached: reported by communes, laid beside what the counts leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.remaining import (
    Remaining,
    RemainingReport,
    UnitRemaining,
    check_lines,
    explain,
    standing_reports,
)
from tiendo_aggregator.storage.remaining import add_report, lock_remaining, newest_reports, reports_of
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.progress import standings
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import local_day
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator
from tiendo_common.service.auth import ApiKey


@dataclass(frozen=True, slots=True)
class RemainingAnswered:
    """A unit and those below it, as of the end of a day, as known at the end of `known_at` (None: now), on the tree of
    a day."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    complete_to: datetime | None
    units: Sequence[UnitRemaining]


class Remainders:
    """Takes what communes say of those who remain; changes no count and no denominator."""

    def __init__(
        self, pool: asyncpg.Pool, plans: Plans, units: Units, scopes: Scopes, origin: Origin
    ) -> None:
        self._pool = pool
        self._plans = plans
        self._units = units
        self._scopes = scopes
        self._origin = origin

    async def report(
        self,
        campaign: str,
        unit: str,
        indicator: Indicator,
        day: date,
        lines: Sequence[Remaining],
        source: str,
        key: ApiKey,
    ) -> RemainingReport:
        """Take who remains in a commune at the end of a day. The same again changes nothing; anything else is the next
        revision. Raises UnknownCampaign; Invalid for a day before the campaign or to come, a unit that is none of its
        communes on that day, and what check_lines refuses; OutOfBounds."""
        plan = (await self._plans.get(campaign)).campaign
        today = self._origin.clock.today()
        if not plan.first_day <= day <= today:
            raise Invalid(
                f"{day} is no day since the campaign began that has come.",
                field="day",
                remedy=f"Report days from {plan.first_day} on, none before it has come.",
            )
        followed = plan.followed(self._units.history, day)
        followed.require(day, day, field="day")
        if unit not in followed.tree.communes(followed.root):
            raise Invalid(
                f"{unit} is no commune of the campaign on {day}.",
                field="unit",
                remedy=f"GET /v1/units?as_of={day} tells the units of that day; districts and the province are summed.",
            )
        key.check_unit(unit, followed.tree.up_to(unit, None), field="unit")
        check_lines(lines)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_remaining(connection, campaign)
            before = await reports_of(connection, campaign, unit, indicator, day)
            if before and (before[-1].lines, before[-1].source) == (tuple(lines), source):
                return before[-1]
            now = self._origin.clock.now()
            report = RemainingReport(
                unit=unit,
                indicator=indicator,
                day=day,
                revision=len(before) + 1,
                lines=tuple(lines),
                source=source,
                reported_by=key.name,
                reported_at=now,
                known_day=local_day(now),
            )
            await add_report(connection, campaign, report)
        return report

    async def history(
        self, campaign: str, unit: str, indicator: Indicator, day: date
    ) -> list[RemainingReport]:
        """All that a commune reported of a day, oldest first; perhaps nothing. Raises UnknownCampaign."""
        await self._plans.get(campaign)
        async with self._pool.acquire() as connection:
            return await reports_of(connection, campaign, unit, indicator, day)

    async def answer(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        tree: date | None,
        unit: str | None,
        depth: int,
    ) -> RemainingAnswered:
        """Who remains in a unit and those below it, and how much of that is explained. Raises what `Scopes.of`
        raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            changes = [step.day for step in scope.followed.steps]
            newest = await newest_reports(connection, campaign, scope.day, known_at, changes)
            units = await standings(
                connection,
                scope.stored,
                scope.followed,
                root=scope.root,
                by="residence",
                as_of=scope.day,
                known_at=known_at,
                depth=depth,
            )
        reports = standing_reports(newest, scope.followed)
        return RemainingAnswered(
            campaign,
            scope.day,
            known_at,
            scope.on,
            scope.complete_to,
            explain(units, scope.tree, scope.root, reports),
        )
