"""The rules and the life of an incident: when it opens, worsens, is resolved, and when nobody is told."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pasts import past_of, past_with_work
from tiendo_notifier.rules.life import AT_REST, Decision, Standing, is_historical, judge, telling
from tiendo_notifier.rules.past import NO_PAST, Day, Past
from tiendo_notifier.rules.plan import Calendar, Figures, figures, report_figures
from tiendo_notifier.rules.table import (
    RULES,
    RULES_ABOUT,
    Condition,
    RuleName,
    Severity,
    forecast_condition,
    missed_condition,
    pace_condition,
    quota_condition,
    reported_severity,
    risk_condition,
    risk_severity,
    stalled_condition,
    stalled_severity,
)
from tiendo_notifier.rules.thresholds import DEFAULTS, Thresholds

FIRST = date(2023, 11, 1)
DAYS = 50
#: Each rule by itself.
ONLY = {name: [other for other in RULES if other != name] for name in RULES}


def day_of(
    number: int,
    *,
    done: int = 100,
    value: int = 0,
    target: int = 5000,
    days: int = DAYS,
    past: Past = NO_PAST,
    high: int | None = None,
    weights: tuple[int, ...] = (),
) -> Figures:
    calendar = Calendar(FIRST, FIRST + timedelta(days=days - 1), weights)
    return figures(
        calendar,
        FIRST + timedelta(days=number - 1),
        target=target,
        baseline=0,
        value=value,
        done=done,
        past=past,
        expected=None if high is None else (high, high),
    )


def lived(
    seen: Iterable[Figures], rule: RuleName, *, historical: bool = False, limits: Thresholds = DEFAULTS
) -> list[Decision | None]:
    """The decisions of one rule on closings, each of which is told if it is to be."""
    standing, decisions = AT_REST, []
    for each in seen:
        standing, decision = judge(standing, each, limits, historical=historical, off=ONLY[rule])
        if decision is not None:
            standing = telling(standing, decision)
        decisions.append(decision)
    return decisions


def test_a_target_is_missed_also_where_the_last_day_has_no_work() -> None:
    weights = (*[1] * (DAYS - 1), 0)
    [before, last] = lived(
        [day_of(number, value=1000, weights=weights) for number in (DAYS - 1, DAYS)], "target_missed"
    )
    assert before is None
    assert last is not None
    assert (last.outcome, last.rule, last.severity) == ("opened", "target_missed", Severity.CRITICAL)


def paced(percents: Iterable[float]) -> list[str | None]:
    """The outcomes of closings at these shares of a plan of 10,000."""
    return outcomes(lived((at_pace(percent) for percent in percents), "behind_pace"))


def at_pace(percent: float) -> Figures:
    seen = day_of(25, value=round(percent * 100), target=20_000)
    assert seen.planned == 10_000
    return seen


def outcomes(decisions: Iterable[Decision | None]) -> list[str | None]:
    return [decision.outcome if decision else None for decision in decisions]


def told(decisions: Iterable[Decision | None]) -> list[str]:
    return [decision.tell for decision in decisions if decision and decision.tell]


def test_a_pace_under_90_percent_opens_on_the_third_closing_in_a_row() -> None:
    assert paced([89.9, 89.9, 90, 89.9, 89.9, 89.9]) == ["held", "held", "held", "held", "held", "opened"]


def test_behind_pace_clears_at_95_percent() -> None:
    assert paced([80, 80, 80, 94.9, 95]) == ["held", "held", "opened", "held", "resolved"]


def test_worsening_is_told_and_easing_is_not() -> None:
    decisions = lived([at_pace(percent) for percent in (80, 80, 80, 70, 80, 60, 40, 74, 89)], "behind_pace")
    assert told(decisions) == ["opened", "worsened", "worsened"]
    assert [decision.severity for decision in decisions if decision and decision.tell] == list(Severity)


@pytest.mark.parametrize(("target", "value", "condition"), [
    (150, 56, Condition.BETWEEN),  # 75% of plan, but 19 citizens
    (150, 55, Condition.BAD),
    (5000, 2240, Condition.BAD),
    (5000, 2251, Condition.BETWEEN),  # 90%
])  # fmt: skip
def test_a_gap_not_worth_a_call_calls_nobody(target: int, value: int, condition: Condition) -> None:
    assert pace_condition(day_of(25, value=value, target=target), DEFAULTS) is condition


def test_a_gap_under_one_percent_of_the_target_calls_nobody() -> None:
    seen = day_of(20, value=9_820, target=100_000, days=200)
    assert (seen.planned, seen.gap) == (10_000, 180)
    assert pace_condition(replace(seen, actual=8_900, gap=900, target=100_000), DEFAULTS) is Condition.BETWEEN


def test_a_campaign_starts_slowly_and_nobody_is_called_before_a_tenth_of_it() -> None:
    assert pace_condition(day_of(4, value=0), DEFAULTS) is Condition.SILENT
    assert pace_condition(day_of(5, value=0), DEFAULTS) is Condition.BAD
    assert quota_condition(day_of(4, done=0), DEFAULTS) is Condition.SILENT
    assert forecast_condition(day_of(4, value=0, high=100), DEFAULTS) is Condition.SILENT
    assert risk_condition(day_of(4, value=4, past=past_of([1, 2, 3], [1] * 3)), DEFAULTS) is Condition.SILENT
    assert risk_condition(day_of(5, value=5, past=past_of([1, 2, 3, 4], [1] * 4)), DEFAULTS) is Condition.BAD


@pytest.mark.parametrize("target", range(5_000, 5_010))
def test_all_units_of_a_campaign_start_on_one_day_however_their_quotas_are_rounded(target: int) -> None:
    assert pace_condition(day_of(4, value=0, target=target), DEFAULTS) is Condition.SILENT
    assert pace_condition(day_of(5, value=0, target=target), DEFAULTS) is Condition.BAD


@pytest.mark.parametrize(("recent", "condition", "severity"), [
    (700, Condition.CLEAR, None),
    (500, Condition.BETWEEN, None),
    (450, Condition.BAD, Severity.NOTICE),
    (300, Condition.BAD, Severity.WARNING),
    (100, Condition.BAD, Severity.CRITICAL),
    (0, Condition.BAD, Severity.CRITICAL),
    (-3, Condition.BAD, Severity.CRITICAL),  # more was voided than came
])  # fmt: skip
def test_at_risk_holds_what_is_needed_against_the_last_week(
    recent: int, condition: Condition, severity: Severity | None
) -> None:
    past = past_of([100 * n for n in range(1, 20)], [100] * 19)
    seen = day_of(20, value=1300 + recent, target=1300 + recent + 3000, past=past)
    assert (seen.recent, seen.recent_days, seen.needed_per_day) == (recent, 7, 100)
    assert risk_condition(seen, DEFAULTS) is condition
    if severity is not None:
        assert risk_severity(seen, 1, DEFAULTS) is severity


def test_a_slow_week_of_a_unit_that_is_on_plan_is_no_risk() -> None:
    past = past_of([2_000] * 19, [0] * 19)
    for value, condition in ((2_001, Condition.BETWEEN), (1_951, Condition.BETWEEN), (1_950, Condition.BAD)):
        assert risk_condition(day_of(20, value=value, past=past), DEFAULTS) is condition


def test_without_closings_of_late_nobody_is_said_to_be_at_risk() -> None:
    assert risk_condition(day_of(20, value=0), DEFAULTS) is Condition.SILENT
    assert risk_condition(day_of(2, value=0, past=past_of([0], [0])), DEFAULTS) is Condition.SILENT


def test_the_week_counts_working_days_only() -> None:
    weights = (1,) * 13 + (0, 0) + (1,) * 35
    past = past_of([100 * n for n in range(1, 16)], [100] * 15)
    seen = day_of(16, value=1500, past=past, weights=weights)
    assert (seen.recent, seen.recent_days) == (1500 - 900, 5)


@pytest.mark.parametrize(("high", "condition"), [
    (None, Condition.SILENT), (4_900, Condition.BAD), (4_951, Condition.BETWEEN), (5_000, Condition.BETWEEN),
    (5_100, Condition.CLEAR),
])  # fmt: skip
def test_a_forecast_misses_when_even_its_best_is_under_the_target(
    high: int | None, condition: Condition
) -> None:
    assert forecast_condition(day_of(20, value=1000, high=high), DEFAULTS) is condition


def test_stalled_is_a_working_day_without_anything_where_enough_would_usually_have_come() -> None:
    def on(number: int, done_before: Sequence[int | None]) -> Figures:
        return day_of(number, done=0, value=500, past=past_with_work(done_before))

    busy = on(8, [20, 20, 20, 20, 20, 20, 20])
    assert (busy.idle_days, busy.usual, busy.usual_days) == (1, 140, 7)
    assert stalled_condition(busy, DEFAULTS) is Condition.BAD
    assert stalled_severity(busy, 1, DEFAULTS) is Severity.NOTICE
    seldom = on(8, [2, 0, 1, 0, 2, 0, 1])
    assert stalled_condition(seldom, DEFAULTS) is Condition.BETWEEN
    # Five a day: one day without is not worth a call, four are. Whoever wants to hear sooner asks for fewer.
    small = on(8, [5, 5, 5, 5, 5, 5, 5])
    assert stalled_condition(small, DEFAULTS) is Condition.BETWEEN
    assert stalled_condition(small, Thresholds(least_gap=5)) is Condition.BAD
    assert (
        stalled_condition(seldom, Thresholds(least_gap=1)) is Condition.BETWEEN
    )  # four usual gaps, all the same
    longer = on(12, [5, 5, 5, 5, 5, 5, 5, 0, 0, 0, 0])
    assert stalled_condition(longer, DEFAULTS) is Condition.BAD
    assert (longer.idle_days, stalled_severity(longer, 1, DEFAULTS)) == (5, Severity.CRITICAL)
    assert stalled_condition(on(5, [5, 5, 5, 5]), DEFAULTS) is Condition.SILENT
    gone = on(8, [5, 5, 5, 5, 5, 5, None])
    assert (gone.usual_days, stalled_condition(gone, DEFAULTS)) == (0, Condition.SILENT)


def test_a_quota_is_missed_under_half_of_it_and_met_at_nine_tenths() -> None:
    found = [quota_condition(day_of(9, done=done), DEFAULTS) for done in (49, 50, 89, 90)]
    assert found == [Condition.BAD, Condition.BETWEEN, Condition.BETWEEN, Condition.CLEAR]
    assert quota_condition(day_of(20, done=0, target=250), DEFAULTS) is Condition.BETWEEN  # 5 citizens


def test_a_target_is_missed_when_its_last_day_is_over_and_not_before() -> None:
    assert missed_condition(day_of(49, value=0), DEFAULTS) is Condition.SILENT
    assert missed_condition(day_of(50, value=4_000), DEFAULTS) is Condition.BAD
    assert missed_condition(day_of(50, value=4_951), DEFAULTS) is Condition.BETWEEN  # not worth a call
    decisions = lived([day_of(50, value=4_000)], "target_missed")
    assert told(decisions) == ["opened"]


def test_a_unit_that_reached_its_target_is_clear_of_everything() -> None:
    seen = day_of(50, done=0, value=5000, high=0)
    assert {rule.condition(seen, DEFAULTS) for rule in RULES_ABOUT["target"]} == {Condition.CLEAR}


def test_a_report_that_did_not_come_is_not_a_zero_and_days_in_a_row_make_it_worse() -> None:
    calendar = Calendar(FIRST, FIRST + timedelta(days=49), (1, 1, 0, 1) + (1,) * 46)

    def on(number: int, *before: int | None, reported: bool = False) -> Figures:
        day = FIRST + timedelta(days=number - 1)
        missing, past = 0, NO_PAST
        for each, came in enumerate(before, 1):
            if came is not None:
                missing = 0 if came else missing + 1
                past = past.and_then(Day(each, came, missing, 0))
        return report_figures(calendar, day, past, reported=reported)

    assert on(2, 1, reported=True).unreported_days == 0
    assert on(2, 1).unreported_days == 1
    assert on(4, 1, 0, None).unreported_days == 2  # the third is a rest day, of which there is nothing
    assert [reported_severity(on(n, *[0] * (n - 1)), 1, DEFAULTS) for n in (1, 2, 4)] == list(Severity)
    assert told(lived([on(1), on(2, 0), on(4, 0, 0, None, reported=True)], "not_reported")) == [
        "opened", "worsened", "resolved",
    ]  # fmt: skip


def test_reaching_it_early_is_told_once_and_not_on_the_last_day() -> None:
    early = day_of(20, value=5000)
    assert told(lived([early, early], "behind_pace")) == ["reached_early"]
    assert told(lived([early, day_of(21, value=4_990), day_of(22, value=5_010)], "behind_pace")) == [
        "reached_early"
    ]
    assert told(lived([day_of(50, value=5000)], "behind_pace")) == []


def test_a_target_of_a_few_dozen_people_calls_nobody_by_chance() -> None:
    """Thirty officials of a commune: nothing under twenty of them is worth a call, for good or for bad."""
    half = day_of(25, target=30, value=0, high=11)
    assert (half.gap, pace_condition(half, DEFAULTS)) == (15, Condition.BETWEEN)
    assert forecast_condition(half, DEFAULTS) is Condition.BETWEEN
    # Told from a handful in a week, the best of a forecast is far off; the plan lacks six.
    week = day_of(10, target=30, value=0, high=4)
    assert (week.gap, forecast_condition(week, DEFAULTS)) == (6, Condition.BETWEEN)
    assert forecast_condition(day_of(40, target=30, value=0, high=4), DEFAULTS) is Condition.BAD
    assert pace_condition(day_of(40, target=30, value=3), DEFAULTS) is Condition.BAD  # 21 short
    assert told(lived([day_of(45, target=30, value=30)], "behind_pace")) == []
    assert told(lived([day_of(10, target=30, value=30)], "behind_pace")) == ["reached_early"]


def test_a_day_without_work_neither_lengthens_a_run_nor_ends_it() -> None:
    weights = (1,) * 20 + (0,) + (1,) * 29
    days = [day_of(number, value=100, weights=weights) for number in (19, 20, 21, 22)]
    assert outcomes(lived(days, "behind_pace")) == ["held", "held", "held", "opened"]


def test_all_that_is_wrong_with_a_target_is_one_incident_led_by_the_worst() -> None:
    past = past_of([20 * n for n in range(1, 25)], [20] * 24)
    seen = day_of(25, done=0, value=480, past=past, high=1_000)
    standing, decision = AT_REST, None
    for _ in range(3):
        standing, decision = judge(standing, seen, DEFAULTS, historical=False)
    assert decision is not None
    assert decision.rule in ("forecast_miss", "at_risk", "behind_pace")
    assert set(decision.firing) == {"forecast_miss", "at_risk", "behind_pace", "stalled", "quota_missed"}
    assert (decision.severity, standing.peak) == (Severity.CRITICAL, Severity.CRITICAL)


@given(severity=st.sampled_from(list(Severity)), percents=st.lists(st.floats(90, 94.99), max_size=40))
def test_a_pace_between_90_and_95_percent_never_moves_an_incident(
    severity: Severity, percents: list[float]
) -> None:
    start = {Severity.NOTICE: 80, Severity.WARNING: 60, Severity.CRITICAL: 10}[severity]
    steps = paced([start] * 3 + percents)
    assert steps[:3] == ["held", "held", "opened"]
    assert set(steps[3:]) <= {"held"}


@given(percents=st.lists(st.floats(0, 120), max_size=80))
def test_steps_form_whole_lives_with_at_most_two_worsenings(percents: list[float]) -> None:
    lives = "".join(step[0] for step in paced(percents) if step in ("opened", "worsened", "resolved"))
    assert all(life in ("o", "ow", "oww") for life in lives.split("r")[:-1])
    assert lives.split("r")[-1] in ("", "o", "ow", "oww")


@given(
    rows=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 6000)), max_size=50), historical=st.booleans()
)
def test_a_day_that_decides_nothing_was_at_rest_before_and_after(
    rows: list[tuple[int, int]], historical: bool
) -> None:
    standing = AT_REST
    for number, (done, value) in enumerate(rows, 1):
        before = standing
        standing, decision = judge(
            before, day_of(number, done=done, value=value), DEFAULTS, historical=historical
        )
        if decision is None:
            assert (before.rules, before.open, standing.rules, standing.open) == ({}, False, {}, False)


def test_the_past_is_judged_and_nobody_is_told() -> None:
    decisions = lived([at_pace(each) for each in (50, 50, 50, 100)], "behind_pace", historical=True)
    assert outcomes(decisions) == ["held", "held", "opened", "resolved"]
    assert told(decisions) == []


def test_an_incident_from_the_past_is_told_once_it_is_still_bad_in_the_present() -> None:
    bad, off = at_pace(50), ONLY["behind_pace"]
    standing = AT_REST
    for _ in range(3):
        standing, _decision = judge(standing, bad, DEFAULTS, historical=True, off=off)
    between, decision = judge(standing, at_pace(93), DEFAULTS, historical=False, off=off)
    assert decision is not None
    assert decision.tell is None
    standing, decision = judge(between, bad, DEFAULTS, historical=False, off=off)
    assert decision is not None
    assert (decision.outcome, decision.tell) == ("held", "opened")
    _, decision = judge(telling(standing, decision), bad, DEFAULTS, historical=False, off=off)
    assert decision is not None
    assert decision.tell is None


def test_an_incident_that_nobody_was_told_of_is_resolved_in_silence() -> None:
    standing = Standing(peak=Severity.WARNING)
    _, decision = judge(standing, at_pace(100), DEFAULTS, historical=False)
    assert decision is not None
    assert (decision.outcome, decision.tell) == ("resolved", None)


def test_three_days_ago_is_history_and_two_are_not() -> None:
    today = date(2023, 12, 7)
    assert not is_historical(date(2023, 12, 5), today)
    assert is_historical(date(2023, 12, 4), today)
    assert not is_historical(date(2023, 12, 8), today)
