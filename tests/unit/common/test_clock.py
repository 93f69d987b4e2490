"""Time and ids come from one place."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_common.clock import (
    DRIVEN_END,
    DRIVEN_EPOCH,
    VIETNAM,
    ClockWentBackwards,
    DrivenClock,
    WallClock,
    local_day,
    new_event_id,
    new_record_id,
)
from tiendo_common.errors import Invalid

moments = st.integers(0, 28_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2023-11-11T16:59:59+00:00", date(2023, 11, 11)),
        ("2023-11-11T17:00:00+00:00", date(2023, 11, 12)),
        ("2023-11-12T23:59:59+07:00", date(2023, 11, 12)),
        ("2023-11-12T00:00:00+07:00", date(2023, 11, 12)),
        ("2023-11-11T12:00:00-12:00", date(2023, 11, 12)),
    ],
)
def test_a_business_day_is_a_day_in_vietnam(moment: str, day: date) -> None:
    assert local_day(datetime.fromisoformat(moment)) == day


def test_the_wall_clock_goes_on_by_itself() -> None:
    clock = WallClock()
    now = clock.now()
    assert now.utcoffset() == timedelta(0)
    assert clock.today() in (local_day(now), local_day(now) + timedelta(days=1))
    assert not clock.driven


def test_a_driven_clock_stands_still_until_it_is_moved() -> None:
    clock = DrivenClock(DRIVEN_EPOCH)
    assert clock.driven
    clock.move_to(datetime(2023, 11, 12, 20, 0, tzinfo=VIETNAM))
    assert clock.now() == datetime(2023, 11, 12, 13, 0, tzinfo=UTC)
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.today() == date(2023, 11, 12)
    clock.move_to(datetime(2023, 11, 13, 0, 0, tzinfo=VIETNAM))
    assert clock.today() == date(2023, 11, 13)


@given(moments, moments)
def test_a_driven_clock_never_goes_back(one: datetime, other: datetime) -> None:
    clock = DrivenClock(one)
    if other < one:
        with pytest.raises(ClockWentBackwards) as caught:
            clock.move_to(other)
        assert caught.value.field == "now"
        assert clock.now() == one
    else:
        clock.move_to(other)
        assert clock.now() == other
        assert clock.today() == local_day(other)


@pytest.mark.parametrize("moment", [DRIVEN_END, datetime.max.replace(tzinfo=UTC)])
def test_a_driven_clock_does_not_go_where_there_are_no_days(moment: datetime) -> None:
    clock = DrivenClock(DRIVEN_EPOCH)
    with pytest.raises(Invalid) as caught:
        clock.move_to(moment)
    assert caught.value.field == "now"
    assert clock.now() == DRIVEN_EPOCH


def test_record_ids_say_nothing_and_event_ids_say_when() -> None:
    records = [new_record_id() for _ in range(100)]
    assert {UUID(record).version for record in records} == {4}
    events = [new_event_id() for _ in range(1000)]
    assert {UUID(event).version for event in events} == {7}
    assert len(set(events)) == 1000
    assert events[0][:8] <= events[-1][:8]
