"""The plan: what a unit owes by each day, and what a day's closing figures say about it.

What a unit owes is T = target − baseline, nothing where the baseline is past the target already. It is
spread over the campaign's days by a cumulative floor: by the end of a day whose weight and those before it are k
of the campaign's N, floor(T·k/N) are planned. So the daily quotas are whole and sum to exactly T; where all days
weigh the same they differ by at most one. The aggregator plans by the same rule.
"""

from dataclasses import dataclass
from datetime import date


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

    def weight(self, begin: int, end: int) -> int:
        """What the days from number `begin` to `end`, both included, weigh together."""
        return sum(self.weights[begin - 1 : end]) if self.weights else end - begin + 1

    def working_days_after(self, number: int) -> int:
        """How many days after this one have a weight."""
        return sum(weight > 0 for weight in self.weights[number:]) if self.weights else self.days - number


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A unit's closing figures on one indicator beside its plan. Counts of citizens, except the days.

    `value` and `baseline` count by residence; `done` is the work credited to the unit on the day.
    `days_left` are the days after this one to which the plan gives work: a day is judged when it is over.
    `shortfall` is what the day's quota lacks, `gap` what the plan so far lacks (negative: ahead),
    `needed_per_day` what the remaining days must bring (None: there are none).
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

    @property
    def reached(self) -> bool:
        """Whether the campaign's target is met: nothing more is owed, whatever the day brought."""
        return self.value >= self.target


def figures(calendar: Calendar, day: date, *, target: int, baseline: int, value: int, done: int) -> Figures:
    """The figures of a day of the campaign."""
    owed = max(0, target - baseline)
    number, days = calendar.number(day), calendar.days
    whole = calendar.weight(1, days)
    so_far = planned(owed, calendar.weight(1, number), whole)
    for_the_day = so_far - planned(owed, calendar.weight(1, number - 1), whole)
    days_left = calendar.working_days_after(number)
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
    )
