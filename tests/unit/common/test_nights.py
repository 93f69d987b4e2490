"""Nights belong to the day before them: when a campaign's days end, and which one goes on."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_common.errors import Invalid
from tiendo_common.nights import NIGHT_ENDS, DayEnd, check_day_end

D = date(2023, 11, 11)
EVENING = DayEnd(time(21))
NIGHT = DayEnd(time(2), after_midnight=True)
ends = st.one_of(
    st.times().map(DayEnd),
    st.times(max_value=NIGHT_ENDS).map(lambda hour: DayEnd(hour, after_midnight=True)),
)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(D + timedelta(day), time(hour, minute))


@pytest.mark.parametrize(("end", "moment", "over", "goes_on"), [
    (EVENING, at(0, 20, 59), -1, 0),
    (EVENING, at(0, 21), 0, 0),  # what comes after the cut-off is of the same day
    (EVENING, at(1, 0), 0, 1),
    (NIGHT, at(0, 21), -1, 0),
    (NIGHT, at(1, 0, 40), -1, 0),
    (NIGHT, at(1, 1, 59), -1, 0),
    (NIGHT, at(1, 2), 0, 1),
    (DayEnd(time(0), after_midnight=True), at(1, 0), 0, 1),
    (DayEnd(NIGHT_ENDS, after_midnight=True), at(1, 5, 59), -1, 0),
])  # fmt: skip
def test_a_day_ends_at_its_cut_off_on_its_date_or_after_midnight(
    end: DayEnd, moment: datetime, over: int, goes_on: int
) -> None:
    assert end.last_over(moment) == D + timedelta(over)
    assert end.going_on(moment) == D + timedelta(goes_on)


@given(ends, st.datetimes(at(-2000, 0), at(2000, 0)))
def test_days_end_one_after_the_other_and_one_of_them_goes_on(end: DayEnd, moment: datetime) -> None:
    over, goes_on = end.last_over(moment), end.going_on(moment)
    assert end.of(over) <= moment < end.of(over + timedelta(1))
    assert goes_on - over in (timedelta(0), timedelta(1))
    # Between midnight and the end of the night no day of such a campaign begins.
    if end.after_midnight:
        assert goes_on == over + timedelta(1)
    else:
        assert goes_on == moment.date()


def test_days_that_would_end_in_the_morning_are_refused() -> None:
    for fine in (EVENING, NIGHT, DayEnd(time(2)), DayEnd(NIGHT_ENDS, after_midnight=True)):
        check_day_end(fine)
    with pytest.raises(Invalid, match="06:01") as refused:
        check_day_end(DayEnd(time(6, 1), after_midnight=True))
    assert (refused.value.field, refused.value.remedy is None) == ("day_cut_off", False)


def test_a_day_that_would_be_final_as_it_begins_is_refused() -> None:
    check_day_end(DayEnd(time(0), after_midnight=True))
    with pytest.raises(Invalid, match="a day begins") as refused:
        check_day_end(DayEnd(time(0)))
    assert (refused.value.field, "true" in (refused.value.remedy or "")) == ("day_cut_off", True)
