"""How the contests of a campaign stand."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import asyncpg

from tiendo_aggregator.rules.assignments import Assignment
from tiendo_aggregator.rules.contests import Contest, Group, Placed, Runner, communes_of, standing
from tiendo_aggregator.rules.contests_of_actors import in_contest, runners_of_actors
from tiendo_aggregator.rules.dividing import parts_of
from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.rules.units import Followed
from tiendo_aggregator.storage.assignments import newest
from tiendo_aggregator.storage.counting import daily_changes
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.storage.teams import work_on_days
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
    """Ranks groups: of units by the citizens who live there, of actors by what their teams do of their assignments."""

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
        stored = await self._plans.get(campaign, known_at, scope.day)
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
        # The contest's days are the campaign's; a reorganisation among them is followed to the day that is looked at.
        followed = stored.campaign.followed(self._units.history, day)
        followed.require(day, day, field="as_of")
        of_kind = self._actors if contest.of_actors else self._residents
        runners = await of_kind(connection, stored, contest, followed, day, known_at)
        return ContestStanding(contest, day, standing(contest, runners, day))

    async def _actors(
        self,
        connection: Connection,
        stored: StoredPlan,
        contest: Contest,
        followed: Followed,
        day: date,
        known_at: date | None,
    ) -> list[Runner]:
        assignments = in_contest(contest, await newest(connection, Assignment, stored.campaign.id, known_at))
        codes = followed.codes_below(followed.root)
        work = await work_on_days(connection, assignments, codes, contest.eve, day, known_at)
        return runners_of_actors(contest, stored.campaign, assignments, work, day)

    async def _residents(
        self,
        connection: Connection,
        stored: StoredPlan,
        contest: Contest,
        followed: Followed,
        day: date,
        known_at: date | None,
    ) -> list[Runner]:
        start = stored.campaign.followed(self._units.history, stored.campaign.first_day).tree
        communes = {group.id: communes_of(group, start) for group in contest.groups}
        group_at: dict[str, str] = {}
        for group in contest.groups:
            group_at |= self._places(stored, group, communes[group.id], followed, day)
        codes = [code for code, place in followed.places.items() if place in group_at]
        sums: defaultdict[tuple[str, date], int] = defaultdict(int)
        found = await daily_changes(connection, codes, [contest.goal], contest.eve, day, known_at)
        for code, (_, changed), n in found:
            sums[group_at[followed.places[code]], changed] += n
        exempt: defaultdict[str, int] = defaultdict(int)
        for place, citizens in exempt_citizens(stored.exemptions, day, known_at, followed).items():
            exempt[group_at.get(place, "")] += citizens
        runners = []
        for group in contest.groups:
            ends, reached = [], 0
            for number in range(max(0, (day - contest.eve).days) + 1):
                reached += sums[group.id, contest.eve + timedelta(days=number)]
                ends.append(reached)
            eligible = sum(stored.plan.eligible[code] for code in communes[group.id]) - exempt[group.id]
            target = sum(stored.targets.get((code, contest.goal), 0) for code in communes[group.id])
            runners.append(Runner(group, eligible, target, ends))
        return runners

    @staticmethod
    def _places(
        stored: StoredPlan, group: Group, communes: Sequence[str], followed: Followed, day: date
    ) -> dict[str, str]:
        """The units that the group's communes have become, each with the group's id."""
        there = {part for code in communes for part in parts_of(code, 0, followed.steps)}
        mixed = sorted(
            code
            for code in stored.plan.eligible.keys() - set(communes)
            if not there.isdisjoint(parts_of(code, 0, followed.steps))
        )
        if mixed:
            raise Invalid(
                f"On {day}, units of group {group.id!r} are one with {mixed[0]}, which is not in it.",
                field="as_of",
                remedy="Ask as of a day before the reorganisation; name groups anew for what comes after.",
            )
        return dict.fromkeys(there, group.id)
