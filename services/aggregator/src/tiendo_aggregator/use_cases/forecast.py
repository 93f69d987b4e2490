"""What the last day will show, how good such forecasts were, and who is ahead."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import asyncpg

from tiendo_aggregator.rules.backtest import Origin, assess, origins, tell
from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.rules.forecast import LEAST_DAYS, Outlook, outlook
from tiendo_aggregator.rules.going_on import HORIZON
from tiendo_aggregator.rules.plan import Campaign
from tiendo_aggregator.rules.progress import ceilings
from tiendo_aggregator.rules.ranks import Ranking, Runner, ranking
from tiendo_aggregator.use_cases.days import Days, read_days
from tiendo_aggregator.use_cases.pace import with_target
from tiendo_aggregator.use_cases.scope import Scope, Scopes, ToHamlets
from tiendo_common.errors import Invalid

RankedLevel = Literal["district", "commune", "hamlet"]


@dataclass(frozen=True, slots=True)
class IndicatorForecast:
    """One goal of one unit, at the end of `through`: its last day, `due`, or a later one while the campaign goes on.
    `forecast` None: `why_none` says why."""

    due: date
    through: date
    value: int
    target: int | None
    target_met: bool
    forecast: Outlook | None
    why_none: str | None


@dataclass(frozen=True, slots=True)
class ForecastReport:
    """What is expected of one unit; `last_day` is the campaign's."""

    campaign: str
    unit: str
    as_of: date
    known_at: date | None
    last_day: date
    phase: str | None
    complete_to: datetime | None
    indicators: Mapping[str, IndicatorForecast]


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """How forecasts of `through` told on earlier days came out. `origins` is empty in a campaign's first days."""

    campaign: str
    unit: str
    as_of: date
    known_at: date | None
    through: date
    complete_to: datetime | None
    indicators: Mapping[str, list[Origin]]


@dataclass(frozen=True, slots=True)
class RankReport:
    """The ranks of the units of one level below `unit`."""

    campaign: str
    unit: str
    level: RankedLevel
    as_of: date
    known_at: date | None
    phase: str | None
    complete_to: datetime | None
    indicators: Mapping[str, Ranking]


class Forecasts:
    """Figures of days to come, and figures side by side."""

    def __init__(self, pool: asyncpg.Pool, scopes: Scopes) -> None:
        self._pool = pool
        self._scopes = scopes

    async def _scope(
        self,
        campaign: str,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        phase: str | None = None,
        hamlets: ToHamlets = "never",
    ) -> Scope:
        scope = await self._scopes.of(
            campaign, as_of=as_of, known_at=known_at, unit=unit, phase=phase, hamlets=hamlets
        )
        if scope.day > scope.today:
            # Days to come have no counts: each would be taken for one on which nothing was done.
            raise Invalid(
                f"{scope.day} is still to come.",
                field="as_of",
                remedy=f"Ask for {scope.today} or a day before it.",
            )
        return scope

    async def forecast(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        indicator: str | None,
        phase: str | None = None,
    ) -> ForecastReport:
        """The forecast of one unit. Raises what `Scopes.of` raises; Invalid for an indicator without a
        target, or a day to come."""
        scope = await self._scope(campaign, as_of, known_at, unit, phase, "planned")
        goals = with_target(scope.stored, scope.root, indicator)
        plan = scope.stored.campaign
        async with self._pool.acquire() as connection:
            days = await read_days(connection, scope, goals, scope.day, known_at)
        answer = {}
        for each in goals:
            target = scope.stored.targets[scope.root, each]
            history = days.history(scope.root, each)
            schedule, due = plan.schedule_of(each), plan.due(each)
            through = _through(plan, due, scope.day)
            seen = outlook(
                schedule,
                plan.calendar,
                _number(plan, through),
                history.changes,
                history.value,
                target,
                _ceilings(scope, each, scope.day, known_at).get(scope.root),
            )
            why = None
            if scope.day >= through:
                why = "No day of the campaign is left." if due == plan.last_day else f"It was due on {due}."
            elif seen is None:
                why = f"A forecast needs {LEAST_DAYS} days of the campaign."
            answer[each] = IndicatorForecast(
                due, through, history.value, target, history.value >= target, seen, why
            )
        return ForecastReport(
            campaign, scope.root, scope.day, known_at, plan.last_day, phase, scope.complete_to, answer
        )

    async def backtest(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        indicator: str | None,
    ) -> BacktestReport:
        """Forecasts of the last day, or of `as_of` while it is to come, as they would have been told at the end of the
        days of ORIGINS from what was known by then. Raises what `forecast` raises."""
        scope = await self._scope(campaign, as_of, known_at, unit)
        goals = with_target(scope.stored, scope.root, indicator)
        plan = scope.stored.campaign
        # Each goal is told up to its own last day, or to the day that is asked about.
        through = {goal: min(plan.due(goal), scope.day) for goal in goals}
        numbers = {
            goal: origins(len(plan.schedule_of(goal).weights), _number(plan, through[goal])) for goal in goals
        }
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            came = {
                day: await read_days(connection, scope, goals, day, known_at)
                for day in sorted(set(through.values()))
            }
            known, by_then = {}, {}
            for number in sorted({number for each in numbers.values() for number in each}):
                day = plan.first_day + timedelta(days=number - 1)
                # Nothing is told from what came to be known only later, nor from more than is asked about.
                ended = day + plan.day_end.later
                by_then[number] = min(ended, known_at or ended)
                known[number] = await read_days(connection, scope, goals, day, by_then[number])

        def look_back() -> dict[str, list[Origin]]:
            return {
                goal: [
                    origin
                    for number in numbers[goal]
                    if (
                        origin := _assess(
                            scope,
                            goal,
                            number,
                            _number(plan, through[goal]),
                            known[number],
                            came[through[goal]],
                            by_then[number],
                        )
                    )
                ]
                for goal in goals
            }

        # Some hundred forecasts: consumers and other questions must not wait for them.
        answer = await asyncio.to_thread(look_back)
        return BacktestReport(
            campaign,
            scope.root,
            scope.day,
            known_at,
            min(plan.last_day, scope.day),
            scope.complete_to,
            answer,
        )

    async def ranks(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        indicator: str | None,
        level: RankedLevel,
        shown: int,
        phase: str | None = None,
    ) -> RankReport:
        """The units of a level below `unit`, by share of their targets. Raises what `forecast` raises; Invalid for a
        day before the eve of the campaign, and for hamlets of which the plan says nothing."""
        to_hamlets: ToHamlets = "always" if level == "hamlet" else "never"
        scope = await self._scope(campaign, as_of, known_at, unit, phase, to_hamlets)
        goals = with_target(scope.stored, scope.root, indicator)
        if level == "hamlet":
            goals = _of_hamlets(scope, goals)
        plan = scope.stored.campaign
        eve = plan.first_day - timedelta(days=1)
        if scope.day < eve:
            raise Invalid(
                f"The campaign begins on {plan.first_day}: on {scope.day} nobody has a rank in it.",
                field="as_of",
                remedy=f"Ask for {eve} or a later day.",
            )
        async with self._pool.acquire() as connection:
            days = await read_days(connection, scope, goals, scope.day, known_at)
        answer = {}
        for each in goals:
            runners = []
            for code in scope.tree.below(scope.root):
                target = scope.stored.targets.get((code, each))
                if scope.tree.units[code].level == level and target is not None:
                    runners.append(Runner(code, scope.tree.units[code].name, target, days.ends(code, each)))
            answer[each] = ranking(runners, eve, plan.due(each), scope.day, shown)
        return RankReport(campaign, scope.root, level, scope.day, known_at, phase, scope.complete_to, answer)


def _of_hamlets(scope: Scope, goals: Sequence[str]) -> Sequence[str]:
    """The goals of which some hamlet below the unit has a target. Raises Invalid if there is none."""
    below = [code for code in scope.tree.below(scope.root) if code in scope.stored.plan.eligible_in_hamlets]
    found = [goal for goal in goals if any((code, goal) in scope.stored.targets for code in below)]
    if not found:
        raise Invalid(
            f"No hamlet below {scope.root} has a target of {' or '.join(goals)}.",
            field="level",
            remedy="Put a plan that says in eligible_in_hamlets how many live in which; of a cohort whose size is told "
            "no hamlet has a target.",
        )
    return found


def _assess(
    scope: Scope,
    goal: str,
    number: int,
    through: int,
    known: Days,
    came: Days,
    known_at: date,
) -> Origin | None:
    plan, ceilings = scope.stored.campaign, _ceilings(scope, goal, known.last, known_at)
    communes = [code for code in scope.tree.below(scope.root) if scope.tree.units[code].level == "commune"]
    told, actual, brought = {}, {}, {}
    for code in {scope.root, *communes}:
        said = tell(
            plan.schedule_of(goal),
            plan.calendar,
            through,
            known.history(code, goal),
            scope.stored.targets.get((code, goal)),
            ceilings.get(code),
        )
        if said is None:
            return None
        in_the_end = came.history(code, goal)
        told[code], actual[code] = said, in_the_end.value
        brought[code] = in_the_end.value - in_the_end.baseline
    return assess(number, known.last, through - number, told, actual, brought, scope.root, communes)


def _through(plan: Campaign, due: date, day: date) -> date:
    """The day of which a goal is forecast at the end of `day`: its last one; after the campaign's own last day, while
    it goes on, the day on which it stops, or one HORIZON ahead."""
    if due < plan.last_day or not plan.last_day <= day or not plan.works_on(day + timedelta(days=1)):
        return due
    return plan.works_until or day + HORIZON


def _number(plan: Campaign, day: date) -> int:
    """How many days of the campaign are over at the end of `day`."""
    return max(0, (day - plan.first_day).days + 1)


def _ceilings(scope: Scope, goal: str, day: date, known_at: date | None) -> dict[str, int]:
    """How many can be reached at all, of each unit that the plan knows, by the decisions of a day as known then."""
    exempt = exempt_citizens(scope.stored.exemptions, day, known_at, scope.followed)
    return ceilings(scope.stored.plan, goal, exempt, scope.tree, scope.root)
