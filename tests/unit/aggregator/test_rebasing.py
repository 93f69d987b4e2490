"""Campaigns on later trees: the same totals under other units."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.campaigns import campaign
from tests.support.units import CENSUS, QUANG_BINH_BY_HAND, REFORM, country, reform_rows, row, sent, small
from tiendo_aggregator.errors import EditionContradicted
from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.exemptions import Exempted, ExemptionDecision, exempt_citizens
from tiendo_aggregator.rules.plan import Plan, UnitTargets, unit_targets
from tiendo_aggregator.rules.progress import Count, UnitProgress, unit_progress
from tiendo_aggregator.rules.rebasing import check_edition, rebased, rebased_plan, rebased_sums
from tiendo_aggregator.rules.units import (
    FIRST_DAY,
    Followed,
    Gazetteer,
    History,
    Reorganisation,
    in_order,
    merge_editions,
)
from tiendo_aggregator.rules.units.edition import make_edition
from tiendo_aggregator.rules.units.reorganisation import Row, check_complete, preview
from tiendo_common.errors import Invalid

FIRST = date(2023, 11, 11)


def plan_of(
    gazetteer: Gazetteer, province: str, eligible: Mapping[str, int], units: tuple[str, ...] = ()
) -> tuple[Plan, UnitTargets]:
    """A plan from FIRST on, with targets of half and a third of the eligible."""
    whole = sum(eligible.values())
    plan = Plan(
        campaign=campaign(FIRST, FIRST, province=province, units=units),
        targets={"intake": whole // 2, "activated": whole // 3},
        eligible=eligible,
    )
    return plan, unit_targets(plan, plan.campaign.followed(History(gazetteer), FIRST).tree)


def exempting_a_third(plan: Plan) -> ExemptionDecision:
    """A decision about a third of the eligible of each commune that has so many."""
    return ExemptionDecision(
        number="1",
        signed_by="S",
        from_day=FIRST,
        document="D",
        lines=tuple(
            Exempted(unit=code, citizens=n // 3, reason="abroad")
            for code, n in plan.eligible.items()
            if n >= 3
        ),
        withdraws=None,
        entered_by="a",
        entered_at=datetime(2023, 11, 11, tzinfo=UTC),
        known_day=FIRST,
    )


def on_tree(
    plan: Plan, targets: UnitTargets, followed: Followed, counts: Sequence[Count]
) -> dict[str, UnitProgress]:
    """Every unit of a tree as a report says it, by code."""
    codes = set(followed.codes_below(followed.root))
    ours = [each for each in counts if each.unit in codes]
    moved, unit_goals = rebased_plan(plan, targets, followed)
    exempt = exempt_citizens([exempting_a_third(plan)], FIRST, None, followed)
    units = unit_progress(moved, unit_goals, exempt, followed.tree, followed.root, 9, rebased(ours, followed))
    return {each.code: each for each in units}


def counts_of(numbers: Mapping[str, Sequence[int]]) -> list[Count]:
    return [
        Count(unit, INDICATORS[place // 2], place % 2 + 1, n, n // 3)
        for unit, each in numbers.items()
        for place, n in enumerate(each)
    ]


def assert_the_same_totals(
    before: Mapping[str, UnitProgress],
    after: Mapping[str, UnitProgress],
    communes: Mapping[str, str],
    root: str,
    new_root: str,
) -> None:
    """The whole is the same, and each new unit is the sum of the old ones that it took in."""
    one, other = before[root].indicators, after[new_root].indicators
    for indicator in INDICATORS:
        assert one[indicator] == other[indicator]
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0] * 6)
        for code, there in communes.items():
            was = before[code].indicators[indicator]
            numbers = was.level_1, was.level_2, was.baseline, was.target, was.eligible, was.exempt
            for place, n in enumerate(numbers):
                sums[there][place] += n or 0
        for there, expected in sums.items():
            now = after[there].indicators[indicator]
            numbers = now.level_1, now.level_2, now.baseline, now.target or 0, now.eligible, now.exempt
            assert list(numbers) == expected


@st.composite
def reorganised(draw: st.DrawFn) -> tuple[Gazetteer, Reorganisation, dict[str, list[int]]]:
    """Communes of two provinces with or without districts, each merged into one or divided among units of a province
    after; with what is counted at each old one, also later."""
    size = draw(st.integers(1, 8))
    communes = [f"{n:05}" for n in range(1, size + 1)]
    parents = draw(st.lists(st.sampled_from(["01", "011", "012", "02"]), min_size=size, max_size=size))
    # A unit with nothing below it would be one of the lowest, and need a row of its own.
    tops = sorted({parent[:2] for parent in parents})
    districts = sorted({parent for parent in parents if len(parent) == 3})
    old_lines = [f"{top} -" for top in tops] + [f"{district} 01" for district in districts]
    old_lines += [f"{code} {parent}" for code, parent in zip(communes, parents, strict=True)]
    # Province 02 goes into 01 or stays; what a commune becomes lies where its province went.
    merged = draw(st.booleans())
    new_lines = ["01 -"] if merged or "02" not in tops else [f"{top} -" for top in tops]
    rows: list[Row] = []
    above: dict[str, str] = {}
    fresh = iter(range(90001, 99999))
    for code, parent in zip(communes, parents, strict=True):
        top = "02" if parent == "02" and not merged else "01"
        here = [each for each, there in above.items() if there == top]
        parts = draw(st.lists(st.sampled_from([*here, "new", code]), min_size=1, max_size=3, unique=True))
        # Nobody leaves a code that goes on: a commune whose code another one took keeps part in it.
        if code in above and code not in parts:
            parts.insert(0, code)
        parts = [str(next(fresh)) if part == "new" else part for part in parts]
        if code in parts:
            parts.sort(key=lambda part: part != code)
        for place, part in enumerate(parts):
            above.setdefault(part, top)
            share = "whole" if len(parts) == 1 else "part" if place else "part-main"
            rows.append(row(code, part, share))
    new_lines[0] += " Renamed"  # so that there is another tree whatever was drawn
    new_lines += [f"{code} {there}" for code, there in above.items()]
    numbers = {
        code: draw(st.lists(st.integers(0, 50), min_size=6, max_size=6))
        for code in [*communes, *tops, *districts]
    }
    asked = Reorganisation(effective_on=CENSUS, rows=tuple(rows), placing="all-to-main")
    return small("\n".join(old_lines), "\n".join(new_lines)), asked, numbers


@given(reorganised(), st.integers(0, 10**6))
def test_totals_are_the_same_before_and_after_to_the_unit(
    made: tuple[Gazetteer, Reorganisation, dict[str, list[int]]], seed: int
) -> None:
    gazetteer, asked, numbers = made
    check_complete(preview(asked, gazetteer))
    history = History(gazetteer, [asked])
    tree = gazetteer.as_of(FIRST)
    for province in tree.roots():
        communes = tree.communes(province)
        eligible = {code: 1 + (seed + 7 * place) % 90 for place, code in enumerate(communes)}
        plan, targets = plan_of(gazetteer, province, eligible)
        old = history.follow(province, FIRST, CENSUS - timedelta(days=1))
        new = history.follow(province, FIRST, CENSUS)
        old.require(FIRST, FIRST, field="tree")
        new.require(FIRST, CENSUS, field="tree")
        counts = counts_of(numbers)
        before, after = on_tree(plan, targets, old, counts), on_tree(plan, targets, new, counts)
        takes = asked.takes()
        assert_the_same_totals(before, after, {code: takes[code] for code in communes}, province, new.root)
        work = [(code, "intake", n[0]) for code, n in numbers.items() if code in old.places]
        moved = rebased_sums(work, new)
        assert sum(n for *_, n in moved) == sum(n for *_, n in work)


@given(reorganised(), st.data())
def test_a_campaign_of_some_units_is_the_same_sum_before_and_after(
    made: tuple[Gazetteer, Reorganisation, dict[str, list[int]]], data: st.DataObject
) -> None:
    gazetteer, asked, numbers = made
    history = History(gazetteer, [asked])
    tree = gazetteer.as_of(FIRST)
    province = data.draw(st.sampled_from(tree.roots()))
    below = [code for code in tree.below(province) if code != province]
    drawn = data.draw(st.lists(st.sampled_from(below), min_size=1, unique=True))
    units = tuple(unit for unit in sorted(drawn) if tree.units[unit].parent not in drawn)
    communes = [code for unit in units for code in tree.communes(unit)]
    eligible = {code: 3 + int(code) for code in communes}
    plan, targets = plan_of(gazetteer, province, eligible, units)
    old, new = (plan.campaign.followed(history, day) for day in (FIRST, CENSUS))
    new.require(FIRST, CENSUS, field="tree")
    counts = counts_of(numbers)
    before, after = on_tree(plan, targets, old, counts), on_tree(plan, targets, new, counts)
    takes = asked.takes()
    assert {code for code, each in before.items() if each.level == "commune"} == set(communes)
    assert {takes[code] for code in communes} <= after.keys()
    assert_the_same_totals(before, after, {code: takes[code] for code in communes}, province, new.root)
    # What a district did itself counts where all of it is the campaign's.
    own = {code for unit in units for code in tree.below(unit)}
    assert before[province].indicators["intake"].level_1 == sum(numbers[code][0] for code in own)


# --- the five campaigns ------------------------------------------------------------------------------------------

FIVE = {"62": "51", "70": "75", "95": "96", "11": "11", "44": "44"}
BY_HAND = Reorganisation(
    effective_on=CENSUS,
    rows=tuple(row(code, there) for code, there in QUANG_BINH_BY_HAND.items()),
    within=("44",),
)
REFORMED = Reorganisation(effective_on=REFORM, rows=reform_rows(), placing="all-to-kept-code")


@pytest.mark.parametrize(("province", "becomes"), FIVE.items())
def test_a_campaign_of_2023_keeps_its_totals_on_the_trees_of_2025(province: str, becomes: str) -> None:
    gazetteer = country()
    history = History(gazetteer, [BY_HAND, REFORMED])
    communes = gazetteer.as_of(FIRST).communes(province)
    plan, targets = plan_of(gazetteer, province, {code: 900 + int(code) % 613 for code in communes})
    counts = counts_of({code: [int(code) % 97, 3, 5, 7, 11, 13] for code in communes})
    before = on_tree(plan, targets, history.follow(province, FIRST, FIRST), counts)
    for day, root in ((CENSUS, province), (REFORM, becomes)):
        followed = history.follow(province, FIRST, day)
        followed.require(day, day, field="tree")
        assert followed.root == root
        assert followed.tree.units.keys() >= set(followed.places.values())
        after = on_tree(plan, targets, followed, counts)
        assert_the_same_totals(
            before, after, {code: followed.places[code] for code in communes}, province, root
        )
    reform = REFORMED.takes()
    for code in communes:
        assert followed.places[code] == reform[QUANG_BINH_BY_HAND.get(code, code)]


def test_without_the_rule_made_by_hand_quang_binhs_six_are_named() -> None:
    followed = History(country(), [REFORMED]).follow("44", FIRST, REFORM)
    with pytest.raises(Invalid) as refused:
        followed.require(FIRST, REFORM, field="tree")
    assert refused.value.field == "tree"
    assert "6 units have no place: Xã Hóa Phúc (18910)" in refused.value.detail
    assert "effective_on 2025-01-01" in (refused.value.remedy or "")


def test_without_the_reform_kon_tum_has_no_place_on_its_tree() -> None:
    history = History(country())
    history.follow("62", FIRST, CENSUS).require(CENSUS, CENSUS, field="tree")
    with pytest.raises(Invalid, match="have no place"):
        history.follow("62", FIRST, REFORM).require(FIRST, REFORM, field="tree")


def test_on_its_own_tree_a_campaign_is_what_it_was() -> None:
    gazetteer = country()
    followed = History(gazetteer, [REFORMED]).follow("62", FIRST, date(2024, 6, 1))
    assert followed.tree is gazetteer.as_of(FIRST)
    assert list(followed.places) == list(gazetteer.as_of(FIRST).below("62"))
    plan, targets = plan_of(gazetteer, "62", dict.fromkeys(gazetteer.as_of(FIRST).communes("62"), 10))
    assert rebased_plan(plan, targets, followed) == (plan, targets)


def test_other_communes_of_the_new_province_are_not_in_the_campaign() -> None:
    followed = History(country(), [REFORMED]).follow("62", FIRST, REFORM)
    assert followed.tree.units["51"].name == "Tỉnh Quảng Ngãi"
    assert len(followed.tree.units) == 1 + 40
    # What Quảng Ngãi's own teams did was never this campaign's.
    assert "51" not in followed.places
    assert followed.places["62"] == followed.places["608"] == "51"


# --- what cannot be told apart -----------------------------------------------------------------------------------


def test_a_commune_shared_with_another_province_is_counted_up_to_the_day_only() -> None:
    gazetteer = small("01 -\n00001 01\n00002 01\n02 -\n00003 02", "02 -\n00002 02\n00003 02")
    merge = Reorganisation(effective_on=CENSUS, rows=(row("00001", "00003"),))
    check_complete(preview(merge, gazetteer))
    followed = History(gazetteer, [merge]).follow("01", FIRST, CENSUS)
    followed.require(CENSUS - timedelta(days=1), CENSUS, field="tree")
    assert followed.places == {"01": "02", "00001": "00003", "00002": "00002"}
    with pytest.raises(Invalid) as refused:
        followed.require(CENSUS, CENSUS, field="as_of")
    assert (
        "00003 (00003). What is counted there from 2025-01-01 on can't be told apart" in refused.value.detail
    )


def test_a_code_that_means_two_units_on_the_way_is_refused() -> None:
    # 00001 moved its records to 00002 and came back as another unit; no reorganisation was asked for that.
    gazetteer = small("01 -\n00001 01\n00002 01", "01 -\n00002 01", "01 -\n00001 01\n00002 01")
    merge = Reorganisation(effective_on=CENSUS, rows=(row("00001", "00002"),))
    history = History(gazetteer, [merge])
    with pytest.raises(Invalid, match=r"1 units have no place: 00001"):
        history.follow("01", FIRST, REFORM).require(FIRST, REFORM, field="tree")


def test_a_unit_founded_within_the_campaigns_place_belongs_to_it() -> None:
    gazetteer = small("01 -\n00001 01\n02 -\n00002 02", "01 -\n00001 01\n00009 01\n02 -\n00002 02")
    followed = History(gazetteer).follow("01", FIRST, CENSUS)
    assert followed.places["00009"] == "00009"
    joined = small("01 -\n00001 01\n02 -\n00002 02", "01 -\n00001 01\n00002 01\n00009 01")
    assert "00009" not in History(joined).follow("01", FIRST, CENSUS).places


def test_a_province_whose_communes_go_two_ways_cannot_be_followed() -> None:
    gazetteer = small("01 -\n00001 01\n00002 01", "02 -\n00001 02\n03 -\n00002 03")
    ruled = Reorganisation(effective_on=CENSUS, rows=(row("01", "02"),))
    for reorganisations in ([], [ruled]):
        with pytest.raises(Invalid, match=r"01 \(01\)"):
            History(gazetteer, reorganisations).follow("01", FIRST, CENSUS).require(
                FIRST, CENSUS, field="tree"
            )


def test_a_code_that_was_another_units_once_is_not_counted_with_it() -> None:
    gazetteer = small(
        "01 -\n00001 01\n02 -\n00002 02\n00003 02",
        "01 -\n00001 01\n02 -\n00002 02",
        "01 -\n00003 01\n02 -\n00002 02",
    )
    recode = Reorganisation(effective_on=REFORM, rows=(row("00001", "00003"),))
    followed = History(gazetteer, [recode]).follow("01", FIRST, REFORM)
    assert followed.places == {"01": "01", "00001": "00003"}
    assert followed.shared == {"00003": REFORM}


# --- other trees under what is in force --------------------------------------------------------------------------


def test_a_tree_must_fit_the_mappings_and_campaigns_in_force() -> None:
    gazetteer = small("01 -\n011 01\n012 01\n00001 011\n00002 012", "01 -\n00002 01")
    merge = Reorganisation(effective_on=CENSUS, rows=(row("00001", "00002"),))
    plan, _ = plan_of(gazetteer, "01", {"00001": 1, "00002": 1})
    renamed = small("01 -\n011 01 New\n012 01\n00001 011 New\n00002 012", "01 -\n00002 01")
    check_edition(gazetteer, renamed, [merge], [plan.campaign])
    faults: list[tuple[str, str, str]] = [
        (
            "01 -\n011 01\n012 01\n00001 011\n00002 012",
            "01 -\n00003 01",
            "would no longer fit: There is no unit '00002'",
        ),
        (
            "01 -\n011 01\n012 01\n00001 012\n00002 012\n00003 011",
            "01 -\n00002 01\n00003 01",
            r"Campaign c would have other units on its first day, 2023-11-11: 00001, 00003\.",
        ),
    ]
    for before, after, words in faults:
        with pytest.raises(EditionContradicted, match=words) as refused:
            check_edition(gazetteer, small(before, after), [merge], [plan.campaign])
        assert (refused.value.status, refused.value.field) == (409, "units")


def test_editions_follow_one_another_by_their_days() -> None:
    later, first = make_edition(sent("01 -"), CENSUS), make_edition(sent("01 -\n00001 01"), FIRST_DAY)
    merged = merge_editions(in_order({CENSUS: later, FIRST_DAY: first}))
    assert merged["00001"][0].until_day == CENSUS
    assert [msgspec.structs.astuple(span)[:2] for span in merged["01"]] == [(FIRST_DAY, None)]
