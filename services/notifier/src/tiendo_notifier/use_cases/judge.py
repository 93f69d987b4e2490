"""Judge the closing figures of a day: every target (campaign, unit, indicator) once."""

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
from tiendo_notifier.rules.policies import Policy
from tiendo_notifier.rules.table import Severity
from tiendo_notifier.storage import judging
from tiendo_notifier.storage.judging import Key
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference

log = structlog.get_logger(__name__)

NO_FIGURE = "no closing figures were kept of these days, or there was no target yet"
_standing_decoder = msgspec.json.Decoder(life.Standing)
_past_decoder = msgspec.json.Decoder(plan.Past)


def closes_its_day(progress: ProgressPublication, campaign: CampaignPublication) -> bool:
    """Whether everything that was known at the day's cut-off is in these figures."""
    cut_off = datetime.combine(progress.day, campaign.day_cut_off, VIETNAM)
    return progress.complete_to >= cut_off


class Judge:
    """Judges what a batch closes, and writes all that follows in the batch's transaction.

    A repeated closing, an older one, or a replay of the topic changes nothing: a standing remembers the
    last day that it was judged on.
    """

    def __init__(self, reference: Reference, refresh: Callable[[], Awaitable[object]], clock: Clock) -> None:
        """`refresh` brings the reference up to date: a target published before the figures must be known
        when they are judged."""
        self._reference = reference
        self._refresh = refresh
        self._clock = clock

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
        policies = await InForce.read(
            connection, self._reference, sorted({closing.campaign for closing in closings})
        )
        session = _Session(self._reference, self._clock, policies, before)
        for closing in closings:
            session.judge(closing)
        await judging.write(connection, session.after, list(session.incidents.values()), session.decisions)
        if session.told:
            await judging.tell(
                connection,
                [message for message, _, _ in session.told],
                session.addressed(await judging.subscribers(connection)),
            )
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
    """One target at the closing of one day."""

    key: Key
    campaign: CampaignPublication
    day: date
    unit_name: str
    parent_name: str | None
    seen: plan.Figures
    policy: Policy
    historical: bool


class _Session:
    """One batch: what stood before, and what follows from it."""

    def __init__(
        self, reference: Reference, clock: Clock, policies: InForce, before: dict[Key, judging.Standing]
    ) -> None:
        self.after: dict[Key, judging.Standing] = {}
        self.incidents: dict[str, judging.Incident] = {}
        self.decisions: list[judging.Decision] = []
        #: What is told, the rules that had anything to say, and the day.
        self.told: list[tuple[judging.Message, list[str], date]] = []
        self._reference = reference
        self._now = clock.now()
        self._today = clock.today()
        self._policies = policies
        self._before = before

    def judge(self, closing: ProgressPublication) -> None:
        campaign = self._reference.campaigns[closing.campaign]
        calendar = _calendar(campaign)
        historical = life.is_historical(closing.day, self._today)
        for target in self._reference.targets(closing.campaign, closing.unit):
            key = Key(closing.campaign, closing.unit, target.indicator)
            stood = self.after.get(key) or self._before.get(key)
            if stood is not None and closing.day <= stood.judged_day:
                continue
            progress: IndicatorProgress = getattr(closing, target.indicator)
            number = calendar.number(closing.day)
            past = _until(number, _past_decoder.decode(stood.past) if stood is not None else plan.Past())
            end = progress.expected
            seen = plan.figures(
                calendar,
                closing.day,
                target=target.value,
                baseline=progress.baseline,
                value=progress.value,
                done=progress.done,
                past=past,
                expected=None if end is msgspec.UNSET else (end.final, end.high),
            )
            case = _Case(
                key,
                campaign,
                closing.day,
                self._reference.full_name(closing.unit, closing.day, target.unit_name),
                self._reference.parent_name(closing.unit, closing.day),
                seen,
                self._policies.of(closing.campaign, closing.unit, closing.day),
                historical,
            )
            self._judge(case, stood, plan.Past([*past.reached, progress.value], [*past.done, progress.done]))

    def addressed(self, subscribers: Sequence[judging.Subscriber]) -> list[tuple[str, str | None, str]]:
        """Which message, of which incident, goes to which destination."""
        return [
            (message.id, message.incident, subscriber.name)
            for message, rules, day in self.told
            for subscriber in subscribers
            if subscriber.rules is None or any(rule in subscriber.rules for rule in rules)
            if subscriber.units is None
            or any(code in subscriber.units for code, _ in self._reference.line(message.unit or "", day))
        ]

    def _judge(self, case: _Case, stood: judging.Standing | None, past: plan.Past) -> None:
        self._note_gap(case, stood)
        before = _standing_decoder.decode(stood.remembered) if stood is not None else AT_REST
        incident, news = (stood.incident, stood.news) if stood is not None else (None, 0)
        policy = case.policy
        after, decision = life.judge(
            before, case.seen, policy.thresholds, off=policy.off, historical=case.historical
        )
        if decision is not None:
            if decision.outcome == "opened":
                incident, news = new_event_id(), 0
            message = None
            if decision.tell is not None:
                news += 1
                message = self._tell(case, incident, news, decision)
                after = life.telling(after, decision)
            if incident is not None:
                self._keep_incident(case, incident, after, decision, news)
            self._keep_decision(case, incident, before, decision, message)
        self.after[case.key] = judging.Standing(
            case.day, _json(after), incident if after.open else None, _json(past), news
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
                    rule=None,
                    rules=[],
                    from_day=first,
                    day=last,
                    outcome="not_judged",
                    severity=None,
                    reason=NO_FIGURE,
                    findings="[]",
                    inputs="{}",
                    policy="{}",
                    historical=case.historical,
                    incident=None,
                    at=self._now,
                    message=None,
                    kept_back=None,
                )
            )

    def _keep_incident(
        self, case: _Case, incident: str, after: life.Standing, decision: life.Decision, news: int
    ) -> None:
        earlier = self.incidents.get(incident)
        campaign, unit, indicator = case.key
        rules = sorted({*(earlier.rules if earlier else ()), *decision.firing})
        state = "resolved"
        if after.open:
            state = "open" if after.told is None else "notified"
        self.incidents[incident] = judging.Incident(
            id=incident,
            campaign=campaign,
            unit=unit,
            unit_name=case.unit_name,
            indicator=indicator,
            rule=decision.rule or (earlier.rule if earlier else ""),
            rules=rules,
            state=state,
            severity=decision.severity or Severity.NOTICE,
            opened_day=earlier.opened_day if earlier else case.day,
            last_day=case.day,
            resolved_day=None if after.open else case.day,
            figures=_json(case.seen),
            news=news,
        )

    def _keep_decision(
        self,
        case: _Case,
        incident: str | None,
        before: life.Standing,
        decision: life.Decision,
        message: str | None,
    ) -> None:
        self.decisions.append(
            judging.Decision(
                new_event_id(),
                *case.key,
                rule=decision.rule,
                rules=sorted(finding.rule for finding in decision.findings),
                from_day=case.day,
                day=case.day,
                outcome=decision.outcome,
                severity=decision.severity,
                reason=decision.reason,
                findings=_json(decision.findings),
                inputs=_json({"before": before, "figures": case.seen}),
                policy=_json(case.policy),
                historical=case.historical,
                incident=incident,
                at=self._now,
                message=message,
                kept_back=None,
            )
        )

    def _tell(self, case: _Case, incident: str | None, number: int, decision: life.Decision) -> str:
        """Put on record what is to be pushed: the same bytes to everybody, at every try. Its id."""
        assert decision.tell is not None
        campaign, unit, indicator = case.key
        identifier = new_event_id()
        words = messages.clears(
            decision.tell, decision.rule, case.unit_name, case.parent_name, indicator, case.day, case.seen
        )
        kind = f"incident.{decision.tell}" if incident is not None else f"target.{decision.tell}"
        notice = _json(
            {
                "type": kind,
                "timestamp": self._now,
                "data": {
                    "incident": incident,
                    "campaign": campaign,
                    "campaign_name": case.campaign.name,
                    "unit": unit,
                    "unit_name": case.unit_name,
                    "indicator": indicator,
                    "rule": decision.rule,
                    "rules": decision.firing,
                    "severity": decision.severity.name.lower() if decision.severity else None,
                    "day": case.day,
                    "figures": case.seen,
                    "clears": words,
                    "message": words.text,
                    "path": f"/v1/incidents/{incident}" if incident is not None else None,
                },
            }
        )
        message = judging.Message(
            identifier,
            kind,
            campaign,
            unit,
            incident,
            number if incident is not None else None,
            notice,
            self._now,
        )
        self.told.append((message, [finding.rule for finding in decision.findings], case.day))
        return identifier


def _until(number: int, past: plan.Past) -> plan.Past:
    """What is known of the days before the one of this number (from 1); None of those without a closing."""
    missing = [None] * (number - 1 - len(past.reached))
    return plan.Past([*past.reached, *missing], [*past.done, *missing])


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()
