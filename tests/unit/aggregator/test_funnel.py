"""Backlogs by age: which day of waiting is in which band, who has waited longest, what builds before left unsaid."""

from datetime import date, timedelta

import pytest

from tests.support.units import small
from tiendo_aggregator.rules.counting import (
    APPROVED,
    DECIDED,
    FAILED,
    IN_TIME,
    LATE,
    RIGHT,
    TAKEN,
    UNKNOWN,
)
from tiendo_aggregator.rules.funnel import UnitFunnel, funnels
from tiendo_aggregator.rules.progress import Standing, UnitProgress
from tiendo_common.events.state import Indicator

DAY = date(2023, 12, 7)
TREE = small("01 -\n011 01\n00001 011\n00002 011").as_of(DAY)


def progress(code: str, intake: int, approved: int, activated: int) -> UnitProgress:
    def standing(value: int) -> Standing:
        return Standing(
            value=value,
            level_1=0,
            level_2=value,
            baseline=0,
            since_baseline=value,
            target=None,
            eligible=100,
            exempt=0,
            planned=100,
            over_eligible=False,
        )

    values: dict[Indicator, int] = {"intake": intake, "approved": approved, "activated": activated}
    unit = TREE.units[code]
    standings = {indicator: standing(value) for indicator, value in values.items()}
    return UnitProgress(code, unit.name, unit.level, unit.parent, standings, [])


def told(*passages: tuple[int, date, int], unit: str = "00001") -> list[tuple[str, tuple[int, date], int]]:
    return [(unit, (what, since), n) for what, since, n in passages]


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


def funnel(standing: UnitProgress, *passages: tuple[int, date, int]) -> UnitFunnel:
    [found] = funnels([standing], [], TREE, "01", DAY, told(*passages))
    return found


@pytest.mark.parametrize(
    ("days", "band"), [(0, 0), (2, 0), (3, 1), (7, 1), (8, 2), (14, 2), (15, 3), (400, 3)]
)
def test_each_day_of_waiting_is_in_its_band(days: int, band: int) -> None:
    waiting = funnel(progress("00001", 5, 0, 0), (TAKEN, ago(days), 5)).undecided
    assert [each.citizens for each in waiting.bands] == [5 if place == band else 0 for place in range(4)]
    assert (waiting.citizens, waiting.oldest_since, waiting.oldest_days) == (5, ago(days), days)


def test_who_passed_on_is_taken_from_the_day_since_when() -> None:
    found = funnel(
        progress("00001", 12, 7, 4),
        (TAKEN, ago(20), 8), (TAKEN, ago(1), 4), (DECIDED, ago(20), 8), (DECIDED, ago(1), 1),
        (APPROVED, ago(9), 5), (APPROVED, ago(0), 2), (IN_TIME, ago(9), 3), (LATE, ago(9), 1),
    )  # fmt: skip
    assert (found.undecided.citizens, found.undecided.oldest_days) == (3, 1)
    # Nine were decided, seven approved: of two a rejection holds.
    assert found.rejected == 2
    assert [each.citizens for each in found.not_activated.bands] == [2, 0, 1, 0]
    assert (found.activations.in_time, found.activations.late, found.activations.undated) == (3, 1, 0)


def test_what_nobody_dated_is_said_and_the_backlog_is_right() -> None:
    found = funnel(
        progress("00001", 10, 6, 2),
        (TAKEN, ago(5), 10), (DECIDED, ago(5), 2), (DECIDED, UNKNOWN, 4), (APPROVED, ago(5), 6), (IN_TIME, UNKNOWN, 2),
    )  # fmt: skip
    assert (found.undecided.citizens, found.undecided.undated) == (4, 4)
    assert sum(each.citizens for each in found.undecided.bands) == 8
    assert (found.not_activated.citizens, found.not_activated.undated) == (4, 2)
    assert (found.activations.in_time, found.activations.undated) == (0, 2)


def test_units_above_have_the_sum_and_reasons_stand_by_number() -> None:
    units = [progress(code, 3, 0, 0) for code in ("01", "00001", "00002")]
    passages = told((TAKEN, ago(3), 1), (FAILED["network"], ago(3), 1)) + told(
        (TAKEN, ago(4), 2), (FAILED["network"], ago(2), 1), (FAILED["old_device"], ago(1), 3),
        (RIGHT["old_device"], ago(1), 2), unit="00002",
    )  # fmt: skip
    top, one, two = funnels(units, [], TREE, "01", DAY, passages)
    assert [each.undecided.citizens for each in (top, one, two)] == [3, 1, 2]
    assert (top.undecided.oldest_days, one.undecided.oldest_days) == (4, 3)
    assert [(each.reason, each.attempts, each.came_right) for each in top.failures] == [
        ("old_device", 3, 2), ("network", 2, 0),
    ]  # fmt: skip
    assert [each.reason for each in one.failures] == ["network"]
    assert (top.with_card, top.card_no_account, top.communes) == (None, None, 2)
