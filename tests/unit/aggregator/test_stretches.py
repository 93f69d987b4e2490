"""The days after the last one of a campaign that says what each of them is to bring."""

from collections import Counter
from datetime import date, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.campaigns import campaign
from tiendo_aggregator.rules.calendar import Calendar, Holiday, Schedule
from tiendo_aggregator.rules.going_on import DailyQuota, GoingOn, Stop
from tiendo_aggregator.rules.stretches import brings, reaching, stretch_of, stretches

FIRST, LAST = date(2023, 12, 1), date(2023, 12, 30)
AFTER = LAST + timedelta(1)
DAILY = (DailyQuota(goal="intake", citizens=120),)
OPEN = campaign(FIRST, LAST, going_on=GoingOn(indicator="intake", daily=DAILY))


def stopped(day: date) -> GoingOn:
    return GoingOn(
        indicator="intake", daily=DAILY, stop=Stop(number="1/QĐ", signed_by="Chủ tịch", last_day=day)
    )


def test_four_weeks_follow_four_weeks_and_a_stop_cuts_the_last_one_short() -> None:
    short = msgspec.structs.replace(OPEN, going_on=stopped(date(2024, 2, 10)))
    told = [(each.id, each.first_day, each.last_day) for each in stretches(short, date(2030, 1, 1))]
    assert told == [
        ("going-on-1", AFTER, date(2024, 1, 27)),
        ("going-on-2", date(2024, 1, 28), date(2024, 2, 10)),
    ]
    assert [each.id for each in stretches(OPEN, date(2024, 1, 27))] == ["going-on-1"]
    assert stretches(OPEN, LAST) == []


def test_only_days_on_which_something_is_asked_are_in_a_stretch() -> None:
    silent = msgspec.structs.replace(OPEN, going_on=GoingOn(indicator="intake"))
    ended = msgspec.structs.replace(OPEN, going_on=None)
    over = msgspec.structs.replace(OPEN, going_on=stopped(AFTER))
    for plan, day in ((silent, AFTER), (ended, AFTER), (over, AFTER + timedelta(1)), (OPEN, LAST)):
        assert stretch_of(plan, day) is None


@given(st.integers(1, 3000))
def test_every_day_is_in_the_stretch_that_lasts_over_it(days: int) -> None:
    day = LAST + timedelta(days)
    found = stretch_of(OPEN, day)
    assert found is not None
    assert found.first_day <= day <= found.last_day
    assert found in stretches(OPEN, day)
    assert Counter(
        (found.first_day + timedelta(n)).weekday() for n in range((found.last_day - found.first_day).days + 1)
    ) == dict.fromkeys(range(7), 4)


def test_what_is_stated_is_of_the_heaviest_weekday_and_sums_exactly() -> None:
    [stretch] = stretches(OPEN, AFTER)
    assert brings(OPEN, stretch) == {"intake": 120 * 28}
    schedule = Schedule.of(OPEN.calendar, stretch.first_day, stretch.last_day)
    assert {schedule.quota(120 * 28, day) for day, _ in schedule.days()} == {120}
    half_saturdays = Calendar(
        weekday_weights=(2, 2, 2, 2, 2, 1, 0),
        holidays=(Holiday(day=date(2024, 1, 1), name="Tết Dương lịch"),),
    )
    uneven = msgspec.structs.replace(OPEN, calendar=half_saturdays)
    assert brings(uneven, stretch) == {"intake": 120 * 19 + 60 * 4}
    schedule = Schedule.of(half_saturdays, stretch.first_day, stretch.last_day)
    assert {weight: schedule.quota(120 * 19 + 60 * 4, day) for day, weight in schedule.days()} == {
        2: 120,
        1: 60,
        0: 0,
    }


def test_a_stretch_without_any_work_brings_nothing() -> None:
    sundays_off = Calendar(weekday_weights=(1, 1, 1, 1, 1, 1, 0))
    sunday = msgspec.structs.replace(OPEN, calendar=sundays_off, going_on=stopped(AFTER))
    [stretch] = stretches(sunday, AFTER)
    assert (stretch.first_day, stretch.last_day) == (AFTER, AFTER)
    assert brings(sunday, stretch) == {}


def test_nobody_is_asked_for_more_than_there_are() -> None:
    brought = {("01", "intake"): 50, ("02", "intake"): 50, ("03", "intake"): 50}
    eves = {("01", "intake"): 100, ("02", "intake"): 190, ("03", "intake"): 210}
    ceilings = {"intake": {"01": 200, "02": 200, "03": 200}}
    assert reaching(brought, eves, ceilings) == {
        ("01", "intake"): 150,
        ("02", "intake"): 200,
        ("03", "intake"): 210,
    }
