"""Trees sent to us, and reorganisations: looked at first, applied whole, taken back."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import asyncpg
import msgspec
import structlog

from tiendo_aggregator.errors import UnknownReorganisation
from tiendo_aggregator.rules.counting import RESIDENCE
from tiendo_aggregator.rules.hamlet_plan import check_homes, weights_of
from tiendo_aggregator.rules.plan import Plan
from tiendo_aggregator.rules.progress import Standing
from tiendo_aggregator.rules.rebasing import check_edition, check_mappings
from tiendo_aggregator.rules.units import Edition, Gazetteer, History, Reorganisation, eve
from tiendo_aggregator.rules.units.edition import Difference, SentUnit, difference, make_edition
from tiendo_aggregator.rules.units.hamlets import HamletList, check_list, end_of
from tiendo_aggregator.rules.units.reorganisation import ByHamlet, Preview, check_complete, preview
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.storage.reorganisation import (
    Applied,
    all_applied,
    applied,
    store_reorganisation,
    take_back,
)
from tiendo_aggregator.storage.units import store_edition, store_list
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.progress import standings
from tiendo_aggregator.use_cases.scope import on_its_tree
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import Indicator

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImportedEdition:
    """A tree that was, or would be, taken in; `until_day` is the first day of the next one."""

    from_day: date
    until_day: date | None
    units: int
    difference: Difference


@dataclass(frozen=True, slots=True)
class ImportedHamlets:
    """A province's list of hamlets that was, or would be, taken in; `until_day` is the first day on which none of it
    holds."""

    province: str
    from_day: date
    until_day: date | None
    hamlets: int
    difference: Difference


@dataclass(frozen=True, slots=True)
class Side:
    """A campaign on one tree: what its province is there, with how many units, and where it stands."""

    root: str
    units: int
    indicators: Mapping[Indicator, Standing]


@dataclass(frozen=True, slots=True)
class RebasedCampaign:
    """A campaign on the last day of the tree before, on that tree and on the next; or why that cannot be said."""

    campaign: str
    before: Side | None
    after: Side | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class DividedByHamlet:
    """A commune divided by hamlet: the weight of each part, and how many citizens of it, with a dossier on the day
    before, live in its hamlets; `without_hamlet` name none that there is on that day."""

    division: ByHamlet
    weights: Mapping[str, int]
    citizens: Mapping[str, int]
    without_hamlet: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reorganisation does; `id` once it is in force."""

    preview: Preview
    campaigns: list[RebasedCampaign]
    divided: list[DividedByHamlet]
    id: int | None


class UnitChanges:
    """Changes to the units of the past, the present and the days to come."""

    def __init__(self, pool: asyncpg.Pool, units: Units, plans: Plans, origin: Origin) -> None:
        self._pool = pool
        self._units = units
        self._plans = plans
        self._clock = origin.clock

    async def put_edition(
        self, from_day: date, units: Sequence[SentUnit], *, dry_run: bool, by: str
    ) -> ImportedEdition:
        """Make this the tree from `from_day` until the next edition; with `dry_run`, only say what would change.

        Raises Invalid for what is no tree, EditionContradicted if a campaign or a reorganisation in force stands
        on units that it lacks.
        """
        edition = make_edition(units, from_day)
        if dry_run:
            result, _ = await self._compare(from_day, edition)
            return result
        async with self._units.changing() as connection:
            result, gazetteer = await self._compare(from_day, edition)
            await store_edition(connection, from_day, edition, self._clock.now(), by)
            await self._units.publish(connection, gazetteer)
        log.info("edition taken in", from_day=from_day.isoformat(), units=result.units, by=by)
        return result

    async def _compare(self, from_day: date, edition: Edition) -> tuple[ImportedEdition, Gazetteer]:
        history = self._units.history
        gazetteer = await asyncio.to_thread(self._units.with_edition, from_day, edition)
        campaigns = [each.campaign for each in await self._plans.all()]
        await asyncio.to_thread(
            check_edition, history.gazetteer, gazetteer, history.reorganisations, campaigns
        )
        result = ImportedEdition(
            from_day=from_day,
            until_day=next(iter(gazetteer.changes(from_day, date.max)), None),
            units=len(edition),
            difference=difference(history.gazetteer.with_hamlets(from_day), gazetteer.with_hamlets(from_day)),
        )
        return result, gazetteer

    async def put_hamlets(
        self, province: str, from_day: date, sent: HamletList, *, dry_run: bool, by: str
    ) -> ImportedHamlets:
        """Make these the province's hamlets from `from_day` until its next list; with `dry_run`, only say what would
        change. Raises Invalid for what is no list, EditionContradicted if a reorganisation in force or what a plan says
        of hamlets no longer fits."""
        if dry_run:
            result, _ = await self._compare_hamlets(province, from_day, sent)
            return result
        async with self._units.changing() as connection:
            result, gazetteer = await self._compare_hamlets(province, from_day, sent)
            await store_list(connection, province, from_day, sent, self._clock.now(), by)
            await self._units.publish(connection, gazetteer)
        log.info("hamlets taken in", province=province, from_day=from_day.isoformat(), by=by)
        return result

    async def _compare_hamlets(
        self, province: str, from_day: date, sent: HamletList
    ) -> tuple[ImportedHamlets, Gazetteer]:
        history = self._units.history
        now = history.gazetteer
        lists, then = await asyncio.to_thread(self._units.with_list, province, from_day, sent)
        plans = [(await self._plans.get(each.campaign.id)).plan for each in await self._plans.all()]

        def check() -> None:
            check_list(province, from_day, lists, now, then)
            check_mappings(then, history.reorganisations, field="hamlets")
            for plan in plans:
                check_homes(plan, now, then)

        await asyncio.to_thread(check)
        result = ImportedHamlets(
            province=province,
            from_day=from_day,
            until_day=end_of(lists, province, from_day),
            hamlets=len(sent.hamlets),
            difference=difference(now.with_hamlets(from_day), then.with_hamlets(from_day)),
        )
        return result, then

    async def all(self) -> list[Applied]:
        """Every reorganisation that was ever applied, in that order."""
        async with self._pool.acquire() as connection:
            found = await all_applied(connection)
        return [self._with_what_was_taken_in(each) for each in found]

    def _with_what_was_taken_in(self, each: Applied) -> Applied:
        last = eve(each.effective_on)
        return replace(
            each, taken_in={unit: self._units.history.taken_in(unit, last) for unit in each.shares}
        )

    async def look_at(self, asked: Reorganisation) -> Outcome:
        """What it would do, and what it leaves open; nothing is written. Raises Invalid for what is no mapping."""
        history = self._units.history
        asked = await self._weighed(history, asked)
        found = await asyncio.to_thread(preview, asked, history.gazetteer, history.on(asked.effective_on))
        async with self._pool.acquire() as connection:
            campaigns = await self._rebased(connection, history, asked)
            divided = await _divided(connection, found, history)
        return Outcome(found, campaigns, divided, None)

    async def apply(self, asked: Reorganisation, resolution: str, *, by: str) -> Outcome:
        """Put it in force, whole. Raises Invalid while it leaves anything open."""
        async with self._units.changing() as connection:
            history = self._units.history
            asked = await self._weighed(history, asked)
            found = await asyncio.to_thread(preview, asked, history.gazetteer, history.on(asked.effective_on))
            check_complete(found)
            campaigns = await self._rebased(connection, history, asked)
            divided = await _divided(connection, found, history)
            id_ = await store_reorganisation(connection, asked, resolution, self._clock.now(), by)
        log.info("reorganisation applied", id=id_, effective_on=asked.effective_on.isoformat(), by=by)
        return Outcome(found, campaigns, divided, id_)

    async def undo(self, id_: int, *, by: str) -> Applied:
        """Let it no longer be in force; what was undone before stays as it is. Raises UnknownReorganisation."""
        async with self._units.changing() as connection:
            found = await applied(connection, id_)
            if found is None:
                raise UnknownReorganisation(id_)
            if found.undone_at is None:
                await take_back(connection, id_, self._clock.now(), by)
                found = await applied(connection, id_)
                assert found is not None
                log.info("reorganisation undone", id=id_, by=by)
        return self._with_what_was_taken_in(found)

    async def _weighed(self, history: History, asked: Reorganisation) -> Reorganisation:
        """With the weights of communes that are divided by hamlet and were given none: as many as are eligible in each
        part by the newest plan that says so of each hamlet. The order keeps them, whatever a later plan says."""
        missing = [unit for unit, weights in asked.by_hamlet.items() if not weights]
        if not missing:
            return asked
        day, reach = asked.effective_on, asked.reach()
        # Where hamlets go does not depend on weights.
        alike = {unit: dict.fromkeys(reach.get(unit, ()), 1) for unit in missing}
        found = await asyncio.to_thread(
            preview,
            msgspec.structs.replace(asked, by_hamlet={**asked.by_hamlet, **alike}),
            history.gazetteer,
            history.on(day),
        )
        plans = await self._plans_on_the_eve(history, day)
        told = {}
        for division in found.by_hamlet:
            hamlets = history.gazetteer.hamlets_on(division.unit, eve(day))
            of_plans = (weights_of(division, hamlets, plan) for plan in plans)
            told[division.unit] = next((weights for weights in of_plans if weights is not None), None)
        for unit in missing:
            if told[unit] is None:
                raise Invalid(
                    f"{unit} has no weights, and no plan says how many are eligible in each of its hamlets.",
                    field=f"by_hamlet.{unit}",
                    remedy="Give each part its weight; or put a plan with eligible_in_hamlets.",
                )
        by_hamlet = {unit: weights or told[unit] or {} for unit, weights in asked.by_hamlet.items()}
        return msgspec.structs.replace(asked, by_hamlet=by_hamlet)

    async def _plans_on_the_eve(self, history: History, day: date) -> list[Plan]:
        """The plans of campaigns that had begun before a day, on the tree of its eve with hamlets, newest first."""
        plans = []
        for each in reversed(await self._plans.all()):
            if each.campaign.first_day < day:
                stored = await self._plans.get(each.campaign.id)
                followed = stored.campaign.followed_to_hamlets(history, eve(day))
                if not followed.lost:
                    plans.append(on_its_tree(stored, followed, hamlets=True).plan)
        return plans

    async def _rebased(
        self, connection: Connection, history: History, asked: Reorganisation
    ) -> list[RebasedCampaign]:
        day = asked.effective_on
        after = History(history.gazetteer, [*history.reorganisations, asked])
        answer = []
        for campaign in await self._plans.all():
            if campaign.campaign.first_day < day:
                stored = await self._plans.get(campaign.campaign.id)
                try:
                    one = await _side(connection, stored, history, eve(day), eve(day))
                    two = await _side(connection, stored, after, day, eve(day))
                except Invalid as error:
                    answer.append(RebasedCampaign(stored.campaign.id, None, None, error.detail))
                else:
                    answer.append(RebasedCampaign(stored.campaign.id, one, two, None))
        return answer


async def _side(
    connection: Connection, stored: StoredPlan, history: History, tree: date, as_of: date
) -> Side:
    campaign = stored.campaign
    followed = campaign.followed(history, tree)
    followed.require(as_of, tree, field="rows")
    root = followed.root
    [top] = await standings(
        connection,
        on_its_tree(stored, followed),
        followed,
        root=root,
        by="residence",
        as_of=as_of,
        known_at=None,
        depth=0,
    )
    return Side(root, sum(1 for _ in followed.tree.below(root)), top.indicators)


async def _divided(connection: Connection, found: Preview, history: History) -> list[DividedByHamlet]:
    last = eve(found.step.day)
    answer = []
    for division in found.by_hamlet:
        # Hamlets that ended before count with the commune's own.
        at = {code: history.hamlet_on(code, last) for code in history.gazetteer.hamlets_of([division.unit])}
        at[division.unit] = division.unit
        lives: Counter[str | None] = Counter()
        for each in await count(connection, list(at), RESIDENCE, last, found.step.day):
            if each.indicator == "intake":
                lives[at[each.unit]] += each.value
        citizens = {part: sum(lives[code] for code in codes) for part, codes in division.parts.items()}
        answer.append(
            DividedByHamlet(division, found.step.shares[division.unit], citizens, lives[division.unit])
        )
    return answer
