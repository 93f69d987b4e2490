"""Quiet hours, digests, and when the level above is told."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from tiendo_common.errors import Invalid
from tiendo_notifier.rules.rhythm import (
    DEFAULT_RHYTHM,
    after_working_time,
    check_rhythm,
    is_quiet,
    next_digest,
    next_step,
)

MONDAY = date(2023, 11, 13)
LIVE = replace(DEFAULT_RHYTHM, reports="live")


def at(hour: int, minute: int = 0, day: date = MONDAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - local, as the rules have it


def every_day(_day: date) -> bool:
    return True


def no_sunday(day: date) -> bool:
    return day.weekday() != 6


@pytest.mark.parametrize(("hour", "minute", "quiet"), [
    (21, 29, False), (21, 30, True), (0, 0, True), (6, 29, True), (6, 30, False), (12, 0, False),
])  # fmt: skip
def test_quiet_hours_go_past_midnight(hour: int, minute: int, quiet: bool) -> None:
    assert is_quiet(DEFAULT_RHYTHM, at(hour, minute)) is quiet
    assert not is_quiet(replace(DEFAULT_RHYTHM, quiet=None), at(hour, minute))


def test_the_next_digest_is_the_next_of_the_day_or_the_first_of_the_morrow() -> None:
    assert next_digest(DEFAULT_RHYTHM, at(7, 29)) == at(7, 30)
    assert next_digest(DEFAULT_RHYTHM, at(7, 30)) == at(11, 30)
    assert next_digest(DEFAULT_RHYTHM, at(21)) == at(7, 30, MONDAY + timedelta(1))


def test_where_units_report_daily_the_step_comes_when_the_next_working_day_is_over() -> None:
    saturday = date(2023, 11, 18)
    assert next_step(DEFAULT_RHYTHM, at(21), every_day) == at(20, day=MONDAY + timedelta(1))
    assert next_step(DEFAULT_RHYTHM, at(21, day=saturday), no_sunday) == at(20, day=date(2023, 11, 20))
    assert next_step(DEFAULT_RHYTHM, at(21), lambda _day: False) is None
    # What a day that ends after midnight brings is news of that day.
    assert next_step(DEFAULT_RHYTHM, at(2, day=saturday), no_sunday) == at(20, day=saturday)
    assert next_step(DEFAULT_RHYTHM, at(6, day=saturday), no_sunday) == at(20, day=date(2023, 11, 20))


def test_where_they_are_live_it_comes_after_half_an_hour_of_working_time() -> None:
    assert next_step(LIVE, at(9), every_day) == at(9, 30)
    assert next_step(LIVE, at(19, 50), every_day) == at(7, 20, MONDAY + timedelta(1))
    assert next_step(LIVE, at(19, 50, date(2023, 11, 18)), no_sunday) == at(7, 20, date(2023, 11, 20))
    assert next_step(LIVE, at(19, 50), lambda _day: False) is None


def test_a_night_shift_belongs_to_the_day_on_which_it_begins() -> None:
    night = replace(LIVE, shifts=("19:00-02:00",))
    saturday, sunday = date(2023, 11, 18), date(2023, 11, 19)
    assert after_working_time(night, at(1, day=sunday), timedelta(minutes=30), no_sunday) == at(1, 30, sunday)
    assert after_working_time(night, at(1, 45, sunday), timedelta(minutes=30), no_sunday) == at(
        19, 15, date(2023, 11, 20)
    )
    assert next_step(replace(night, reports="daily"), at(12, day=date(2023, 11, 17)), no_sunday) == at(
        2, day=saturday + timedelta(1)
    )


@pytest.mark.parametrize(("changes", "field", "says"), [
    ({"shifts": ()}, "rhythm.shifts", "ever work"),
    ({"shifts": ("7-20",)}, "rhythm.shifts", "no time of day"),
    ({"shifts": ("07:00",)}, "rhythm.shifts", "no time of day"),
    ({"shifts": ("25:00-07:00",)}, "rhythm.shifts", "no time of day"),
    ({"quiet": "21:00-21:00"}, "rhythm.quiet", "no time at all"),
    ({"digests": ()}, "rhythm.digests", "ever get a digest"),
    ({"digests": ("22:00",)}, "rhythm.digests", "falls into the quiet hours"),
    ({"escalate_minutes": 0}, "rhythm.escalate_minutes", "no step"),
])  # fmt: skip
def test_a_rhythm_that_nobody_can_live_by_is_refused(
    changes: dict[str, object], field: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        check_rhythm(replace(DEFAULT_RHYTHM, **changes), where="here")  # type: ignore[arg-type]
    assert refused.value.field == field
    assert refused.value.remedy
