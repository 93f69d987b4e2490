"""Ranks: who is how far, who met the target first, who moved."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import TypeVar

from tiendo_aggregator.rules.figures import cut_percent

KeyT = TypeVar("KeyT", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Runner:
    """A unit with its target and what stood at the end of each day from the eve of the campaign on."""

    code: str
    name: str
    target: int
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A unit's place. Ranks are by exact share of the target, 1 the best; equal shares share a rank, and as many ranks
    are left out after them. `percent` is cut at one decimal.

    `since_yesterday` and `since_last_week` are places won (negative: lost), as known now of those days; None if the
    campaign had not begun. `met_on` is the day from whose end on the target has been met without a break, the eve
    if it was met before the campaign; None: it isn't. `finished` is the place in the order of finish: by that day, of
    those who met it by the last day.
    """

    code: str
    name: str
    rank: int
    value: int
    target: int
    percent: str
    since_yesterday: int | None
    since_last_week: int | None
    met_on: date | None
    finished: int | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Units by rank, then code. `best` and `low` have those with the first and last places asked for, with all that
    tie; `finish` who met the target by the last day, first ones first. `unranked` have nothing to reach."""

    units: list[Ranked]
    best: list[str]
    low: list[str]
    finish: list[str]
    unranked: list[str]


def places(scores: Mapping[KeyT, T], *, best_first: bool) -> dict[KeyT, int]:
    """Each one's place, from 1, by score: equal scores share one, and the next has as many more as share it."""
    ordered = sorted(scores.values(), reverse=best_first)  # type: ignore[type-var]
    first: dict[T, int] = {}
    for place, score in enumerate(ordered, 1):
        first.setdefault(score, place)
    return {key: first[score] for key, score in scores.items()}


def ranking(runners: Iterable[Runner], eve: date, last_day: date, as_of: date, shown: int) -> Ranking:
    """The ranks at the end of `as_of`, which is `eve` or later: `ends` have a number for each day up to it."""
    runners = sorted(runners, key=lambda each: each.code)
    ranked = [each for each in runners if each.target > 0]
    now = (as_of - eve).days

    def shares(day: int) -> dict[str, Fraction]:
        return {each.code: Fraction(each.ends[day], each.target) for each in ranked}

    ranks = places(shares(now), best_first=True)
    from_below = places(shares(now), best_first=False)
    earlier = {back: places(shares(now - back), best_first=True) if now >= back else None for back in (1, 7)}

    def moved(code: str, back: int) -> int | None:
        before = earlier[back]
        return None if before is None else before[code] - ranks[code]

    met = {each.code: met_on(each.ends, each.target, eve) for each in ranked}
    finish = places(
        {code: day for code, day in met.items() if day is not None and day <= last_day}, best_first=False
    )
    units = [
        Ranked(
            each.code,
            each.name,
            ranks[each.code],
            each.ends[now],
            each.target,
            cut_percent(each.ends[now], each.target, 1) or "",
            moved(each.code, 1),
            moved(each.code, 7),
            met[each.code],
            finish.get(each.code),
        )
        for each in ranked
    ]
    units.sort(key=lambda each: (each.rank, each.code))
    return Ranking(
        units=units,
        best=[each.code for each in units if each.rank <= shown],
        low=[each.code for each in reversed(units) if from_below[each.code] <= shown],
        finish=sorted(finish, key=lambda code: (finish[code], code)),
        unranked=[each.code for each in runners if each.target <= 0],
    )


def met_on(ends: Sequence[int], target: int, eve: date) -> date | None:
    """The day from whose end on `target` was met without a break up to the last of `ends`, which begin with `eve`."""
    if ends[-1] < target:
        return None
    number = len(ends) - 1
    while number and ends[number - 1] >= target:
        number -= 1
    return eve + timedelta(days=number)
