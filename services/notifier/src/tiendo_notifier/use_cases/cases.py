"""Judging: each target by itself, at the closing of one day, with what stood before of it.

What is told of many together, and what is kept, is the session's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

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
from tiendo_notifier.rules.past import NO_PAST, Day, Past, Revision
from tiendo_notifier.rules.policies import Policy
from tiendo_notifier.rules.shares import NO_TALLIES, Tallies, Tally, TallyDay
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


@dataclass(frozen=True, slots=True)
class Case:
    """One target at the closing of one day: what stood before, what it came to, what is to be said. `said` is what the
    closing said of the day that later ones will ask for, `late` what was new in what it said of earlier ones."""

    key: Key
    campaign: CampaignPublication
    day: date
    unit_name: str
    seen: plan.Figures
    policy: Policy
    historical: bool
    stood: judging.Standing | None
    before: life.Standing
    revised: life.Revised | None
    after: life.Standing
    decision: life.Decision | None
    said: Day | TallyDay | None
    late: Sequence[Revision]

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


class _Asked(NamedTuple):
    """What a closing says of one key that was not judged by it yet. `told` None: only what was revised, of a target
    whose days in `calendar` are gone. `target` None: the one that its last closing named."""

    key: Key
    calendar: plan.Calendar
    told: IndicatorProgress | NarrowedProgress | Tally | None
    target: int | None
    unit_name: str


class Cases:
    """Makes the cases of one batch."""

    def __init__(
        self,
        reference: Reference,
        policies: InForce,
        today: date,
        stood: Mapping[Key, judging.Standing],
    ) -> None:
        """`stood`: what stood of a target before, also earlier in the batch."""
        self._reference = reference
        self._policies = policies
        self._today = today
        self._stood = stood
        #: What closings said before of those that are asked for; of others nothing.
        self.pasts: Mapping[Key, Past | Tallies] = {}

    def looks_back(self, closing: ProgressPublication) -> dict[Key, int]:
        """Of which keys the past is asked for, of each before the day of that number."""
        return {
            asked.key: asked.calendar.days + 1 if asked.told is None else asked.calendar.number(closing.day)
            for asked in self._asked(closing)
            if self._stood.get(asked.key) is not None
        }

    def of_closing(self, closing: ProgressPublication) -> list[Case]:
        """All that a closing says of its unit, but for what was judged already. Raises OutOfReach."""
        cases = []
        for asked in self._asked(closing):
            if asked.told is None:
                case = self._looked_back(closing, asked)
            elif isinstance(asked.told, IndicatorProgress | NarrowedProgress):
                case = self._target(closing, asked, asked.told)
            else:
                case = self._added_up(closing, asked, asked.told)
            if case is not None:
                cases.append(case)
        return cases

    def _asked(self, closing: ProgressPublication) -> Iterator[_Asked]:
        calendar = calendar_of(self._reference.campaigns[closing.campaign])
        found = list(self._targets_asked(closing, calendar))
        if found and closing.day in calendar:
            for subject, told in ((ATTEMPTS, closing.attempts), (RECORDS, closing.records)):
                if told is not msgspec.UNSET:
                    key = Key(closing.campaign, closing.unit, subject)
                    found.append(_Asked(key, calendar, tally_of(told), None, closing.unit))
        for asked in found:
            stood = self._stood.get(asked.key)
            if asked.told is None or stood is None or closing.day > stood.judged_day:
                yield asked

    def _targets_asked(self, closing: ProgressPublication, calendar: plan.Calendar) -> Iterator[_Asked]:
        def key(goal: str) -> Key:
            return Key(closing.campaign, closing.unit, goal)

        for target in self._reference.targets(closing.campaign, closing.unit):
            told: IndicatorProgress | None = None
            if closing.day in calendar:
                told = getattr(closing, target.indicator)
            yield _Asked(key(target.indicator), calendar, told, target.value, target.unit_name)
        for each in () if closing.narrowed is msgspec.UNSET else closing.narrowed:
            own = days_told(calendar, each)
            if closing.day in own:
                yield _Asked(key(each.goal.name), own, each, each.target, closing.unit)
        # Of a narrowed goal whose day is gone nothing more is told but what was revised.
        for goal in {each.goal: None for each in revised_days(closing) if each.goal.narrowed}:
            own = days_of(calendar, goal)
            if closing.day not in own:
                yield _Asked(key(goal.name), own, None, None, closing.unit)

    def looks_back_at_reports(
        self, campaign: CampaignPublication, units: Sequence[str], day: date
    ) -> dict[Key, int]:
        """Likewise of reports."""
        number = calendar_of(campaign).number(day)
        return {Key(campaign.campaign, unit, REPORT): number for unit in units}

    def report(self, campaign: CampaignPublication, unit: str, day: date, *, reported: bool) -> Case | None:
        """One unit's report; None: the day was judged already."""
        key = Key(campaign.campaign, unit, REPORT)
        stood = self._stood.get(key)
        if stood is not None and day <= stood.judged_day:
            return None
        calendar = calendar_of(campaign)
        seen = plan.report_figures(calendar, day, self._past(key), reported=reported)
        said = Day(calendar.number(day), int(reported), seen.unreported_days or 0, 0)
        return self._case(campaign, key, day, unit, seen, stood, said)

    def looks_back_live(
        self, campaign: CampaignPublication, units: Iterable[str], at: datetime
    ) -> dict[Key, int]:
        """Likewise of units that report live: of what they have to reach."""
        number = calendar_of(campaign).number(campaign.day_end.going_on(at))
        return {
            Key(campaign.campaign, unit, target.indicator): number
            for unit in units
            for target in self._reference.targets(campaign.campaign, unit)
        }

    def live(
        self,
        campaign: CampaignPublication,
        calendar: plan.Calendar,
        unit: str,
        at: datetime,
        pulse: Pulse,
    ) -> Case | None:
        """One live unit; None: it is no working time, or what is usual isn't known. Raises OutOfReach."""
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
        return self._case(campaign, key, day, unit, seen, self._stood.get(key))

    def live_no_more(
        self, campaign: CampaignPublication, calendar: plan.Calendar, key: Key, day: date
    ) -> Case:
        """One of which nobody asks any more whether anything comes: all is well."""
        seen = plan.live_figures(calendar, day, silent=timedelta(), worked=timedelta(minutes=1), usual=1)
        return self._case(campaign, key, day, key.unit, seen, self._stood.get(key))

    def _target(
        self, closing: ProgressPublication, asked: _Asked, progress: IndicatorProgress | NarrowedProgress
    ) -> Case:
        """One target of the closing's unit, due on the last day of its calendar."""
        key, calendar, target = asked.key, asked.calendar, asked.target or 0
        number = calendar.number(closing.day)
        before = self._past(key)
        past = before.and_revised(revisions_of(closing, calendar, key.indicator))
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
        return self._case(
            self._reference.campaigns[closing.campaign],
            key,
            closing.day,
            asked.unit_name,
            seen,
            self._stood.get(key),
            past.next_day(number, progress.value, progress.done, progress.baseline, expected, named),
            past.revised[len(before.revised) :],
            life.Revised(again) if again else None,
        )

    def _looked_back(self, closing: ProgressPublication, asked: _Asked) -> Case | None:
        """What late records make of a target whose last day is gone; None: nothing new."""
        key, calendar, stood = asked.key, asked.calendar, self._stood.get(asked.key)
        if stood is None:
            return None
        known = self._past(key)
        past = known.and_revised(revisions_of(closing, calendar, key.indicator))
        if past is known:
            return None
        owed = past.last_named(calendar.days) if asked.target is None else asked.target
        last = revisions.seen_again(calendar, past.corrected(), calendar.days, owed)
        if last is None:
            return None
        again = self._again(key, closing.day, calendar, known, past, calendar.days, owed)
        return self._case(
            self._reference.campaigns[closing.campaign],
            key,
            closing.day,
            asked.unit_name,
            last,
            stood,
            None,
            past.revised[len(known.revised) :],
            life.Revised(again, over=True),
        )

    def _again(
        self,
        key: Key,
        day: date,
        calendar: plan.Calendar,
        known: Past,
        past: Past,
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

    def _added_up(self, closing: ProgressPublication, asked: _Asked, now: Tally) -> Case:
        """How attempts to activate go at a unit, or its dossiers."""
        past = self.pasts.get(asked.key, NO_TALLIES)
        assert isinstance(past, Tallies)
        of = plan.attempt_figures if asked.key.indicator == ATTEMPTS else plan.record_figures
        seen = of(asked.calendar, closing.day, past, now)
        campaign = self._reference.campaigns[closing.campaign]
        said = TallyDay(asked.calendar.number(closing.day), now)
        stood = self._stood.get(asked.key)
        return self._case(campaign, asked.key, closing.day, closing.unit, seen, stood, said)

    def _usual(self, campaign: str, unit: str, calendar: plan.Calendar, number: int) -> tuple[int, int]:
        """What the unit usually does for its targets together, in so many working days."""
        found = [
            plan.usual_work(calendar, number, self._past(Key(campaign, unit, target.indicator)))
            for target in self._reference.targets(campaign, unit)
        ]
        return sum(usual for usual, _ in found), max((days for _, days in found), default=0)

    def _past(self, key: Key) -> Past:
        past = self.pasts.get(key, NO_PAST)
        assert isinstance(past, Past)
        return past

    def _case(
        self,
        campaign: CampaignPublication,
        key: Key,
        day: date,
        name: str,
        seen: plan.Figures,
        stood: judging.Standing | None,
        said: Day | TallyDay | None = None,
        late: Sequence[Revision] = (),
        revised: life.Revised | None = None,
    ) -> Case:
        """Judge one by itself."""
        historical = life.is_historical(day, self._today)
        policy = self._policies.of(key.campaign, key.unit, day)
        before = remembered(stood)
        after, decision = life.judge(
            before, seen, policy.thresholds, off=policy.not_asked, historical=historical, revised=revised
        )
        return Case(
            key,
            campaign,
            day,
            self._reference.full_name(key.unit, day, name),
            seen,
            policy,
            historical,
            stood,
            before,
            revised,
            after,
            decision,
            said,
            late,
        )
