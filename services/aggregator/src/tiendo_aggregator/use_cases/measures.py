"""Measures: put, told by other systems, asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg

from tiendo_aggregator.errors import UnknownMeasure
from tiendo_aggregator.rules.measures import (
    Measure,
    MeasuredUnit,
    Standing,
    check_measure,
    check_standing,
    measured_units,
    placed,
)
from tiendo_aggregator.rules.units import Tree
from tiendo_aggregator.storage.measures import (
    MeasureVersion,
    ToldStanding,
    add_measure_version,
    add_standings,
    lock_measure,
    measure_versions,
    newest_standings,
    told_standings,
)
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.scope import Scope, Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection
from tiendo_common.service.auth import ApiKey


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure and where units stand on it."""

    measure: Measure
    version: int
    units: list[MeasuredUnit]


@dataclass(frozen=True, slots=True)
class MeasuresReport:
    """A campaign's measures as of the end of a day, as known at the end of `known_at` (None: now), on the tree of a
    day."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    measures: list[Measured]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of standings that were sent: new ones, corrections of what was told before, and repeats."""

    told: int
    corrected: int
    repeated: int


class Measures:
    """Indicators that other systems count, beside those that we count."""

    def __init__(self, pool: asyncpg.Pool, plans: Plans, units: Units, scopes: Scopes, clock: Clock) -> None:
        self._pool = pool
        self._plans = plans
        self._units = units
        self._scopes = scopes
        self._clock = clock

    async def put(self, campaign: str, measure: Measure, by: str) -> MeasureVersion:
        """Make this the measure; the same again changes nothing, another one is its next version.

        Raises UnknownCampaign; Invalid for what check_measure refuses, or if it would turn shares into plain values or
        the other way round: what was told of them would no longer be what it says.
        """
        plan = (await self._plans.get(campaign)).campaign
        check_measure(measure, plan.followed(self._units.history, plan.first_day).tree, plan.province)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_measure(connection, campaign, measure.id)
            versions = await measure_versions(connection, campaign, measure.id)
            if versions:
                newest = versions[-1]
                if newest.measure == measure:
                    return newest
                if (newest.measure.out_of is None) != (measure.out_of is None):
                    raise Invalid(
                        f"{measure.id} is a {'plain value' if newest.measure.out_of is None else 'share'} already.",
                        field="out_of",
                        remedy="Make another measure under an id of its own.",
                    )
            version = MeasureVersion(len(versions) + 1, self._clock.today(), by, measure)
            await add_measure_version(connection, campaign, version)
        return version

    async def tell(self, campaign: str, measure: str, standings: Sequence[Standing], key: ApiKey) -> Taken:
        """Keep where units stood: all of them or, if one is refused, none.

        A standing that says what was told last for its unit and day changes nothing; another one corrects it, and what
        was told before stays readable. Raises UnknownCampaign, UnknownMeasure; Invalid, naming the line, for a unit
        that is not the campaign's on that day, for a day to come, for two lines about one unit and day, and for what
        check_standing refuses; OutOfBounds.
        """
        plan = (await self._plans.get(campaign)).campaign
        today = self._clock.today()
        seen: set[tuple[str, date]] = set()
        trees: dict[date, Tree] = {}
        inside: dict[date, set[str]] = {}
        for place, each in enumerate(standings):
            if each.day > today:
                raise Invalid(
                    f"{each.day} is still to come: it is {today}.",
                    field=f"standings.{place}.day",
                    remedy="Tell a standing when its day has begun.",
                )
            on = max(each.day, plan.first_day)
            if on not in inside:
                followed = plan.followed(self._units.history, on)
                trees[on] = followed.tree
                inside[on] = set(followed.tree.below(followed.root))
            if each.unit not in inside[on]:
                raise Invalid(
                    f"{each.unit} is no unit of the campaign on {on}.",
                    field=f"standings.{place}.unit",
                    remedy=f"GET /v1/units?as_of={on} tells the units of that day.",
                )
            key.check_unit(each.unit, trees[on].up_to(each.unit, None), field=f"standings.{place}.unit")
            if (each.unit, each.day) in seen:
                raise Invalid(
                    f"Two lines tell of {each.unit} on {each.day}.",
                    field=f"standings.{place}",
                    remedy="Send the right one only.",
                )
            seen.add((each.unit, each.day))
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_measure(connection, campaign, measure)
            versions = await measure_versions(connection, campaign, measure)
            if not versions:
                raise UnknownMeasure(campaign, measure)
            for place, each in enumerate(standings):
                check_standing(versions[-1].measure, each, place)
            units = sorted({each.unit for each in standings})
            before = {
                (each.standing.unit, each.standing.day): each
                for each in await told_standings(connection, campaign, measure, units)
            }
            now = self._clock.now()
            new = []
            corrected = 0
            for each in standings:
                last = before.get((each.unit, each.day))
                if last is None or last.standing != each:
                    new.append(ToldStanding(each, last.revision + 1 if last else 1, today, now, key.name))
                    corrected += last is not None
            await add_standings(connection, campaign, measure, new)
        return Taken(len(new) - corrected, corrected, len(standings) - len(new))

    async def told(self, campaign: str, measure: str, unit: str | None) -> list[ToldStanding]:
        """All that was told of a measure, corrections beside what they corrected. Raises UnknownMeasure."""
        async with self._pool.acquire() as connection:
            if not await measure_versions(connection, campaign, measure):
                raise UnknownMeasure(campaign, measure)
            return await told_standings(connection, campaign, measure, None if unit is None else [unit])

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        tree: date | None,
        unit: str | None,
        depth: int,
    ) -> MeasuresReport:
        """Where a unit and those below it stand on every measure that was known. Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit)
        measures = []
        async with self._pool.acquire() as connection:
            for version in _in_force(await measure_versions(connection, campaign), known_at):
                units = await self._measured(connection, version.measure, scope, depth)
                measures.append(Measured(version.measure, version.version, units))
        return MeasuresReport(campaign, scope.day, known_at, scope.on, measures)

    async def of_scope(
        self, connection: Connection, measure: str, scope: Scope, depth: int
    ) -> list[MeasuredUnit]:
        """Where the scope's unit and those below it stand on one measure; nobody, if it was put only later.

        Raises UnknownMeasure.
        """
        campaign = scope.stored.campaign.id
        versions = await measure_versions(connection, campaign, measure)
        if not versions:
            raise UnknownMeasure(campaign, measure)
        in_force = _in_force(versions, scope.known_at)
        return await self._measured(connection, in_force[0].measure, scope, depth) if in_force else []

    async def _measured(
        self, connection: Connection, measure: Measure, scope: Scope, depth: int
    ) -> list[MeasuredUnit]:
        campaign = scope.stored.campaign
        start = campaign.followed(self._units.history, campaign.first_day).tree
        newest = await newest_standings(
            connection,
            campaign.id,
            measure.id,
            scope.day,
            scope.known_at,
            [step.day for step in scope.followed.steps],
        )
        found = placed(measure, newest, scope.followed)
        return measured_units(measure, found, scope.followed, start, scope.root, depth)


def _in_force(versions: Sequence[MeasureVersion], known_at: date | None) -> list[MeasureVersion]:
    """The newest version of each measure that was known at the end of `known_at`."""
    known = (each for each in versions if known_at is None or each.known_day <= known_at)
    return list({each.measure.id: each for each in known}.values())
