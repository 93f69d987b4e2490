"""Going on: a campaign may go on after its last day, until everybody is reached or until a decision stops it.

Nothing of its plan moves: what was due stays due on its day. What later days are to bring is stated for them alone: see
rules.stretches.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import msgspec

from tiendo_aggregator.rules.calendar import Calendar
from tiendo_aggregator.rules.phases import Phase
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator

#: How the ids of stretches begin.
STRETCHES = "going-on-"
#: How far a forecast looks while nothing says when a campaign that goes on will stop.
HORIZON = timedelta(days=30)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The decision that ends it: `last_day` is the last one on which it goes on."""

    number: str
    signed_by: str
    last_day: date


class DailyQuota(msgspec.Struct, frozen=True, kw_only=True):
    """How many citizens a day after the last one is to bring the whole province on a goal: a day of the greatest
    weekday weight, others by theirs."""

    goal: str
    citizens: int


class GoingOn(msgspec.Struct, frozen=True, kw_only=True):
    """It is full once as many are reached on `indicator` as are eligible; that ends nothing by itself. `daily`: what is
    asked of the days after the last one; empty: nothing."""

    indicator: Indicator
    stop: Stop | None = None
    daily: tuple[DailyQuota, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a campaign stands after its last day. It goes on `since` the day after that one; `full_since`: from the end
    of this day on everybody has been reached, without a break; None: somebody is missing."""

    state: Literal["going_on", "full", "stopped"]
    since: date
    indicator: Indicator
    full_since: date | None
    stopped_on: date | None


def check_going_on(
    going_on: GoingOn | None, last_day: date, calendar: Calendar, phases: Sequence[Phase]
) -> None:
    """Raise Invalid, naming the field, if a decision would stop a campaign before its last day is over, no weekday has
    work for what is asked of later days, or a phase is called what these are called."""
    if going_on is None:
        return
    if going_on.daily and not any(calendar.weekday_weights):
        raise Invalid(
            "No weekday has a weight: there would be no day to work on after the last one.",
            field="going_on.daily",
            remedy="Give a weekday a weight in calendar.weekday_weights, or leave daily out.",
        )
    for place, phase in enumerate(phases):
        if going_on.daily and phase.id.startswith(STRETCHES):
            raise Invalid(
                f"{phase.id!r} is what the days after the last one are called.",
                field=f"phases.{place}.id",
                remedy=f"Choose an id that does not begin with {STRETCHES}.",
            )
    if going_on.stop is not None and going_on.stop.last_day <= last_day:
        raise Invalid(
            f"The campaign lasts to {last_day} anyway: it cannot go on until {going_on.stop.last_day}.",
            field="going_on.stop.last_day",
            remedy="Send a later day; or leave going_on out if it ends on its last day.",
        )


def stage(
    going_on: GoingOn, last_day: date, day: date, eve: date, ends: Sequence[int], eligible: Mapping[date, int]
) -> Stage:
    """The stage at the end of `day`, which is after `last_day`. `ends` are how many were reached at the ends of all
    days from `eve` to it; `eligible`, how many there were from each of these days on, the first one not after `eve`."""
    since = sorted(eligible)

    def full(number: int) -> bool:
        from_day = since[bisect_right(since, eve + timedelta(days=number)) - 1]
        return ends[number] >= eligible[from_day]

    number = len(ends) - 1
    full_since = None
    if full(number):
        while number and full(number - 1):
            number -= 1
        full_since = eve + timedelta(days=number)
    stopped_on = (
        going_on.stop.last_day if going_on.stop is not None and day > going_on.stop.last_day else None
    )
    return Stage(
        "stopped" if stopped_on is not None else "full" if full_since is not None else "going_on",
        last_day + timedelta(days=1),
        going_on.indicator,
        full_since,
        stopped_on,
    )
