"""Shares of what a unit did of late, beside what they usually are there.

What is counted is published as it adds up from the campaign's first day on. So what lies between two closings has
everything that became known in between, also what had happened before: teams send late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tiendo_notifier.errors import OutOfReach

#: Of late is so many days back, usual what was in so many days before those.
RECENT_DAYS, USUAL_DAYS = 3, 14
#: The name of the whole among the kinds that it has.
ALL = "all"

Tally = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """One kind's part in all there was: `recent` of `recent_all` of late, `usual` of `usual_all` before."""

    kind: str
    recent: int
    recent_all: int
    usual: int
    usual_all: int


class TallyDay(NamedTuple):
    """How it had added up by the end of the day of this number, from the campaign's first one on."""

    number: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class Tallies:
    """The days of which a closing said how it had added up, in their order: the `whole` past, or what was said last."""

    days: Sequence[TallyDay] = ()
    whole: bool = True

    def at(self, number: int) -> Tally:
        """By the end of the day of this number, from 1, or of the last one before it of which it is known. Before the
        campaign there was nothing. Raises OutOfReach."""
        for day in reversed(self.days):
            if day.number <= number:
                return day.tally
        if not self.whole:
            raise OutOfReach
        return {}

    def before(self, number: int) -> "Tallies":
        """What was known before the day of this number was closed."""
        return replace(self, days=[day for day in self.days if day.number < number])

    def and_then(self, number: int, tally: Tally) -> "Tallies":
        """The same and the day of this number, which is after those that are known."""
        return replace(self, days=[*self.days, TallyDay(number, tally)])


#: Of what nothing was said yet.
NO_TALLIES = Tallies()


def parts(past: Tallies, number: int, now: Tally) -> tuple[Part, ...]:
    """Each kind that there ever was, on the day of this number."""
    middle = past.at(number - RECENT_DAYS)
    start = past.at(number - RECENT_DAYS - USUAL_DAYS)

    def between(begin: Tally, end: Tally, kind: str) -> int:
        # What is taken back is no attempt less.
        return max(0, end.get(kind, 0) - begin.get(kind, 0))

    return tuple(
        Part(
            kind,
            between(middle, now, kind),
            between(middle, now, ALL),
            between(start, middle, kind),
            between(start, middle, ALL),
        )
        for kind in now
        if kind != ALL
    )
