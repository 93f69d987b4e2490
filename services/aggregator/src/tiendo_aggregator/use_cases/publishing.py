"""Progress as events: each unit's newest totals while a campaign runs, and one last word on each day."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import asyncpg
import msgspec
import structlog

from tiendo_aggregator.rules.closing import REVISED_DAYS, still_due, with_attempts, with_records, with_targets
from tiendo_aggregator.rules.counting import INDICATORS, RESIDENCE
from tiendo_aggregator.rules.days import days_to_close, is_watched
from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets
from tiendo_aggregator.rules.progress import publications
from tiendo_aggregator.rules.rebasing import rebased_days, rebased_plan, rebased_residents, rebased_sums
from tiendo_aggregator.rules.stretches import plan_of_stretch, stretch_of
from tiendo_aggregator.rules.units import Followed, History
from tiendo_aggregator.storage.counting import count, daily_changes, daily_work, work_done
from tiendo_aggregator.storage.faults import faults
from tiendo_aggregator.storage.passages import attempts
from tiendo_aggregator.storage.plan import StoredCampaign, StoredPlan
from tiendo_aggregator.storage.publishing import close_day, may_publish, published, published_targets
from tiendo_aggregator.use_cases.off_tree import LeaveOut
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans, target_set
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import local_time
from tiendo_common.eventlog.port import Connection, EventLog, NewEvent
from tiendo_common.events.goals import goal_of
from tiendo_common.events.state import ProgressPublication, ProgressPublished
from tiendo_common.service.rounds import go_round

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Said:
    """All has been said of a day of a campaign, as long as nothing more is counted, plan and tree are the same, and
    all is not known up to `until`. A repair of counters counts nothing: it is said from then on."""

    counted: Mapping[str, Sequence[int]]
    campaign: Campaign
    history: History
    today: date
    until: datetime

    def still(
        self, counted: Mapping[str, Sequence[int]], campaign: Campaign, history: History, today: date
    ) -> bool:
        return (self.counted, self.today, self.campaign) == (
            counted,
            today,
            campaign,
        ) and self.history is history


class ProgressPublisher:
    """Publishes what changed, a unit at most once a second, and closes days.

    A day of a campaign is *closed* when its cut-off has passed and every fact accepted up to the cut-off has
    been counted: then all units are published for that day, changed or not, exactly once. Closings have keys
    of their own on the topic, so a consumer that was away still finds the last word on each day it missed.
    """

    #: A unit is published at most once in this time.
    PAUSE = timedelta(seconds=1)
    #: The unit on top is published at least once in this time, changed or not: of all others it is then known that
    #: nothing has come.
    REPEAT = timedelta(minutes=1)

    def __init__(
        self,
        pool: asyncpg.Pool,
        event_log: EventLog,
        plans: Plans,
        units: Units,
        origin: Origin,
        complete_to: Callable[[], datetime | None],
        counted: Callable[[], Awaitable[Mapping[str, Sequence[int]]]],
    ) -> None:
        """`counted`: up to where all replicas together have counted."""
        self._pool = pool
        self._counted = counted
        self._said: dict[str, _Said] = {}
        self._log = event_log
        self._plans = plans
        self._units = units
        self._origin = origin
        self._complete_to = complete_to
        self._lock = asyncio.Lock()
        self._closed_for: datetime | None = None
        self._next_look = 0.0
        self._leave_open = LeaveOut("days not closed")
        self._leave_out = LeaveOut("progress not published")

    async def run(self) -> None:
        """Publish until cancelled."""
        await go_round(self.step, self._origin.clock, self.PAUSE.total_seconds(), "progress not published")

    async def step(self) -> None:
        """Close what is due; publish what changed if the last look is a second ago."""
        async with self._lock:
            complete_to = self._complete_to()
            if complete_to is None:
                return
            reached = min(complete_to, self._origin.clock.now())
            look = time.monotonic() >= self._next_look
            if reached == self._closed_for and not look:
                return
            campaigns = await self._plans.all()
            closed = set()
            for stored in campaigns:
                with self._leave_open.if_off_tree(stored.campaign.id):
                    if await self._close_days(stored, reached, complete_to):
                        closed.add(stored.campaign.id)
            self._closed_for = reached
            if look:
                self._next_look = time.monotonic() + self.PAUSE.total_seconds()
                # Figures of after a cut-off would be taken for the day's last word, and lack what that says.
                await self._look(
                    [each.campaign for each in campaigns if each.campaign.id in closed], complete_to
                )

    async def _look(self, campaigns: Sequence[Campaign], complete_to: datetime) -> None:
        now = local_time(self._origin.clock.now())
        counted, history = await self._counted(), self._units.history
        for campaign in campaigns:
            today = campaign.day_end.going_on(now)
            said = self._said.get(campaign.id)
            if (
                said is not None
                and said.still(counted, campaign, history, today)
                and complete_to < said.until
            ):
                continue
            if is_watched(campaign, today):
                with self._leave_out.if_off_tree(campaign.id):
                    until = await self._publish_changes(campaign, today, complete_to)
                    if until is not None:
                        self._said[campaign.id] = _Said(counted, campaign, history, today, until)

    async def _close_days(self, stored: StoredCampaign, reached: datetime, complete_to: datetime) -> bool:
        """Close what is due; whether nothing is any more. Another replica may be at it."""
        campaign = stored.campaign
        local = local_time(reached)
        for day in days_to_close(campaign, stored.known_since, stored.closed_through, local):
            async with self._pool.acquire() as connection, connection.transaction():
                if not await may_publish(connection) or not await close_day(connection, campaign.id, day):
                    return False
                plan = await self._plans.get(campaign.id)
                followed = campaign.followed(self._units.history, day)
                documents = await self._documents(connection, campaign, day, complete_to)
                documents = await self._with_targets(connection, plan, followed, day, documents)
                units = followed.codes_below(followed.root)
                tried = await attempts(connection, units, campaign.first_day, day)
                documents = with_attempts(
                    documents, followed.tree, followed.root, rebased_sums(tried, followed)
                )
                wrong = await faults(connection, units, campaign.first_day, day)
                documents = with_records(
                    documents, followed.tree, followed.root, rebased_sums(wrong, followed)
                )
                keys = [f"{campaign.id}/{document.unit}/{day}" for document in documents]
                targets = await self._moved_targets(connection, plan, followed)
                await self._append(connection, keys, documents, targets)
            log.info("day closed", campaign=campaign.id, day=day.isoformat(), units=len(documents))
        return True

    async def _publish_changes(
        self, campaign: Campaign, today: date, complete_to: datetime
    ) -> datetime | None:
        """Until when there is nothing more to say if nothing is counted; None: there is something left to say, or
        another replica says it."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await may_publish(connection):
                return None
            documents = await self._documents(connection, campaign, today, complete_to)
            by_key = {f"{campaign.id}/{document.unit}": document for document in documents}
            last, fresh = await published(connection, list(by_key), self.PAUSE)
            differing = {
                key: document
                for key, document in by_key.items()
                if key not in last or not _says_the_same(last[key], document)
            }
            changed = {key: document for key, document in differing.items() if key not in fresh}
            # The top stands first, and is said last: whoever has read it has read all that came before.
            top, document = next(iter(by_key.items()))
            changed.pop(top, None)
            if top not in last or self._says_more(last[top], document, fresh=top in fresh):
                changed[top] = document
            await self._append(connection, list(changed), list(changed.values()))
        if not differing.keys() <= changed.keys():
            return None
        newest = document if top in changed else last[top]
        return newest.complete_to + self.REPEAT

    def _says_more(self, last: ProgressPublication, document: ProgressPublication, *, fresh: bool) -> bool:
        """Whether the unit on top is to be published again."""
        if fresh:
            return False
        return not _says_the_same(last, document) or document.complete_to - last.complete_to >= self.REPEAT

    async def _documents(
        self, connection: Connection, campaign: Campaign, day: date, complete_to: datetime
    ) -> list[ProgressPublication]:
        followed = campaign.followed(self._units.history, day)
        followed.require(day, day, field="day")
        units = followed.codes_below(followed.root)
        counts = rebased_residents(
            await count(connection, units, RESIDENCE, day, campaign.first_day),
            followed,
            followed.root,
            day,
            campaign.first_day,
        )
        done = rebased_sums(await work_done(connection, units, day, INDICATORS), followed)
        return publications(campaign.id, followed.tree, followed.root, day, complete_to, counts, done)

    async def _with_targets(
        self,
        connection: Connection,
        stored: StoredPlan,
        followed: Followed,
        day: date,
        documents: list[ProgressPublication],
    ) -> list[ProgressPublication]:
        """The documents of a closing with what is to be said of each target. Forecasts are told here, where their
        counts are, so that whoever judges by them and whoever asks for them have the same; narrowed goals are told of
        here and nowhere else, since readers that know no such goals would take their targets for those of the whole."""
        plan, targets = rebased_plan(stored.plan, stored.targets, followed)
        stretch = self._stretch(stored, followed, day)
        asked = stretch[0].targets if stretch is not None else ()
        goals = list(dict.fromkeys([*still_due(plan, day - REVISED_DAYS), *asked]))
        units = followed.codes_below(followed.root)
        eve = stored.campaign.first_day - timedelta(days=1)
        changes = rebased_days(
            await daily_changes(connection, units, goals, eve, day, None), followed, followed.root, day
        )
        done = rebased_sums(
            await daily_work(connection, units, goals, day - REVISED_DAYS, day),
            followed,
        )
        told = await self._told(connection, stored.campaign, followed, day, {unit for unit, _ in targets})
        exempt = exempt_citizens(stored.exemptions, day, None, followed)
        # Some hundred forecasts: consumers and questions must not wait for them.
        return await asyncio.to_thread(
            with_targets,
            documents,
            plan,
            targets,
            exempt,
            followed.tree,
            followed.root,
            day,
            changes,
            done,
            told,
            stretch,
        )

    def _stretch(self, stored: StoredPlan, followed: Followed, day: date) -> tuple[Plan, UnitTargets] | None:
        """What the stretch of days after the last one is to bring that a day is in, on the tree of that day; None: it
        is in none."""
        found = stretch_of(stored.campaign, day)
        if found is None:
            return None
        tree = stored.campaign.followed(self._units.history, stored.campaign.first_day).tree
        return rebased_plan(*plan_of_stretch(stored.plan, tree, found), followed)

    async def _told(
        self,
        connection: Connection,
        campaign: Campaign,
        followed: Followed,
        day: date,
        units: Collection[str],
    ) -> dict[tuple[str, date], ProgressPublication]:
        """The last words on the days before, of units that have been the same since."""
        days = [day - timedelta(days=n) for n in range(1, REVISED_DAYS.days + 1)]
        same = [each for each in days if campaign.followed(self._units.history, each).tree is followed.tree]
        keys = {f"{campaign.id}/{unit}/{each}": (unit, each) for each in same for unit in sorted(units)}
        documents, _ = await published(connection, list(keys), self.PAUSE)
        return {keys[key]: document for key, document in documents.items()}

    async def _moved_targets(
        self, connection: Connection, stored: StoredPlan, followed: Followed
    ) -> list[NewEvent]:
        """The targets of the units that the campaign has on a day, where that is not what was published last: with the
        first day on another tree, and the first after a reorganisation was taken back. Whoever judges the day's
        figures knows what its units had to reach."""
        _, targets = rebased_plan(stored.plan, stored.targets, followed)
        events = {
            target_set(self._origin, stored.campaign.id, followed.tree, unit, goal, value): value
            for (unit, goal), value in targets.items()
            if not goal_of(goal).narrowed
        }
        last = await published_targets(connection, [event.key or "" for event in events])
        return [event for event, value in events.items() if last.get(event.key or "") != value]

    async def _append(
        self,
        connection: Connection,
        keys: Sequence[str],
        documents: Sequence[ProgressPublication],
        targets: Sequence[NewEvent] = (),
    ) -> None:
        news = [
            NewEvent(
                "progress",
                ProgressPublished(
                    **self._origin.attributes(document.unit, document.campaign, document.campaign),
                    data=document,
                ),
                key=key,
            )
            for key, document in zip(keys, documents, strict=True)
        ]
        # In one call, which takes the logs in their order.
        await self._log.append(connection, [*targets, *news])


def _says_the_same(old: ProgressPublication, new: ProgressPublication) -> bool:
    return msgspec.structs.replace(old, complete_to=new.complete_to) == new
