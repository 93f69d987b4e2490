"""Rounds of re-checks: put, reported on, asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg

from tiendo_aggregator.errors import UnknownRound
from tiendo_aggregator.rules.rechecks import (
    Correction,
    Recheck,
    Round,
    UnitRechecks,
    check_recheck,
    check_round,
    recheck_progress,
)
from tiendo_aggregator.storage.rechecks import (
    RoundVersion,
    add_recheck,
    add_round_version,
    lock_rechecks,
    rechecks_of,
    round_versions,
    standing_rechecks,
)
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import local_day
from tiendo_common.errors import Invalid
from tiendo_common.service.auth import ApiKey


@dataclass(frozen=True, slots=True)
class RoundReport:
    """A round, in the version that held, and how far units are."""

    round: Round
    version: int
    units: Sequence[UnitRechecks]


@dataclass(frozen=True, slots=True)
class RechecksReport:
    """A campaign's rounds as of the end of a day, as known at the end of `known_at` (None: now), on the tree of a
    day."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    rounds: Sequence[RoundReport]


class Rechecks:
    """Takes rounds and reports of them; changes no count."""

    def __init__(
        self, pool: asyncpg.Pool, plans: Plans, units: Units, scopes: Scopes, origin: Origin
    ) -> None:
        self._pool = pool
        self._plans = plans
        self._units = units
        self._scopes = scopes
        self._origin = origin

    async def put(self, campaign: str, round_: Round, by: str) -> RoundVersion:
        """Make this the round; the same again changes nothing, another one is its next version.

        Raises UnknownCampaign; Invalid for a round before the campaign, and what check_round refuses.
        """
        plan = (await self._plans.get(campaign)).campaign
        if round_.first_day < plan.first_day:
            raise Invalid(
                f"The round would begin on {round_.first_day}, before the campaign on {plan.first_day}.",
                field="first_day",
                remedy=f"Let it begin on {plan.first_day} or later.",
            )
        followed = plan.followed(self._units.history, round_.first_day)
        followed.require(round_.first_day, round_.first_day, field="first_day")
        check_round(round_, followed.tree, followed.root)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_rechecks(connection, campaign, round_.id)
            versions = await round_versions(connection, campaign, round_.id)
            if versions and versions[-1].round == round_:
                return versions[-1]
            version = RoundVersion(len(versions) + 1, self._origin.clock.today(), by, round_)
            await add_round_version(connection, campaign, version)
        return version

    async def report(
        self,
        campaign: str,
        round_: str,
        unit: str,
        done_on: date | None,
        checked_by: str,
        corrections: Sequence[Correction],
        key: ApiKey,
    ) -> Recheck:
        """Take what is said of a unit. The same again changes nothing; anything else is the next revision.

        Raises UnknownCampaign, UnknownRound; Invalid for what check_recheck refuses; OutOfBounds on the tree on which
        the round began.
        """
        plan = (await self._plans.get(campaign)).campaign
        now = self._origin.clock.now()
        today = local_day(now)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_rechecks(connection, campaign, round_)
            versions = await round_versions(connection, campaign, round_)
            if not versions:
                raise UnknownRound(campaign, round_)
            round_now = versions[-1].round
            check_recheck(round_now, unit, done_on, corrections, today)
            tree = plan.followed(self._units.history, round_now.first_day).tree
            key.check_unit(unit, tree.up_to(unit, None), field="unit")
            before = await rechecks_of(connection, campaign, round_, unit)
            said = done_on, checked_by, tuple(corrections)
            if before and (before[-1].done_on, before[-1].checked_by, before[-1].corrections) == said:
                return before[-1]
            report = Recheck(
                unit, len(before) + 1, *said, reported_by=key.name, reported_at=now, known_day=today
            )
            await add_recheck(connection, campaign, round_, report)
        return report

    async def history(self, campaign: str, round_: str, unit: str) -> list[Recheck]:
        """All that was said of a unit, oldest first; perhaps nothing. Raises UnknownCampaign, UnknownRound."""
        await self._plans.get(campaign)
        async with self._pool.acquire() as connection:
            if not await round_versions(connection, campaign, round_):
                raise UnknownRound(campaign, round_)
            return await rechecks_of(connection, campaign, round_, unit)

    async def progress(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        tree: date | None,
        unit: str | None,
        depth: int,
    ) -> RechecksReport:
        """How far a unit and those below it are in every round that was known. Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit)
        rounds = []
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            newest = {
                each.round.id: each
                for each in await round_versions(connection, campaign)
                if known_at is None or each.known_day <= known_at
            }
            for version in newest.values():
                reports = await standing_rechecks(connection, campaign, version.round.id, known_at)
                found = recheck_progress(version.round, reports, scope.day, scope.followed, scope.root, depth)
                rounds.append(RoundReport(version.round, version.version, found))
        return RechecksReport(campaign, scope.day, known_at, scope.on, rounds)
