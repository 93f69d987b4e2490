"""Shares of what a unit did of late, beside what they usually are there.

What is counted is published as it adds up from the campaign's first day on. So what lies between two closings has
everything that became known in between, also what had happened before: teams send late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Tallies:
    """How it had added up by the end of each day from the campaign's first one on; None: no closing said so."""

    days: Sequence[Tally | None] = ()

    def at(self, number: int) -> Tally:
        """By the end of the day of this number, from 1, or of the last one before it of which it is known. Before the
        campaign there was nothing."""
        known = (each for each in reversed(self.days[: max(0, number)]) if each is not None)
        return next(known, {})

    def and_then(self, number: int, tally: Tally) -> "Tallies":
        """The same and the day of this number, which is none of those that are known."""
        return Tallies([*self.days, *[None] * (number - 1 - len(self.days)), tally])


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
