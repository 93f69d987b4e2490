"""How the contests of a campaign stand."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import asyncpg

from tiendo_aggregator.rules.contests import Contest, Group, Placed, Runner, communes_of, standing
from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.storage.counting import daily_changes
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class ContestStanding:
    """A contest at the end of `day`: the one asked for, or its last one."""

    contest: Contest
    day: date
    groups: list[Placed]


@dataclass(frozen=True, slots=True)
class ContestReport:
    """All contests of a campaign's plan, as of a day and as known then (None: now)."""

    campaign: str
    as_of: date
    known_at: date | None
    complete_to: datetime | None
    contests: list[ContestStanding]


class Contests:
    """Ranks groups of units, by the citizens who live there."""

    def __init__(self, pool: asyncpg.Pool, plans: Plans, scopes: Scopes, units: Units) -> None:
        self._pool = pool
        self._plans = plans
        self._scopes = scopes
        self._units = units

    async def report(self, campaign: str, *, as_of: date | None, known_at: date | None) -> ContestReport:
        """Raises what `Scopes.of` raises; Invalid for a day to come."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, unit=None)
        if scope.day > scope.today:
            raise Invalid(
                f"{scope.day} is still to come.",
                field="as_of",
                remedy=f"Ask for {scope.today} or a day before it.",
            )
        # On the tree of the first day, where groups were named and targets given: they are sums of its communes.
        stored = await self._plans.get(campaign, known_at)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            contests = [
                await self._standing(connection, stored, each, scope.day, known_at)
                for each in stored.campaign.contests
            ]
        return ContestReport(campaign, scope.day, known_at, scope.complete_to, contests)

    async def _standing(
        self,
        connection: Connection,
        stored: StoredPlan,
        contest: Contest,
        as_of: date,
        known_at: date | None,
    ) -> ContestStanding:
        day = min(as_of, contest.last_day)
        runners = [
            await self._runner(connection, stored, contest, each, day, known_at) for each in contest.groups
        ]
        return ContestStanding(contest, day, standing(contest, runners, day))

    async def _runner(
        self,
        connection: Connection,
        stored: StoredPlan,
        contest: Contest,
        group: Group,
        day: date,
        known_at: date | None,
    ) -> Runner:
        plan, eve = stored.campaign, contest.eve
        communes = communes_of(group, plan.followed(self._units.history, plan.first_day).tree)
        # The contest's days are the campaign's; a reorganisation among them is followed to the day that is looked at.
        followed = plan.followed(self._units.history, day)
        followed.require(day, day, field="as_of")
        there = {followed.places[code] for code in communes}
        mixed = sorted(
            code
            for code, place in followed.places.items()
            if place in there and code not in communes and code in stored.plan.eligible
        )
        if mixed:
            raise Invalid(
                f"On {day}, units of group {group.id!r} are one with {mixed[0]}, which is not in it.",
                field="as_of",
                remedy="Ask as of a day before the reorganisation; name groups anew for what comes after.",
            )
        codes = [code for code, place in followed.places.items() if place in there]
        sums: defaultdict[date, int] = defaultdict(int)
        for _, (_, changed), n in await daily_changes(connection, codes, [contest.goal], eve, day, known_at):
            sums[changed] += n
        ends, reached = [], 0
        for number in range(max(0, (day - eve).days) + 1):
            reached += sums[eve + timedelta(days=number)]
            ends.append(reached)
        exempt = exempt_citizens(stored.exemptions, day, known_at, followed)
        return Runner(
            group,
            sum(stored.plan.eligible[code] for code in communes)
            - sum(exempt.get(place, 0) for place in there),
            sum(stored.targets.get((code, contest.goal), 0) for code in communes),
            ends,
        )
