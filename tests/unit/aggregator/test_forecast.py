"""Forecasts: exact where the pace is even, honest where it isn't, the same each time."""

import math
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_aggregator.rules.backtest import History, Missed, Told, assess, origins, tell
from tiendo_aggregator.rules.calendar import Calendar, Holiday, Schedule
from tiendo_aggregator.rules.forecast import FAR, MEMORY, Pattern, TargetMet, forecast, outlook

FIRST = date(2023, 11, 11)  # a Saturday
FLAT = Calendar()
SCHEDULE = Schedule(FIRST, (1,) * 50)
#: Monday to Sunday.
WEEK = (120, 110, 100, 100, 130, 90, 50)


def weekly(number: int) -> list[int]:
    return [WEEK[(FIRST + timedelta(n)).weekday()] for n in range(number)]


def test_an_even_pace_goes_on_and_says_the_day() -> None:
    seen = outlook(SCHEDULE, FLAT, 50, [100] * 20, 2_500, 4_500, None)
    assert seen is not None
    assert (seen.final, seen.per_day, seen.days_seen) == (5_500, 100, 20)
    assert seen.weekday_percents == [100] * 7
    assert seen.low < 5_500 < seen.high
    assert seen.target_met is not None
    # Twenty days of 100 are missing after day 20.
    assert seen.target_met.expected == FIRST + timedelta(39)
    assert seen.target_met.earliest is not None
    assert seen.target_met.latest is not None
    assert seen.target_met.earliest <= FIRST + timedelta(39) <= seen.target_met.latest


def test_weekdays_have_their_pattern_the_more_so_the_more_weeks_were_seen() -> None:
    mean = sum(WEEK) / 7
    errors = []
    for weeks in (1, 3, 6):
        pattern = Pattern(SCHEDULE, FLAT, weekly(7 * weeks)).weekdays
        assert pattern[6] < 1 < pattern[4]
        errors.append(sum(abs(share - n / mean) for share, n in zip(pattern, WEEK, strict=True)))
    assert errors == sorted(errors, reverse=True)
    seen = outlook(SCHEDULE, FLAT, 50, weekly(42), 0, None, None)
    assert seen is not None
    rest = sum(weekly(50)) - sum(weekly(42))
    assert abs(seen.final - rest) < 0.05 * rest


def test_on_days_without_weight_nothing_is_expected() -> None:
    tet = tuple(Holiday(day=FIRST + timedelta(n), name="Tết") for n in range(20, 27))
    schedule = Schedule.of(Calendar(holidays=tet), FIRST, FIRST + timedelta(49))
    calendar = Calendar(holidays=tet)
    with_tet = forecast(schedule, calendar, [100] * 20, 30)
    assert with_tet is not None
    assert [step.more for step in with_tet.steps[:7]] == [0.0] * 7
    assert with_tet.steps[6].deviation == 0.0
    assert with_tet.steps[7].more > 0
    # What is to come after them stays what it was: 23 days instead of 30.
    seen = outlook(schedule, calendar, 50, [100] * 20, 0, None, None)
    assert seen is not None
    assert seen.final == 2_300


def test_recent_days_say_more_than_early_ones() -> None:
    slower = outlook(SCHEDULE, FLAT, 50, [200] * 15 + [100] * 15, 0, None, None)
    assert slower is not None
    assert 100 < slower.per_day < 125
    assert slower.final < 20 * 150


def test_too_few_days_or_none_left_say_nothing() -> None:
    assert outlook(SCHEDULE, FLAT, 50, [100] * 4, 400, 900, None) is None
    assert outlook(SCHEDULE, FLAT, 50, [100] * 5, 500, 900, None) is not None
    assert outlook(SCHEDULE, FLAT, 50, [100] * 50, 5_000, 9_000, None) is None
    assert outlook(SCHEDULE, FLAT, 50, [], 0, 9_000, None) is None


def test_where_nothing_is_done_nothing_is_forecast() -> None:
    seen = outlook(SCHEDULE, FLAT, 50, [0] * 20, 7, 900, None)
    assert seen is not None
    assert (seen.final, seen.low, seen.high, seen.per_day) == (7, 7, 7, 0)
    assert seen.target_met == TargetMet(None, None, None)


def test_no_more_than_the_eligible_can_be_reached_and_a_target_met_needs_no_day() -> None:
    seen = outlook(SCHEDULE, FLAT, 50, [100] * 20, 2_000, 1_900, 2_300)
    assert seen is not None
    assert (seen.final, seen.high, seen.target_met) == (2_300, 2_300, None)
    # More than were thought eligible are there already: that is not forecast away.
    beyond = outlook(SCHEDULE, FLAT, 50, [100] * 20, 2_000, None, 1_500)
    assert beyond is not None
    assert beyond.final == 2_000


def test_a_slow_unit_meets_its_target_after_the_campaign_or_not_within_a_year() -> None:
    late = outlook(SCHEDULE, FLAT, 50, [10] * 20, 200, 1_000, None)
    never = outlook(SCHEDULE, FLAT, 50, [10] * 20, 200, 200 + 10 * FAR + 1, None)
    assert late is not None
    assert late.target_met is not None
    assert late.target_met.expected == FIRST + timedelta(99)
    assert never is not None
    assert never.target_met is not None
    assert never.target_met.expected is None
    assert never.target_met.earliest is not None


series = st.lists(st.integers(-20, 500), min_size=5, max_size=60)


@given(series, st.integers(1, 40), st.lists(st.integers(0, 9), min_size=7, max_size=7).filter(any))
def test_the_deviation_is_that_of_exponential_smoothing(
    changes: list[int], days: int, weekdays: list[int]
) -> None:
    calendar = Calendar(weekday_weights=tuple(weekdays))
    schedule = Schedule.of(calendar, FIRST, FIRST + timedelta(99))
    seen = forecast(schedule, calendar, changes, days)
    if seen is None:
        return
    # The same by a loop in a loop: each day's error goes into its own day, and through the pace into those after it.
    shares = [seen.pattern(FIRST + timedelta(len(changes) + n)) for n in range(days)]
    past = [seen.pattern(FIRST + timedelta(n)) for n in range(len(changes))]
    alpha = 1 / sum(share * MEMORY**age for age, share in enumerate(reversed(past)))
    unit = [
        sum(shares[i] * (1 + alpha * sum(shares[i + 1 : end])) ** 2 for i in range(end))
        for end in range(1, days + 1)
    ]
    [scale] = {
        round(step.deviation**2 / each, 4) for step, each in zip(seen.steps, unit, strict=True) if each > 1e-6
    } or {0.0}
    assert scale >= 0
    assert [step.more for step in seen.steps] == pytest.approx(
        [seen.pace * sum(shares[:end]) for end in range(1, days + 1)]
    )


@given(series, st.integers(0, 10**6), st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6))
def test_whatever_was_seen_the_interval_holds_the_forecast_and_is_the_same_again(
    changes: list[int], value: int, target: int | None, ceiling: int | None
) -> None:
    seen = outlook(SCHEDULE, FLAT, 80, changes, value, target, ceiling)
    assert seen == outlook(SCHEDULE, FLAT, 80, list(changes), value, target, ceiling)
    if seen is not None:
        assert 0 <= seen.low <= seen.final <= seen.high
        assert ceiling is None or seen.high <= max(ceiling, value)
        days = seen.target_met
        if days is not None and days.expected is not None:
            assert days.earliest is not None
            assert days.earliest <= days.expected
            assert days.latest is None or days.expected <= days.latest


def test_four_of_five_intervals_hold_when_the_pace_wanders() -> None:
    chance = Random(3)
    held = total = 0
    for _ in range(200):
        level, changes = 100.0, []
        for n in range(50):
            level *= math.exp(chance.gauss(0, 0.05))
            weekday = WEEK[(FIRST + timedelta(n)).weekday()] / 100
            changes.append(max(0, round(chance.gauss(level * weekday, 0.15 * level * weekday))))
        for number in (10, 20, 30, 40):
            seen = outlook(SCHEDULE, FLAT, 50, changes[:number], sum(changes[:number]), None, None)
            assert seen is not None
            held += seen.low <= sum(changes) <= seen.high
            total += 1
    assert 0.7 < held / total < 0.95


def test_what_would_have_been_told_is_told_from_the_history_alone() -> None:
    history = History(1_000, [100] * 10)
    told = tell(SCHEDULE, FLAT, 50, history, 10_000, None)
    assert told is not None
    assert told.forecast == 6_000 == told.straight_line
    assert told.planned_pace == 2_000 + 9_000 - 1_800
    assert tell(SCHEDULE, FLAT, 50, History(0, [100] * 4), None, None) is None
    without = tell(SCHEDULE, FLAT, 30, History(0, [100] * 10), None, None)
    assert without is not None
    assert (without.forecast, without.planned_pace) == (3_000, None)
    # A baseline past the target owes nothing, so the plan adds nothing.
    past = tell(SCHEDULE, FLAT, 50, History(1_000, [1] * 10), 900, None)
    assert past is not None
    assert past.planned_pace == 1_010


def test_errors_and_coverage_are_told_exactly() -> None:
    told = {
        "p": Told(110, 90, 115, 130, 95),
        "a": Told(60, 55, 61, 70, 45),
        "b": Told(50, 40, 70, 60, 50),
    }
    origin = assess(
        10, FIRST, 40, told, {"p": 100, "a": 50, "b": 50}, {"p": 90, "a": 45, "b": 45}, "p", ["a", "b"]
    )
    assert origin.forecast == Missed(10, "11.1", "11.1")
    assert origin.planned_pace == Missed(30, "33.3", "33.3")
    assert origin.straight_line == Missed(-5, "-5.5", "5.5")
    assert (origin.interval_holds, origin.communes_inside, origin.coverage_percent) == (True, 1, "50.0")


def test_only_days_that_are_over_and_not_the_last_are_origins() -> None:
    assert origins(50, 27) == [10, 20]
    assert origins(50, 50) == [10, 20, 30, 40]
    assert origins(40, 40) == [10, 20, 30]
    assert origins(93, 10) == []
    assert origins(93, 0) == []
