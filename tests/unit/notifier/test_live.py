"""Units that report live: when nothing comes any more in working time."""

from datetime import date, datetime, time, timedelta

import pytest

from tests.support.pasts import past_with_work
from tiendo_notifier.rules.life import AT_REST, judge, telling
from tiendo_notifier.rules.messages import clears
from tiendo_notifier.rules.plan import Calendar, Figures, live_figures, usual_work
from tiendo_notifier.rules.policies import Document, in_force
from tiendo_notifier.rules.pulses import came, is_older
from tiendo_notifier.rules.rhythm import Rhythm, day_length, is_working, worked
from tiendo_notifier.rules.table import Condition, Severity, live_condition, live_severity
from tiendo_notifier.rules.thresholds import DEFAULTS

MONDAY = date(2023, 11, 13)
CALENDAR = Calendar(MONDAY, MONDAY + timedelta(days=20), (1, 1, 1, 1, 1, 0, 0) * 3)
TWO_SHIFTS = Rhythm(shifts=("07:30-11:30", "13:30-17:00"), reports="live")
NIGHT = Rhythm(shifts=("07:00-20:00", "19:00-02:00"), reports="live")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(MONDAY + timedelta(days=day), time(hour, minute))


def works(day: date) -> bool:
    return CALENDAR.works(CALENDAR.number(day)) if day in CALENDAR else True


@pytest.mark.parametrize(("rhythm", "begin", "end", "minutes"), [
    (TWO_SHIFTS, at(0, 8), at(0, 8, 20), 20),
    (TWO_SHIFTS, at(0, 11), at(0, 14), 60),  # the noon rest doesn't count
    (TWO_SHIFTS, at(0, 16, 50), at(1, 7, 40), 20),  # nor does the night
    (TWO_SHIFTS, at(4, 16, 50), at(7, 7, 40), 20),  # nor do rest days
    (TWO_SHIFTS, at(0, 12), at(0, 13), 0),
    (TWO_SHIFTS, at(0, 9), at(0, 8), 0),
    (NIGHT, at(0, 19), at(0, 21), 120),  # where shifts overlap it counts once
    (NIGHT, at(0, 23), at(1, 3), 180),  # a night shift goes past midnight
    (NIGHT, at(1, 1), at(1, 7, 30), 90),
])  # fmt: skip
def test_only_working_time_counts(rhythm: Rhythm, begin: datetime, end: datetime, minutes: int) -> None:
    assert worked(rhythm, begin, end, works) == timedelta(minutes=minutes)


def test_people_work_from_the_first_minute_of_a_shift_to_its_last() -> None:
    assert [is_working(TWO_SHIFTS, at(0, 7, minute), works) for minute in (29, 30)] == [False, True]
    assert not is_working(TWO_SHIFTS, at(0, 17), works)
    assert not is_working(TWO_SHIFTS, at(5, 9), works)
    assert is_working(NIGHT, at(1, 1, 59), works)
    assert (day_length(TWO_SHIFTS), day_length(NIGHT)) == (timedelta(hours=7.5), timedelta(hours=19))


def test_what_is_usual_is_taken_from_the_working_days_before() -> None:
    past = past_with_work([10, 20, 30, 40, 50, 999, 999, 60])
    assert usual_work(CALENDAR, 9, past) == (210, 6)
    assert usual_work(CALENDAR, 5, past) == (0, 0)  # four days say little
    assert usual_work(CALENDAR, 9, past_with_work([-10] * 8)) == (0, 6)


def silent(minutes: float, usual: int = 450, days: int = 1) -> Figures:
    """At a desk that works 450 minutes a day, in which `usual` citizens come."""
    return live_figures(
        CALENDAR,
        MONDAY,
        silent=timedelta(minutes=minutes),
        worked=timedelta(minutes=450 * days),
        usual=usual,
    )


@pytest.mark.parametrize(("seen", "condition", "severity"), [
    (silent(29.9), Condition.CLEAR, None),
    (silent(30), Condition.BAD, Severity.NOTICE),
    (silent(60), Condition.BAD, Severity.WARNING),
    (silent(120), Condition.BAD, Severity.CRITICAL),
    (silent(79, usual=23), Condition.CLEAR, None),  # 450 / 23 is 19.6, so one in 20 minutes
    (silent(80, usual=23), Condition.BAD, Severity.NOTICE),
    (silent(300, usual=0), Condition.SILENT, None),
])  # fmt: skip
def test_nothing_may_come_for_half_an_hour_or_four_usual_gaps(
    seen: Figures, condition: Condition, severity: Severity | None
) -> None:
    assert live_condition(seen, DEFAULTS) is condition
    if severity is not None:
        assert live_severity(seen, 1, DEFAULTS) is severity


def test_it_is_told_when_it_begins_when_it_worsens_and_when_something_comes() -> None:
    standing, told = AT_REST, []
    for minutes in (10, 30, 31, 60, 61, 0):
        standing, decision = judge(standing, silent(minutes), DEFAULTS, historical=False)
        if decision is not None:
            standing = telling(standing, decision)
            told.append(decision.tell)
    assert told == ["opened", None, "worsened", None, "resolved"]
    words = clears("opened", "stalled_live", "Xã Xốp", None, "live", MONDAY, silent(42))
    assert "đã 42 phút không có" in words.behind.vi
    assert "nothing has come for 42 minutes of working time" in words.behind.en


def test_a_day_begins_at_nothing_and_only_what_is_done_is_heard() -> None:
    assert not came([3, 4], [3, 4], same_day=True)
    assert came([3, 4], [3, 5], same_day=True)
    assert came([3, 4], [3, 3], same_day=True)  # a correction is work, too
    assert not came([3, 4], [0, 0], same_day=False)
    assert came([3, 4], [1, 0], same_day=False)


def test_totals_that_are_read_again_say_nothing() -> None:
    assert is_older(MONDAY, MONDAY, at(0, 9), at(0, 8))
    assert is_older(MONDAY, MONDAY - timedelta(days=1), at(0, 9), at(0, 10))
    assert not is_older(MONDAY, MONDAY, at(0, 9), at(0, 9))


def test_standing_still_is_judged_live_or_at_the_cut_off_and_never_twice() -> None:
    assert in_force([]).not_asked == ("stalled_live",)
    live = in_force([("", 1, Document(rhythm={"reports": "live"}, off=("at_risk",)))])
    assert (live.off, live.not_asked) == (("at_risk",), ("at_risk", "stalled"))
