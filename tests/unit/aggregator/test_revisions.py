"""Two times: what was true when, as known when."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from tests.support.two_times import FIRST, UNITS, Fact, counted, events, facts
from tiendo_aggregator.rules.counting import INDICATORS, RESIDENCE, Counted, fold, totals
from tiendo_aggregator.rules.revisions import Change, Late, Levels, day_revisions

EVE = FIRST - timedelta(1)
LAST = FIRST + timedelta(9)
days = st.integers(-4, 15).map(lambda number: FIRST + timedelta(number))


def cells(accepted: Sequence[Fact]) -> dict[tuple[str, int, date, date, int, int], int]:
    """The counters after all of it."""
    return totals(fold([cast(Counted, each.event) for each in events(accepted)]))


def changes(accepted: Sequence[Fact], as_of: date, known_at: date) -> list[Change]:
    """As the table is read."""
    sums: Counter[tuple[date, date, int, int]] = Counter()
    for (_, attribution, day, known, indicator, level), n in cells(accepted).items():
        if attribution == RESIDENCE and day <= as_of and known <= known_at:
            sums[max(day, EVE), known, indicator, level] += n
    return [
        Change(day, known, INDICATORS[indicator], level, n)
        for (day, known, indicator, level), n in sums.items()
        if n
    ]


@given(facts(), days, days)
def test_counters_cut_at_a_known_day_say_what_the_records_said_then(
    accepted: list[Fact], as_of: date, known_at: date
) -> None:
    sums: Counter[tuple[str, int, int, int]] = Counter()
    for (unit, attribution, day, known, place, level), n in cells(accepted).items():
        if day <= as_of and known <= known_at:
            sums[unit, attribution, place, level] += n
    for attribution in (0, 1):
        for place, indicator in enumerate(INDICATORS):
            for level in (1, 2):
                for unit in UNITS:
                    assert sums[unit, attribution, place, level] == counted(
                        accepted, indicator, level, [unit], as_of, known_at, collecting=attribution == 1
                    )


@given(facts(), days, st.sampled_from([timedelta(0), timedelta(1)]))
def test_each_closed_day_is_as_known_at_its_end_and_as_known_later(
    accepted: list[Fact], known_at: date, ends_after: timedelta
) -> None:
    for each in day_revisions(EVE, LAST, changes(accepted, LAST, known_at), ends_after=ends_after):
        end = each.day + ends_after
        assert all(late.known_day > end for late in each.late)
        for indicator, revised in each.indicators.items():
            for levels, known in ((revised.then, min(end, known_at)), (revised.now, known_at)):
                one, two = (counted(accepted, indicator, n, UNITS, each.day, known) for n in (1, 2))
                assert levels == Levels(one + two, one, two)
            assert revised.change.value == revised.now.value - revised.then.value


@given(facts())
def test_what_came_late_to_each_day_sums_to_what_was_missing_in_the_end(accepted: list[Fact]) -> None:
    known_at = LAST + timedelta(6)
    found = day_revisions(EVE, LAST, changes(accepted, LAST, known_at))
    for indicator in INDICATORS:
        # All that was known after LAST, and what became known in between, each to its own day.
        late = sum(
            each.change.value for day in found for each in day.late if each.indicator == indicator
            and each.known_day > LAST
        )  # fmt: skip
        assert late == found[-1].indicators[indicator].change.value


def test_a_late_upgrade_changes_the_levels_and_not_the_count() -> None:
    third = FIRST + timedelta(2)
    found = day_revisions(
        EVE,
        LAST,
        [
            Change(FIRST, FIRST, "intake", 1, 1),
            Change(third, third + timedelta(2), "intake", 1, -1),
            Change(third, third + timedelta(2), "intake", 2, 1),
        ],
    )
    by_day = {each.day: each for each in found}
    assert by_day[third].late == [Late(third + timedelta(2), "intake", Levels(0, -1, 1))]
    assert by_day[third + timedelta(1)].indicators["intake"].change == Levels(0, -1, 1)
    assert by_day[third + timedelta(2)].indicators["intake"].change == Levels(0, 0, 0)
    assert not any(each.late for day, each in by_day.items() if day != third)


def test_what_is_late_of_the_days_before_revises_the_baseline() -> None:
    [eve, *after] = day_revisions(EVE, LAST, [Change(EVE, FIRST + timedelta(1), "activated", 2, 5)])
    assert eve.indicators["activated"].change.value == 5
    assert after[0].indicators["activated"].change.value == 5
    assert after[1].indicators["activated"].change.value == 0
    assert eve.indicators["intake"].now == Levels(0, 0, 0)
