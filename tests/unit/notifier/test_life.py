"""The rules and the life of an incident: when it opens, worsens, closes, and when nobody is told."""

from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_notifier.rules.life import AT_REST, Decision, Standing, is_historical, judge
from tiendo_notifier.rules.plan import Calendar, Figures, figures
from tiendo_notifier.rules.table import DEFAULTS, RULES, Condition, Severity, pace_condition

FIRST = date(2023, 11, 1)
QUOTA, PACE = RULES["daily_quota_missed"], RULES["behind_pace"]


def day_of(number: int, *, done: int, value: int = 0, target: int = 5000, days: int = 50) -> Figures:
    calendar = Calendar(FIRST, FIRST + timedelta(days=days - 1))
    return figures(
        calendar, FIRST + timedelta(days=number - 1), target=target, baseline=0, value=value, done=done
    )


def missed(*done_by_day: int, historical: bool = False) -> list[Decision | None]:
    """The decisions on days with a quota of 100 each."""
    standing, decisions = AT_REST, []
    for number, done in enumerate(done_by_day, 1):
        standing, decision = judge(
            QUOTA, standing, day_of(number, done=done), DEFAULTS, historical=historical
        )
        decisions.append(decision)
    return decisions


def paced(percents: Iterable[float], standing: Standing = AT_REST) -> tuple[Standing, list[str | None]]:
    """The outcomes of closings at these shares of a plan of 10,000."""
    outcomes: list[str | None] = []
    for percent in percents:
        seen = day_of(25, done=0, value=round(percent * 100), target=20_000)
        assert seen.planned == 10_000
        standing, decision = judge(PACE, standing, seen, DEFAULTS, historical=False)
        outcomes.append(decision.outcome if decision else None)
    return standing, outcomes


def outcomes(decisions: Iterable[Decision | None]) -> list[str | None]:
    return [decision.outcome if decision else None for decision in decisions]


def test_the_first_missed_day_opens_and_a_met_one_closes() -> None:
    assert outcomes(missed(100, 99, 100, 250)) == [None, "opened", "closed", None]


def test_a_miss_that_is_no_worse_is_held_and_says_why() -> None:
    decisions = missed(80, 85)
    assert outcomes(decisions) == ["opened", "held"]
    assert decisions[1] is not None
    assert decisions[1].tell is None
    assert decisions[1].reason == "85 done of the day's quota of 100: 2 in a row, no worse than it was"


def test_it_worsens_with_the_shortfall_and_once_more_after_three_days_in_a_row() -> None:
    decisions = missed(80, 70, 80, 70, 80)
    assert outcomes(decisions) == ["opened", "worsened", "held", "worsened", "held"]
    assert [d and d.severity for d in decisions if d and d.tell] == [
        Severity.NOTICE, Severity.WARNING, Severity.CRITICAL,
    ]  # fmt: skip


def test_a_small_shortfall_is_a_notice_however_large_its_share() -> None:
    seen = day_of(1, done=0, target=250)
    assert (seen.quota, QUOTA.severity(seen, 1, DEFAULTS)) == (5, Severity.NOTICE)


def test_a_unit_that_reached_its_target_misses_nothing() -> None:
    _, decision = judge(QUOTA, AT_REST, day_of(9, done=0, value=5000), DEFAULTS, historical=False)
    assert decision is None


def test_a_pace_under_90_percent_opens_on_the_third_closing_in_a_row() -> None:
    assert paced([89.9, 89.9, 90, 89.9, 89.9, 89.9])[1] == ["held", "held", "held", "held", "held", "opened"]


def test_behind_pace_clears_at_95_percent() -> None:
    assert paced([80, 80, 80, 94.9, 95])[1] == ["held", "held", "opened", "held", "closed"]


@pytest.mark.parametrize(("target", "value", "condition"), [
    (100, 41, Condition.BETWEEN),  # 82% of plan, but 9 citizens
    (100, 40, Condition.BAD),
    (5000, 2240, Condition.BAD),
    (5000, 2251, Condition.BETWEEN),  # 90%
])  # fmt: skip
def test_a_gap_not_worth_a_call_calls_nobody(target: int, value: int, condition: Condition) -> None:
    assert pace_condition(day_of(25, done=0, value=value, target=target), DEFAULTS) is condition


def test_a_gap_under_one_percent_of_the_target_calls_nobody() -> None:
    seen = day_of(1, done=0, value=0, target=20_000, days=200)
    assert (seen.planned, seen.gap) == (100, 100)
    assert pace_condition(seen, DEFAULTS) is Condition.BETWEEN


@given(
    before=st.sampled_from([AT_REST, *(Standing(3, True, severity, True) for severity in Severity)]),
    percents=st.lists(st.floats(90, 94.99), max_size=40),
)
def test_a_pace_between_90_and_95_percent_never_moves_an_incident(
    before: Standing, percents: list[float]
) -> None:
    after, decided = paced(percents, before)
    assert after.open == before.open
    assert not {"opened", "worsened", "closed"} & set(decided)


@given(percents=st.lists(st.floats(0, 120), max_size=80))
def test_transitions_form_whole_lives_with_at_most_two_worsenings(percents: list[float]) -> None:
    _, decided = paced(percents)
    lives = "".join(step[0] for step in decided if step in ("opened", "worsened", "closed"))
    assert all(life in ("o", "ow", "oww") for life in lives.split("c")[:-1])
    assert lives.split("c")[-1] in ("", "o", "ow", "oww")


@given(done=st.lists(st.integers(0, 150), max_size=60), historical=st.booleans())
def test_a_day_that_decides_nothing_was_at_rest_before_and_after(done: list[int], historical: bool) -> None:
    standing = AT_REST
    for number, each in enumerate(done[:50], 1):
        before = standing
        standing, decision = judge(QUOTA, before, day_of(number, done=each), DEFAULTS, historical=historical)
        assert (decision is None) == (before == standing == AT_REST)


def test_the_past_is_judged_and_nobody_is_told() -> None:
    decisions = missed(50, 0, 100, historical=True)
    assert outcomes(decisions) == ["opened", "held", "closed"]
    assert not any(decision and decision.tell for decision in decisions)


def test_an_incident_from_the_past_is_told_once_it_is_still_bad_in_the_present() -> None:
    bad = day_of(2, done=0)
    standing, _ = judge(QUOTA, AT_REST, bad, DEFAULTS, historical=True)
    standing, told = judge(QUOTA, standing, bad, DEFAULTS, historical=False)
    standing, held = judge(QUOTA, standing, bad, DEFAULTS, historical=False)
    assert told is not None
    assert (told.outcome, told.tell) == ("worsened", "worsened")
    assert held is not None
    assert held.outcome == "held"


def test_an_incident_that_nobody_was_told_of_closes_in_silence() -> None:
    standing, _ = judge(QUOTA, AT_REST, day_of(1, done=0), DEFAULTS, historical=True)
    _, decision = judge(QUOTA, standing, day_of(2, done=100), DEFAULTS, historical=False)
    assert decision is not None
    assert (decision.outcome, decision.tell) == ("closed", None)


def test_three_days_ago_is_history_and_two_are_not() -> None:
    today = date(2023, 12, 7)
    assert not is_historical(date(2023, 12, 5), today)
    assert is_historical(date(2023, 12, 4), today)
    assert not is_historical(date(2023, 12, 8), today)
