"""What closings said before, as far as a judgement looks back.

A judge has at hand what was said of late, not the whole campaign: what a day's judging takes doesn't grow with its
days. Whoever looks further back hears so (`OutOfReach`), and the judgement begins anew with all that was ever said.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tiendo_notifier.errors import OutOfReach


class Revision(NamedTuple):
    """What late records made of a day of this number, as the closing `by` a later day told it. Numbers are from 1; the
    one of `by` may be past the campaign's last."""

    by: int
    number: int
    reached: int
    baseline: int
    done: int


class Day(NamedTuple):
    """What the closing of the day of this number (from 1) said of a target: what was `reached` by its end, the work
    `done` on it, the `baseline` as it was known then, what was `expected` of the last day (final, high; None: there was
    no forecast), and the `target` if the closing named it, as it does of a narrowed goal.

    `idle_from`: from the day of that number on up to this one, none of which is missing, nothing was done (None:
    something was).

    Of a report: `reached` is 1 if it came, and it had not on `done` days in a row.
    """

    number: int
    reached: int
    done: int
    baseline: int
    expected: tuple[int, int] | None = None
    target: int | None = None
    idle_from: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """The `days` of which a closing said something, in their order, as it was said then. What was `revised` since
    stands beside it, in the order in which it was told: so it can be seen what was known when.

    It is the `whole` past, or what was said last: the newest days, and of a unit that idles also those before it did.
    """

    days: Sequence[Day] = ()
    revised: Sequence[Revision] = ()
    whole: bool = True

    def at(self, number: int) -> Day | None:
        """What was said of the day of this number; None: nothing. Raises OutOfReach."""
        place = bisect_left(self.days, number, key=_number)
        later = self.days[place] if place < len(self.days) else None
        if later is not None and later.number == number:
            return later
        # Days within an idle stretch may be left out.
        left_out = later is not None and later.idle_from is not None and later.idle_from <= number
        if not self.whole and (place == 0 or left_out):
            raise OutOfReach
        return None

    def before(self, number: int) -> "Past":
        """What was known before the day of this number was closed."""
        days = self.days[: bisect_left(self.days, number, key=_number)]
        return replace(self, days=days, revised=[each for each in self.revised if each.by < number])

    def and_revised(self, told: Sequence[Revision]) -> "Past":
        """The same with what one closing told, where that is new. A closing from before the one that was heard last
        says nothing any more. Raises OutOfReach."""
        if self.revised and any(each.by < self.revised[-1].by for each in told):
            return self
        known = self.corrected()
        news = [
            each
            for each in told
            if (day := known.at(each.number)) is not None
            and (each.reached, each.baseline, each.done) != (day.reached, day.baseline, day.done)
        ]
        return replace(self, revised=[*self.revised, *news]) if news else self

    def corrected(self) -> "Past":
        """The days as they are known by now."""
        if not self.revised:
            return self
        now = {each.number: each for each in self.revised}
        days = [
            day._replace(reached=each.reached, baseline=each.baseline, done=each.done)
            if (each := now.get(day.number))
            else day
            for day in self.days
        ]
        return replace(self, days=days, revised=())

    def last_named(self, through: int) -> int:
        """The target that the last closing up to the day of this number named (0: none did). Raises OutOfReach."""
        for number in range(through, 0, -1):
            day = self.at(number)
            if day is not None and day.target:
                return day.target
        return 0

    def and_then(self, day: Day) -> "Past":
        """The same and one day more."""
        return replace(self, days=[*self.days, day])

    def next_day(
        self,
        number: int,
        reached: int,
        done: int,
        baseline: int,
        expected: tuple[int, int] | None = None,
        target: int | None = None,
    ) -> Day:
        """What a closing says of a day after all that are known."""
        idle_from = None
        if done <= 0:
            last = self.days[-1] if self.days else None
            goes_on = last is not None and last.number == number - 1
            idle_from = (last.idle_from if last is not None and goes_on else None) or number
        return Day(number, reached, done, baseline, expected, target, idle_from)


#: Of what nothing was said yet.
NO_PAST = Past()


def _number(day: Day) -> int:
    return day.number
