"""Judging: each target by itself, at the closing of one day, with what stood before of it.

What is told of many together, and what is kept, is the session's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from tiendo_common.clock import local_time
from tiendo_common.events.state import (
    CampaignPublication,
    IndicatorProgress,
    NarrowedProgress,
    ProgressPublication,
)
from tiendo_notifier.rules import life, plan, revisions, rhythm
from tiendo_notifier.rules.life import AT_REST
from tiendo_notifier.rules.policies import Policy
from tiendo_notifier.rules.shares import Tallies, Tally
from tiendo_notifier.rules.table import RuleName
from tiendo_notifier.storage import judging
from tiendo_notifier.storage.judging import Key
from tiendo_notifier.storage.pulses import Pulse
from tiendo_notifier.use_cases.closings import (
    ATTEMPTS,
    LIVE,
    RECORDS,
    REPORT,
    calendar_of,
    days_of,
    days_told,
    revised_days,
    revisions_of,
    tally_of,
    works_of,
)
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference

_standing_decoder = msgspec.json.Decoder(life.Standing)
_past_decoder = msgspec.json.Decoder(plan.Past)
_tallies_decoder = msgspec.json.Decoder(Tallies)


@dataclass(frozen=True, slots=True)
class Case:
    """One target at the closing of one day: what stood before, what it came to, what is to be said. `past`, all that
    closings said of it, is as it is stored: as objects those of a province would be a hundred megabytes."""

    key: Key
    campaign: CampaignPublication
    day: date
    unit_name: str
    seen: plan.Figures
    policy: Policy
    historical: bool
    stood: judging.Standing | None
    past: str
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


def stored(document: object) -> str:
    """A document as it is stored (JSON)."""
    return msgspec.json.encode(document).decode()


def remembered(stood: judging.Standing | None) -> life.Standing:
    """What the rules remember of a target."""
    return _standing_decoder.decode(stood.remembered) if stood is not None else AT_REST


class Cases:
    """Makes the cases of one batch."""

    def __init__(
        self,
        reference: Reference,
        policies: InForce,
        today: date,
        stood: Callable[[Key], judging.Standing | None],
    ) -> None:
        """`stood`: what stood of a target before, also earlier in the batch."""
        self._reference = reference
        self._policies = policies
        self._today = today
        self._stood = stood

    def of_closing(self, closing: ProgressPublication) -> list[Case]:
        """All that a closing says of its unit, but for what was judged already."""
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

    def report(self, campaign: CampaignPublication, unit: str, day: date, *, reported: bool) -> Case | None:
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

    def live(
        self,
        campaign: CampaignPublication,
        calendar: plan.Calendar,
        unit: str,
        at: datetime,
        pulse: Pulse,
    ) -> Case | None:
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

    def live_no_more(
        self, campaign: CampaignPublication, calendar: plan.Calendar, key: Key, day: date
    ) -> Case:
        """One of which nobody asks any more whether anything comes: all is well."""
        seen = plan.live_figures(calendar, day, silent=timedelta(), worked=timedelta(minutes=1), usual=1)
        return self._case(campaign, key, day, key.unit, seen, self._stood(key), plan.Past())

    def _target(
        self,
        closing: ProgressPublication,
        calendar: plan.Calendar,
        goal: str,
        target: int,
        progress: IndicatorProgress | NarrowedProgress,
        name: str,
    ) -> Case | None:
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

    def _looked_back(
        self,
        closing: ProgressPublication,
        calendar: plan.Calendar,
        goal: str,
        target: int | None,
        name: str,
    ) -> Case | None:
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

    def _added_up(
        self, closing: ProgressPublication, calendar: plan.Calendar, subject: str, now: Tally
    ) -> Case | None:
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
    ) -> Case:
        """Judge one by itself."""
        historical = life.is_historical(day, self._today)
        policy = self._policies.of(key.campaign, key.unit, day)
        before = remembered(stood)
        after, decision = life.judge(
            before, seen, policy.thresholds, off=policy.not_asked, historical=historical, revised=revised
        )
        name = self._reference.full_name(key.unit, day, name)
        return Case(
            key,
            campaign,
            day,
            name,
            seen,
            policy,
            historical,
            stood,
            stored(past),
            before,
            revised,
            after,
            decision,
        )
