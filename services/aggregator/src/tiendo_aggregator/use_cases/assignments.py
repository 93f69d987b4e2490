"""Actors off the tree and their assignments: put, and how far they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.errors import UnknownAssignment
from tiendo_aggregator.rules.assignments import (
    Actor,
    ActorStanding,
    Assignment,
    Standing,
    actor_standings,
    check_assignment,
    standings,
)
from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.detail import Fold
from tiendo_aggregator.storage.assignments import (
    PaperT,
    Version,
    actors_of,
    add_paper,
    lock_assignments,
    newest,
    versions,
)
from tiendo_aggregator.storage.counting import work_by_day
from tiendo_aggregator.storage.teams import TeamWork, actuals, unassigned_work, work_by_teams
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import Indicator

_WHAT = "what teams do"


@dataclass(frozen=True, slots=True)
class AssignmentReport:
    """A campaign's actors and assignments as of the end of a day, as known at the end of `known_at` (None: now).

    `unassigned`: what teams did on the campaign's days that no assignment counts; `without_team`: what was done on them
    by nobody who named a team. With what assignments count they make up all work.
    """

    campaign: str
    as_of: date
    known_at: date | None
    complete_to: datetime | None
    actors: list[ActorStanding]
    assignments: list[tuple[Assignment, Standing]]
    unassigned: list[TeamWork]
    without_team: Mapping[Indicator, int]


class Assignments:
    """Who off the tree has what to do, and what their teams have done."""

    def __init__(
        self, pool: asyncpg.Pool, plans: Plans, units: Units, scopes: Scopes, fold: Fold, clock: Clock
    ) -> None:
        self._pool = pool
        self._plans = plans
        self._units = units
        self._scopes = scopes
        self._fold = fold
        self._clock = clock

    async def put_actor(self, campaign: str, actor: Actor, by: str) -> Version[Actor]:
        """Make this the actor; the same again changes nothing, another one is the next version. Raises
        UnknownCampaign, NotCounted."""
        self._fold.require_all(_WHAT)
        await self._plans.get(campaign)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_assignments(connection, campaign)
            return await self._next(connection, campaign, actor, by)

    async def put(self, campaign: str, assignment: Assignment, by: str) -> Version[Assignment]:
        """Likewise of an assignment.

        Raises UnknownCampaign, NotCounted; Invalid for an unknown actor and for what check_assignment refuses.
        """
        self._fold.require_all(_WHAT)
        plan = (await self._plans.get(campaign)).campaign
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_assignments(connection, campaign)
            if assignment.actor not in await actors_of(connection, campaign):
                raise Invalid(
                    f"{campaign} has no actor {assignment.actor!r}.",
                    field="actor",
                    remedy=f"PUT /v1/campaigns/{campaign}/actors/{assignment.actor} makes one.",
                )
            on = min(max(assignment.from_day, plan.first_day), plan.last_day)
            followed = plan.followed_to_hamlets(self._units.history, on)
            followed.require(on, on, field="from_day")
            units = set(followed.tree.below(followed.root)) - followed.above
            check_assignment(assignment, plan, units, await newest(connection, Assignment, campaign))
            return await self._next(connection, campaign, assignment, by)

    async def _next(self, connection: Connection, campaign: str, paper: PaperT, by: str) -> Version[PaperT]:
        before = [
            each for each in await versions(connection, type(paper), campaign) if each.paper.id == paper.id
        ]
        if before and before[-1].paper == paper:
            return before[-1]
        version = Version(len(before) + 1, self._clock.today(), by, paper)
        await add_paper(connection, campaign, version)
        return version

    async def history(self, campaign: str, assignment: str) -> Sequence[Version[Assignment]]:
        """Every version of an assignment, oldest first. Raises UnknownCampaign, UnknownAssignment."""
        await self._plans.get(campaign)
        async with self._pool.acquire() as connection:
            found = await versions(connection, Assignment, campaign)
        mine = [each for each in found if each.paper.id == assignment]
        if not mine:
            raise UnknownAssignment(campaign, assignment)
        return mine

    async def report(self, campaign: str, *, as_of: date | None, known_at: date | None) -> AssignmentReport:
        """How far all are. Raises what `Scopes.of` raises; NotCounted."""
        self._fold.require_all(_WHAT)
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, unit=None)
        plan, units = scope.stored.campaign, scope.codes
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            actors = await newest(connection, Actor, campaign, known_at)
            assignments = await newest(connection, Assignment, campaign, known_at)
            done = await actuals(connection, assignments, units, scope.day, known_at)
            span = plan.first_day, scope.day, known_at
            unassigned = await unassigned_work(connection, assignments, units, *span)
            of_teams = await work_by_teams(connection, units, *span)
            of_all = await work_by_day(connection, units, *span, INDICATORS)
        found, of_actors = standings(assignments, done, plan, scope.day)
        return AssignmentReport(
            campaign,
            scope.day,
            known_at,
            scope.complete_to,
            actor_standings(actors, of_actors),
            [(each, found[each.id]) for each in assignments],
            unassigned,
            {
                indicator: sum(n for (goal, _), n in of_all.items() if goal == indicator)
                - of_teams.get(indicator, 0)
                for indicator in INDICATORS
            },
        )
