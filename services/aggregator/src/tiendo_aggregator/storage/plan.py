"""Campaigns, their targets and eligible populations."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime

import asyncpg
import msgspec
from sqlalchemy import func, or_
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiendo_aggregator.rules.calendar import Calendar
from tiendo_aggregator.rules.contests import Contest
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.exemptions import ExemptionDecision
from tiendo_aggregator.rules.going_on import GoingOn
from tiendo_aggregator.rules.phases import Phase
from tiendo_aggregator.rules.plan import Campaign, CohortSize, Figure, Plan, Share, UnitTargets
from tiendo_aggregator.storage.exemptions import stored_decisions
from tiendo_aggregator.storage.tables import (
    CampaignRow,
    ClosedDayRow,
    EligibleRow,
    PlanVersionRow,
    TargetRow,
)
from tiendo_common.database.engine import make_engine
from tiendo_common.database.pool import PASSING_FAULTS, make_pool
from tiendo_common.errors import Unavailable
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.restatements import Cohort


@dataclass(frozen=True, slots=True)
class StoredCampaign:
    """A campaign and how far it has come; `closed_through` is the last closed day, `declaring_since` when communes were
    first asked to declare."""

    campaign: Campaign
    known_since: date
    closed_through: date | None
    declaring_since: datetime | None


@dataclass(frozen=True, slots=True)
class StoredPlan(StoredCampaign):
    """A campaign with its plan, and what the plan assigned to each unit, and to each hamlet. `version` counts the plans
    put, from 1; `exemptions` are all decisions ever entered, under the units that they name."""

    plan: Plan
    targets: UnitTargets
    version: int
    exemptions: tuple[ExemptionDecision, ...]
    hamlet_targets: UnitTargets


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A plan that was put, and the business day on which it was."""

    version: int
    known_day: date
    plan: Plan
    targets: UnitTargets
    hamlet_targets: UnitTargets


#: Of a campaign: the newest version of its plan (None: it has none), and how many decisions were entered.
State = tuple[int | None, int]


class PlanDatabase:
    """Sessions on the service's database. Nothing is connected before the first one."""

    def __init__(self, dsn: str) -> None:
        self._engine = make_engine(dsn, pool_size=4, pool_pre_ping=True)
        # For what every question asks first: a session, its transaction and its ping would take longer than the rest.
        # Of its own, since who asks may hold a connection of the service's pool already.
        self._driver = make_pool(dsn, "aggregator", most=4)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end. Raises Unavailable while the database is away."""
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except DBAPIError as error:
            # SQLAlchemy wraps the driver's errors twice: the skeleton knows the innermost ones.
            driver = error.orig.__cause__ if isinstance(error.orig, Exception) else None
            if isinstance(driver, PASSING_FAULTS):
                raise Unavailable(
                    "The database is away.", remedy="Send the same request again; a plan is put, not added."
                ) from error
            if isinstance(driver, asyncpg.UndefinedTableError):
                raise driver from error
            raise

    async def state(self, campaign: str) -> tuple[State, date | None]:
        """How far a campaign's plan has come, and the last closed day."""
        await self._driver  # nothing is connected before the first use
        [row] = await self._driver.fetch(
            "SELECT (SELECT max(version) FROM plan_version WHERE campaign = $1), "
            "(SELECT count(*) FROM exemption WHERE campaign = $1), "
            "(SELECT max(day) FROM closed_day WHERE campaign = $1)",
            campaign,
        )
        newest, entered, closed_through = row
        return (newest, entered), closed_through

    async def keep_open(self) -> None:
        """Close the connections when cancelled."""
        try:
            async with self._driver:  # which also ends in order if nobody has asked anything
                await asyncio.Event().wait()
        finally:
            await self._engine.dispose()


async def driver_connection(session: AsyncSession) -> Connection:
    """The connection under a session, to append events in its transaction.

    SQLAlchemy begins that with the session's first statement, so there must have been one.
    """
    raw = await (await session.connection()).get_raw_connection()
    connection: Connection | None = raw.driver_connection
    assert connection is not None
    assert connection.is_in_transaction()
    return connection


async def lock_plan(session: AsyncSession, campaign: str) -> None:
    """Let changes of one campaign take turns, also when it isn't there yet."""
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtext(f"aggregator plan {campaign}"))))


async def lock_all_plans(session: AsyncSession) -> None:
    """Let plans be put one after the other: whether a campaign is a part of another is a matter of both. To be taken
    before lock_plan."""
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtext("aggregator plans"))))


async def stored_campaigns(session: AsyncSession) -> list[StoredCampaign]:
    """Every campaign, by its first day."""
    closed = dict(
        (await session.exec(select(ClosedDayRow.campaign, func.max(ClosedDayRow.day)).group_by(
            col(ClosedDayRow.campaign)
        ))).all()
    )  # fmt: skip
    rows = await session.exec(select(CampaignRow).order_by(col(CampaignRow.first_day), col(CampaignRow.id)))
    return [
        StoredCampaign(_campaign(row), row.known_since, closed.get(row.id), row.declaring_since)
        for row in rows
    ]


async def stored_plan(session: AsyncSession, campaign: str) -> StoredPlan | None:
    """A campaign's plan, or None."""
    row = await session.get(CampaignRow, campaign)
    if row is None:
        return None
    targets: dict[tuple[str, str], int] = {}
    set_targets: dict[str, dict[str, int]] = {}
    for unit, goal, value, by_hand in await session.exec(
        select(TargetRow.unit, TargetRow.indicator, TargetRow.value, TargetRow.by_hand)
        .where(TargetRow.campaign == campaign)
        .order_by(col(TargetRow.unit), col(TargetRow.indicator))
    ):
        targets[unit, goal] = value
        if by_hand:
            set_targets.setdefault(goal, {})[unit] = value
    eligible = dict(
        (await session.exec(
            select(EligibleRow.unit, EligibleRow.citizens)
            .where(EligibleRow.campaign == campaign)
            .order_by(col(EligibleRow.unit))
        )).all()
    )  # fmt: skip
    closed_through = (
        await session.exec(select(func.max(ClosedDayRow.day)).where(ClosedDayRow.campaign == campaign))
    ).one()
    # What is said of hamlets is in the plan's version only: a build before would take it for what is said of communes.
    # So is what tells of the version itself.
    newest = (
        await session.exec(
            select(
                PlanVersionRow.version,
                col(PlanVersionRow.document)["plan"],
                col(PlanVersionRow.document)["hamlet_targets"],
            )
            .where(PlanVersionRow.campaign == campaign)
            .order_by(col(PlanVersionRow.version).desc())
            .limit(1)
        )
    ).one_or_none()
    version, said, of_hamlets = newest or (1, {}, None)
    eligible_in_hamlets: dict[str, int] = said.get("eligible_in_hamlets", {})
    for goal, values in said.get("set_targets", {}).items():
        for code in values.keys() & eligible_in_hamlets.keys():
            set_targets.setdefault(goal, {})[code] = values[code]
    plan = Plan(
        campaign=_campaign(row),
        targets={goal: value for (unit, goal), value in targets.items() if unit == row.province},
        eligible=eligible,
        set_targets=set_targets,
        cohorts=msgspec.convert(row.cohorts or {}, dict[Cohort, CohortSize]),
        shares=msgspec.convert(row.shares or {}, dict[str, Share]),
        eligible_in_hamlets=eligible_in_hamlets,
        signed_by=said.get("signed_by"),
        holds_from=msgspec.convert(said.get("holds_from"), date | None),
    )
    return StoredPlan(
        plan.campaign,
        row.known_since,
        closed_through,
        row.declaring_since,
        plan,
        targets,
        version,
        await stored_decisions(session, campaign),
        _targets(of_hamlets or ()),
    )


class KeptPlans:
    """The plans that were read last, one a campaign: every question begins with one, and they seldom change."""

    def __init__(self, database: PlanDatabase) -> None:
        self._database = database
        self._kept: dict[str, tuple[State, StoredPlan]] = {}

    async def newest(self, campaign: str) -> StoredPlan | None:
        """A campaign's plan as it is now, or None. One statement, unless a plan or a decision came since."""
        # Whichever replica changes a plan adds a version or a decision, and neither is ever taken away. Looked at
        # before the plan is read: if that is newer by then, the next question finds another state and reads it again.
        state, closed_through = await self._database.state(campaign)
        kept = self._kept.get(campaign)
        if kept is not None and kept[0] == state:
            return replace(kept[1], closed_through=closed_through)
        async with self._database.transaction() as session:
            stored = await stored_plan(session, campaign)
        # A build before put plans without a version: nothing would tell that it put another.
        if stored is not None and state[0] is not None:
            self._kept[campaign] = state, stored
        return stored


async def stored_versions(session: AsyncSession, campaign: str) -> list[PlanVersion]:
    """Every version of a campaign's plan, oldest first. Empty: there is but one, and it is stored as the plan."""
    every = select(PlanVersionRow).where(PlanVersionRow.campaign == campaign)
    return [_version(row) for row in await session.exec(every.order_by(col(PlanVersionRow.version)))]


async def held_version(
    session: AsyncSession, campaign: str, known_at: date | None, day: date | None
) -> PlanVersion | None:
    """The newest version that had been put by the end of `known_at` and is of `day`, if these are named; the first one
    if there is none. None: there is but one, and it is stored as the plan."""
    every = select(PlanVersionRow).where(PlanVersionRow.campaign == campaign)
    holding = every
    if known_at is not None:
        holding = holding.where(PlanVersionRow.known_day <= known_at)
    if day is not None:
        holds_from = col(PlanVersionRow.document)["plan"]["holds_from"].astext
        holding = holding.where(or_(holds_from.is_(None), holds_from <= day.isoformat()))
    for asked in (
        holding.order_by(col(PlanVersionRow.version).desc()),
        every.order_by(col(PlanVersionRow.version)),
    ):
        row = (await session.exec(asked.limit(1))).one_or_none()
        if row is not None:
            return _version(row)
    return None


def _version(row: PlanVersionRow) -> PlanVersion:
    return PlanVersion(
        row.version,
        row.known_day,
        msgspec.convert(row.document["plan"], Plan),
        _targets(row.document["targets"]),
        _targets(row.document.get("hamlet_targets", ())),
    )


def _targets(rows: Iterable[tuple[str, str, int]]) -> UnitTargets:
    return {(unit, goal): value for unit, goal, value in rows}


async def add_version(session: AsyncSession, version: PlanVersion) -> None:
    """Write a version down, for good. The campaign must be stored."""
    session.add(
        PlanVersionRow(
            campaign=version.plan.campaign.id,
            version=version.version,
            known_day=version.known_day,
            document={
                "plan": msgspec.to_builtins(version.plan),
                "targets": [[*key, value] for key, value in version.targets.items()],
                "hamlet_targets": [[*key, value] for key, value in version.hamlet_targets.items()],
            },
        )
    )
    await session.flush()


async def store_plan(
    session: AsyncSession,
    plan: Plan,
    targets: UnitTargets,
    known_since: date,
    declaring_since: datetime | None,
) -> None:
    """Store this plan instead of what there was of this campaign."""
    campaign = plan.campaign
    await session.merge(
        CampaignRow(
            id=campaign.id,
            name=campaign.name,
            plan_number=campaign.plan_number,
            plan_issued_on=campaign.plan_issued_on,
            province=campaign.province,
            first_day=campaign.first_day,
            last_day=campaign.last_day,
            day_cut_off=campaign.day_cut_off,
            days_end_after_midnight=campaign.days_end_after_midnight,
            figures=msgspec.to_builtins(campaign.figures),
            calendar=msgspec.to_builtins(campaign.calendar),
            declaring=msgspec.to_builtins(campaign.declaring),
            declaring_since=declaring_since,
            phases=msgspec.to_builtins(campaign.phases) or None,
            going_on=msgspec.to_builtins(campaign.going_on),
            contests=msgspec.to_builtins(campaign.contests) or None,
            parent=campaign.parent,
            units=list(campaign.units) or None,
            known_since=known_since,
            cohorts=msgspec.to_builtins(plan.cohorts) or None,
            shares=msgspec.to_builtins(plan.shares) or None,
        )
    )
    await session.exec(delete(TargetRow).where(col(TargetRow.campaign) == campaign.id))
    await session.exec(delete(EligibleRow).where(col(EligibleRow.campaign) == campaign.id))
    session.add_all(
        TargetRow(
            campaign=campaign.id,
            unit=unit,
            indicator=goal,
            value=value,
            by_hand=unit in plan.set_targets.get(goal, {}),
        )
        for (unit, goal), value in targets.items()
    )
    session.add_all(
        EligibleRow(campaign=campaign.id, unit=unit, citizens=citizens)
        for unit, citizens in plan.eligible.items()
    )
    await session.flush()


def _campaign(row: CampaignRow) -> Campaign:
    return Campaign(
        id=row.id,
        name=row.name,
        plan_number=row.plan_number,
        plan_issued_on=row.plan_issued_on,
        province=row.province,
        first_day=row.first_day,
        last_day=row.last_day,
        day_cut_off=row.day_cut_off,
        days_end_after_midnight=row.days_end_after_midnight,
        figures=msgspec.convert(row.figures, tuple[Figure, ...]),
        calendar=msgspec.convert(row.calendar, Calendar) if row.calendar is not None else Calendar(),
        declaring=msgspec.convert(row.declaring, Declaring | None),
        phases=msgspec.convert(row.phases or (), tuple[Phase, ...]),
        going_on=msgspec.convert(row.going_on, GoingOn | None),
        contests=msgspec.convert(row.contests or (), tuple[Contest, ...]),
        parent=row.parent,
        units=tuple(row.units or ()),
    )
