"""Targets of narrowed goals and of shares: checked, taken, spread."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aggregator import DATA
from tests.support.campaigns import campaign
from tiendo_aggregator.rules.calendar import Calendar, Holiday
from tiendo_aggregator.rules.plan import (
    CohortSize,
    Plan,
    Share,
    changed_too_late,
    check_plan,
    check_targets,
    unit_targets,
    with_shares,
)
from tiendo_aggregator.rules.units import Gazetteer, Tree, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.errors import Invalid

replace = msgspec.structs.replace
PHASE = "intake:by-2023-11-30"
OFFICIALS = "intake:level-2:officials"


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Gazetteer(merge_editions(read_editions(DATA))).as_of(date(2023, 11, 11))


@pytest.fixture(scope="module")
def plan(tree: Tree) -> Plan:
    communes = tree.communes("62")
    return Plan(
        campaign=campaign(),
        targets={"intake": 421_100, PHASE: 200_000, "intake:level-2": 300_000, OFFICIALS: 3_000},
        eligible={code: 3000 + 37 * place for place, code in enumerate(communes)},
        set_targets={OFFICIALS: {"612": 400}},
        cohorts={
            "officials": CohortSize(source="Sở Nội vụ", eligible={code: n for n, code in enumerate(communes)})
        },
    )


def assign(plan: Plan, tree: Tree) -> Mapping[tuple[str, str], int]:
    check_plan(plan, tree)
    check_targets(plan, tree)
    return unit_targets(plan, tree)


def test_each_goal_is_spread_by_those_who_can_count_for_it(plan: Plan, tree: Tree) -> None:
    targets = assign(plan, tree)
    for goal, total in plan.targets.items():
        for length in (3, 5):
            assert (
                sum(value for (unit, each), value in targets.items() if each == goal and len(unit) == length)
                == total
            )
    assert targets["612", OFFICIALS] == 400
    # Where the cohort has nobody, nobody is asked for; everybody's target is spread by all.
    first = tree.communes("62")[0]
    assert (targets[first, OFFICIALS], targets[first, "intake"] > 0) == (0, True)
    assert assign(replace(plan, cohorts={}), tree)[first, OFFICIALS] > 0


def test_each_fault_of_a_narrowed_target_is_named(plan: Plan, tree: Tree) -> None:
    officials = plan.cohorts["officials"]
    eligible = officials.eligible
    fewer = {code: n for code, n in eligible.items() if code != "23427"}
    holidays = Calendar(holidays=(Holiday(day=date(2023, 11, 11), name="x"),))
    faults: list[tuple[str, str, Plan]] = [
        ("targets", "outside the campaign", replace(plan, targets={"intake:by-2023-11-10": 1}, set_targets={})),
        ("targets", "outside the campaign", replace(plan, targets={"intake:by-2024-01-01": 1}, set_targets={})),
        ("targets", "the campaign's last day", replace(plan, targets={"intake:by-2023-12-30": 1}, set_targets={})),
        ("targets", "above the 5,151 who", replace(plan, targets={**plan.targets, OFFICIALS: 5_152})),
        (f"set_targets.{OFFICIALS}.612", "who are eligible there", replace(
            plan, set_targets={OFFICIALS: {"612": 5_000}})),
        (f"set_targets.{OFFICIALS}", "more than its own", replace(
            plan, targets={**plan.targets, OFFICIALS: 399})),
        ("set_targets.intake:officials", "which has none", replace(plan, set_targets={"intake:officials": {"612": 1}})),
        ("cohorts.officials.eligible", "no eligible population", replace(
            plan, cohorts={"officials": replace(officials, eligible=fewer)})),
        ("cohorts.officials.eligible.00001", "no communes", replace(
            plan, cohorts={"officials": replace(officials, eligible={**eligible, "00001": 1})})),
        ("cohorts.officials.eligible.23281", "who are in all", replace(
            plan, cohorts={"officials": replace(officials, eligible={**eligible, "23281": 1_000_000})})),
        ("targets", "No day up to 2023-11-11", replace(
            plan, targets={"intake:by-2023-11-11": 1}, set_targets={},
            campaign=replace(plan.campaign, calendar=holidays))),
    ]  # fmt: skip
    for field, words, faulty in faults:
        with pytest.raises(Invalid, match=words) as refused:
            assign(faulty, tree)
        assert refused.value.field == field
        assert refused.value.remedy


@given(st.integers(0, 10**8), st.decimals(0, 100, places=2))
def test_a_share_is_the_least_whole_number_that_reaches_it(eligible: int, percent: Decimal) -> None:
    citizens = Share(percent=percent, eligible=eligible).citizens
    exact = Fraction(percent) * eligible / 100
    assert exact <= citizens < exact + 1


def test_a_share_is_taken_of_those_who_are_eligible_and_stays_under_its_paper(plan: Plan) -> None:
    asked = {PHASE: Decimal(80), OFFICIALS: Decimal("99.5")}
    eligible: dict[Any, int] = {None: 490_000, "officials": 5_000}
    first = with_shares(plan, asked, eligible, None)
    assert (first.targets[PHASE], first.targets[OFFICIALS]) == (392_000, 4_975)
    assert first.shares[PHASE].eligible == 490_000
    # 40 are exempted since: what was assigned stays, whatever else is corrected.
    fewer = {**eligible, None: 489_960}
    corrected = replace(plan, campaign=replace(plan.campaign, name="Kon Tum: 50 ngày đêm"))
    assert with_shares(corrected, asked, fewer, first).shares == first.shares
    for anew in (
        replace(plan, campaign=replace(plan.campaign, plan_number="4000/KH-UBND")),
        replace(plan, eligible={**plan.eligible, "23281": 1}),
    ):
        assert with_shares(anew, asked, fewer, first).targets[PHASE] == 391_968
    assert with_shares(plan, {PHASE: Decimal(81)}, fewer, first).targets[PHASE] == 396_868


def test_a_share_of_a_cohort_whose_size_nobody_told_is_refused_by_name(plan: Plan) -> None:
    with pytest.raises(Invalid, match="intake:workers") as refused:
        with_shares(plan, {"intake:workers": Decimal(80)}, {None: 1, "officials": 1}, None)
    assert refused.value.field == "cohorts.workers"


def test_only_targets_whose_own_day_is_closed_are_too_late_to_change(plan: Plan, tree: Tree) -> None:
    old = unit_targets(plan, tree)
    other = {key: value + (key[1] in (PHASE, "intake")) for key, value in old.items()}
    assert changed_too_late(old, plan, other, date(2023, 11, 29)) is None
    assert changed_too_late(old, plan, other, date(2023, 11, 30)) == PHASE
    assert changed_too_late(old, plan, old, date(2023, 12, 30)) is None
    added = {**old, ("62", "intake:by-2023-11-20"): 1}
    assert changed_too_late(old, plan, added, date(2023, 11, 20)) == "intake:by-2023-11-20"
