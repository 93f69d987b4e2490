"""The plan: what a unit owes by each day, and what a day's closing figures say about it.

What a unit owes is T = target − baseline, nothing where the baseline is past the target already. It is
spread over the campaign's days by a cumulative floor: by the end of a day whose weight and those before it are k
of the campaign's N, floor(T·k/N) are planned. So the daily quotas are whole and sum to exactly T; where all days
weigh the same they differ by at most one. The aggregator plans by the same rule.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from tiendo_notifier.rules.past import NO_PAST, Past
from tiendo_notifier.rules.shares import Part, Tallies, Tally, parts

#: The pace of late is that of so many days back, and none of fewer working days.
RECENT_DAYS, RECENT_LEAST = 7, 3
#: What a unit usually does is that of so many working days before it stopped, and nothing of fewer.
USUAL_DAYS, USUAL_LEAST = 14, 5


#: What figures are about: a target; whether a unit reports; how attempts to activate go there; what was wrong with its
#: dossiers; whether anything comes from it right now.
Subject = Literal["target", "report", "attempts", "records", "live"]


def planned(owed: int, weight: int, whole: int) -> int:
    """How many of `owed` are planned by the end of a day when `weight` of the campaign's `whole` are over."""
    return owed * weight // whole


def needed_per_day(missing: int, days_left: int) -> int | None:
    """How many a day, rounded up, close the gap in the days left; None when no day is left to do so."""
    if missing <= 0:
        return 0
    return -(-missing // days_left) if days_left else None


@dataclass(frozen=True, slots=True)
class Calendar:
    """A campaign's days, both ends included; `weights` of the days from the first, empty: all are alike."""

    first_day: date
    last_day: date
    weights: tuple[int, ...] = ()

    def __contains__(self, day: date) -> bool:
        return self.first_day <= day <= self.last_day

    @property
    def days(self) -> int:
        return (self.last_day - self.first_day).days + 1

    def number(self, day: date) -> int:
        """Which day of the campaign it is, from 1."""
        return (day - self.first_day).days + 1

    def works(self, number: int) -> bool:
        """Whether the plan gives work to the day of this number."""
        return not self.weights or self.weights[number - 1] > 0

    def weight(self, begin: int, end: int) -> int:
        """What the days from number `begin` to `end`, both included, weigh together."""
        return sum(self.weights[begin - 1 : end]) if self.weights else end - begin + 1

    def until(self, day: date) -> "Calendar":
        """The days up to one of them."""
        return Calendar(self.first_day, day, self.weights[: self.number(day)])

    def working_days(self, begin: int, end: int) -> int:
        """How many days from number `begin` to `end`, both included, have a weight."""
        return (
            sum(weight > 0 for weight in self.weights[begin - 1 : end]) if self.weights else end - begin + 1
        )

    def working_days_after(self, number: int) -> int:
        """How many days after this one have a weight."""
        return self.working_days(number + 1, self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A unit's closing figures on one goal beside its plan. Counts of citizens, except the days.

    `value` and `baseline` count by residence; `done` is the work credited to the unit on the day.
    `days_left` are the days after this one to which the plan gives work: a day is judged when it is over.
    `shortfall` is what the day's quota lacks, `gap` what the plan so far lacks (negative: ahead),
    `needed_per_day` what the remaining days must bring (None: there are none).

    `recent` was gained in the `recent_days` working days of the last week (None: too few closings are known).
    For `idle_days` working days up to this one nothing was done; in the `usual_days` before them, `usual` was.
    `expected` is the forecast of the last day and `expected_high` the upper end of its 80% interval (None: there
    is no forecast). `unreported_days`: on so many working days in a row, up to this one, no report had come by the
    cut-off (None: the figures are not about reports). `attempts`: how often an attempt to activate failed, by reason
    (None: they are not about attempts). `records`: how many dossiers were faulty, by kind (None: likewise).
    `silent_minutes`: for so much working time nothing has come from the unit; `usual_minutes` of it usually lie between
    two citizens, rounded up (None: likewise; or it isn't known).
    """

    day_number: int
    days: int
    days_left: int
    target: int
    baseline: int
    value: int
    done: int
    quota: int
    shortfall: int
    actual: int
    planned: int
    gap: int
    needed_per_day: int | None
    works: bool = True
    recent: int | None = None
    recent_days: int = 0
    idle_days: int = 0
    usual: int = 0
    usual_days: int = 0
    expected: int | None = None
    expected_high: int | None = None
    unreported_days: int | None = None
    attempts: tuple[Part, ...] | None = None
    records: tuple[Part, ...] | None = None
    silent_minutes: int | None = None
    usual_minutes: int | None = None

    @property
    def subject(self) -> Subject:
        """What they are about."""
        if self.unreported_days is not None:
            return "report"
        if self.attempts is not None:
            return "attempts"
        if self.silent_minutes is not None:
            return "live"
        return "target" if self.records is None else "records"

    @property
    def reached(self) -> bool:
        """Whether the target is met: nothing more is owed, whatever the day brought."""
        return self.value >= self.target


def figures(
    calendar: Calendar,
    day: date,
    *,
    target: int,
    baseline: int,
    value: int,
    done: int,
    past: Past = NO_PAST,
    expected: tuple[int, int] | None = None,
) -> Figures:
    """The figures of a day of the campaign; `past` ends the day before, `expected` is (final, high)."""
    owed = max(0, target - baseline)
    number, days = calendar.number(day), calendar.days
    whole = calendar.weight(1, days)
    so_far = planned(owed, calendar.weight(1, number), whole)
    for_the_day = so_far - planned(owed, calendar.weight(1, number - 1), whole)
    days_left = calendar.working_days_after(number)
    recent, recent_days = _recent(calendar, number, baseline, value, past)
    idle_days, usual, usual_days = _idle(calendar, number, done, past)
    return Figures(
        day_number=number,
        days=days,
        days_left=days_left,
        target=target,
        baseline=baseline,
        value=value,
        done=done,
        quota=for_the_day,
        shortfall=max(0, for_the_day - done) if for_the_day else 0,
        actual=value - baseline,
        planned=so_far,
        gap=so_far - (value - baseline),
        needed_per_day=needed_per_day(target - value, days_left),
        works=calendar.works(number),
        recent=recent,
        recent_days=recent_days,
        idle_days=idle_days,
        usual=usual,
        usual_days=usual_days,
        expected=expected[0] if expected else None,
        expected_high=expected[1] if expected else None,
    )


def report_figures(calendar: Calendar, day: date, past: Past, *, reported: bool) -> Figures:
    """The figures of a unit that owes a daily report: no target, only whether it came by the cut-off."""
    before = past.days[-1].done if past.days else 0
    plain = figures(calendar, day, target=0, baseline=0, value=0, done=0)
    return replace(plain, unreported_days=0 if reported else before + 1)


def attempt_figures(calendar: Calendar, day: date, past: Tallies, now: Tally) -> Figures:
    """The figures of a unit's attempts to activate: no target, only how often they failed."""
    plain = figures(calendar, day, target=0, baseline=0, value=0, done=0)
    return replace(plain, attempts=parts(past, calendar.number(day), now))


def record_figures(calendar: Calendar, day: date, past: Tallies, now: Tally) -> Figures:
    """The figures of what was wrong with a unit's dossiers: no target, only how many were faulty."""
    plain = figures(calendar, day, target=0, baseline=0, value=0, done=0)
    return replace(plain, records=parts(past, calendar.number(day), now))


def live_figures(
    calendar: Calendar, day: date, *, silent: timedelta, worked: timedelta, usual: int
) -> Figures:
    """The figures of a unit that reports live, in the midst of a working day: no target, only for how much working time
    nothing has come. In `worked`, before the day, `usual` citizens did."""
    minute = timedelta(minutes=1)
    plain = figures(calendar, day, target=0, baseline=0, value=0, done=0)
    return replace(
        plain,
        silent_minutes=silent // minute,
        usual_minutes=-(-worked // (minute * usual)) if usual else None,
    )


def usual_work(calendar: Calendar, number: int, past: Past) -> tuple[int, int]:
    """What was done on the working days before the one of this number, and how many these are: at most USUAL_DAYS, and
    none if there are fewer than USUAL_LEAST."""
    usual: list[int] = []
    for each in range(number - 1, 0, -1):
        if len(usual) == USUAL_DAYS:
            break
        if calendar.works(each) and (day := past.at(each)) is not None:
            usual.append(day.done)
    return (max(0, sum(usual)), len(usual)) if len(usual) >= USUAL_LEAST else (0, 0)


def _recent(calendar: Calendar, number: int, baseline: int, value: int, past: Past) -> tuple[int | None, int]:
    """What the last week brought, and on how many working days: from the earliest closing in it that is known."""
    for begin in range(max(0, number - RECENT_DAYS), number - RECENT_LEAST + 1):
        day = past.at(begin) if begin else None
        if begin and day is None:
            continue
        days = calendar.working_days(begin + 1, number)
        if days >= RECENT_LEAST:
            return value - (baseline if day is None else day.reached), days
    return None, 0


def _idle(calendar: Calendar, number: int, done: int, past: Past) -> tuple[int, int, int]:
    """For how many working days nothing was done, what was done in the working days before, and how many these are.
    A day of which no closing is known ends the look back."""
    if done > 0 or not calendar.works(number):
        return 0, 0, 0
    idle, usual, usual_days = 1, 0, 0
    each = number - 1
    while each and usual_days < USUAL_DAYS:
        before = past.at(each)
        if before is None:
            break
        begin = each
        if not usual_days and before.idle_from is not None:
            begin = before.idle_from
            idle += calendar.working_days(begin, each)
        elif calendar.works(each):
            usual += before.done
            usual_days += 1
        each = begin - 1
    return (idle, usual, usual_days) if usual_days >= USUAL_LEAST else (idle, 0, 0)
