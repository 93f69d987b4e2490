"""What was said of late decides as all that was ever said does."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.pasts import past_of, past_with_work
from tiendo_notifier.errors import OutOfReach
from tiendo_notifier.rules.past import Day, Past, Revision
from tiendo_notifier.rules.plan import Calendar, figures, usual_work
from tiendo_notifier.rules.revisions import looked_at_again
from tiendo_notifier.rules.thresholds import Thresholds

FIRST, DAYS, TARGET = date(2023, 6, 20), 93, 930
CALENDAR = Calendar(FIRST, FIRST + timedelta(days=DAYS - 1))
LIMITS = Thresholds(start_percent=0, least_gap=1)
FEW = 8


def of_late(past: Past) -> Past:
    """What the database gives of it, were it fewer days: the newest, and as many before the stretch that idles."""
    near = past.days[-FEW:]
    idle_from = near[-1].idle_from
    far: Sequence[Day] = []
    if idle_from is not None:
        wanted = max(0, FEW - max(0, idle_from - near[0].number))
        before = [day for day in past.days if day.number < min(idle_from, near[0].number)]
        far = before[len(before) - min(wanted, len(before)) :]
    days = [*far, *near]
    late = [each for each in past.revised if each.by >= days[0].number]
    return Past(days, late, whole=len(near) < FEW)


work = st.lists(st.sampled_from([None, 0, 0, 0, -1, 4, 9, 10, 12]), min_size=1, max_size=40)
rest_days = st.sampled_from([(), (1, 1, 1, 1, 1, 0, 0), (1, 1, 0), (0, 1)])


@given(done=work, rests=rest_days, today=st.integers(-1, 20))
@example(done=[*[10] * 6, *[0] * 30], rests=(), today=0)
@example(done=[*[10] * 6, None, *[0] * 9], rests=(), today=0)
def test_figures_are_those_by_the_whole_past_or_it_is_said_that_they_look_further(
    done: list[int | None], rests: tuple[int, ...], today: int
) -> None:
    weights = tuple((rests * DAYS)[:DAYS])
    calendar = replace(CALENDAR, weights=weights if any(weights) else ())
    whole = past_with_work(done)
    if not whole.days:
        return
    number = len(done) + 1

    def seen(past: Past) -> object:
        day = FIRST + timedelta(days=number - 1)
        return figures(calendar, day, target=TARGET, baseline=0, value=5, done=today, past=past)

    for ask in (seen, lambda past: usual_work(calendar, number, past)):
        try:
            found = ask(of_late(whole))
        except OutOfReach:
            continue
        assert found == ask(whole)


@given(
    done=work,
    late=st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0, 9, 30, 930])), max_size=4),
)
def test_late_records_make_of_days_what_they_make_by_the_whole_past(
    done: list[int | None], late: list[tuple[int, int]]
) -> None:
    whole = past_with_work(done)
    if not whole.days:
        return
    by = len(done) + 1
    told = [Revision(by, number, work, 0, work) for number, work in late if number < by]

    def stands(past: Past) -> object:
        revised = past.and_revised(told)
        news = list(revised.revised[len(past.revised) :])
        return news, [looked_at_again(CALENDAR, each, by - 1, TARGET, LIMITS, ()) for each in (past, revised)]

    try:
        found = stands(of_late(whole))
    except OutOfReach:
        return
    assert found == stands(whole)


def test_a_stretch_that_idles_is_counted_whole_however_long_it_is() -> None:
    past = of_late(past_with_work([*[10] * 8, *[0] * 60]))
    assert len(past.days) == 2 * FEW
    seen = figures(
        CALENDAR, FIRST + timedelta(days=68), target=TARGET, baseline=0, value=80, done=0, past=past
    )
    assert (seen.idle_days, seen.usual, seen.usual_days) == (61, 80, FEW)


def test_a_rest_day_on_which_something_was_done_does_not_end_it() -> None:
    rest = 12
    calendar = replace(CALENDAR, weights=(*[1] * (rest - 1), 0, *[1] * (DAYS - rest)))
    past = past_with_work([*[10] * 8, 0, 0, 0, 5, 0])
    seen = figures(
        calendar, FIRST + timedelta(days=13), target=TARGET, baseline=0, value=85, done=0, past=past
    )
    assert (seen.idle_days, seen.usual, seen.usual_days) == (5, 80, 8)


def test_whoever_asks_for_a_day_that_is_not_at_hand_is_told_so() -> None:
    past = of_late(past_of([10 * n for n in range(1, 41)], [10] * 40))
    assert past.at(35) is not None
    assert past.at(41) is None
    with pytest.raises(OutOfReach):
        past.at(30)
    with pytest.raises(OutOfReach):
        past.and_revised([Revision(41, 30, 1, 0, 1)])
    idle = of_late(past_with_work([*[10] * 20, *[0] * 20]))
    assert (idle.at(20), idle.at(40)) != (None, None)
    with pytest.raises(OutOfReach):
        idle.at(30)


def test_nothing_was_said_of_a_day_that_is_missing() -> None:
    past = past_of([10, None, 30])
    assert [past.at(number) is None for number in (1, 2, 3, 4)] == [False, True, False, True]
