"""The calendar: quotas that sum exactly, whatever the weights."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_aggregator.rules.calendar import (
    MAX_DAYS,
    Calendar,
    Holiday,
    Schedule,
    catch_up,
    catch_up_quotas,
    check_calendar,
    quotas,
)
from tiendo_common.errors import Invalid

FIRST, LAST = date(2023, 11, 11), date(2023, 12, 30)
KON_TUM = Schedule.of(Calendar(), FIRST, LAST)
weights = st.lists(st.integers(0, 1000), min_size=1, max_size=120).filter(any)


@given(st.integers(0, 10**8), weights)
def test_quotas_sum_exactly_and_no_day_is_a_whole_one_off_its_share(total: int, shares: list[int]) -> None:
    each = quotas(total, shares)
    assert sum(each) == total
    whole = sum(shares)
    for quota, share, so_far, planned in zip(each, shares, accumulate(shares), accumulate(each), strict=True):
        assert abs(quota - Fraction(total * share, whole)) < 1
        assert 0 <= Fraction(total * so_far, whole) - planned < 1
        assert quota >= 0
        assert share or not quota


@given(st.integers(0, 10**8), weights, st.integers(-3, 125))
def test_what_is_planned_by_a_day_is_the_sum_of_the_quotas_up_to_it(
    owed: int, shares: list[int], number: int
) -> None:
    schedule = Schedule(FIRST, tuple(shares))
    day = FIRST + timedelta(number)
    each = quotas(owed, shares)
    assert schedule.planned(owed, day) == sum(each[: max(0, number + 1)])
    assert schedule.quota(owed, day) == (each[number] if 0 <= number < len(each) else 0)


@given(st.integers(0, 10**7), st.integers(0, 10**7), weights, st.integers(0, 120))
def test_doing_what_each_day_left_needs_reaches_the_target_exactly(
    target: int, value: int, shares: list[int], over: int
) -> None:
    left = Schedule(FIRST, tuple(shares)).after(FIRST + timedelta(over - 1))
    needed = catch_up(target, value, left)
    assert needed.remaining == max(0, target - value)
    assert needed.days_left == sum(weight > 0 for weight in shares[over:])
    each = catch_up_quotas(needed.remaining, left)
    if needed.days_left:
        assert value + sum(quota for _, quota in each) == max(target, value)
        assert [day for day, _ in each] == [FIRST + timedelta(n) for n in range(over, len(shares))]
        assert needed.next_day == each[0][1]
        assert needed.per_day is not None
        assert needed.per_day * needed.days_left >= needed.remaining
        assert not needed.remaining or (needed.per_day - 1) * needed.days_left < needed.remaining
    else:
        assert (needed.per_day, needed.next_day, each) == (None if needed.remaining else 0, None, [])


def test_kon_tum_needs_6641_activations_on_each_of_its_last_23_days() -> None:
    left = KON_TUM.after(date(2023, 12, 7))
    needed = catch_up(335_512, 182_769, left)
    assert (needed.remaining, needed.days_left, needed.per_day) == (152_743, 23, 6_641)
    assert catch_up_quotas(152_743, left) == [(date(2023, 12, 8) + timedelta(n), 6_641) for n in range(23)]


def test_each_day_has_the_weight_of_its_weekday_unless_it_is_a_holiday() -> None:
    calendar = Calendar(
        weekday_weights=(2, 2, 2, 2, 2, 1, 0),
        holidays=(
            Holiday(day=date(2024, 2, 9), name="Giao thừa"),
            Holiday(day=date(2024, 2, 11), name="a Sunday on which work goes on", weight=3),
        ),
    )
    schedule = Schedule.of(calendar, date(2024, 2, 8), date(2024, 2, 12))
    assert schedule.weights == (2, 0, 1, 3, 2)  # Thursday to Monday
    assert quotas(16, schedule.weights) == [4, 0, 2, 6, 4]
    assert not schedule.flat
    assert KON_TUM.flat


def test_a_campaign_goes_over_a_new_year_and_a_leap_day() -> None:
    schedule = Schedule.of(Calendar(), date(2023, 12, 15), date(2024, 3, 1))
    assert len(schedule.weights) == 78
    assert schedule.planned(780, date(2023, 12, 31)) == 170
    assert schedule.planned(780, date(2024, 2, 29)) == 770
    assert schedule.number(date(2024, 2, 29)) - schedule.number(date(2024, 2, 28)) == 1


def test_each_fault_of_a_calendar_is_named_with_its_field() -> None:
    tet = Holiday(day=date(2023, 12, 1), name="Tết")
    everyday = tuple(Holiday(day=FIRST + timedelta(n), name="closed") for n in range(50))
    for field, calendar in [
        ("calendar", Calendar(weekday_weights=(0,) * 7)),
        ("calendar", Calendar(holidays=everyday)),
        ("calendar.holidays.1.day", Calendar(holidays=(tet, tet))),
        ("calendar.holidays.0.day", Calendar(holidays=(Holiday(day=date(2023, 12, 31), name="x"),))),
        ("calendar.holidays.0.day", Calendar(holidays=(Holiday(day=date(2023, 11, 10), name="x"),))),
    ]:
        with pytest.raises(Invalid) as refused:
            check_calendar(calendar, FIRST, LAST, LAST)
        assert refused.value.field == field
        assert refused.value.remedy
    with pytest.raises(Invalid, match="1,101 days") as refused:
        check_calendar(Calendar(), FIRST, FIRST + timedelta(MAX_DAYS), None)
    assert refused.value.field == "last_day"
    check_calendar(Calendar(holidays=everyday[1:]), FIRST, FIRST + timedelta(MAX_DAYS - 1), LAST)
    # Where something is asked of later days, they may be holidays.
    for until in (date(2024, 2, 10), None):
        check_calendar(Calendar(holidays=(Holiday(day=date(2024, 2, 10), name="Tết"),)), FIRST, LAST, until)


def test_a_weekend_campaign_needs_a_weight_on_the_weekend() -> None:
    working_week = Calendar(weekday_weights=(1, 1, 1, 1, 1, 0, 0))
    with pytest.raises(Invalid) as refused:
        check_calendar(working_week, date(2023, 11, 11), date(2023, 11, 12), None)
    assert "Saturday, Sunday" in str(refused.value.remedy)
    check_calendar(working_week, date(2023, 11, 11), date(2023, 11, 13), None)
