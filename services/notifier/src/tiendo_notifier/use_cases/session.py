"""What follows from the closings of some days: each target judged by itself, then what is told of them together.

No I/O: what stood before comes in, what is to be stored and told comes out. The judge stores it, a back-test looks.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from tiendo_common.clock import VIETNAM, local_day, local_time, new_event_id
from tiendo_common.events.declarations import DeclarationsDue
from tiendo_common.events.state import (
    CampaignPublication,
    IndicatorProgress,
    NarrowedProgress,
    ProgressPublication,
)
from tiendo_notifier.rules import holding, life, messages, plan, revisions, rhythm
from tiendo_notifier.rules.holding import Circumstances
from tiendo_notifier.rules.life import AT_REST
from tiendo_notifier.rules.policies import Policy
from tiendo_notifier.rules.shares import Tallies, Tally
from tiendo_notifier.rules.table import RuleName, Severity
from tiendo_notifier.storage import judging
from tiendo_notifier.storage.judging import Gathering, Key
from tiendo_notifier.storage.outbox import Message
from tiendo_notifier.storage.pulses import Pulse
from tiendo_notifier.storage.silences import Silence
from tiendo_notifier.use_cases.closings import (
    ADDED_UP,
    ATTEMPTS,
    LIVE,
    RECORDS,
    REPORT,
    calendar_of,
    days_of,
    days_told,
    is_narrowed,
    revised_days,
    revisions_of,
    tally_of,
    works_of,
)
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.silences import covering
from tiendo_notifier.use_cases.telling import News, compose, pressing

NO_FIGURE = "no closing figures were kept of these days, or there was no target yet"
_standing_decoder = msgspec.json.Decoder(life.Standing)
_past_decoder = msgspec.json.Decoder(plan.Past)
_tallies_decoder = msgspec.json.Decoder(Tallies)


@dataclass(frozen=True, slots=True)
class _Case:
    """One target at the closing of one day: what stood before, what it came to, what is to be said."""

    key: Key
    campaign: CampaignPublication
    day: date
    unit_name: str
    seen: plan.Figures
    policy: Policy
    historical: bool
    stood: judging.Standing | None
    past: plan.Past | Tallies
    before: life.Standing
    revised: life.Revised | None
    after: life.Standing
    decision: life.Decision | None

    @property
    def judged_day(self) -> date:
        """The last day that the target was judged on: none after its own last one, whatever is revised later."""
        if self.stood is not None and self.revised is not None and self.revised.over:
            return self.stood.judged_day
        return self.day


class Session:
    """One batch: what stood before, and what follows from it."""

    def __init__(
        self,
        reference: Reference,
        now: datetime,
        policies: InForce,
        before: Mapping[Key, judging.Standing],
        gatherings: Mapping[Key, Gathering],
        silenced: Sequence[Silence],
    ) -> None:
        self.after: dict[Key, judging.Standing] = {}
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
        self._gatherings = gatherings
        self._silenced = silenced
        self._texts: dict[int, str] = {}

    def judge(self, closings: Sequence[ProgressPublication]) -> None:
        """Judge one campaign's closings of one day: first each target by itself, then what is told of them."""
        cases = [case for closing in closings for case in self._cases(closing)]
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

    def judge_reports(self, due: DeclarationsDue) -> None:
        """Judge who had reported by a day's cut-off, of those who owed it."""
        campaign = self._reference.campaigns[due.campaign]
        missing = set(due.not_reported)
        cases = [
            case
            for unit in due.expected
            if (case := self._report(campaign, unit, due.day, reported=unit not in missing))
        ]
        self._settle_all(cases, [Key(due.campaign, unit, REPORT) for unit in due.expected])

    def judge_live(
        self, campaign: CampaignPublication, through: datetime, heard: Mapping[str, Pulse]
    ) -> None:
        """Judge whether anything comes from the units that report live, which are `heard`: all that came `through` an
        instant is known. Only what moves is kept: whether anything comes is asked each minute."""
        at = local_time(through)
        calendar = calendar_of(campaign)
        goes_on = campaign.day_end.going_on(at)
        day = min(goes_on, calendar.last_day)
        cases = []
        if goes_on == day:
            cases = [self._live(campaign, calendar, unit, at, pulse) for unit, pulse in heard.items()]
        # Whoever reports live no more, or whose campaign is over, is no longer waited for.
        for key, stood in self._before.items():
            over = goes_on > day or key.unit not in heard
            if key.campaign == campaign.campaign and key.indicator == LIVE and stood.incident and over:
                seen = plan.live_figures(
                    calendar, day, silent=timedelta(), worked=timedelta(minutes=1), usual=1
                )
                cases.append(self._case(campaign, key, day, key.unit, seen, stood, plan.Past()))
        moved = [
            case
            for case in cases
            if case is not None
            and case.decision is not None
            and (case.decision.outcome != "held" or case.decision.tell is not None)
        ]
        self._settle_all(moved, [Key(campaign.campaign, unit, LIVE) for unit in heard])

    def _live(
        self,
        campaign: CampaignPublication,
        calendar: plan.Calendar,
        unit: str,
        at: datetime,
        pulse: Pulse,
    ) -> _Case | None:
        """One live unit; None: it is no working time, or what is usual isn't known."""
        key = Key(campaign.campaign, unit, LIVE)
        day = campaign.day_end.going_on(at)
        held = self._policies.of(campaign.campaign, unit, day).rhythm
        works = works_of(campaign)
        if not rhythm.is_working(held, at, works):
            return None
        since = local_time(pulse.since)
        usual, days = self._usual(campaign.campaign, unit, calendar, calendar.number(day))
        seen = plan.live_figures(
            calendar,
            day,
            silent=rhythm.worked(held, since, at, works),
            worked=rhythm.day_length(held) * days,
            usual=usual,
        )
        return self._case(campaign, key, day, unit, seen, self._stood(key), plan.Past())

    def _usual(self, campaign: str, unit: str, calendar: plan.Calendar, number: int) -> tuple[int, int]:
        """What the unit usually does for its targets together, in so many working days."""
        stood = [
            self._stood(Key(campaign, unit, target.indicator))
            for target in self._reference.targets(campaign, unit)
        ]
        found = [
            plan.usual_work(calendar, number, _past_decoder.decode(each.past))
            for each in stood
            if each is not None
        ]
        return sum(usual for usual, _ in found), max((days for _, days in found), default=0)

    def _settle_all(self, cases: Sequence[_Case], siblings: Sequence[Key]) -> None:
        """Decide what is told of cases of one campaign and day; `siblings`: all that are looked at together."""
        if not cases:
            return
        together = set() if cases[0].historical else self._gather(cases, siblings)
        for case in cases:
            self._settle(case, together)

    def _report(self, campaign: CampaignPublication, unit: str, day: date, *, reported: bool) -> _Case | None:
        """One unit's report; None: the day was judged already."""
        key = Key(campaign.campaign, unit, REPORT)
        stood = self._stood(key)
        if stood is not None and day <= stood.judged_day:
            return None
        calendar = calendar_of(campaign)
        known = _past_decoder.decode(stood.past) if stood is not None else plan.Past()
        past = known.until(calendar.number(day))
        seen = plan.report_figures(calendar, day, past, reported=reported)
        return self._case(campaign, key, day, unit, seen, stood, past.and_then(int(reported), 0, 0, None))

    def _case(
        self,
        campaign: CampaignPublication,
        key: Key,
        day: date,
        name: str,
        seen: plan.Figures,
        stood: judging.Standing | None,
        past: plan.Past | Tallies,
        revised: life.Revised | None = None,
    ) -> _Case:
        """Judge one by itself."""
        historical = life.is_historical(day, self._today)
        policy = self._policies.of(key.campaign, key.unit, day)
        before = _standing_decoder.decode(stood.remembered) if stood is not None else AT_REST
        after, decision = life.judge(
            before, seen, policy.thresholds, off=policy.not_asked, historical=historical, revised=revised
        )
        name = self._reference.full_name(key.unit, day, name)
        return _Case(
            key,
            campaign,
            day,
            name,
            seen,
            policy,
            historical,
            stood,
            past,
            before,
            revised,
            after,
            decision,
        )

    def _cases(self, closing: ProgressPublication) -> list[_Case]:
        calendar = calendar_of(self._reference.campaigns[closing.campaign])
        cases = []
        for target in self._reference.targets(closing.campaign, closing.unit):
            if closing.day in calendar:
                progress: IndicatorProgress = getattr(closing, target.indicator)
                case = self._target(
                    closing, calendar, target.indicator, target.value, progress, target.unit_name
                )
            else:
                case = self._looked_back(closing, calendar, target.indicator, target.value, target.unit_name)
            cases.append(case)
        for told in () if closing.narrowed is msgspec.UNSET else closing.narrowed:
            own = days_told(calendar, told)
            if closing.day in own:
                cases.append(self._target(closing, own, told.goal.name, told.target, told, closing.unit))
        # Of a narrowed goal whose day is gone nothing more is told but what was revised.
        for goal in {each.goal: None for each in revised_days(closing) if each.goal.narrowed}:
            own = days_of(calendar, goal)
            if closing.day not in own:
                cases.append(self._looked_back(closing, own, goal.name, None, closing.unit))
        if cases and closing.day in calendar:
            if closing.attempts is not msgspec.UNSET:
                cases.append(self._added_up(closing, calendar, ATTEMPTS, tally_of(closing.attempts)))
            if closing.records is not msgspec.UNSET:
                cases.append(self._added_up(closing, calendar, RECORDS, tally_of(closing.records)))
        return [case for case in cases if case is not None]

    def _added_up(
        self, closing: ProgressPublication, calendar: plan.Calendar, subject: str, now: Tally
    ) -> _Case | None:
        """How attempts to activate go at a unit, or its dossiers; None: the day was judged already."""
        key = Key(closing.campaign, closing.unit, subject)
        stood = self._stood(key)
        if stood is not None and closing.day <= stood.judged_day:
            return None
        past = _tallies_decoder.decode(stood.past) if stood is not None else Tallies()
        of = plan.attempt_figures if subject == ATTEMPTS else plan.record_figures
        seen = of(calendar, closing.day, past, now)
        whole = past.and_then(calendar.number(closing.day), now)
        campaign = self._reference.campaigns[closing.campaign]
        return self._case(campaign, key, closing.day, closing.unit, seen, stood, whole)

    def _looked_back(
        self,
        closing: ProgressPublication,
        calendar: plan.Calendar,
        goal: str,
        target: int | None,
        name: str,
    ) -> _Case | None:
        """What late records make of a target whose last day is gone (`target` None: the one that its last closing
        named); None: nothing new."""
        key = Key(closing.campaign, closing.unit, goal)
        stood = self._stood(key)
        if stood is None:
            return None
        known = _past_decoder.decode(stood.past).until(calendar.days + 1)
        past = known.and_revised(revisions_of(closing, calendar, goal))
        if past is known:
            return None
        owed = target if target is not None else next((each for each in reversed(past.target) if each), 0)
        last = revisions.seen_again(calendar, past.corrected(), calendar.days, owed)
        if last is None:
            return None
        campaign = self._reference.campaigns[closing.campaign]
        again = self._again(key, closing.day, calendar, known, past, calendar.days, owed)
        revised = life.Revised(again, over=True)
        return self._case(campaign, key, closing.day, name, last, stood, past, revised)

    def _again(
        self,
        key: Key,
        day: date,
        calendar: plan.Calendar,
        known: plan.Past,
        past: plan.Past,
        through: int,
        target: int,
    ) -> dict[RuleName, life.RuleStanding]:
        """How the rules of days stand with what was revised, where that makes a difference."""
        policy = self._policies.of(key.campaign, key.unit, day)
        was, now = (
            revisions.looked_at_again(calendar, each, through, target, policy.thresholds, policy.not_asked)
            for each in (known, past)
        )
        return {rule: standing for rule, standing in now.items() if standing != was[rule]}

    def _target(
        self,
        closing: ProgressPublication,
        calendar: plan.Calendar,
        goal: str,
        target: int,
        progress: IndicatorProgress | NarrowedProgress,
        name: str,
    ) -> _Case | None:
        """One target of the closing's unit, due on the last day of `calendar`; None: the day was judged already."""
        key = Key(closing.campaign, closing.unit, goal)
        stood = self._stood(key)
        if stood is not None and closing.day <= stood.judged_day:
            return None
        known = _past_decoder.decode(stood.past) if stood is not None else plan.Past()
        number = calendar.number(closing.day)
        before = known.until(number)
        past = before.and_revised(revisions_of(closing, calendar, goal))
        again = (
            {}
            if past is before
            else self._again(key, closing.day, calendar, before, past, number - 1, target)
        )
        end = progress.expected
        expected = None if end is msgspec.UNSET else (end.final, end.high)
        seen = plan.figures(
            calendar,
            closing.day,
            target=target,
            baseline=progress.baseline,
            value=progress.value,
            done=progress.done,
            past=past,
            expected=expected,
        )
        named = target if isinstance(progress, NarrowedProgress) else None
        whole = past.and_then(progress.value, progress.done, progress.baseline, expected, named)
        campaign = self._reference.campaigns[closing.campaign]
        revised = life.Revised(again) if again else None
        return self._case(campaign, key, closing.day, name, seen, stood, whole, revised)

    def _stood(self, key: Key) -> judging.Standing | None:
        return self.after.get(key) or self._before.get(key)

    def _settle(self, case: _Case, parents: set[Key]) -> None:
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
            case.judged_day, _json(after), incident if after.open else None, _json(case.past), number
        )

    def _circumstances(self, case: _Case, decision: life.Decision, parents: set[Key]) -> Circumstances:
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

    def _gather(self, cases: Sequence[_Case], siblings: Sequence[Key]) -> set[Key]:
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

    def _peak(self, key: Key, cases: dict[Key, _Case]) -> Severity | None:
        """How bad a target's incident is by now; None: none is open."""
        if key in cases:
            return cases[key].after.peak
        stood = self._stood(key)
        peak: Severity | None = _standing_decoder.decode(stood.remembered).peak if stood is not None else None
        return peak

    def _keep_gathering(
        self,
        campaign: CampaignPublication,
        day: date,
        key: Key,
        children: int,
        in_trouble: Sequence[Key],
        cases: dict[Key, _Case],
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
        cases: dict[Key, _Case],
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
    def _rules_of(keys: Sequence[Key], cases: dict[Key, _Case]) -> list[str]:
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

    def _note_gap(self, case: _Case) -> None:
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
        case: _Case,
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
            figures=_json(case.seen),
            news=number,
            addressee=unit,
            next_step=next_step,
        )

    def _next_step(self, case: _Case, severity: Severity | None) -> datetime | None:
        """When the level above is told, had nobody acknowledged by then."""
        held = case.policy.rhythm
        if held.escalate_from == "never" or (severity or 0) < Severity[held.escalate_from.upper()]:
            return None
        step = rhythm.next_step(held, self._local, works_of(case.campaign))
        return None if step is None else step.replace(tzinfo=VIETNAM)

    def _keep_decision(
        self,
        case: _Case,
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
                findings=_json(decision.findings),
                inputs=_json(
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
            text = self._texts[id(policy)] = _json(policy)
        return text

    def _tell(self, case: _Case, incident: str | None, number: int, decision: life.Decision) -> str:
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


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()
