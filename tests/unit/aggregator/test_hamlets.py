"""Hamlets: which lists are none, from when to when a hamlet is there, and where its cells count."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import CENSUS, REFORM, row, small
from tiendo_aggregator.errors import EditionContradicted
from tiendo_aggregator.rules.dividing import parts_of, records_of
from tiendo_aggregator.rules.progress import sum_up
from tiendo_aggregator.rules.rebasing import check_edition, check_mappings, rebased_sums
from tiendo_aggregator.rules.units import FIRST_DAY, Gazetteer, History, Reorganisation, eve
from tiendo_aggregator.rules.units.edition import difference
from tiendo_aggregator.rules.units.hamlets import HamletList, SentHamlet, check_list, hamlet_spans
from tiendo_aggregator.rules.units.reorganisation import ByHamlet, Row, check_complete, preview
from tiendo_common.errors import Invalid

TREE = """
01 -
011 01
00001 011
00002 011
02 -
00003 02
"""
#: 00002 becomes part of 00001, and the district is gone.
MERGED = """
01 -
00001 01
02 -
00003 02
"""
LATER = date(2024, 6, 1)


def listed(*hamlets: str, until: date | None = None) -> HamletList:
    """A list of hamlets: `code commune`, and a name if it is not the code."""
    rows = []
    for line in hamlets:
        code, parent, *name = line.split()
        rows.append(SentHamlet(code=code, parent_code=parent, name=" ".join(name) or code))
    return HamletList(until, rows)


def beside(gazetteer: Gazetteer, lists: Mapping[tuple[str, date], HamletList]) -> Gazetteer:
    return Gazetteer(gazetteer.spans, hamlet_spans(lists, gazetteer.spans))


def bring(gazetteer: Gazetteer, *lists: tuple[str, date, HamletList]) -> Gazetteer:
    """Each list as a province sends it, one after the other."""
    known: dict[tuple[str, date], HamletList] = {}
    for province, day, sent in lists:
        known[province, day] = sent
        then = beside(gazetteer, known)
        check_list(province, day, known, gazetteer, then)
        gazetteer = then
    return gazetteer


def test_a_hamlet_is_there_while_its_list_holds() -> None:
    gazetteer = bring(
        small(TREE),
        ("01", FIRST_DAY, listed("101 00001", "102 00001", "201 00002", until=REFORM)),
        ("01", LATER, listed("101 00001", "102 00001 Thôn Hai")),
    )
    spans = {
        code: [(each.from_day, each.until_day, each.name) for each in gazetteer.hamlets[code]]
        for code in gazetteer.hamlets
    }
    assert spans == {
        # The next list says the same of it.
        "101": [(FIRST_DAY, None, "101")],
        "102": [(FIRST_DAY, LATER, "102"), (LATER, None, "Thôn Hai")],
        "201": [(FIRST_DAY, LATER, "201")],
    }
    assert gazetteer.ever_below("01") == ["00001", "00002", "01", "011", "101", "102", "201"]
    assert gazetteer.hamlets_of(["00002"]) == ["201"]
    assert gazetteer.with_hamlets(LATER).children["00001"] == ["101", "102"]
    # The tree of plans knows nothing of them, nor has it changed with the second list.
    assert gazetteer.as_of(LATER).children["00001"] == []
    assert gazetteer.changes(FIRST_DAY, REFORM) == []
    found = difference(gazetteer.with_hamlets(FIRST_DAY), gazetteer.with_hamlets(LATER))
    assert (found.added, found.gone, found.renamed, found.moved) == ([], ["201"], ["102"], [])


def test_a_hamlet_ends_with_its_commune_when_a_later_tree_ends_that() -> None:
    lists = {("01", FIRST_DAY): listed("101 00001", "201 00002")}
    [hamlet] = beside(small(TREE, MERGED), lists).hamlets["201"]
    assert hamlet.until_day == CENSUS


@pytest.mark.parametrize(
    ("rows", "field", "words"),
    [
        (["101 011"], "hamlets.0.parent_code", "which is a district"),
        (["101 01"], "hamlets.0.parent_code", "which is a province"),
        (["101 00003"], "hamlets.0.parent_code", "not in 01"),
        (["101 00009"], "hamlets.0.parent_code", "no unit on 2004-01-01"),
        (["101 101"], "hamlets.0.parent_code", "101, which is a hamlet of this list"),
        (["101 102", "102 101"], "hamlets.0.parent_code", "102, which is a hamlet of this list"),
        (["101 00001", "101 00002"], "hamlets.1.code", "both would be valid on the same days"),
        (["00002 00001"], "hamlets.0.code", "is that of the commune 00002, valid from 2004-01-01"),
        (["101 00001", "201 00002"], "hamlets.1.parent_code", "1 hamlets would outlive their communes: 201"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused_by_line(rows: list[str], field: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        bring(small(TREE, MERGED), ("01", FIRST_DAY, listed(*rows)))
    assert refused.value.field == field
    assert words in refused.value.detail


def test_a_list_that_ends_with_the_communes_is_none_that_outlives_them() -> None:
    bring(
        small(TREE, MERGED),
        ("01", FIRST_DAY, listed("101 00001", "201 00002", until=CENSUS)),
        ("01", CENSUS, listed("101 00001")),
    )


@pytest.mark.parametrize(
    ("province", "sent", "field"),
    [
        ("03", listed(), "province"),
        ("011", listed(), "province"),
        ("01", listed(until=FIRST_DAY), "until_day"),
        ("02", listed("101 00003"), "hamlets.0.code"),
    ],
)
def test_days_and_provinces_must_fit_what_is_there(province: str, sent: HamletList, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        bring(small(TREE), ("01", FIRST_DAY, listed("101 00001")), (province, FIRST_DAY, sent))
    assert refused.value.field == field


def test_what_was_a_hamlet_once_stays_one() -> None:
    once = ("01", FIRST_DAY, listed("101 00001"))
    with pytest.raises(Invalid, match="1 hamlets would never have been: 101") as refused:
        bring(small(TREE), once, ("01", FIRST_DAY, listed()))
    assert refused.value.field == "hamlets"
    gazetteer = bring(small(TREE), once, ("01", LATER, listed()))
    assert gazetteer.hamlets["101"][-1].until_day == LATER
    # Nor may a tree make its commune never have been.
    without = beside(small("01 -\n011 01\n00002 011\n02 -\n00003 02"), {("01", FIRST_DAY): once[2]})
    with pytest.raises(EditionContradicted, match="1 hamlets would never have been"):
        check_edition(bring(small(TREE), once), without, [], [])


def test_a_hamlet_goes_to_no_other_commune_while_the_tree_is_the_same() -> None:
    for before in (listed("101 00001"), listed("101 00001", until=date(2024, 1, 1))):
        with pytest.raises(Invalid, match=r"was in 00001 and would be in 00002") as refused:
            bring(small(TREE), ("01", FIRST_DAY, before), ("01", LATER, listed("9 00001", "101 00002")))
        assert refused.value.field == "hamlets.1.parent_code"


# --- where cells count ---------------------------------------------------------------------------------------------

LISTS = (
    ("01", FIRST_DAY, listed("101 00001", "201 00002", "202 00002", until=CENSUS)),
    ("01", CENSUS, listed("101 00001", "201 00001")),
)
MERGING = Reorganisation(effective_on=CENSUS, rows=(row("00002", "00001"),))


def test_cells_count_at_the_commune_and_at_the_hamlet_where_that_is_asked_for() -> None:
    history = History(bring(small(TREE, MERGED), *LISTS), [MERGING])
    plain = history.follow("01", FIRST_DAY, FIRST_DAY)
    assert plain.tree is history.gazetteer.as_of(FIRST_DAY)
    assert not plain.as_counted
    assert sorted(plain.codes_below("00002")) == ["00002", "201", "202"]
    detailed = history.follow_to_hamlets("01", FIRST_DAY, FIRST_DAY)
    assert detailed.codes_below("201") == ["201"]
    assert list(detailed.tree.below("00002")) == ["00002", "201", "202"]
    # A province without any is followed as ever.
    other = history.follow("02", FIRST_DAY, FIRST_DAY)
    assert other.as_counted
    assert history.follow_to_hamlets("02", FIRST_DAY, FIRST_DAY) is other


def test_after_a_merger_hamlets_count_where_their_commune_does_and_those_that_went_on_at_themselves() -> None:
    history = History(bring(small(TREE, MERGED), *LISTS), [MERGING])
    followed = history.follow("01", FIRST_DAY, CENSUS)
    followed.require(CENSUS, CENSUS, field="tree")
    assert {code: followed.places[code] for code in ("101", "201", "202")} == dict.fromkeys(
        ("101", "201", "202"), "00001"
    )
    detailed = history.follow_to_hamlets("01", FIRST_DAY, CENSUS)
    assert detailed.places["201"] == "201"
    # No list has it any more: it is told of with its commune.
    assert detailed.places["202"] == "00001"
    assert list(detailed.tree.below("01")) == ["01", "00001", "101", "201"]


def test_a_hamlet_that_turns_up_elsewhere_without_a_division_is_named() -> None:
    after = "01 -\n011 01\n00001 011\n00002 011 Xã Hai\n02 -\n00003 02"
    gazetteer = bring(
        small(TREE, after),
        ("01", FIRST_DAY, listed("101 00001 Thôn Một", "201 00002", until=CENSUS)),
        ("01", CENSUS, listed("101 00002 Thôn Một", "201 00002")),
    )
    followed = History(gazetteer).follow("01", FIRST_DAY, CENSUS)
    with pytest.raises(Invalid, match=r"1 units have no place: Thôn Một \(101\)"):
        followed.require(CENSUS, CENSUS, field="tree")
    # Who begins on the new tree has nothing to follow.
    History(gazetteer).follow("01", CENSUS, CENSUS).require(CENSUS, CENSUS, field="tree")


# --- divided by hamlet ---------------------------------------------------------------------------------------------

BEFORE = "01 -\n00001 01\n00002 01"
DIVIDED = "01 -\n00001 01\n00002 01\n00009 01"
PARTS = row("00001", "00001", "part-main"), row("00001", "00009", "part")
OLD_LIST = ("01", FIRST_DAY, listed("101 00001 Thôn Một", "102 00001", "201 00002", until=CENSUS))


def dividing(*rows: Row, **change: Any) -> Reorganisation:
    given = {"by_hamlet": {"00001": {"00001": 3, "00009": 1}}, **change}
    return Reorganisation(effective_on=CENSUS, rows=(*PARTS, *rows), **given)


def test_divided_by_hamlet_each_goes_where_the_next_list_has_it() -> None:
    gazetteer = bring(
        small(BEFORE, DIVIDED), OLD_LIST, ("01", CENSUS, listed("101 00009", "102 00001", "201 00002"))
    )
    found = preview(dividing(), gazetteer)
    check_complete(found)
    assert found.by_hamlet == [ByHamlet("00001", {"00001": ["102"], "00009": ["101"]}, "00001")]
    history = History(gazetteer, [dividing()])
    followed = history.follow("01", FIRST_DAY, CENSUS)
    followed.require(CENSUS, CENSUS, field="tree")
    assert {code: followed.places[code] for code in ("00001", "101", "102", "201")} == {
        "00001": "00001",
        "101": "00009",
        "102": "00001",
        "201": "00002",
    }
    # What was told of it as a number is parted by the weights.
    assert parts_of("00001", 10, followed.steps) == {"00001": 8, "00009": 2}
    assert records_of("00001", 10, followed, FIRST_DAY) == {"00001": 10}
    # On the eve it is as it was, and without the reorganisation nothing says why the hamlet is elsewhere.
    assert history.follow("01", FIRST_DAY, eve(CENSUS)).places["101"] == "00001"
    with pytest.raises(Invalid, match=r"Thôn Một \(101\)|101 \(101\)"):
        History(gazetteer).follow("01", FIRST_DAY, CENSUS).require(CENSUS, CENSUS, field="tree")


def test_a_hamlet_with_another_code_or_none_afterwards_needs_a_row() -> None:
    gazetteer = bring(small(BEFORE, DIVIDED), OLD_LIST, ("01", CENSUS, listed("901 00009", "201 00002")))
    found = preview(dividing(row("101", "901")), gazetteer)
    assert found.unmapped == ["102"]
    with pytest.raises(Invalid, match=r"1 units would be lost: 102 \(102\)") as refused:
        check_complete(found)
    assert refused.value.field == "rows"
    asked = dividing(row("101", "901"), row("102", "00001"))
    check_complete(preview(asked, gazetteer))
    history = History(gazetteer, [asked])
    detailed = history.follow_to_hamlets("01", FIRST_DAY, CENSUS)
    assert (detailed.places["101"], detailed.places["102"]) == ("901", "00001")
    assert history.follow("01", FIRST_DAY, CENSUS).places["101"] == "00009"


@pytest.mark.parametrize(
    ("rows", "change", "field", "words"),
    [
        ([row("101", "102")], {}, "rows.2.to_code", "neither a commune nor a hamlet"),
        ([row("101", "01")], {}, "rows.2.to_code", "neither a commune nor a hamlet"),
        ([row("101", "00001", "part-main"), row("101", "00009", "part")], {}, "rows.2.share", "be parted"),
        ([row("109", "00001")], {}, "rows.2.from_code", "no unit '109'"),
        ([row("00002", "901")], {}, "rows.2.to_code", "no unit '901'"),
        ([row("201", "00002")], {"within": ("00001",)}, "rows.2.from_code", "outside"),
        ([], {"by_hamlet": {"00001": {"00001": 1}}}, "by_hamlet.00001", "has the parts"),
        ([], {"by_hamlet": {"00001": {"00001": 0, "00009": 0}}}, "by_hamlet.00001", "Every weight"),
        ([], {"by_hamlet": {"00002": {"00002": 1}}}, "by_hamlet.00002", "not divided"),
        ([], {"placements": {"00001": "00001"}}, "by_hamlet.00001", "stands in placements"),
        ([], {"shares": {"00001": {"00001": 1, "00009": 1}}}, "shares.00001", "stands in shares"),
        (
            [],
            {"by_hamlet": {}, "shares": {"00001": {"00001": 1, "00009": 1}}},
            "shares.00001",
            "has 2 hamlets on the day before",
        ),
    ],
)  # fmt: skip
def test_what_is_no_division_by_hamlet_is_refused(
    rows: list[Row], change: dict[str, Any], field: str, words: str
) -> None:
    gazetteer = bring(small(BEFORE, DIVIDED), OLD_LIST, ("01", CENSUS, listed("901 00009")))
    with pytest.raises(Invalid) as refused:
        preview(dividing(*rows, **change), gazetteer)
    assert refused.value.field == field
    assert words in refused.value.detail


def test_what_is_left_open_is_named() -> None:
    without = small(BEFORE, DIVIDED)
    with pytest.raises(Invalid, match="has no hamlet on the day before"):
        preview(dividing(), without)
    with pytest.raises(Invalid, match="have no rule"):
        check_complete(preview(dividing(by_hamlet={}, placing="by-hamlet"), without))
    # A part that is none of the commune's; a code that goes on as another hamlet; one that went astray undivided.
    gazetteer = bring(
        small(BEFORE, DIVIDED), OLD_LIST, ("01", CENSUS, listed("101 00002", "102 00001", "201 00009"))
    )
    found = preview(dividing(), gazetteer)
    assert found.astray == ["101", "201"]
    with pytest.raises(Invalid, match=r"2 hamlets are in other communes on 2025-01-01 than their own become"):
        check_complete(found)
    assert preview(dividing(row("102", "00009")), gazetteer).reused == ["102"]


def test_a_list_does_not_pull_the_ground_from_under_a_division_in_force() -> None:
    gazetteer = bring(
        small(BEFORE, DIVIDED), OLD_LIST, ("01", CENSUS, listed("101 00009", "102 00001", "201 00002"))
    )
    other = beside(gazetteer, {
        ("01", FIRST_DAY): OLD_LIST[2], ("01", CENSUS): listed("101 00009", "201 00002"),
    })  # fmt: skip
    check_mappings(gazetteer, [dividing()], field="hamlets")
    with pytest.raises(EditionContradicted, match="1 units would be lost") as refused:
        check_mappings(other, [dividing()], field="hamlets")
    assert refused.value.field == "hamlets"


@st.composite
def divided(draw: st.DrawFn) -> tuple[Gazetteer, Reorganisation, dict[str, str]]:
    """Communes with hamlets, each left alone, merged into another or divided by hamlet; and, for each code, the commune
    in which it is expected afterwards."""
    communes = [f"{n:05}" for n in range(1, draw(st.integers(1, 5)) + 1)]
    fresh, code_of = iter(range(90001, 99999)), iter(range(1000, 9999))
    above: set[str] = set()
    rows: list[Row] = []
    weights: dict[str, dict[str, int]] = {}
    expected: dict[str, str] = {}
    old_list: list[str] = []
    new_list: list[str] = []
    for commune in communes:
        hamlets = [str(next(code_of)) for _ in range(draw(st.integers(0, 4)))]
        old_list += [f"{hamlet} {commune}" for hamlet in hamlets]
        parts = [commune]
        is_divided, is_merged = (draw(st.booleans()) for _ in range(2))
        if hamlets and is_divided:
            parts += [str(next(fresh)) for _ in range(draw(st.integers(1, 2)))]
            weights[commune] = {part: draw(st.integers(1, 9)) for part in parts}
            rows += [row(commune, part, "part" if n else "part-main") for n, part in enumerate(parts)]
        elif above and is_merged:
            parts = [draw(st.sampled_from(sorted(above)))]
            rows.append(row(commune, parts[0]))
        above.update(parts)
        expected[commune] = parts[0]
        for hamlet in hamlets:
            home = draw(st.sampled_from(parts))
            how = draw(st.sampled_from(["goes on", "has another code", "is part of a commune", "is gone"]))
            if how == "has another code":
                new_list.append(f"{next(code_of)} {home}")
                rows.append(row(hamlet, new_list[-1].split()[0]))
            elif how == "is part of a commune" or (how == "is gone" and len(parts) > 1):
                rows.append(row(hamlet, home))
            elif how == "goes on":
                new_list.append(f"{hamlet} {home}")
            expected[hamlet] = home
    trees = ["01 -\n" + "\n".join(f"{code} 01" for code in communes)]
    trees.append("01 - Renamed\n" + "\n".join(f"{code} 01" for code in sorted(above)))
    gazetteer = bring(
        small(*trees),
        ("01", FIRST_DAY, listed(*old_list, until=CENSUS)),
        ("01", CENSUS, listed(*new_list)),
    )
    return gazetteer, Reorganisation(effective_on=CENSUS, rows=tuple(rows), by_hamlet=weights), expected


@given(divided(), st.data())
def test_totals_are_the_same_and_every_hamlet_counts_where_it_went(
    made: tuple[Gazetteer, Reorganisation, dict[str, str]], data: st.DataObject
) -> None:
    gazetteer, asked, expected = made
    check_complete(preview(asked, gazetteer))
    cells = [(code, "intake", data.draw(st.integers(-3, 50))) for code in sorted(expected)]
    history = History(gazetteer, [asked])
    model = Counter[str]()
    for code, _, n in cells:
        model[expected[code]] += n
        model["01"] += n
    for follow in (history.follow, history.follow_to_hamlets):
        old, new = follow("01", FIRST_DAY, eve(CENSUS)), follow("01", FIRST_DAY, CENSUS)
        new.require(CENSUS, CENSUS, field="tree")
        before = sum_up(old.tree, "01", rebased_sums(cells, old))
        after = sum_up(new.tree, "01", rebased_sums(cells, new))
        assert before["01", "intake"] == after["01", "intake"] == model["01"]
        assert {code: after[code, "intake"] for code in model} == dict(model)
