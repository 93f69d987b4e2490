"""Judge the closing figures of a day: every target (campaign, unit, indicator) once."""

import gc
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import msgspec
import structlog

from tiendo_common.clock import VIETNAM, Clock
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.declarations import DeclarationsDue
from tiendo_common.events.state import CampaignPublication, ProgressPublication
from tiendo_common.memory import give_back
from tiendo_notifier.errors import OutOfReach
from tiendo_notifier.storage import judging, pasts, silences
from tiendo_notifier.use_cases.closings import calendar_of
from tiendo_notifier.use_cases.live import Listener
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.session import Session
from tiendo_notifier.use_cases.telling import tell

log = structlog.get_logger(__name__)

#: Closings that are looked at together, with what was said before of their units' targets.
_TOGETHER = 50
#: Targets judged together that take tens of megabytes for a moment.
_MANY = 200


def closes_its_day(progress: ProgressPublication, campaign: CampaignPublication) -> bool:
    """Whether everything that was known at the day's cut-off is in these figures."""
    return progress.complete_to >= campaign.day_end.of(progress.day).replace(tzinfo=VIETNAM)


class Judge:
    """Judges what a batch closes, and writes all that follows in the batch's transaction.

    A repeated closing, an older one, or a replay of the topic changes nothing: a standing remembers the
    last day that it was judged on.
    """

    def __init__(self, reference: Reference, refresh: Callable[[], Awaitable[object]], clock: Clock) -> None:
        """`refresh` brings the reference up to date: a target published before the figures must be known
        when they are judged."""
        self._reference = reference
        self._listener = Listener(reference)
        self._refresh = refresh
        self._clock = clock

    async def __call__(self, connection: Connection, published: Sequence[ProgressPublication]) -> None:
        if not published:
            return
        await self._refresh()
        await self._listen(connection, [progress for progress in published if self._is_live(progress)])
        closings = [progress for progress in published if self._to_be_judged(progress)]
        if not closings:
            return
        by_day: defaultdict[tuple[str, date], list[ProgressPublication]] = defaultdict(list)
        for closing in closings:
            by_day[closing.campaign, closing.day].append(closing)
        for (campaign, _day), of_day in sorted(by_day.items(), key=lambda each: each[0]):
            # Each day reads what the one before has left.
            session = await self._session(connection, [campaign])
            for begin in range(0, len(of_day), _TOGETHER):
                await self._look_at(connection, session, of_day[begin : begin + _TOGETHER])
            with _without_collections():
                session.conclude()
            await self._store(connection, session)

    async def _look_at(
        self, connection: Connection, session: Session, closings: Sequence[ProgressPublication]
    ) -> None:
        """Judge some closings of a day by themselves, with as much of the past as each asks for."""
        known = await pasts.lately(connection, session.looks_back(closings))
        with _without_collections():
            short = session.look_at(closings, known)
        if short:
            known = await pasts.whole(connection, session.looks_back(short))
            with _without_collections():
                session.look_at(short, known)

    async def _listen(self, connection: Connection, published: Sequence[ProgressPublication]) -> None:
        """Judge whether anything comes from units that report live."""
        campaigns = sorted({each.campaign for each in published})
        if not campaigns:
            return
        policies = await InForce.read(connection, self._reference, campaigns)
        told = [each for each in published if policies.any_live(each.campaign, each.day)]
        heard = await self._listener.listen(connection, told, policies)
        if not heard:
            return
        session = await self._session(connection, heard)
        for name, (through, pulses) in heard.items():
            campaign = self._reference.campaigns[name]
            asked = session.live_looks_back(campaign, through, pulses)
            try:
                session.judge_live(campaign, through, pulses, await pasts.lately(connection, asked))
            except OutOfReach:
                session.judge_live(campaign, through, pulses, await pasts.whole(connection, asked))
        await self._store(connection, session)

    async def reports(self, connection: Connection, due: Sequence[DeclarationsDue]) -> None:
        """Judge who had reported by the cut-offs of days."""
        await self._refresh()
        known = [
            each
            for each in due
            if each.campaign in self._reference.campaigns
            and each.day in calendar_of(self._reference.campaigns[each.campaign])
        ]
        if not known:
            return
        for each in sorted(known, key=lambda each: each.day):
            session = await self._session(connection, [each.campaign])
            said = await pasts.last_of(connection, session.reports_look_back(each))
            session.judge_reports(each, said)
            await self._store(connection, session)

    async def _session(self, connection: Connection, of: Collection[str]) -> Session:
        campaigns = sorted(of)
        return Session(
            self._reference,
            self._clock.now(),
            await InForce.read(connection, self._reference, campaigns),
            await judging.standings(connection, campaigns),
            await judging.gatherings(connection, campaigns),
            await silences.in_force(connection, self._clock.now()),
        )

    async def _store(self, connection: Connection, session: Session) -> None:
        await judging.write(
            connection, session.after, list(session.incidents.values()), session.decisions, self._clock.now()
        )
        await pasts.write(connection, session.said, session.late)
        await judging.write_gatherings(connection, session.gathered)
        await tell(connection, session.news)
        if len(session.after) >= _MANY:
            give_back()
        if not session.decisions:
            return
        log.info("judged", decisions=len(session.decisions), told=len(session.news))

    def _is_live(self, progress: ProgressPublication) -> bool:
        """Whether these are the newest totals of a day that goes on."""
        campaign = self._reference.campaigns.get(progress.campaign)
        return (
            campaign is not None
            and progress.day >= campaign.first_day
            and not closes_its_day(progress, campaign)
        )

    def _to_be_judged(self, progress: ProgressPublication) -> bool:
        campaign = self._reference.campaigns.get(progress.campaign)
        if campaign is None:
            log.warning("figures of an unknown campaign passed over", campaign=progress.campaign)
            return False
        # After the last day nothing is judged, but what late records say of the days before, and what later days are to
        # bring where the plan says so.
        after = progress.revised is not msgspec.UNSET or progress.narrowed is not msgspec.UNSET
        return (progress.day in calendar_of(campaign) or after) and closes_its_day(progress, campaign)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let nobody look for cycles meanwhile. Ten thousand targets make a million objects and no cycle; each full
    collection would walk over all of them, for as long as all the judging takes."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
