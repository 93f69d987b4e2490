"""Hamlets: which lists are none, from when to when a hamlet is there, and where its cells count."""

from collections.abc import Mapping
from datetime import date

import pytest

from tests.support.units import CENSUS, REFORM, row, small
from tiendo_aggregator.errors import EditionContradicted
from tiendo_aggregator.rules.rebasing import check_edition
from tiendo_aggregator.rules.units import FIRST_DAY, Gazetteer, History, Reorganisation
from tiendo_aggregator.rules.units.edition import difference
from tiendo_aggregator.rules.units.hamlets import HamletList, SentHamlet, check_list, hamlet_spans
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
