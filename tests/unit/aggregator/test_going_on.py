"""Campaigns that go on after their last day."""

from datetime import date, datetime, time, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.campaigns import campaign
from tiendo_aggregator.rules.calendar import Calendar, catch_up
from tiendo_aggregator.rules.days import days_to_close, is_watched
from tiendo_aggregator.rules.going_on import GoingOn, Stop, check_going_on, stage
from tiendo_common.errors import Invalid

FIRST, LAST = date(2023, 12, 20), date(2023, 12, 31)
EVE = FIRST - timedelta(1)
OPEN = GoingOn(indicator="intake")
#: The day after a 29 February.
STOPPED = GoingOn(indicator="intake", stop=Stop(number="1/QĐ", signed_by="x", last_day=date(2024, 3, 1)))
CAMPAIGN = campaign(FIRST, LAST, going_on=OPEN)


def test_it_is_watched_until_a_week_after_it_was_stopped() -> None:
    stopped = msgspec.structs.replace(CAMPAIGN, going_on=STOPPED)
    assert is_watched(CAMPAIGN, date(2030, 1, 1))
    assert [is_watched(stopped, date(2024, 3, day)) for day in (1, 7, 8)] == [True, True, False]
    reached = datetime.combine(date(2024, 3, 20), time(22))
    assert days_to_close(stopped, FIRST, date(2024, 3, 5), reached) == [date(2024, 3, 6), date(2024, 3, 7)]
    assert days_to_close(CAMPAIGN, FIRST, date(2024, 3, 18), reached) == [
        date(2024, 3, 19),
        date(2024, 3, 20),
    ]


def test_no_later_day_has_a_quota_and_nothing_is_divided_by_no_days() -> None:
    schedule, later = CAMPAIGN.schedule, LAST + timedelta(40)
    assert (schedule.quota(1_000, later), schedule.planned(1_000, later)) == (0, 1_000)
    needed = catch_up(1_000, 900, schedule.after(later))
    assert (needed.remaining, needed.days_left, needed.per_day, needed.next_day) == (100, 0, None, None)


def test_a_decision_that_would_stop_it_before_it_goes_on_is_refused() -> None:
    check_going_on(STOPPED, LAST, Calendar(), ())
    with pytest.raises(Invalid) as refused:
        check_going_on(STOPPED, date(2024, 3, 1), Calendar(), ())
    assert refused.value.field == "going_on.stop.last_day"


@given(
    st.lists(st.integers(0, 12), min_size=14, max_size=30),
    st.dictionaries(st.integers(1, 29), st.integers(0, 12), max_size=3),
)
def test_it_is_full_since_the_day_from_which_nobody_was_missing(
    ends: list[int], exempted: dict[int, int]
) -> None:
    """Against days looked at one by one."""
    eligible = {EVE: 8} | {EVE + timedelta(n): number for n, number in exempted.items()}
    day = EVE + timedelta(len(ends) - 1)
    told = stage(OPEN, LAST, day, EVE, ends, eligible)
    number, since = 8, None
    for place, reached in enumerate(ends):
        number = exempted.get(place, number)
        since = None if reached < number else since if since is not None else place
    assert told.full_since == (None if since is None else EVE + timedelta(since))
    assert told.state == ("going_on" if since is None else "full")


def test_once_it_is_stopped_it_is_neither_full_nor_going_on() -> None:
    ends = [5] * 90
    day = EVE + timedelta(89)
    told = stage(STOPPED, LAST, day, EVE, ends, {EVE: 5})
    assert (told.state, told.full_since, told.stopped_on) == ("stopped", EVE, date(2024, 3, 1))
    assert (told.since, told.indicator) == (date(2024, 1, 1), "intake")
