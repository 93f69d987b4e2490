"""How wrong the forecast would have been: told on earlier days, from what was known on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.calendar import Calendar, Schedule
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.forecast import outlook

#: The days of a campaign, from 1, at whose end it is forecast.
ORIGINS = (10, 20, 30, 40)


@dataclass(frozen=True, slots=True)
class History:
    """What was known of a unit at the end of an origin: its count on the eve, and each day's net change up to it."""

    baseline: int
    changes: Sequence[int]

    @property
    def value(self) -> int:
        return self.baseline + sum(self.changes)


@dataclass(frozen=True, slots=True)
class Told:
    """What each way of forecasting said of one unit, rounded, and the forecast's 80% interval."""

    forecast: int
    low: int
    high: int
    planned_pace: int | None
    straight_line: int


@dataclass(frozen=True, slots=True)
class Missed:
    """How far a way of forecasting was off.

    `error` is of the unit asked for: forecast − actual, in citizens; `error_percent` is of what the campaign brought
    it, cut at one decimal. `communes_percent` sums the communes' errors without sign, as a share of what it brought
    them.
    """

    error: int
    error_percent: str | None
    communes_percent: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """The back-test of one day. `interval_holds`: whether the actual figure of the unit lay in its 80% interval;
    `communes_inside` of `communes` did in theirs, `coverage_percent` cut at one decimal."""

    number: int
    day: date
    days_ahead: int
    told: Told
    actual: int
    forecast: Missed
    planned_pace: Missed | None
    straight_line: Missed
    interval_holds: bool
    communes: int
    communes_inside: int
    coverage_percent: str | None


def tell(
    schedule: Schedule,
    calendar: Calendar,
    through: int,
    history: History,
    target: int | None,
    ceiling: int | None,
) -> Told | None:
    """What would have been said of day `through` (from 1) on the last day of `history`; None: nothing, it was too
    early. Planned pace: from there on as planned. Straight line: from there on as on average since the first day."""
    number = len(history.changes)
    said = outlook(schedule, calendar, through, history.changes, history.value, None, ceiling)
    if said is None:
        return None
    planned = None
    if target is not None:
        owed, whole = max(0, target - history.baseline), sum(schedule.weights)
        planned = history.value + (
            owed * sum(schedule.weights[:through]) // whole - owed * sum(schedule.weights[:number]) // whole
        )
    straight = history.value + round((history.value - history.baseline) * (through - number) / number)
    return Told(said.final, said.low, said.high, planned, straight)


def assess(
    number: int,
    day: date,
    days_ahead: int,
    told: Mapping[str, Told],
    actual: Mapping[str, int],
    brought: Mapping[str, int],
    root: str,
    communes: Sequence[str],
) -> Origin:
    """Hold what was told of `root` and its communes against what came; `brought` is what the campaign did by then."""
    planned = {code: each.planned_pace for code, each in told.items() if each.planned_pace is not None}

    def missed(said: Mapping[str, int]) -> Missed:
        error = said[root] - actual[root]
        off = sum(abs(said[code] - actual[code]) for code in communes)
        return Missed(
            error,
            cut_percent(error, brought[root], 1),
            cut_percent(off, sum(brought[code] for code in communes), 1),
        )

    def inside(code: str) -> bool:
        return told[code].low <= actual[code] <= told[code].high

    held = sum(inside(code) for code in communes)
    return Origin(
        number=number,
        day=day,
        days_ahead=days_ahead,
        told=told[root],
        actual=actual[root],
        forecast=missed({code: each.forecast for code, each in told.items()}),
        planned_pace=missed(planned) if len(planned) == len(told) else None,
        straight_line=missed({code: each.straight_line for code, each in told.items()}),
        interval_holds=inside(root),
        communes=len(communes),
        communes_inside=held,
        coverage_percent=cut_percent(held, len(communes), 1),
    )


def origins(length: int, through: int) -> list[int]:
    """The origins of a campaign of `length` days of which `through` are over: those with a day after them to tell."""
    return [number for number in ORIGINS if number < min(length, through)]
