"""The desk: what falls due with time. Steps up, digests, and days whose figures are late."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime, timedelta

import asyncpg
import msgspec
import structlog

from tiendo_common.clock import VIETNAM, Clock, local_day, local_time, new_event_id
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import CampaignPublication
from tiendo_common.service.rounds import go_round
from tiendo_notifier.rules import messages, rhythm
from tiendo_notifier.rules.messages import Message as Words
from tiendo_notifier.rules.policies import Policy
from tiendo_notifier.rules.table import Severity
from tiendo_notifier.storage import desk, outbox, silences
from tiendo_notifier.storage.desk import Due, Item
from tiendo_notifier.storage.outbox import Message
from tiendo_notifier.storage.silences import Silence
from tiendo_notifier.use_cases.closings import works_of
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.silences import covering
from tiendo_notifier.use_cases.telling import News, compose, pressing, tell

log = structlog.get_logger(__name__)

#: So long after its cut-off a day's closing is late.
LATE = timedelta(minutes=15)


class Desk:
    """Looks at the clock. One replica works at a time, and each look is one transaction: what is due is done once."""

    #: Incidents that go a step up in one look.
    MOST = 500

    def __init__(
        self, pool: asyncpg.Pool, reference: Reference, clock: Clock, ready: Callable[[], bool]
    ) -> None:
        """`ready`: whether the reference is complete. Before, a unit that isn't there yet would look like one that is
        there no more."""
        self._ready = ready
        self._pool = pool
        self._reference = reference
        self._clock = clock
        self._lock = asyncio.Lock()
        self._seen: tuple[date, int] | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        await go_round(self.step, self._clock, 1.0, "desk not at work")

    async def step(self) -> None:
        """Do what is due now."""
        async with self._lock, self._pool.acquire() as connection, connection.transaction():
            if not self._ready() or not await desk.may_work(connection):
                return
            now = self._clock.now()
            seen = local_day(now), self._reference.units_revision
            if seen != self._seen:
                await self._close_what_is_no_more(connection, now)
            await self._escalate(connection, now)
            await self._look_for_lag(connection, now)
            await self._send_digests(connection, now)
        self._seen = seen

    async def _close_what_is_no_more(self, connection: Connection, now: datetime) -> None:
        """Incidents of units that were merged away are over: nobody is left to answer for them, and what they owed is
        asked of the units that took them in, which are judged by themselves. Looked at when a day begins or a tree
        changes."""
        today = local_day(now)
        for incident in await desk.unresolved(connection):
            if self._reference.is_on(incident.unit, today):
                continue
            reason = (
                f"{incident.unit} is not on the tree of {today} any more: those that took it in are judged"
            )
            await desk.close_for_good(connection, incident, new_event_id(), today, reason, now)
            log.info("incident of a unit that is no more", incident=incident.id, unit=incident.unit)

    async def _escalate(self, connection: Connection, now: datetime) -> None:
        due = await desk.due_steps(connection, now, self.MOST)
        if not due:
            return
        policies = await InForce.read(connection, self._reference, sorted({each.campaign for each in due}))
        silenced = await silences.in_force(connection, now)
        news = [
            said for each in due if (said := await self._step_up(connection, each, policies, silenced, now))
        ]
        await tell(connection, news)

    async def _step_up(
        self,
        connection: Connection,
        due: Due,
        policies: InForce,
        silenced: list[Silence],
        now: datetime,
    ) -> News | None:
        """Tell the level above of one incident; None: nobody is told."""
        campaign = self._reference.campaigns.get(due.campaign)
        parent = self._reference.parent(due.addressee, due.last_day)
        if (
            campaign is None
            or parent is None
            or not self._reference.is_in(parent, campaign.province, due.last_day)
        ):
            await desk.put_off(connection, due.id, None)
            return None
        line = [code for code, _ in self._reference.line(due.unit, due.last_day)]
        if covering(silenced, due.campaign, line, due.rules) is not None:
            await desk.put_off(connection, due.id, now + timedelta(minutes=1))
            return None
        policy = policies.of(due.campaign, parent, due.last_day)
        await desk.step(connection, due.id, parent, _next(policy, campaign, now))
        message = self._escalated(due, parent, now)
        local = local_time(now)
        severity = Severity(due.severity)
        quiet = rhythm.is_quiet(policy.rhythm, local)
        return News(
            message,
            line[line.index(parent) :] if parent in line else [parent],
            due.rules,
            severity,
            pressing(severity, quiet=quiet),
            rhythm.next_digest(policy.rhythm, local).replace(tzinfo=VIETNAM),
        )

    def _escalated(self, due: Due, parent: str, now: datetime) -> Message:
        said = msgspec.json.decode(due.notice)["data"]
        addressee = self._reference.full_name(parent, due.last_day, parent)
        since = date.fromisoformat(said["day"])
        words = messages.escalated(due.unit_name, addressee, since, _words(said["message"]))
        data = said | {"addressee": parent, "addressee_name": addressee, "message": words}
        return compose(
            "incident.escalated",
            now,
            data,
            campaign=due.campaign,
            unit=parent,
            incident=due.id,
            number=due.news + 1,
        )

    async def _send_digests(self, connection: Connection, now: datetime) -> None:
        for destination, items in (await desk.due_digests(connection, now)).items():
            digest = _digest(items, now)
            await outbox.put(connection, [digest], [(digest.id, None, destination)], [])
            await desk.went_into(connection, destination, [item.message for item in items], digest.id)
            log.info("digest", destination=destination, entries=len(items))

    async def _look_for_lag(self, connection: Connection, now: datetime) -> None:
        """Operations hear once that a day's figures are late, and once that they came. Units are not judged
        meanwhile: a closing says that all is counted, and without one there is nothing to judge."""
        known = await desk.lags(connection)
        judged = await desk.judged_through(connection)
        for identifier, campaign in list(self._reference.campaigns.items()):
            day = self._due_day(campaign, now)
            late = known.get(identifier)
            through = judged.get(identifier)
            if late is not None and through is not None and through >= late:
                await desk.end_lag(connection, identifier)
                await tell(connection, [self._lag(campaign, late, now, over=True)])
            elif late is None and day is not None and (through is None or through < day):
                await desk.begin_lag(connection, identifier, day, now)
                await tell(connection, [self._lag(campaign, day, now, over=False)])
                log.error("closing is late", campaign=identifier, day=day.isoformat())

    def _due_day(self, campaign: CampaignPublication, now: datetime) -> date | None:
        """The last day of the campaign of which there should be a closing; None: of none yet."""
        day = min(campaign.day_end.last_over(local_time(now) - LATE), campaign.last_day)
        known = self._reference.known_since.get(campaign.campaign)
        # Days before the plan was put are never closed.
        if day < campaign.first_day or known is None or day < local_day(known):
            return None
        return day if self._reference.units_with_targets(campaign.campaign) else None

    @staticmethod
    def _lag(campaign: CampaignPublication, day: date, now: datetime, *, over: bool) -> News:
        words = messages.lagging(campaign.name, day, over=over)
        message = compose(
            "operations.lag_over" if over else "operations.lag",
            now,
            {"campaign": campaign.campaign, "campaign_name": campaign.name, "day": day, "message": words},
            campaign=campaign.campaign,
        )
        return News(message, [], ["lag"], None, at_once=True, digest=now)


def _next(policy: Policy, campaign: CampaignPublication, now: datetime) -> datetime | None:
    step = rhythm.next_step(policy.rhythm, local_time(now), works_of(campaign))
    return None if step is None else step.replace(tzinfo=VIETNAM)


def _digest(items: list[Item], now: datetime) -> Message:
    """One message of many."""
    entries = []
    head = messages.digest(len(items))
    vi, en = [head.vi], [head.en]
    for item in items:
        document = msgspec.json.decode(item.notice)
        said = document["data"]
        entries.append({"type": document["type"], "message_id": item.message, **said})
        vi.append(f"– {said['message']['vi']}")
        en.append(f"– {said['message']['en']}")
    return compose("digest", now, {"entries": entries, "message": Words("\n".join(vi), "\n".join(en))})


def _words(said: dict[str, str]) -> Words:
    return Words(said["vi"], said["en"])
