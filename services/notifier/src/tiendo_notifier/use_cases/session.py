"""What follows from the closings of some days: each target judged by itself, then what is told of them together.

No I/O: what stood before comes in, what is to be stored and told comes out. The judge stores it, a back-test looks.
"""

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from tiendo_common.clock import VIETNAM, local_day, local_time, new_event_id
from tiendo_common.events.declarations import DeclarationsDue
from tiendo_common.events.state import (
    CampaignPublication,
    ProgressPublication,
)
from tiendo_notifier.errors import OutOfReach
from tiendo_notifier.rules import holding, life, messages, rhythm
from tiendo_notifier.rules.holding import Circumstances
from tiendo_notifier.rules.past import Past
from tiendo_notifier.rules.policies import Policy
from tiendo_notifier.rules.shares import Tallies
from tiendo_notifier.rules.table import Severity
from tiendo_notifier.storage import judging, pasts
from tiendo_notifier.storage.judging import Gathering, Key
from tiendo_notifier.storage.outbox import Message
from tiendo_notifier.storage.pulses import Pulse
from tiendo_notifier.storage.silences import Silence
from tiendo_notifier.use_cases.cases import Case, Cases, remembered, stored
from tiendo_notifier.use_cases.closings import (
    ADDED_UP,
    LIVE,
    REPORT,
    calendar_of,
    is_narrowed,
    works_of,
)
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.silences import covering
from tiendo_notifier.use_cases.telling import News, compose, pressing

NO_FIGURE = "no closing figures were kept of these days, or there was no target yet"


class Session:
    """What follows from closings of one day after another, and what stood before."""

    def __init__(
        self,
        reference: Reference,
        now: datetime,
        policies: InForce,
        before: dict[Key, judging.Standing],
        gatherings: Mapping[Key, Gathering],
        silenced: Sequence[Silence],
    ) -> None:
        self.after: dict[Key, judging.Standing] = {}
        self.said: list[pasts.Said] = []
        self.late: list[pasts.Late] = []
        self.incidents: dict[str, judging.Incident] = {}
        self.decisions: list[judging.Decision] = []
        self.news: list[News] = []
        self.gathered: dict[Key, Gathering | None] = {}
        self._reference = reference
        self._now = now
        self._local = local_time(now)
        self._today = local_day(now)
        self._policies = policies
        self._before = before
        # Nothing here holds what holds it: a session is some megabytes, and the collector comes by seldom.
        self._stood = ChainMap(self.after, before)
        self._gatherings = gatherings
        self._silenced = silenced
        self._texts: dict[int, str] = {}
        self._cases = Cases(reference, policies, self._today, self._stood)
        self._looked_at: list[Case] = []

    def looks_back(self, closings: Iterable[ProgressPublication]) -> dict[Key, int]:
        """Of which keys the past is asked for by whoever looks at these closings, of each before the day of that
        number."""
        return {key: number for each in closings for key, number in self._cases.looks_back(each).items()}

    def look_at(
        self, closings: Iterable[ProgressPublication], known: Mapping[Key, Past | Tallies]
    ) -> list[ProgressPublication]:
        """Judge each target of a day's closings by itself. Returns the closings that look further back than what is
        `known`: these are to be looked at again with all of it."""
        self._cases.pasts = known
        short = []
        for closing in closings:
            try:
                self._looked_at += self._cases.of_closing(closing)
            except OutOfReach:
                short.append(closing)
        self._cases.pasts = {}
        return short

    def conclude(self) -> None:
        """Decide what is told of all that was looked at, one campaign's closings of one day."""
        cases, self._looked_at = self._looked_at, []
        if not cases:
            return
        campaign = cases[0].campaign
        keys = [
            Key(campaign.campaign, unit, target.indicator)
            for unit in self._reference.units_with_targets(campaign.campaign)
            for target in self._reference.targets(campaign.campaign, unit)
        ]
        # Of narrowed goals only closings tell: those of this batch, and those that were judged before.
        narrowed = {
            key: None
            for key in (*self._before, *self.after, *(case.key for case in cases))
            if key.campaign == campaign.campaign and is_narrowed(key.indicator)
        }
        for subject in ADDED_UP:
            if any(case.key.indicator == subject for case in cases):
                keys += [
                    Key(campaign.campaign, unit, subject)
                    for unit in self._reference.units_with_targets(campaign.campaign)
                ]
        self._settle_all(cases, [*keys, *narrowed])

    def reports_look_back(self, due: DeclarationsDue) -> dict[Key, int]:
        """Likewise of whoever judges reports."""
        campaign = self._reference.campaigns[due.campaign]
        return self._cases.looks_back_at_reports(campaign, due.expected, due.day)

    def judge_reports(self, due: DeclarationsDue, known: Mapping[Key, Past | Tallies]) -> None:
        """Judge who had reported by a day's cut-off, of those who owed it."""
        campaign = self._reference.campaigns[due.campaign]
        self._cases.pasts = known
        missing = set(due.not_reported)
        cases = [
            case
            for unit in due.expected
            if (case := self._cases.report(campaign, unit, due.day, reported=unit not in missing))
        ]
        self._settle_all(cases, [Key(due.campaign, unit, REPORT) for unit in due.expected])

    def live_looks_back(
        self, campaign: CampaignPublication, through: datetime, heard: Iterable[str]
    ) -> dict[Key, int]:
        """Likewise of whoever judges units that report live."""
        return self._cases.looks_back_live(campaign, heard, local_time(through))

    def judge_live(
        self,
        campaign: CampaignPublication,
        through: datetime,
        heard: Mapping[str, Pulse],
        known: Mapping[Key, Past | Tallies],
    ) -> None:
        """Judge whether anything comes from the units that report live, which are `heard`: all that came `through` an
        instant is known. Only what moves is kept: whether anything comes is asked each minute. Raises OutOfReach."""
        self._cases.pasts = known
        at = local_time(through)
        calendar = calendar_of(campaign)
        goes_on = campaign.day_end.going_on(at)
        day = min(goes_on, calendar.last_day)
        cases = []
        if goes_on == day:
            cases = [self._cases.live(campaign, calendar, unit, at, pulse) for unit, pulse in heard.items()]
        # Whoever reports live no more, or whose campaign is over, is no longer waited for.
        for key, stood in self._before.items():
            over = goes_on > day or key.unit not in heard
            if key.campaign == campaign.campaign and key.indicator == LIVE and stood.incident and over:
                cases.append(self._cases.live_no_more(campaign, calendar, key, day))
        moved = [
            case
            for case in cases
            if case is not None
            and case.decision is not None
            and (case.decision.outcome != "held" or case.decision.tell is not None)
        ]
        self._settle_all(moved, [Key(campaign.campaign, unit, LIVE) for unit in heard])

    def _settle_all(self, cases: Sequence[Case], siblings: Sequence[Key]) -> None:
        """Decide what is told of cases of one campaign and day; `siblings`: all that are looked at together."""
        if not cases:
            return
        together = set() if cases[0].historical else self._gather(cases, siblings)
        for case in cases:
            self._settle(case, together)

    def _settle(self, case: Case, parents: set[Key]) -> None:
        """Decide whether the target's news is told, and keep all that follows."""
        if case.key.indicator != LIVE:
            self._note_gap(case)
        stood, after, decision = case.stood, case.after, case.decision
        incident, number = (stood.incident, stood.news) if stood is not None else (None, 0)
        if decision is not None:
            if decision.outcome == "opened":
                incident, number = new_event_id(), 0
            around = self._circumstances(case, decision, parents)
            kept_back = holding.kept_back(decision, after, case.seen.day_number, around)
            message = None
            if case.key.indicator == LIVE and decision.outcome == "held" and kept_back is not None:
                return  # As it was a minute ago.
            if decision.tell is not None and kept_back is None:
                number += 1
                message = self._tell(case, incident, number, decision)
                after = life.telling(after, decision)
            if incident is not None:
                self._keep_incident(case, incident, after, decision, number, told=message is not None)
            self._keep_decision(case, incident, decision, around, message, kept_back)
        self.after[case.key] = judging.Standing(
            case.judged_day, stored(after), incident if after.open else None, number
        )
        if case.said is not None:
            self.said.append(pasts.Said(case.key, case.said))
        self.late += [pasts.Late(case.key, each) for each in case.late]

    def _circumstances(self, case: Case, decision: life.Decision, parents: set[Key]) -> Circumstances:
        if decision.tell is None:
            return Circumstances()
        parent = self._reference.parent(case.key.unit, case.day)
        rules = [finding.rule for finding in decision.findings]
        line = self._line(case.key.unit, case.day)
        together = parent is not None and case.key._replace(unit=parent) in parents
        return Circumstances(
            silence=covering(self._silenced, case.key.campaign, line, rules),
            parent=parent if together else None,
        )

    def _line(self, unit: str, day: date) -> list[str]:
        return [code for code, _ in self._reference.line(unit, day)]

    def _gather(self, cases: Sequence[Case], siblings: Sequence[Key]) -> set[Key]:
        """Tell parents in place of their children where many of these are in trouble; which parents are told so."""
        campaign, day = cases[0].campaign, cases[0].day
        by_key = {case.key: case for case in cases}
        children: defaultdict[Key, list[Key]] = defaultdict(list)
        for key in siblings:
            parent = self._reference.parent(key.unit, day)
            if parent is not None:
                children[key._replace(unit=parent)].append(key)
        together = set()
        for parent_key, keys in children.items():
            in_trouble = [key for key in keys if self._peak(key, by_key) is not None]
            was = self._gathering(parent_key)
            now = holding.together(len(keys), len(in_trouble), were=was is not None)
            if now:
                together.add(parent_key)
            if now or was is not None:
                self._keep_gathering(campaign, day, parent_key, len(keys), in_trouble, by_key, was, now=now)
        return together

    def _gathering(self, key: Key) -> Gathering | None:
        return self.gathered[key] if key in self.gathered else self._gatherings.get(key)

    def _peak(self, key: Key, cases: dict[Key, Case]) -> Severity | None:
        """How bad a target's incident is by now; None: none is open."""
        if key in cases:
            return cases[key].after.peak
        stood = self._stood.get(key)
        return remembered(stood).peak

    def _keep_gathering(
        self,
        campaign: CampaignPublication,
        day: date,
        key: Key,
        children: int,
        in_trouble: Sequence[Key],
        cases: dict[Key, Case],
        was: Gathering | None,
        *,
        now: bool,
    ) -> None:
        peak = max(
            (self._peak(each, cases) or Severity.NOTICE for each in in_trouble), default=Severity.NOTICE
        )
        told = was.told if was is not None else None
        line = self._line(key.unit, day)
        silent = covering(self._silenced, key.campaign, line, ["together"]) is not None
        if not now:
            self.gathered[key] = None
            if told is not None and not silent:
                self._tell_together("ended", campaign, day, key, children, in_trouble, cases, peak)
            return
        named, told_day = (was.named, was.told_day) if was is not None else ([], None)
        joined = {each.unit for each in in_trouble} - set(named)
        since_told = None if told_day is None else (day - told_day).days
        worse = told is None or peak > told or holding.names_again(len(joined), since_told)
        if worse and not silent:
            kind: messages.Together = "formed" if told is None else "worsened"
            self._tell_together(kind, campaign, day, key, children, in_trouble, cases, peak)
            told, told_day, named = max(peak, told or peak), day, sorted({*named, *joined})
        self.gathered[key] = Gathering(was.since if was is not None else day, peak, told, named, told_day)

    def _tell_together(
        self,
        kind: messages.Together,
        campaign: CampaignPublication,
        day: date,
        key: Key,
        children: int,
        in_trouble: Sequence[Key],
        cases: dict[Key, Case],
        peak: Severity,
    ) -> None:
        # Of those that this batch closes there are figures; the others are in trouble all the same.
        members = [
            messages.Member(
                each.unit,
                self._reference.full_name(each.unit, day, each.unit),
                (self._peak(each, cases) or Severity.NOTICE).name.lower(),
                cases[each].seen.gap if each in cases else 0,
                cases[each].seen.needed_per_day if each in cases else None,
            )
            for each in in_trouble
        ]
        ranks = {severity.name.lower(): severity for severity in Severity}
        members.sort(key=lambda member: (-ranks[member.severity], -member.behind, member.unit))
        name = self._reference.full_name(key.unit, day, key.unit)
        words = messages.together(
            kind, name, self._reference.parent_name(key.unit, day), key.indicator, day, children, members
        )
        message = compose(
            f"together.{kind}",
            self._now,
            {
                "campaign": key.campaign,
                "campaign_name": campaign.name,
                "unit": key.unit,
                "unit_name": name,
                "indicator": key.indicator,
                "severity": peak.name.lower(),
                "day": day,
                "children": children,
                "members": members,
                "clears": words,
                "message": words.text,
                "path": f"/v1/incidents?campaign={key.campaign}&unresolved=true",
            },
            campaign=key.campaign,
            unit=key.unit,
        )
        rules = self._rules_of(in_trouble, cases)
        self._announce(message, self._line(key.unit, day), rules, peak, good=kind == "ended")

    @staticmethod
    def _rules_of(keys: Sequence[Key], cases: dict[Key, Case]) -> list[str]:
        """The rules that had anything to say of these."""
        decisions = [cases[key].decision for key in keys if key in cases]
        return sorted({finding.rule for decision in decisions if decision for finding in decision.findings})

    def _announce(
        self,
        message: Message,
        line: Sequence[str],
        rules: Sequence[str],
        severity: Severity | None,
        *,
        good: bool,
    ) -> None:
        held = self._policies.of(message.campaign or "", message.unit, self._today).rhythm
        quiet = rhythm.is_quiet(held, self._local)
        due = rhythm.next_digest(held, self._local).replace(tzinfo=VIETNAM)
        at_once = not good and pressing(severity, quiet=quiet)
        self.news.append(News(message, line, rules, severity, at_once, due))

    def _note_gap(self, case: Case) -> None:
        """Put on record the days of which no figures are left: they are not judged by guessing."""
        first, last = case.campaign.first_day, case.judged_day - timedelta(days=1)
        if case.stood is not None:
            first = max(first, case.stood.judged_day + timedelta(days=1))
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
        self,
        case: Case,
        incident: str,
        after: life.Standing,
        decision: life.Decision,
        number: int,
        *,
        told: bool,
    ) -> None:
        earlier = self.incidents.get(incident)
        campaign, unit, indicator = case.key
        state, next_step = "open", None
        if not after.open:
            state = "resolved"
        elif told:
            state, next_step = "notified", self._next_step(case, decision.severity)
        elif earlier is not None:
            state, next_step = earlier.state, earlier.next_step
        self.incidents[incident] = judging.Incident(
            id=incident,
            campaign=campaign,
            unit=unit,
            unit_name=case.unit_name,
            indicator=indicator,
            rule=decision.rule or (earlier.rule if earlier else ""),
            rules=sorted({*(earlier.rules if earlier else ()), *decision.firing}),
            state=state,
            severity=decision.severity or Severity.NOTICE,
            opened_day=earlier.opened_day if earlier else case.day,
            last_day=case.day,
            resolved_day=None if after.open else case.day,
            figures=stored(case.seen),
            news=number,
            addressee=unit,
            next_step=next_step,
        )

    def _next_step(self, case: Case, severity: Severity | None) -> datetime | None:
        """When the level above is told, had nobody acknowledged by then."""
        held = case.policy.rhythm
        if held.escalate_from == "never" or (severity or 0) < Severity[held.escalate_from.upper()]:
            return None
        step = rhythm.next_step(held, self._local, works_of(case.campaign))
        return None if step is None else step.replace(tzinfo=VIETNAM)

    def _keep_decision(
        self,
        case: Case,
        incident: str | None,
        decision: life.Decision,
        around: Circumstances,
        message: str | None,
        kept_back: str | None,
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
                findings=stored(decision.findings),
                inputs=stored(
                    {
                        "before": case.before,
                        "figures": case.seen,
                        "revised": case.revised,
                        "around": around,
                    }
                ),
                policy=self._text_of(case.policy),
                historical=case.historical,
                incident=incident,
                at=self._now,
                message=message,
                kept_back=kept_back,
            )
        )

    def _text_of(self, policy: Policy) -> str:
        """The policy as it is stored: most targets are judged by one. What is in force here keeps it, so no other one
        takes its identity."""
        text = self._texts.get(id(policy))
        if text is None:
            text = self._texts[id(policy)] = stored(policy)
        return text

    def _tell(self, case: Case, incident: str | None, number: int, decision: life.Decision) -> str:
        """Announce what is to be pushed; its id."""
        assert decision.tell is not None
        campaign, unit, indicator = case.key
        words = messages.clears(
            decision.tell,
            decision.rule,
            case.unit_name,
            self._reference.parent_name(unit, case.day),
            indicator,
            case.day,
            case.seen,
        )
        message = compose(
            f"incident.{decision.tell}" if incident is not None else f"target.{decision.tell}",
            self._now,
            {
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
            campaign=campaign,
            unit=unit,
            incident=incident,
            number=number if incident is not None else None,
        )
        rules = [finding.rule for finding in decision.findings]
        good = decision.tell not in ("opened", "worsened")
        self._announce(message, self._line(unit, case.day), rules, decision.severity, good=good)
        return message.id
