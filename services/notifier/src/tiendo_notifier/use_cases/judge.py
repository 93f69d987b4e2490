"""Judge the closing figures of a day: every (campaign, unit, indicator, rule) once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec
import structlog

from tiendo_common.clock import VIETNAM, Clock, new_event_id
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import (
    CampaignPublication,
    IndicatorProgress,
    ProgressPublication,
)
from tiendo_notifier.rules import life, messages, plan
from tiendo_notifier.rules.life import AT_REST
from tiendo_notifier.rules.table import DEFAULTS, RULES, Rule, Severity, Thresholds
from tiendo_notifier.storage import judging
from tiendo_notifier.storage.judging import Key
from tiendo_notifier.use_cases.reference import Reference

log = structlog.get_logger(__name__)

NO_FIGURE = "no closing figures were kept of these days, or there was no target yet"


def closes_its_day(progress: ProgressPublication, campaign: CampaignPublication) -> bool:
    """Whether everything that was known at the day's cut-off is in these figures."""
    cut_off = datetime.combine(progress.day, campaign.day_cut_off, VIETNAM)
    return progress.complete_to >= cut_off


class Judge:
    """Judges what a batch closes, and writes all that follows in the batch's transaction.

    A repeated closing, an older one, or a replay of the topic changes nothing: a standing remembers the
    last day that it was judged on.
    """

    def __init__(
        self,
        reference: Reference,
        refresh: Callable[[], Awaitable[object]],
        clock: Clock,
        limits: Thresholds = DEFAULTS,
    ) -> None:
        """`refresh` brings the reference up to date: a target published before the figures must be known
        when they are judged."""
        self._reference = reference
        self._refresh = refresh
        self._clock = clock
        self._limits = limits

    async def __call__(self, connection: Connection, published: Sequence[ProgressPublication]) -> None:
        if not published:
            return
        await self._refresh()
        closings = [progress for progress in published if self._to_be_judged(progress)]
        if not closings:
            return
        before = await judging.standings(
            connection, {(closing.campaign, closing.unit) for closing in closings}
        )
        session = _Session(self._reference, self._clock, self._limits, before)
        for closing in closings:
            session.judge(closing)
        await judging.write(connection, session.after, list(session.incidents.values()), session.decisions)
        if session.told:
            await judging.enqueue(connection, session.addressed(await judging.subscribers(connection)))
        log.info("judged", closings=len(closings), decisions=len(session.decisions), told=len(session.told))

    def _to_be_judged(self, progress: ProgressPublication) -> bool:
        campaign = self._reference.campaigns.get(progress.campaign)
        if campaign is None:
            log.warning("figures of an unknown campaign passed over", campaign=progress.campaign)
            return False
        return progress.day in _calendar(campaign) and closes_its_day(progress, campaign)


def _calendar(campaign: CampaignPublication) -> plan.Calendar:
    weights = () if campaign.day_weights is msgspec.UNSET else campaign.day_weights
    return plan.Calendar(campaign.first_day, campaign.last_day, weights)


@dataclass(frozen=True, slots=True)
class _Case:
    """One (campaign, unit, indicator, rule) at the closing of one day."""

    key: Key
    rule: Rule
    campaign: CampaignPublication
    day: date
    unit_name: str
    seen: plan.Figures
    historical: bool


class _Session:
    """One batch: what stood before, and what follows from it."""

    def __init__(
        self,
        reference: Reference,
        clock: Clock,
        limits: Thresholds,
        before: dict[Key, judging.Standing],
    ) -> None:
        self.after: dict[Key, judging.Standing] = {}
        self.incidents: dict[str, judging.Incident] = {}
        self.decisions: list[judging.Decision] = []
        self.told: list[tuple[judging.Decision, str]] = []
        self._reference = reference
        self._now = clock.now()
        self._today = clock.today()
        self._limits = limits
        self._limits_text = msgspec.Raw(msgspec.json.encode(limits))
        self._before = before

    def judge(self, closing: ProgressPublication) -> None:
        campaign = self._reference.campaigns[closing.campaign]
        calendar = _calendar(campaign)
        historical = life.is_historical(closing.day, self._today)
        for target in self._reference.targets(closing.campaign, closing.unit):
            name = self._reference.full_name(closing.unit, closing.day, target.unit_name)
            progress: IndicatorProgress = getattr(closing, target.indicator)
            seen = plan.figures(
                calendar,
                closing.day,
                target=target.value,
                baseline=progress.baseline,
                value=progress.value,
                done=progress.done,
            )
            for rule in RULES.values():
                key = Key(closing.campaign, closing.unit, target.indicator, rule.name)
                self._judge(_Case(key, rule, campaign, closing.day, name, seen, historical))

    def addressed(self, subscribers: Sequence[judging.Subscriber]) -> list[tuple[str, str, str]]:
        """Which decision, of which incident, goes to which destination."""
        return [
            (decision.id, incident, subscriber.name)
            for decision, incident in self.told
            for subscriber in subscribers
            if subscriber.rules is None or decision.rule in subscriber.rules
            if subscriber.units is None
            or any(code in subscriber.units for code, _ in self._reference.line(decision.unit, decision.day))
        ]

    def _judge(self, case: _Case) -> None:
        stood = self.after.get(case.key) or self._before.get(case.key)
        if stood is not None and case.day <= stood.judged_day:
            return
        self._note_gap(case, stood)
        before, incident = AT_REST, None
        if stood is not None:
            incident = stood.incident
            peak = None if stood.peak is None else Severity(stood.peak)
            before = life.Standing(stood.run, incident is not None, peak, stood.told)
        after, decision = life.judge(case.rule, before, case.seen, self._limits, historical=case.historical)
        if decision is not None:
            if decision.outcome == "opened":
                incident = new_event_id()
            if incident is not None:
                self._keep_incident(case, incident, after if after.open else before, closed=not after.open)
            self._keep_decision(case, incident, before, after, decision)
        self.after[case.key] = judging.Standing(
            case.day, after.run, after.peak, after.told, incident if after.open else None
        )

    def _note_gap(self, case: _Case, stood: judging.Standing | None) -> None:
        """Put on record the days of which no figures are left: they are not judged by guessing."""
        first, last = case.campaign.first_day, case.day - timedelta(days=1)
        if stood is not None:
            first = max(first, stood.judged_day + timedelta(days=1))
        if first <= last:
            self.decisions.append(
                judging.Decision(
                    new_event_id(),
                    *case.key,
                    from_day=first,
                    day=last,
                    outcome="not_judged",
                    severity=None,
                    reason=NO_FIGURE,
                    inputs="{}",
                    historical=case.historical,
                    incident=None,
                    at=self._now,
                    notice=None,
                )
            )

    def _keep_incident(self, case: _Case, incident: str, standing: life.Standing, *, closed: bool) -> None:
        earlier = self.incidents.get(incident)
        campaign, unit, indicator, rule = case.key
        self.incidents[incident] = judging.Incident(
            id=incident,
            campaign=campaign,
            unit=unit,
            unit_name=case.unit_name,
            indicator=indicator,
            rule=rule,
            state="closed" if closed else "open",
            severity=standing.peak or Severity.NOTICE,
            opened_day=earlier.opened_day if earlier else case.day,
            last_day=case.day,
            closed_day=case.day if closed else None,
            figures=_json(case.seen),
        )

    def _keep_decision(
        self,
        case: _Case,
        incident: str | None,
        before: life.Standing,
        after: life.Standing,
        decision: life.Decision,
    ) -> None:
        identifier = new_event_id()
        notice = None
        if decision.tell is not None and incident is not None:
            notice = self._notice(case, identifier, incident, decision.tell, after.run, decision.severity)
        row = judging.Decision(
            identifier,
            *case.key,
            from_day=case.day,
            day=case.day,
            outcome=decision.outcome,
            severity=decision.severity,
            reason=decision.reason,
            inputs=_json({"before": before, "figures": case.seen, "thresholds": self._limits_text}),
            historical=case.historical,
            incident=incident,
            at=self._now,
            notice=notice,
        )
        self.decisions.append(row)
        if notice is not None and incident is not None:
            self.told.append((row, incident))

    def _notice(
        self,
        case: _Case,
        decision: str,
        incident: str,
        transition: life.Transition,
        run: int,
        severity: Severity | None,
    ) -> str:
        """The document that is pushed: the same bytes to everybody, at every try."""
        campaign, unit, indicator, rule = case.key
        words = messages.write(
            case.rule.name, transition, case.unit_name, indicator, case.day, run, case.seen
        )
        return _json(
            {
                "type": f"incident.{transition}",
                "timestamp": self._now,
                "data": {
                    "incident": incident,
                    "decision": decision,
                    "campaign": campaign,
                    "campaign_name": case.campaign.name,
                    "unit": unit,
                    "unit_name": case.unit_name,
                    "indicator": indicator,
                    "rule": rule,
                    "severity": severity.name.lower() if severity else None,
                    "day": case.day,
                    "run": run,
                    "figures": case.seen,
                    "message": words,
                },
            }
        )


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()
