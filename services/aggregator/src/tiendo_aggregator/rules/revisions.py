"""Revisions: what has become known of a day since it ended.

A fact has two days: the one on which it was true, and the one on which the service that accepted it knew it. A day
is reported at its end, from what is known by then: on its own date, or on the following one if it ends after midnight.
A record that comes later goes to its own day all the same; how it changes that day, and the standing at the end of
every day after it, is a revision.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_common.events.state import Indicator


@dataclass(frozen=True, slots=True)
class Change:
    """The net change of a count on `day` that became known on `known_day`, in citizens."""

    day: date
    known_day: date
    indicator: Indicator
    level: int
    n: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Citizens by the level they have; they sum to `value`."""

    value: int
    level_1: int
    level_2: int


@dataclass(frozen=True, slots=True)
class Revised:
    """The standing at the end of a day: as known at its end, as known now, and the difference."""

    then: Levels
    now: Levels
    change: Levels


@dataclass(frozen=True, slots=True)
class Late:
    """What became known on `known_day`, after its day had ended: the net change of that day's own count."""

    known_day: date
    indicator: Indicator
    change: Levels


@dataclass(frozen=True, slots=True)
class DayRevision:
    """A closed day. `late` by known day: the causes; `indicators`: what they and those of earlier days did to the
    standing at the end of this one."""

    day: date
    indicators: Mapping[Indicator, Revised]
    late: list[Late]


def day_revisions(
    eve: date, last: date, changes: Iterable[Change], *, ends_after: timedelta = timedelta()
) -> list[DayRevision]:
    """Every day from `eve` to `last`. `eve` is the day before the campaign and stands for all that came before: its
    revision is one of the baseline. Changes after `last` are left out, those before `eve` must have been put on it.
    `ends_after`: how many dates after its own a day ends.
    """
    # What each day adds to the standing; a change adds to what was known at a day's end only from its known day on.
    then: defaultdict[tuple[date, Indicator, int], int] = defaultdict(int)
    now: defaultdict[tuple[date, Indicator, int], int] = defaultdict(int)
    late: defaultdict[date, defaultdict[tuple[date, Indicator], dict[int, int]]] = defaultdict(
        lambda: defaultdict(lambda: {1: 0, 2: 0})
    )
    for each in changes:
        now[each.day, each.indicator, each.level] += each.n
        then[max(each.day, each.known_day - ends_after), each.indicator, each.level] += each.n
        if each.known_day - ends_after > each.day:
            late[each.day][each.known_day, each.indicator][each.level] += each.n
    answer = []
    standing_then: defaultdict[tuple[Indicator, int], int] = defaultdict(int)
    standing_now: defaultdict[tuple[Indicator, int], int] = defaultdict(int)
    for number in range((last - eve).days + 1):
        day = eve + timedelta(days=number)
        indicators = {}
        for indicator in INDICATORS:
            for level in (1, 2):
                standing_then[indicator, level] += then[day, indicator, level]
                standing_now[indicator, level] += now[day, indicator, level]
            old = standing_then[indicator, 1], standing_then[indicator, 2]
            new = standing_now[indicator, 1], standing_now[indicator, 2]
            indicators[indicator] = Revised(
                _levels(*old), _levels(*new), _levels(new[0] - old[0], new[1] - old[1])
            )
        causes = [
            Late(known_day, indicator, _levels(by_level[1], by_level[2]))
            for (known_day, indicator), by_level in sorted(
                late[day].items(), key=lambda item: (item[0][0], INDICATORS.index(item[0][1]))
            )
            if any(by_level.values())
        ]
        answer.append(DayRevision(day, indicators, causes))
    return answer


def _levels(level_1: int, level_2: int) -> Levels:
    return Levels(level_1 + level_2, level_1, level_2)
