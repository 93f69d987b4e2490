"""The calendar: how a campaign's work is spread over its days, in whole numbers that sum exactly.

Weights say how much a day is to bring beside the others; they are whole numbers, so no share is ever rounded twice.
A day belongs to the calendar of Asia/Ho_Chi_Minh, as counters have it: these keep no hour, and what a shift did past
midnight is on the day to which its lines give it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate, pairwise

import msgspec

from tiendo_common.errors import Invalid

#: A campaign's days are published and answered one by one; the longest known lasts 93.
MAX_DAYS = 1100
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Holiday(msgspec.Struct, frozen=True, kw_only=True):
    """A day that is unlike its weekday; weight 0: nothing is asked for."""

    day: date
    name: str
    weight: int = 0


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Weights of Monday to Sunday, and the days that are unlike them. Without one all days are alike."""

    weekday_weights: tuple[int, ...] = (1,) * 7
    holidays: tuple[Holiday, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """A campaign's days, each with its weight; both ends belong to it."""

    first_day: date
    weights: tuple[int, ...]

    @classmethod
    def of(cls, calendar: Calendar, first_day: date, last_day: date) -> "Schedule":
        """The days from `first_day` to `last_day`."""
        unlike = {holiday.day: holiday.weight for holiday in calendar.holidays}
        days = (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1))
        return cls(first_day, tuple(unlike.get(day, calendar.weekday_weights[day.weekday()]) for day in days))

    @property
    def last_day(self) -> date:
        return self.first_day + timedelta(days=len(self.weights) - 1)

    @cached_property
    def ends(self) -> list[int]:
        """What the first days weigh together: none of them, one, two, up to all."""
        return list(accumulate(self.weights, initial=0))

    @cached_property
    def working_days(self) -> int:
        """How many days have a weight."""
        return sum(weight > 0 for weight in self.weights)

    @property
    def flat(self) -> bool:
        """Whether all days are alike."""
        return len(set(self.weights)) == 1

    def days(self) -> Iterator[tuple[date, int]]:
        """Each day and its weight."""
        for number, weight in enumerate(self.weights):
            yield self.first_day + timedelta(days=number), weight

    def number(self, day: date) -> int:
        """How many days of the campaign are over at the end of `day`: 0 before it, all after it."""
        return min(max(0, (day - self.first_day).days + 1), len(self.weights))

    def planned(self, owed: int, day: date) -> int:
        """How many of `owed` are planned by the end of `day`."""
        return owed * self.ends[self.number(day)] // self.ends[-1]

    def quota(self, owed: int, day: date) -> int:
        """How many of `owed` are planned for `day`; 0 on a day that isn't one of the campaign's."""
        return self.planned(owed, day) - self.planned(owed, day - timedelta(days=1))

    def after(self, day: date) -> "Schedule":
        """What is left of it when `day` is over; perhaps no day."""
        over = self.number(day)
        return Schedule(self.first_day + timedelta(days=over), self.weights[over:])


def quotas(total: int, weights: Sequence[int]) -> list[int]:
    """`total` spread over days by their weights: whole numbers that sum to it exactly.

    By the end of each day the exact share is planned, cut to a whole number; a day's quota is what its end has
    more than its beginning. So neither a quota nor the sum of the first ones is a whole one off its exact share, and
    the shares need not be known to know one day's. At least one weight must be positive, none negative.
    """
    whole = sum(weights)
    ends = [0, *(total * so_far // whole for so_far in accumulate(weights))]
    return [end - begin for begin, end in pairwise(ends)]


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What the days that are left must bring. `days_left` are those with a weight; `per_day` is what they must bring
    on average, rounded up, so that it suffices; None when something is missing and no day is left for it. `next_day`
    is the part of the first day left, None if there is none."""

    remaining: int
    days_left: int
    per_day: int | None
    next_day: int | None


def catch_up(target: int, value: int, left: Schedule) -> CatchUp:
    """How `target` is still reached from `value`, in the days left. Nothing is asked for once it is reached."""
    remaining = max(0, target - value)
    if not left.working_days:
        return CatchUp(remaining, 0, None if remaining else 0, None)
    return CatchUp(
        remaining,
        left.working_days,
        -(-remaining // left.working_days),
        remaining * left.weights[0] // left.ends[-1],
    )


def catch_up_quotas(remaining: int, left: Schedule) -> list[tuple[date, int]]:
    """Each day left with its part of what is missing, by its weight: they sum to it exactly. No day without any weight
    left."""
    if not left.working_days:
        return []
    shares = quotas(remaining, left.weights)
    return [(day, share) for (day, _), share in zip(left.days(), shares, strict=True)]


def check_calendar(calendar: Calendar, first_day: date, last_day: date) -> None:
    """Raise Invalid, naming the field, unless the calendar fits a campaign of these days."""
    length = (last_day - first_day).days + 1
    if length > MAX_DAYS:
        raise Invalid(
            f"The campaign would last {length:,} days.",
            field="last_day",
            remedy=f"A campaign has at most {MAX_DAYS:,} days; is the year right?",
        )
    seen: set[date] = set()
    for place, holiday in enumerate(calendar.holidays):
        if not first_day <= holiday.day <= last_day:
            raise Invalid(
                f"{holiday.name} on {holiday.day} is outside the campaign, {first_day} to {last_day}.",
                field=f"calendar.holidays.{place}.day",
                remedy="Leave it out, or correct its day: it changes nothing on days that aren't the campaign's.",
            )
        if holiday.day in seen:
            raise Invalid(
                f"{holiday.day} is listed twice.",
                field=f"calendar.holidays.{place}.day",
                remedy="List each day once.",
            )
        seen.add(holiday.day)
    schedule = Schedule.of(calendar, first_day, last_day)
    if not any(schedule.weights):
        idle = sorted({day.weekday() for day, _ in schedule.days()})
        raise Invalid(
            "No day of the campaign has a weight: there would be no day to work on.",
            field="calendar",
            remedy=f"Give a weight above 0 to one of its weekdays ({', '.join(_WEEKDAYS[n] for n in idle)}) "
            "that is no holiday, or leave the calendar out.",
        )
