"""Counts that communes declare: taken, closed at each day's cut-off, laid beside the records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import structlog

from tiendo_aggregator.rules.counting import RESIDENCE
from tiendo_aggregator.rules.declared import (
    Counts,
    Declared,
    State,
    UnitDeclared,
    may_declare,
    records_beside,
    side_by_side,
    states,
)
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.units import Followed
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.storage.declared import (
    ClosedDay,
    add_declared,
    close_declarations,
    closed_declarations,
    declarations_closed_through,
    lock_declared,
    newest_declared,
    revisions_of,
)
from tiendo_aggregator.storage.plan import StoredCampaign
from tiendo_aggregator.use_cases.off_tree import LeaveOut
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import Scope, Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import VIETNAM, local_day
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import EventLog, NewEvent
from tiendo_common.events.declarations import (
    CountsDeclared,
    Declaration,
    DeclarationsClosed,
    DeclarationsDue,
)
from tiendo_common.service.auth import ApiKey
from tiendo_common.service.rounds import go_round

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reporter:
    """A commune whose report of a day came late or not at all."""

    code: str
    name: str
    declared_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeclaredReport:
    """A unit and those below it on the tree of a day. `due` None: on that day nobody owed anything. `late` and
    `not_reported` are all such communes of the unit on the day `as_of`, by code."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    due: datetime | None
    complete_to: datetime | None
    late: Sequence[Reporter]
    not_reported: Sequence[Reporter]
    units: Sequence[UnitDeclared]


class Declarations:
    """Takes declared counts in, and says at each day's cut-off who has not reported.

    Declarations and closings of a campaign take turns, and the time is read within the turn: so what is in time was
    written before its day was closed, and what is written after that is late, on whichever replica.
    """

    PERIOD = 1.0

    def __init__(
        self,
        pool: asyncpg.Pool,
        event_log: EventLog,
        plans: Plans,
        units: Units,
        scopes: Scopes,
        origin: Origin,
    ) -> None:
        self._pool = pool
        self._log = event_log
        self._plans = plans
        self._units = units
        self._scopes = scopes
        self._origin = origin
        self._leave_out = LeaveOut("declarations not closed")

    async def declare(
        self, campaign: str, unit: str, day: date, counts: Counts, source: str, key: ApiKey
    ) -> Declared:
        """Take what a commune declares of a day. The same again changes nothing; anything else is the next revision.

        Raises UnknownCampaign; Invalid if nobody declares in this campaign, the day isn't one of its days or is still
        to come, or the unit isn't one of those that declare; OutOfBounds.
        """
        stored = await self._plans.get(campaign)
        plan = stored.campaign
        if plan.declaring is None:
            raise Invalid(
                "No commune of this campaign reports by declaring.",
                field="campaign",
                remedy="PUT the campaign's plan with the commune in declaring.units, or send records to intake.",
            )
        last = min(plan.last_day, self._origin.clock.today())
        if not plan.first_day <= day <= last:
            raise Invalid(
                f"{day} is no day of the campaign that has begun.",
                field="day",
                remedy=f"Declare days from {plan.first_day} to {plan.last_day}, none before it has come.",
            )
        followed = self._follow(stored, day)
        if unit not in may_declare(plan.declaring, followed):
            raise Invalid(
                f"Unit {unit} is none of those that declare in this campaign on {day}.",
                field="unit",
                remedy="Name it in declaring.units of the plan; where records are sent, they are what counts.",
            )
        key.check_unit(unit, followed.tree.up_to(unit, None), field="unit")
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_declared(connection, campaign)
            now = self._origin.clock.now()
            before = (await newest_declared(connection, campaign, day)).get(unit)
            if before is not None and (before.counts, before.source) == (counts, source):
                return before
            closed = await closed_declarations(connection, campaign, day)
            due = _due(stored, plan.declaring, day)
            declared = Declared(
                unit=unit,
                day=day,
                revision=1 if before is None else before.revision + 1,
                counts=counts,
                source=source,
                declared_by=key.name,
                declared_at=now,
                known_day=local_day(now),
                late=before.late
                if before is not None
                else closed is not None or (due is not None and now >= due),
            )
            await add_declared(connection, campaign, declared)
            await self._log.append(connection, [self._news(campaign, declared)])
        return declared

    async def history(self, campaign: str, unit: str, day: date) -> list[Declared]:
        """All that a commune declared of a day, oldest first; perhaps nothing. Raises UnknownCampaign."""
        await self._plans.get(campaign)
        async with self._pool.acquire() as connection:
            return await revisions_of(connection, campaign, day, unit)

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        tree: date | None,
        unit: str | None,
        depth: int,
    ) -> DeclaredReport:
        """What was declared of a day, in which state the reports are, and what the records say of the same communes.
        Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit)
        declaring, day = scope.stored.campaign.declaring, scope.day
        # Reports are of the communes of their day, on whatever tree they are asked for.
        then = scope.stored.campaign.followed(self._units.history, day)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            # Read before what was declared: if it is due by then, whoever is missing did not report in time.
            now = self._origin.clock.now()
            declared = await newest_declared(connection, campaign, day, known_at)
            closed = await closed_declarations(connection, campaign, day)
            first_day = scope.stored.campaign.first_day
            counts = await count(connection, scope.resident_codes, RESIDENCE, day, first_day, known_at)
        due, owing = None, []
        if closed is not None:
            due, owing = closed.cut_off, list(closed.expected)
        elif declaring is not None and (due := _due(scope.stored, declaring, day)) is not None:
            owing = may_declare(declaring, then)
        passed = due is not None and now >= due and (known_at is None or known_at >= local_day(due))
        by_unit = states(owing, declared, due_passed=passed)
        return DeclaredReport(
            campaign,
            day,
            known_at,
            scope.on,
            due,
            scope.complete_to,
            _reporters("late", by_unit, declared, then, scope),
            _reporters("not_reported", by_unit, declared, then, scope),
            side_by_side(
                scope.followed,
                scope.root,
                depth,
                by_unit,
                declared,
                records_beside(counts, then, scope.followed, day),
            ),
        )

    async def run(self) -> None:
        """Close days until cancelled."""
        await go_round(self.step, self._origin.clock, self.PERIOD, "declarations not closed")

    async def step(self) -> None:
        """Close the days whose cut-off has passed."""
        for stored in await self._plans.all():
            if stored.campaign.declaring is not None:
                with self._leave_out.if_off_tree(stored.campaign.id):
                    await self._close_days(stored, stored.campaign.declaring)

    async def _close_days(self, stored: StoredCampaign, declaring: Declaring) -> None:
        campaign = stored.campaign
        async with self._pool.acquire() as connection:
            closed_through = await declarations_closed_through(connection, campaign.id)
        day = campaign.first_day if closed_through is None else closed_through + timedelta(days=1)
        while day <= min(campaign.last_day, self._origin.clock.today()):
            due = _due(stored, declaring, day)
            if due is not None and due <= self._origin.clock.now():
                await self._close(stored, declaring, day, due)
            day += timedelta(days=1)

    async def _close(self, stored: StoredCampaign, declaring: Declaring, day: date, due: datetime) -> None:
        campaign = stored.campaign
        expected = may_declare(declaring, self._follow(stored, day))
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_declared(connection, campaign.id)
            if await closed_declarations(connection, campaign.id, day) is not None:
                return
            declared = await newest_declared(connection, campaign.id, day)
            closed = ClosedDay(due, expected, [unit for unit in expected if unit not in declared])
            await close_declarations(connection, campaign.id, day, closed)
            event = DeclarationsClosed(
                **self._origin.attributes(campaign.province, campaign.id, campaign.id),
                data=DeclarationsDue(
                    campaign=campaign.id,
                    day=day,
                    cut_off=due,
                    expected=tuple(closed.expected),
                    not_reported=tuple(closed.not_reported),
                ),
            )
            await self._log.append(connection, [NewEvent("declared", event, key=f"{campaign.id}/{day}")])
        log.info(
            "declarations closed",
            campaign=campaign.id,
            day=day.isoformat(),
            expected=len(expected),
            not_reported=len(closed.not_reported),
        )

    def _follow(self, stored: StoredCampaign, day: date) -> Followed:
        followed = stored.campaign.followed(self._units.history, day)
        followed.require(day, day, field="day")
        return followed

    def _news(self, campaign: str, declared: Declared) -> NewEvent:
        counts: dict[str, Any] = {str(indicator): each for indicator, each in declared.counts.items()}
        event = CountsDeclared(
            **self._origin.attributes(declared.unit, campaign, campaign),
            data=Declaration(
                campaign=campaign,
                unit=declared.unit,
                day=declared.day,
                revision=declared.revision,
                source=declared.source,
                declared_by=declared.declared_by,
                declared_at=declared.declared_at,
                late=declared.late,
                **counts,
            ),
        )
        return NewEvent("declared", event, key=f"{campaign}/{declared.unit}/{declared.day}")


def _due(stored: StoredCampaign, declaring: Declaring, day: date) -> datetime | None:
    """When the counts of a day are due; None if nobody owes any: the day isn't one of the campaign's, its calendar asks
    for nothing, or the communes were asked to declare only after that."""
    plan = stored.campaign
    due = declaring.due(day).replace(tzinfo=VIETNAM).astimezone(UTC)
    asked = stored.declaring_since is not None and stored.declaring_since < due
    if not asked or not plan.first_day <= day <= plan.last_day:
        return None
    return due if plan.schedule.weights[(day - plan.first_day).days] else None


def _reporters(
    state: State, by_unit: Mapping[str, State], declared: Mapping[str, Declared], then: Followed, scope: Scope
) -> list[Reporter]:
    inside = set(scope.tree.below(scope.root))
    return [
        Reporter(unit, then.tree.units[unit].name, declared[unit].declared_at if unit in declared else None)
        for unit in sorted(by_unit)
        if by_unit[unit] == state and scope.followed.places.get(unit) in inside
    ]
