"""Forecast: what the last day will show if things go on as of late, and when the target is met.

Recent-weighted pace with the weekdays' pattern, and a closed-form 80% interval: the same figures always give the same
forecast, with no chance in it. What goes in are exact counts; what comes out is rounded, and said to be.
`docs/decisions/0018-forecast.md` says why so; the back-test says how good it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tiendo_aggregator.rules.calendar import Calendar, Schedule

#: With fewer days than this there is no pace to speak of.
LEAST_DAYS = 5
#: A day weighs this much of the one after it: half of it after four days.
MEMORY = 0.5 ** (1 / 4)
#: How many days of a weekday the calendar's own pattern counts as, beside those that were seen.
SHRINKAGE = 2.0
#: How far to look for the day on which a target is met.
FAR = 366
#: The 90% point of the normal distribution: 80% lie within this many standard deviations of the mean.
_Z = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class TargetMet:
    """The day at whose end the target is expected to be met, the earliest and the latest of the 80% interval; None:
    not within FAR days."""

    expected: date | None
    earliest: date | None
    latest: date | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected at the end of a day to come, in citizens: `final` rounded to the nearest, the 80% interval
    rounded outwards. `per_day` is the pace of a day of average weight, rounded; `weekday_percents` say what Monday to
    Sunday bring beside it, 100: as much, rounded. `target_met` None: it is met already."""

    final: int
    low: int
    high: int
    per_day: int
    weekday_percents: list[int]
    days_seen: int
    target_met: TargetMet | None


class Pattern:
    """What each day brings beside an average one: the calendar's pattern, and the observed one of its weekdays."""

    def __init__(self, schedule: Schedule, calendar: Calendar, changes: Sequence[int]) -> None:
        self._average = sum(schedule.weights) / len(schedule.weights)
        self._holidays = {holiday.day: holiday.weight / self._average for holiday in calendar.holidays}
        planned = [weight / self._average for weight in calendar.weekday_weights]
        seen, level = [0.0] * 7, [0.0] * 7
        for place, change in enumerate(changes):
            day = schedule.first_day + timedelta(days=place)
            if day not in self._holidays:
                # Beside the mean of a week around it, each weekday of which is in it once, a day shows its
                # weekday's share, whatever way the pace goes.
                begin = max(0, min(place - 3, len(changes) - 7))
                week = changes[begin : begin + 7]
                seen[day.weekday()] += change
                level[day.weekday()] += sum(week) / len(week)
        weeks = len(changes) / 7
        self.weekdays = [
            max(0.0, (SHRINKAGE * mine + weeks * seen[n] / level[n]) / (SHRINKAGE + weeks))
            if level[n] > 0
            else mine
            for n, mine in enumerate(planned)
        ]

    def __call__(self, day: date) -> float:
        return self._holidays.get(day, self.weekdays[day.weekday()])


@dataclass(frozen=True, slots=True)
class Step:
    """The forecast at the end of one day to come: how many more than now, and its standard deviation."""

    day: date
    more: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The pace of an average day, and the steps that follow from it. `spread` is how many standard deviations 80% lie
    within: more than for the normal distribution, since the deviation itself is taken from few days."""

    pattern: Pattern
    pace: float
    spread: float
    steps: list[Step]


def forecast(schedule: Schedule, calendar: Calendar, changes: Sequence[int], days: int) -> Forecast | None:
    """The next `days` days after those of which `changes` are the net changes, the campaign's first ones. None if these
    are fewer than LEAST_DAYS.

    The pace is Σ mᵏ·change ÷ Σ mᵏ·pattern over the days seen, the last one with k = 0, m = MEMORY. Each day's error
    against the pace before it says how uncertain a day is (variance in proportion to its pattern) and moves the pace
    for good by a share α = 1 ÷ Σ mᵏ·pattern: that is exponential smoothing, and an error on a day to come goes into
    the sum up to a later one with the weight 1 + α·(pattern in between). A day's variance is at least that of chance
    events that come one by one (Poisson).
    """
    if len(changes) < LEAST_DAYS:
        return None
    pattern = Pattern(schedule, calendar, changes)
    done = weight = squares = freedom = 0.0
    for place, change in enumerate(changes):
        expected = pattern(schedule.first_day + timedelta(days=place))
        if place >= 2 and weight > 0 and expected > 0:
            squares += (change - done / weight * expected) ** 2 / expected
            freedom += 1
        done = MEMORY * done + change
        weight = MEMORY * weight + expected
    if not weight or not freedom:
        return None
    pace, alpha, variance = done / weight, 1 / weight, max(squares / freedom, abs(done / weight))
    steps = []
    sum_0 = sum_1 = sum_2 = ahead = 0.0
    for number in range(days):
        day = schedule.first_day + timedelta(days=len(changes) + number)
        share = pattern(day)
        ahead += share
        # Σ share·(1 + α·(ahead − before))², with `before` each day's own `ahead`, without a loop in the loop.
        base = 1 - alpha * ahead
        sum_0 += share
        sum_1 += share * base
        sum_2 += share * base * base
        spread = sum_2 + 2 * alpha * ahead * sum_1 + (alpha * ahead) ** 2 * sum_0
        steps.append(Step(day, pace * ahead, math.sqrt(variance * spread)))
    return Forecast(pattern, pace, _student(freedom), steps)


def _student(freedom: float) -> float:
    """The 90% point of Student's distribution (Cornish and Fisher's expansion)."""
    z = _Z
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def outlook(
    schedule: Schedule,
    calendar: Calendar,
    through: int,
    changes: Sequence[int],
    value: int,
    target: int | None,
    ceiling: int | None,
) -> Outlook | None:
    """What day `through` (from 1) of `schedule` shows, from the net changes of its first days. None while there are
    fewer than LEAST_DAYS, or when no day is left.

    `value` is what stands at the end of the last of `changes`; no more than `ceiling` (who is eligible) can be reached.
    """
    left = through - len(changes)
    days = left if target is None else max(left, FAR)
    seen = forecast(schedule, calendar, changes, days) if left > 0 else None
    if seen is None:
        return None

    def within(number: float) -> float:
        return max(0.0, number if ceiling is None else min(number, max(ceiling, value)))

    last = seen.steps[left - 1]
    margin = seen.spread * last.deviation
    return Outlook(
        final=round(within(value + last.more)),
        low=math.floor(within(value + last.more - margin)),
        high=math.ceil(within(value + last.more + margin)),
        per_day=round(seen.pace),
        weekday_percents=[round(100 * share) for share in seen.pattern.weekdays],
        days_seen=len(changes),
        target_met=None if target is None or value >= target else _met(seen, target - value),
    )


def _met(seen: Forecast, missing: int) -> TargetMet:
    def first(deviations: float) -> date | None:
        # A sum of binary fractions that is short of a whole number by nothing but their rounding has reached it.
        enough = missing - 1e-6
        reached = (step.day for step in seen.steps[:FAR] if step.more + deviations * step.deviation >= enough)
        return next(reached, None)

    return TargetMet(first(0.0), first(seen.spread), first(-seen.spread))
