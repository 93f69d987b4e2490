"""What a plan says of hamlets: refused by field, spread exactly, carried to later trees."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.campaigns import campaign
from tests.support.units import CENSUS, row, small
from tests.unit.aggregator.test_hamlets import bring, listed
from tiendo_aggregator.errors import EditionContradicted
from tiendo_aggregator.rules.going_on import DailyQuota, GoingOn
from tiendo_aggregator.rules.hamlet_plan import (
    check_hamlets,
    check_homes,
    hamlet_targets,
    homes_of,
    kept_when_over,
    weights_of,
    with_hamlets,
)
from tiendo_aggregator.rules.plan import CohortSize, Plan, UnitTargets, check_targets, unit_targets
from tiendo_aggregator.rules.progress import Eligible, ceilings, eligible_below
from tiendo_aggregator.rules.rebasing import rebased_plan
from tiendo_aggregator.rules.stretches import plan_of_stretch, stretches
from tiendo_aggregator.rules.units import FIRST_DAY, Gazetteer, History, Reorganisation
from tiendo_aggregator.rules.units.reorganisation import ByHamlet
from tiendo_common.errors import Invalid

TREE = "62 -\n00001 62 Xã Một\n00002 62 Xã Hai\n63 -\n00003 63"
LIST = listed("101 00001", "102 00001", "103 00001", "201 00002")
#: Between the campaign's first day and its last one.
LATER = date(2023, 12, 1)


def gazetteer() -> Gazetteer:
    return bring(small(TREE), ("62", FIRST_DAY, LIST))


def made(**change: Any) -> Plan:
    given = {
        "campaign": campaign(),
        "targets": {"intake": 90},
        "eligible": {"00001": 100, "00002": 50},
        "eligible_in_hamlets": {"101": 40, "102": 30, "201": 50},
        **change,
    }
    return Plan(**given)


def assigned(plan: Plan, units: Gazetteer) -> tuple[UnitTargets, dict[tuple[str, str], int]]:
    """As a plan that is put is looked at: the targets of units, and of hamlets."""
    tree = units.as_of(plan.campaign.first_day)
    homes = homes_of(plan, units)
    check_hamlets(plan, homes, tree)
    check_targets(plan, tree)
    targets = unit_targets(plan, tree)
    return targets, hamlet_targets(plan, targets, homes, tree)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"eligible_in_hamlets": {"109": 1}}, "eligible_in_hamlets.109", "no hamlet of a commune of the campaign"),
        ({"eligible_in_hamlets": {"00001": 1}}, "eligible_in_hamlets.00001", "no hamlet of a commune"),
        (
            {"campaign": campaign(units=("00002",)), "eligible": {"00002": 50}},
            "eligible_in_hamlets.101",
            "no hamlet of a commune of the campaign",
        ),
        (
            {"eligible_in_hamlets": {"102": 61, "101": 40}},
            "eligible_in_hamlets.101",
            r"101 would be eligible in the hamlets of Xã Một \(00001\), of 100 who are in all",
        ),
        ({"set_targets": {"intake": {"103": 1}}}, "set_targets.intake.103", "no hamlet of which the plan tells"),
        ({"set_targets": {"intake": {"101": 41}}}, "set_targets.intake.101", "above the 40 who are eligible"),
        (
            {"set_targets": {"intake": {"00001": 50, "101": 40, "102": 11}}},
            "set_targets.intake",
            "1 more than its own, 50",
        ),
        # Nobody lives outside them who could take what they leave.
        (
            {"set_targets": {"intake": {"00002": 50, "201": 49}}},
            "set_targets.intake",
            "leave 1 of its 50 to nobody",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_field(change: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        assigned(made(**change), gazetteer())
    assert refused.value.field == field
    assert refused.value.remedy


def test_the_remedy_says_by_how_much_hamlets_exceed_their_commune() -> None:
    with pytest.raises(Invalid) as refused:
        assigned(made(eligible_in_hamlets={"101": 71, "102": 40}), gazetteer())
    assert refused.value.remedy is not None
    assert "Lower them by 11, or raise eligible.00001" in refused.value.remedy


def test_a_hamlet_of_a_later_list_is_one_and_one_that_ended_before_is_none() -> None:
    units = bring(
        small(TREE),
        ("62", FIRST_DAY, listed("101 00001", until=date(2023, 11, 1))),
        ("62", LATER, listed("102 00001")),
    )
    _, of_hamlets = assigned(made(eligible_in_hamlets={"102": 30}), units)
    assert of_hamlets == {("102", "intake"): 18}
    with pytest.raises(Invalid) as refused:
        assigned(made(eligible_in_hamlets={"101": 30}), units)
    assert refused.value.field == "eligible_in_hamlets.101"


# --- targets -------------------------------------------------------------------------------------------------------


def test_a_commune_s_target_is_spread_as_the_province_s_is() -> None:
    targets, of_hamlets = assigned(made(), gazetteer())
    assert targets["00001", "intake"] == 60
    # 40, 30 and 30 of 100: who lives in no hamlet that is named has as much as the second.
    assert of_hamlets == {("101", "intake"): 24, ("102", "intake"): 18, ("201", "intake"): 30}
    by_hand = made(set_targets={"intake": {"00001": 71, "101": 40}})
    targets, of_hamlets = assigned(by_hand, gazetteer())
    assert targets["00001", "intake"] == 71
    # Of the 31 that are left the odd one goes to the lower code, which the commune's is.
    assert of_hamlets == {("101", "intake"): 40, ("102", "intake"): 15, ("201", "intake"): 19}


def test_every_goal_is_spread_but_those_of_a_cohort_that_is_sized_by_commune() -> None:
    sizes = {"officials": CohortSize(source="Sở Nội vụ", eligible={"00001": 10, "00002": 5})}
    goals = {
        "activated:level-2": 30,
        "intake:by-2023-11-30": 45,
        "intake:students": 15,
        "intake:officials": 12,
    }
    plan = made(targets=goals, cohorts=sizes)
    _, of_hamlets = assigned(plan, gazetteer())
    assert {goal for _, goal in of_hamlets} == goals.keys() - {"intake:officials"}
    assert of_hamlets["101", "activated:level-2"] == 8
    with pytest.raises(Invalid, match="is told by commune") as refused:
        assigned(msgspec.structs.replace(plan, set_targets={"intake:officials": {"101": 1}}), gazetteer())
    assert refused.value.field == "set_targets.intake:officials.101"


@given(st.data())
def test_hamlets_and_the_rest_have_the_commune_s_target_exactly(data: Any) -> None:
    """Two communes with up to three hamlets each; any of them and the communes set by hand, where there is room."""
    homes = {
        f"{commune}{n}": commune
        for commune in ("00001", "00002")
        for n in range(data.draw(st.integers(0, 3)))
    }
    units = bring(small(TREE), ("62", FIRST_DAY, listed(*(f"{code} {home}" for code, home in homes.items()))))
    in_hamlets = {code: data.draw(st.integers(0, 500)) for code in homes}
    eligible, by_hand = {}, {}
    for commune in ("00001", "00002"):
        inside = [code for code in homes if homes[code] == commune]
        eligible[commune] = sum(in_hamlets[code] for code in inside) + data.draw(st.integers(0, 500))
        own = data.draw(st.integers(0, eligible[commune]))
        left = by_hand[commune] = own
        for code in inside[: data.draw(st.integers(0, len(inside)))]:
            by_hand[code] = data.draw(st.integers(0, min(left, in_hamlets[code])))
            left -= by_hand[code]
    plan = made(
        targets={"intake": by_hand["00001"] + by_hand["00002"]},
        eligible=eligible,
        eligible_in_hamlets=in_hamlets,
        set_targets={"intake": by_hand},
    )
    free = {
        commune: eligible[commune]
        - sum(in_hamlets[code] for code in homes if homes[code] == commune and code in by_hand)
        for commune in eligible
    }
    try:
        targets, of_hamlets = assigned(plan, units)
    except Invalid:
        # Nobody is left who could take what those set by hand leave.
        assert not all(free.values())
        return
    assert of_hamlets.keys() == {(code, "intake") for code in homes}
    assert {code: of_hamlets[code, "intake"] for code in homes if code in by_hand} == {
        code: value for code, value in by_hand.items() if code in homes
    }
    for commune in eligible:
        inside = [code for code in homes if homes[code] == commune]
        rest = targets[commune, "intake"] - sum(of_hamlets[code, "intake"] for code in inside)
        named_nowhere = eligible[commune] - sum(in_hamlets[code] for code in inside)
        left = by_hand[commune] - sum(by_hand.get(code, 0) for code in inside)
        shares = {code: of_hamlets[code, "intake"] for code in inside if code not in by_hand} | {"": rest}
        weights = {code: in_hamlets[code] for code in inside if code not in by_hand} | {"": named_nowhere}
        assert rest >= 0
        for code, share in shares.items():
            if free[commune]:
                assert abs(share - Fraction(left * weights[code], free[commune])) < 1
            else:
                assert share == 0
    # Where they count it is the same, and what is told of the communes is not touched by it.
    followed = plan.campaign.followed_to_hamlets(History(units), plan.campaign.first_day)
    there, both = with_hamlets(plan, targets, of_hamlets, followed)
    assert both == {**targets, **of_hamlets}
    assert there == plan


def test_what_is_over_keeps_what_it_had_and_what_is_not_gets_what_is_new() -> None:
    old = {("101", "intake"): 24, ("101", "intake:by-2023-11-20"): 10}
    new = {("101", "intake"): 30, ("102", "intake"): 5, ("102", "intake:by-2023-11-20"): 3}
    kept = kept_when_over(old, new, campaign(), date(2023, 11, 20))
    assert kept == {("101", "intake"): 30, ("102", "intake"): 5, ("101", "intake:by-2023-11-20"): 10}


# --- on trees ------------------------------------------------------------------------------------------------------


def test_a_hamlet_s_eligible_are_among_its_commune_s_and_nobody_exempts_them() -> None:
    plan = made()
    followed = plan.campaign.followed_to_hamlets(History(gazetteer()), plan.campaign.first_day)
    targets, of_hamlets = assigned(plan, gazetteer())
    there, _ = with_hamlets(plan, targets, of_hamlets, followed)
    found = eligible_below(there, {"00001": 4}, followed.tree, "62")
    assert found["62"] == Eligible(150, 4)
    assert found["00001"] == Eligible(100, 4)
    assert found["101"] == Eligible(40, None)
    assert "103" not in found
    assert eligible_below(there, {}, followed.tree, "101") == {"101": Eligible(40, None)}
    sized = msgspec.structs.replace(
        there, cohorts={"students": CohortSize(source="x", eligible={"00001": 3, "00002": 2})}
    )
    assert ceilings(sized, "intake:students", {}, followed.tree, "62") == {"62": 5, "00001": 3, "00002": 2}
    # On the tree of plans there are no hamlets.
    plain = plan.campaign.followed(History(gazetteer()), plan.campaign.first_day)
    assert eligible_below(plan, {}, plain.tree, "62").keys() == {"62", "00001", "00002"}


DIVIDED = "62 -\n00001 62 Xã Một\n00002 62 Xã Hai\n00009 62 Xã Mới\n63 -\n00003 63"


@pytest.mark.parametrize(
    ("weights", "eligible", "hamlets"),
    [
        # As the hamlets say: 40 go, 60 stay.
        ({"00001": 60, "00009": 40}, {"00001": 60, "00009": 40}, {"101": 40, "102": 30, "201": 50}),
        # Others were agreed: the new part has fewer than its hamlet, which gets all of it.
        ({"00001": 3, "00009": 1}, {"00001": 75, "00009": 25}, {"101": 25, "102": 30, "201": 50}),
    ],
)
def test_after_a_division_hamlets_have_no_more_than_their_part(
    weights: Mapping[str, int], eligible: Mapping[str, int], hamlets: Mapping[str, int]
) -> None:
    units = bring(
        small(TREE, DIVIDED),
        ("62", FIRST_DAY, listed("101 00001", "102 00001", "201 00002", until=CENSUS)),
        ("62", CENSUS, listed("101 00009", "102 00001", "201 00002")),
    )
    order = Reorganisation(
        effective_on=CENSUS,
        rows=(row("00001", "00001", "part-main"), row("00001", "00009", "part")),
        by_hamlet={"00001": weights},
    )
    plan = made()
    targets, of_hamlets = assigned(plan, units)
    followed = plan.campaign.followed_to_hamlets(History(units, [order]), CENSUS)
    there, both = with_hamlets(*rebased_plan(plan, targets, followed), of_hamlets, followed)
    assert there.eligible == {**eligible, "00002": 50}
    assert there.eligible_in_hamlets == hamlets
    assert both["62", "intake"] == both["00001", "intake"] + both["00002", "intake"] + both["00009", "intake"]
    for part, codes in (("00001", ["102"]), ("00009", ["101"]), ("00002", ["201"])):
        assert sum(both[code, "intake"] for code in codes) <= both[part, "intake"]


def test_a_division_s_weights_are_the_eligible_of_its_hamlets_and_the_rest_stays() -> None:
    division = ByHamlet("00001", {"00001": ["102"], "00009": ["101"]}, "00001")
    assert weights_of(division, ["101", "102"], made()) == {"00001": 60, "00009": 40}
    # A plan that knows but some of them, or not the commune, knows no weights.
    assert weights_of(division, ["101", "102", "103"], made()) is None
    assert weights_of(division, [], made(eligible={"00002": 50})) is None


def test_one_that_ended_is_among_those_that_name_none() -> None:
    units = bring(
        small(TREE), ("62", FIRST_DAY, LIST), ("62", LATER, listed("101 00001", "201 00002", "103 00001"))
    )
    plan = made()
    targets, of_hamlets = assigned(plan, units)
    followed = plan.campaign.followed_to_hamlets(History(units), LATER)
    there, both = with_hamlets(plan, targets, of_hamlets, followed)
    assert there.eligible_in_hamlets == {"101": 40, "201": 50}
    assert ("102", "intake") not in both
    assert both["00001", "intake"] == 60


def test_a_list_does_not_take_a_hamlet_from_the_commune_of_which_a_plan_says_so() -> None:
    plan = made()
    elsewhere = bring(small(TREE), ("62", FIRST_DAY, listed("101 00002", "102 00001", "201 00002")))
    with pytest.raises(EditionContradicted, match="1 hamlets would not be where the plan of") as refused:
        check_homes(plan, gazetteer(), elsewhere)
    assert refused.value.field == "hamlets"
    check_homes(
        plan, gazetteer(), bring(small(TREE), ("62", FIRST_DAY, LIST), ("62", LATER, listed("101 00001")))
    )


def test_what_a_stretch_is_to_bring_is_spread_over_hamlets_as_a_target_is() -> None:
    units = gazetteer()
    going_on = GoingOn(indicator="intake", daily=(DailyQuota(goal="intake", citizens=3),))
    plan = made(campaign=campaign(going_on=going_on))
    tree = units.as_of(plan.campaign.first_day)
    [stretch] = stretches(plan.campaign, date(2024, 1, 1))
    own, brought = plan_of_stretch(plan, tree, stretch)
    found = hamlet_targets(own, brought, homes_of(plan, units), tree)
    assert brought["00001", "intake"] == 56
    assert found == {("101", "intake"): 22, ("102", "intake"): 17, ("201", "intake"): 28}
