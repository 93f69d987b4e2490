"""How fast units go, set against the calendar of the plan."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.pace import DayPlan, Pace, UnitPace, day_plans, unit_paces
from tiendo_aggregator.rules.rebasing import rebased_residents, rebased_sums
from tiendo_aggregator.storage.counting import readings, work_by_day, work_done
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.scope import Scope, Scopes
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.goals import in_order


@dataclass(frozen=True, slots=True)
class PaceReport:
    """A unit and those below it against the plan, at the end of `as_of`."""

    campaign: str
    as_of: date
    known_at: date | None
    phase: str | None
    complete_to: datetime | None
    units: list[UnitPace]


@dataclass(frozen=True, slots=True)
class IndicatorQuotas:
    """One goal's days. All of `pace`, and each day on which it is worked for."""

    pace: Pace
    days: list[DayPlan]


@dataclass(frozen=True, slots=True)
class QuotaReport:
    """The daily quotas of one unit."""

    campaign: str
    unit: str
    as_of: date
    known_at: date | None
    phase: str | None
    complete_to: datetime | None
    indicators: Mapping[str, IndicatorQuotas]


def with_target(stored: StoredPlan, unit: str, goal: str | None) -> Sequence[str]:
    """The goals asked for: `goal`, or all of which the unit has a target. Raises Invalid if none."""
    known = sorted((each for at, each in stored.targets if at == unit), key=in_order)
    if goal is None and known:
        return known
    if goal is not None and goal in known:
        return [goal]
    if not known:
        raise Invalid(
            f"The plan gives unit {unit} no target.",
            field="unit",
            remedy="Ask for a unit that the province had on the campaign's first day, in a campaign with targets.",
        )
    raise Invalid(
        f"There is no target of {goal}.",
        field="indicator",
        remedy=f"Ask for {' or '.join(known)}, or put a plan with a target of {goal}.",
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
        indicator: str | None,
        depth: int,
        phase: str | None = None,
    ) -> PaceReport:
        """The pace of a unit and those below it. Raises what `Scopes.of` raises; Invalid if there is no target."""
        scope = await self._scopes.of(
            campaign, as_of=as_of, known_at=known_at, unit=unit, phase=phase, hamlets="planned"
        )
        goals = with_target(scope.stored, scope.root, indicator)
        async with self._snapshot() as connection:
            units = await _paces(connection, scope, goals, depth)
        return PaceReport(campaign, scope.day, known_at, phase, scope.complete_to, units)

    async def quotas(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        indicator: str | None,
        phase: str | None = None,
    ) -> QuotaReport:
        """The daily quotas of one unit. Raises what `report` raises."""
        scope = await self._scopes.of(
            campaign, as_of=as_of, known_at=known_at, unit=unit, phase=phase, hamlets="planned"
        )
        goals = with_target(scope.stored, scope.root, indicator)
        plan = scope.stored.campaign
        async with self._snapshot() as connection:
            [unit_pace] = await _paces(connection, scope, goals, 0)
            work = await work_by_day(connection, scope.codes, plan.first_day, plan.last_day, known_at, goals)
        answer = {}
        for goal in goals:
            pace = unit_pace.indicators[goal]
            done = {day: n for (counted, day), n in work.items() if counted == goal}
            answer[goal] = IndicatorQuotas(
                pace, day_plans(plan, goal, scope.day, pace.owed, pace.remaining, done)
            )
        return QuotaReport(campaign, scope.root, scope.day, known_at, phase, scope.complete_to, answer)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """A connection whose queries see the counters at one moment."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


async def _paces(connection: Connection, scope: Scope, goals: Sequence[str], depth: int) -> list[UnitPace]:
    plan = scope.stored.campaign
    followed = scope.followed
    found = rebased_residents(
        await readings(connection, scope.resident_codes, scope.day, plan.first_day, scope.known_at, goals),
        followed,
        scope.root,
        scope.day,
        plan.first_day,
    )
    done = rebased_sums(await work_done(connection, scope.codes, scope.day, goals, scope.known_at), followed)
    return unit_paces(
        plan, scope.stored.targets, scope.tree, scope.root, depth, scope.day, goals, found, done
    )
