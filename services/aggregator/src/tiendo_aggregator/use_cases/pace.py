"""How fast units go, set against the calendar of the plan."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.pace import DayPlan, Pace, UnitPace, day_plans, unit_paces
from tiendo_aggregator.rules.rebasing import rebased, rebased_sums
from tiendo_aggregator.storage.counting import readings, work_by_day, work_done
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.scope import Scope, Scopes
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import Indicator


@dataclass(frozen=True, slots=True)
class PaceReport:
    """A unit and those below it against the plan, at the end of `as_of`."""

    campaign: str
    as_of: date
    known_at: date | None
    complete_to: datetime | None
    units: list[UnitPace]


@dataclass(frozen=True, slots=True)
class IndicatorQuotas:
    """One indicator's days. All of `pace`, and each day of the campaign."""

    pace: Pace
    days: list[DayPlan]


@dataclass(frozen=True, slots=True)
class QuotaReport:
    """The daily quotas of one unit."""

    campaign: str
    unit: str
    as_of: date
    known_at: date | None
    complete_to: datetime | None
    indicators: Mapping[Indicator, IndicatorQuotas]


def with_target(stored: StoredPlan, unit: str, indicator: Indicator | None) -> Sequence[Indicator]:
    """The indicators asked for: `indicator`, or all of which the unit has a target. Raises Invalid if none."""
    known = [each for each in INDICATORS if (unit, each) in stored.targets]
    if indicator is None and known:
        return known
    if indicator in known:
        return [indicator]
    if not known:
        raise Invalid(
            f"The plan gives unit {unit} no target.",
            field="unit",
            remedy="Ask for a unit that the province had on the campaign's first day, in a campaign with targets.",
        )
    raise Invalid(
        f"There is no target of {indicator}.",
        field="indicator",
        remedy=f"Ask for {' or '.join(known)}, or put a plan with a target of {indicator}.",
    )


class Paces:
    """Counts set against the days that have gone and the days that are left."""

    def __init__(self, pool: asyncpg.Pool, scopes: Scopes) -> None:
        self._pool = pool
        self._scopes = scopes

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        indicator: Indicator | None,
        depth: int,
    ) -> PaceReport:
        """The pace of a unit and those below it. Raises what `Scopes.of` raises; Invalid if there is no target."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, unit=unit)
        indicators = with_target(scope.stored, scope.root, indicator)
        async with self._snapshot() as connection:
            units = await _paces(connection, scope, indicators, depth)
        return PaceReport(campaign, scope.day, known_at, scope.complete_to, units)

    async def quotas(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        indicator: Indicator | None,
    ) -> QuotaReport:
        """The daily quotas of one unit. Raises what `report` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, unit=unit)
        indicators = with_target(scope.stored, scope.root, indicator)
        plan = scope.stored.campaign
        async with self._snapshot() as connection:
            [unit_pace] = await _paces(connection, scope, indicators, 0)
            work = await work_by_day(connection, scope.codes, plan.first_day, plan.last_day, known_at)
        answer = {}
        for each in indicators:
            pace = unit_pace.indicators[each]
            done = {day: n for (day, counted), n in work.items() if counted == each}
            answer[each] = IndicatorQuotas(pace, day_plans(plan, scope.day, pace.owed, pace.remaining, done))
        return QuotaReport(campaign, scope.root, scope.day, known_at, scope.complete_to, answer)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """A connection whose queries see the counters at one moment."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


async def _paces(
    connection: Connection, scope: Scope, indicators: Sequence[Indicator], depth: int
) -> list[UnitPace]:
    plan = scope.stored.campaign
    units, followed = scope.codes, scope.followed
    found = rebased(
        await readings(connection, units, scope.day, plan.first_day, scope.known_at, indicators), followed
    )
    done = rebased_sums(await work_done(connection, units, scope.day, scope.known_at), followed)
    return unit_paces(
        plan, scope.stored.targets, scope.tree, scope.root, depth, scope.day, indicators, found, done
    )
