"""Which days are watched and which are due to be closed."""

from datetime import date, datetime, time, timedelta

from tests.support.campaigns import campaign
from tiendo_aggregator.rules.days import days_to_close, is_watched
from tiendo_aggregator.rules.plan import Campaign

D = date(2023, 11, 11)
CAMPAIGN = campaign(D, D + timedelta(2))


def due(
    day: int, hour: int, *, closed: int | None = None, known: int = -9, of: Campaign = CAMPAIGN
) -> list[int]:
    """Days to close, counted from the first day."""
    reached = datetime.combine(D + timedelta(day), time(hour))
    through = None if closed is None else D + timedelta(closed)
    return [(each - D).days for each in days_to_close(of, D + timedelta(known), through, reached)]


def test_a_day_is_due_from_its_cut_off() -> None:
    assert due(0, 20) == []
    assert due(0, 21) == [0]
    assert due(1, 0) == [0]


def test_a_day_that_ends_after_midnight_is_due_when_its_last_shift_is_over() -> None:
    night = campaign(D, D + timedelta(2), day_cut_off=time(2), days_end_after_midnight=True)
    assert due(0, 23, of=night) == due(1, 1, of=night) == []
    assert due(1, 2, of=night) == due(2, 1, of=night) == [0]
    assert due(300, 12, closed=8, of=night) == []


def test_a_closed_day_is_not_due_again() -> None:
    assert due(0, 22, closed=0) == []
    assert due(1, 21, closed=0) == [1]


def test_days_that_were_jumped_over_are_due_in_order() -> None:
    assert due(3, 12) == [0, 1, 2]
    assert due(3, 12, closed=0) == [1, 2]


def test_closings_go_on_for_a_week_and_end() -> None:
    assert due(300, 12, closed=1) == [2, 3, 4, 5, 6, 7, 8]
    assert due(300, 12, closed=8) == []


def test_days_before_the_campaign_was_known_are_never_closed() -> None:
    assert due(2, 22, known=1) == [1, 2]
    assert due(300, 12, known=200) == []


def test_nothing_is_due_before_the_campaign() -> None:
    assert due(-30, 22) == []


def test_a_campaign_is_watched_until_a_week_after_its_last_day() -> None:
    days = [n for n in range(-20, 40) if is_watched(CAMPAIGN, D + timedelta(n))]
    assert days == list(range(9))
