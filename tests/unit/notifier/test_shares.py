"""Shares of what was done of late: activations that fail more than usual, dossiers that are faulty."""

from datetime import date, timedelta

import pytest

from tiendo_notifier.rules.life import AT_REST, Decision, judge, telling
from tiendo_notifier.rules.messages import clears
from tiendo_notifier.rules.plan import Calendar, Figures, attempt_figures, record_figures
from tiendo_notifier.rules.shares import ALL, Part, Tallies, TallyDay, parts
from tiendo_notifier.rules.table import (
    Condition,
    Severity,
    failing_condition,
    failing_severity,
    quality_condition,
    quality_severity,
)
from tiendo_notifier.rules.thresholds import DEFAULTS

FIRST = date(2023, 11, 1)
DAYS = Calendar(FIRST, FIRST + timedelta(days=29), (1,) * 20 + (0,) + (1,) * 9)
#: 100 attempts a day, 10 of which fail because the code went to an old device.
USUAL = {ALL: 100, "old_device": 10}


def adding_up(*days: dict[str, int] | None) -> Tallies:
    """Closings of these days: None of one of which there is none."""
    tallies, total = Tallies(), dict[str, int]()
    for number, day in enumerate(days, 1):
        if day is not None:
            total = {kind: total.get(kind, 0) + day.get(kind, 0) for kind in {**total, **day}}
            tallies = tallies.and_then(number, total)
    return tallies


def on(*days: dict[str, int] | None) -> Figures:
    """The figures of the last of these days."""
    known = adding_up(*days)
    day = FIRST + timedelta(days=len(days) - 1)
    return attempt_figures(DAYS, day, Tallies(known.days[:-1]), known.days[-1].tally)


def test_of_late_is_three_days_and_usual_are_the_fourteen_before() -> None:
    known = adding_up(*[{ALL: 1}] * 5, *[{ALL: 10, "network": 1}] * 14, *[{ALL: 100, "network": 50}] * 3)
    assert parts(Tallies(known.days[:-1]), 22, known.days[-1].tally) == (Part("network", 150, 300, 14, 140),)


def test_at_the_beginning_usual_is_what_there_was() -> None:
    assert on(USUAL, USUAL).attempts == (Part("old_device", 20, 200, 0, 0),)
    assert on(*[USUAL] * 4).attempts == (Part("old_device", 30, 300, 10, 100),)


def test_what_came_while_nothing_was_closed_is_not_lost() -> None:
    seen = on(*[USUAL] * 4, None, USUAL, {ALL: 300, "old_device": 90})
    assert seen.attempts == (Part("old_device", 100, 400, 40, 400),)


def test_what_is_taken_back_is_no_attempt_less() -> None:
    assert parts(Tallies([TallyDay(1, {ALL: 50, "other": 5})]), 4, {ALL: 40, "other": 5}) == (
        Part("other", 0, 0, 5, 50),
    )


@pytest.mark.parametrize(("failed", "condition", "severity"), [
    (10, Condition.CLEAR, None),
    (14, Condition.CLEAR, None),
    (15, Condition.BETWEEN, None),  # 5 points over
    (24, Condition.BETWEEN, None),
    (25, Condition.BAD, Severity.NOTICE),
    (40, Condition.BAD, Severity.WARNING),
    (60, Condition.BAD, Severity.CRITICAL),
])  # fmt: skip
def test_a_reason_is_held_against_its_own_usual_share(
    failed: int, condition: Condition, severity: Severity | None
) -> None:
    seen = on(*[USUAL] * 6, *[{ALL: 100, "old_device": failed, "network": 1}] * 3)
    assert failing_condition(seen, DEFAULTS) is condition
    if severity is not None:
        assert failing_severity(seen, 1, DEFAULTS) is severity


def test_a_share_that_was_always_high_calls_nobody() -> None:
    assert failing_condition(on(*[{ALL: 100, "no_smartphone": 70}] * 9), DEFAULTS) is Condition.CLEAR


@pytest.mark.parametrize(("days", "condition"), [
    ([{ALL: 29}, *[{ALL: 50, "network": 40}] * 3], Condition.SILENT),  # nothing usual is known
    ([{ALL: 30}, *[{ALL: 50, "network": 40}] * 3], Condition.BAD),
    ([*[USUAL] * 6, *[{ALL: 9, "network": 9}] * 3], Condition.SILENT),
    ([*[USUAL] * 6, *[{ALL: 10, "network": 10}] * 3], Condition.BAD),
    # Forty points over, and eleven attempts more than usual: not worth a call.
    ([*[USUAL] * 6, *[{ALL: 10, "network": 4}] * 3], Condition.BETWEEN),
    ([*[USUAL] * 6, *[{ALL: 1}] * 3], Condition.CLEAR),  # none fails any more, however few there are
    ([*[USUAL] * 18, *[{ALL: 100, "network": 90}] * 3], Condition.SILENT),  # a rest day
])  # fmt: skip
def test_few_attempts_and_rest_days_say_nothing(days: list[dict[str, int]], condition: Condition) -> None:
    assert failing_condition(on(*days), DEFAULTS) is condition


def test_it_is_told_once_until_it_is_as_usual_again() -> None:
    bad, between = {ALL: 100, "network": 40}, {ALL: 100, "network": 12}
    days = [*[USUAL] * 6, *[bad] * 3, *[between] * 4, *[USUAL] * 6]
    standing, decisions = AT_REST, list[Decision]()
    for number in range(1, len(days) + 1):
        standing, decision = judge(standing, on(*days[:number]), DEFAULTS, historical=False)
        if decision is not None:
            standing = telling(standing, decision)
            decisions.append(decision)
    assert [each.tell for each in decisions if each.tell] == ["opened", "worsened", "resolved"]
    assert {each.rule for each in decisions} == {"activations_failing"}


def test_the_reason_and_what_helps_against_it_are_said_in_both_languages() -> None:
    seen = on(*[USUAL] * 6, *[{ALL: 100, "old_device": 60}] * 3)
    day = FIRST + timedelta(days=8)
    words = clears("opened", "activations_failing", "Xã Xốp", "Huyện Đăk Glei", "attempts", day, seen)
    assert "mã kích hoạt gửi về máy cũ tăng: 180/300 lượt" in words.behind.vi
    assert (
        "the code goes to an old device: 180 of 300 attempts in the 3 days to 9 November 2023"
        in words.behind.en
    )
    assert "unlinked" in words.next.en
    assert (
        "no more than they usually do"
        in clears("resolved", "activations_failing", "Xã Xốp", None, "attempts", day, seen).behind.en
    )


def dossiers(voided: int = 0, corrected: int = 0, rejected: int = 0, taken: int = 100) -> Figures:
    """Of so many dossiers that were taken in the last three days."""
    now = {ALL: 1000 + taken, "voided": voided, "corrected": corrected, "rejected": rejected}
    before = {ALL: 1000, "voided": 0, "corrected": 0, "rejected": 0}
    return record_figures(DAYS, FIRST + timedelta(days=5), Tallies([TallyDay(3, before)]), now)


@pytest.mark.parametrize(("seen", "condition", "severity"), [
    (dossiers(voided=2), Condition.CLEAR, None),
    (dossiers(voided=5, taken=200), Condition.BETWEEN, None),  # half of 5%
    (dossiers(voided=9), Condition.BETWEEN, None),  # over its bound, and fewer than are worth a call
    (dossiers(voided=10, taken=201), Condition.BETWEEN, None),
    (dossiers(voided=10, taken=200), Condition.BAD, Severity.NOTICE),
    (dossiers(voided=10), Condition.BAD, Severity.WARNING),
    (dossiers(voided=20), Condition.BAD, Severity.CRITICAL),
    (dossiers(voided=20, taken=29), Condition.BETWEEN, None),
    (dossiers(corrected=19), Condition.BETWEEN, None),
    (dossiers(corrected=20), Condition.BAD, Severity.NOTICE),
    (dossiers(corrected=20, rejected=40), Condition.BAD, Severity.WARNING),
    (dossiers(taken=0), Condition.CLEAR, None),
])  # fmt: skip
def test_each_kind_of_fault_has_a_bound_of_its_own_and_the_worst_leads(
    seen: Figures, condition: Condition, severity: Severity | None
) -> None:
    assert quality_condition(seen, DEFAULTS) is condition
    if severity is not None:
        assert quality_severity(seen, 1, DEFAULTS) is severity


def test_what_was_wrong_is_said_kind_by_kind() -> None:
    seen = dossiers(voided=12, rejected=30)
    words = clears("opened", "data_quality", "Xã Xốp", None, "records", FIRST + timedelta(days=5), seen)
    assert words.behind.vi.endswith("12 bị hủy, 30 bị từ chối; trong khi thu nhận 100.")
    assert words.behind.en.endswith("12 voided, 30 turned down; 100 were taken.")
