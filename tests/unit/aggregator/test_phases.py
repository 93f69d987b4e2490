"""Phases: checked, and seen as campaigns of their own."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.campaigns import campaign
from tiendo_aggregator.rules.calendar import Calendar
from tiendo_aggregator.rules.phase_plan import plan_of_phase
from tiendo_aggregator.rules.phases import Phase, check_phases
from tiendo_aggregator.rules.plan import Plan
from tiendo_common.errors import Invalid

FIRST, LAST = date(2023, 12, 20), date(2024, 3, 1)


def phase(id_: str, first: date, last: date) -> Phase:
    return Phase(id=id_, name="Giai đoạn", first_day=first, last_day=last)


#: Over a new year, with a gap, up to the day after 29 February.
SPRINT = phase("sprint", FIRST, date(2024, 1, 5))
LATE = phase("late", date(2024, 2, 1), date(2024, 2, 29))
END = phase("end", LAST, LAST)


def plan(targets: dict[str, int]) -> Plan:
    return Plan(
        campaign=campaign(
            FIRST,
            LAST,
            calendar=Calendar(weekday_weights=(3, 3, 3, 3, 3, 1, 0)),
            phases=(SPRINT, LATE, END),
        ),
        targets=targets,
        eligible={"23281": 1000},
    )


def test_spans_with_gaps_and_over_a_new_year_are_phases() -> None:
    check_phases((SPRINT, LATE, END), FIRST, LAST)


def test_each_fault_of_a_phase_is_named() -> None:
    faults: list[tuple[str, str, Any]] = [
        ("phases.0.first_day", "not days", [phase("a", date(2023, 12, 19), LAST)]),
        ("phases.0.last_day", "not days", [phase("a", FIRST, date(2024, 3, 2))]),
        ("phases.0.last_day", "not days", [phase("a", LAST, FIRST)]),
        ("phases.1.id", "Two phases", [SPRINT, phase("sprint", LAST, LAST)]),
        ("phases.1.first_day", "2024-01-05 is in both", [SPRINT, phase("b", date(2024, 1, 5), LAST)]),
        ("phases.1.first_day", "share days", [LATE, phase("b", FIRST, LAST)]),
    ]
    for field, words, phases in faults:
        with pytest.raises(Invalid, match=words) as refused:
            check_phases(phases, FIRST, LAST)
        assert refused.value.field == field
        assert refused.value.remedy


def test_a_phase_has_the_targets_that_are_due_in_it_under_their_names_in_it() -> None:
    whole = plan({
        "intake": 900, "intake:by-2024-01-05": 300, "intake:level-2:by-2024-01-05": 200,
        "intake:by-2024-02-10": 500, "activated:officials": 10,
    })  # fmt: skip
    units = {("62", goal): value for goal, value in whole.targets.items()}
    of = {each.id: plan_of_phase(whole, units, each) for each in (SPRINT, LATE, END)}
    assert {name: dict(own.targets) for name, (own, _) in of.items()} == {
        "sprint": {"intake": 300, "intake:level-2": 200},
        "late": {"intake:by-2024-02-10": 500},
        "end": {"intake": 900, "activated:officials": 10},
    }
    for own, targets in of.values():
        assert targets == {("62", goal): value for goal, value in own.targets.items()}
        assert all(own.campaign.due(goal) <= own.campaign.last_day for goal in own.targets)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_what_is_left_at_its_begin_is_spread_over_its_days_exactly(target: int, at_begin: int) -> None:
    for each in (SPRINT, LATE):
        own, _ = plan_of_phase(plan({"intake": 1}), {}, each)
        schedule, owed = own.campaign.schedule, max(0, target - at_begin)
        assert sum(schedule.quota(owed, day) for day, _ in schedule.days()) == owed
        assert (schedule.first_day, schedule.last_day) == (each.first_day, each.last_day)
