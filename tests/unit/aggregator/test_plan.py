"""Plans: checked against the tree, spread exactly."""

from collections.abc import Mapping
from datetime import date, time
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aggregator import DATA
from tests.support.campaigns import campaign
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.plan import (
    Figure,
    Plan,
    check_place,
    check_plan,
    check_targets,
    spread,
    unit_targets,
    withdrawn,
)
from tiendo_aggregator.rules.units import Gazetteer, Tree, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.errors import Invalid
from tiendo_common.events.state import UnitSpan

weights = st.dictionaries(st.text("0123456789", min_size=5, max_size=5), st.integers(0, 10**6), min_size=1)


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Gazetteer(merge_editions(read_editions(DATA))).as_of(date(2023, 11, 11))


@pytest.fixture(scope="module")
def plan(tree: Tree) -> Plan:
    return Plan(
        campaign=campaign(
            figures=(Figure(id="share", indicator="intake", over="target", decimals=1),),
        ),
        targets={"intake": 421_100, "activated": 335_512},
        eligible={code: 3000 + 37 * place for place, code in enumerate(tree.communes("62"))},
    )


@given(st.integers(0, 10**8), weights.filter(lambda each: any(each.values())))
def test_shares_sum_to_the_total_and_none_is_a_whole_unit_off(total: int, shares: Mapping[str, int]) -> None:
    given_out = spread(total, shares)
    assert sum(given_out.values()) == total
    whole = sum(shares.values())
    for code, weight in shares.items():
        assert abs(given_out[code] - Fraction(total * weight, whole)) < 1


@given(st.integers(0, 10**8), weights.filter(lambda each: any(each.values())), st.randoms())
def test_shares_do_not_depend_on_the_order_of_the_communes(
    total: int, shares: Mapping[str, int], random: Any
) -> None:
    shuffled = list(shares.items())
    random.shuffle(shuffled)
    assert spread(total, dict(shuffled)) == spread(total, shares)


def test_among_equal_fractions_the_lower_code_comes_first() -> None:
    assert spread(2, {"3": 1, "1": 1, "2": 1}) == {"1": 1, "2": 1, "3": 0}


def test_a_commune_where_nobody_is_eligible_gets_nothing() -> None:
    assert spread(10, {"1": 0, "2": 3, "3": 4}) == {"1": 0, "2": 4, "3": 6}


def test_targets_sum_up_the_tree(plan: Plan, tree: Tree) -> None:
    targets = unit_targets(plan, tree)
    assert len(targets) == 2 * (1 + 10 + 102)
    for indicator in plan.targets:
        assert targets["62", indicator] == plan.targets[indicator]
        for district in tree.children["62"]:
            communes = tree.children[district]
            assert targets[district, indicator] == sum(targets[code, indicator] for code in communes)


@given(st.data())
def test_targets_set_by_hand_are_kept_and_the_rest_sums_exactly(data: Any) -> None:
    """Two districts of three communes each; any of the eight set by hand, as far as there is room."""
    communes = {"611": ["00001", "00002", "00003"], "612": ["00004", "00005", "00006"]}

    def span(level: str, parent: str | None) -> UnitSpan:
        return UnitSpan(from_day=date(2004, 1, 1), until_day=None, parent=parent, level=level, name="x")  # type: ignore[arg-type]

    small = Tree(
        {"62": span("province", None)}
        | {district: span("district", "62") for district in communes}
        | {code: span("commune", district) for district, codes in communes.items() for code in codes}
    )
    eligible = {code: data.draw(st.integers(1, 1000)) for codes in communes.values() for code in codes}
    by_hand: dict[str, int] = {}
    for district, codes in communes.items():
        for code in codes[: data.draw(st.integers(0, 2))]:
            by_hand[code] = data.draw(st.integers(0, eligible[code]))
        if data.draw(st.booleans()):
            least = sum(by_hand.get(code, 0) for code in codes)
            by_hand[district] = data.draw(st.integers(least, sum(eligible[code] for code in codes)))
    least = sum(
        by_hand.get(district, sum(by_hand.get(code, 0) for code in codes))
        for district, codes in communes.items()
    )
    free = {
        code: eligible[code]
        for district, codes in communes.items()
        for code in codes
        if district not in by_hand and code not in by_hand
    }
    total = data.draw(st.integers(least, sum(eligible.values()))) if free else least
    small_plan = Plan(
        campaign=campaign(), targets={"intake": total}, eligible=eligible, set_targets={"intake": by_hand}
    )
    assign(small_plan, small)
    found = {unit: value for (unit, _), value in unit_targets(small_plan, small).items()}
    assert found["62"] == total == found["611"] + found["612"]
    for district, codes in communes.items():
        assert found[district] == sum(found[code] for code in codes)
    assert {code: found[code] for code in by_hand} == by_hand
    for code, weight in free.items():
        assert abs(found[code] - Fraction((total - least) * weight, sum(free.values()))) < 1


def assign(plan: Plan, tree: Tree) -> None:
    """As a plan that is put is looked at."""
    check_place(plan.campaign, tree)
    check_plan(plan, tree)
    check_targets(plan, tree)
    unit_targets(plan, tree)


def test_a_target_set_by_hand_that_does_not_fit_is_named(plan: Plan, tree: Tree) -> None:
    [first, *others] = tree.children["612"]
    everything = {code: plan.eligible[code] for code in tree.children["612"]}
    for field, by_hand in [
        ("set_targets.approved", {"approved": {"612": 1}}),
        ("set_targets.intake.62", {"intake": {"62": 1}}),
        ("set_targets.intake.00001", {"intake": {"00001": 1}}),
        (f"set_targets.intake.{first}", {"intake": {first: plan.eligible[first] + 1}}),
        # Children above their parent; children that leave a part of it to nobody.
        ("set_targets.intake", {"intake": {"612": sum(everything.values()) - 1, **everything}}),
        ("set_targets.intake", {"intake": {"612": 10, **dict.fromkeys([first, *others], 1)}}),
    ]:
        with pytest.raises(Invalid) as refused:
            assign(msgspec.structs.replace(plan, set_targets=by_hand), tree)
        assert refused.value.field == field
        assert refused.value.remedy


def test_a_good_plan_passes(plan: Plan, tree: Tree) -> None:
    assign(plan, tree)


def changed(plan: Plan, **change: object) -> Plan:
    return msgspec.structs.replace(plan, campaign=msgspec.structs.replace(plan.campaign, **change))


def test_each_fault_of_a_plan_is_named_with_its_field(plan: Plan, tree: Tree) -> None:
    some = dict(plan.eligible)
    replace = msgspec.structs.replace
    del some["23427"]
    approved = Figure(id="of", indicator="approved", over="target", decimals=0)
    for field, faulty in [
        ("last_day", changed(plan, last_day=date(2023, 11, 10))),
        ("province", changed(plan, province="99")),
        ("province", changed(plan, province="612")),
        ("eligible", replace(plan, eligible=some)),
        ("eligible.00001", replace(plan, eligible={**plan.eligible, "00001": 5})),
        ("eligible.612", replace(plan, eligible={**plan.eligible, "612": 5})),
        ("eligible", replace(plan, eligible=dict.fromkeys(plan.eligible, 0))),
        ("targets", replace(plan, targets={"intake": sum(plan.eligible.values()) + 1})),
        ("figures", changed(plan, figures=(approved,))),
    ]:
        with pytest.raises(Invalid) as refused:
            assign(faulty, tree)
        assert refused.value.field == field
        assert refused.value.remedy


def test_a_target_that_a_new_plan_does_not_know_is_withdrawn(plan: Plan, tree: Tree) -> None:
    old = unit_targets(plan, tree)
    fewer = unit_targets(msgspec.structs.replace(plan, targets={"intake": 1}), tree)
    assert withdrawn(old, fewer) == ("23281", "activated")
    assert withdrawn(fewer, old) is None


@pytest.mark.parametrize(
    ("units", "field", "words"),
    [
        ((), "declaring.units", "No commune"),
        (("23281", "615"), "declaring.units.1", "615 is no commune"),
        (("23281", "00001"), "declaring.units.1", "00001 is no commune"),
        (("23281", "23281"), "declaring.units.1", "named twice"),
    ],
)
def test_who_declares_must_be_a_commune_of_the_province(
    plan: Plan, tree: Tree, units: tuple[str, ...], field: str, words: str
) -> None:
    declaring = Declaring(cut_off=time(16, 30), units=units)
    with pytest.raises(Invalid, match=words) as refused:
        check_plan(
            msgspec.structs.replace(
                plan, campaign=msgspec.structs.replace(plan.campaign, declaring=declaring)
            ),
            tree,
        )
    assert refused.value.field == field
