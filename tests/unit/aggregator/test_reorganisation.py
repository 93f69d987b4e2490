"""Reorganisations: what a mapping does, what it leaves open, what is none."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from tests.support.units import CENSUS, REFORM, country, reform_rows, row, small
from tiendo_aggregator.rules.dividing import parts_of
from tiendo_aggregator.rules.units import Gazetteer, History, Reorganisation
from tiendo_aggregator.rules.units.reorganisation import (
    AlreadyReorganised,
    NotYet,
    Operation,
    Row,
    check_complete,
    preview,
)
from tiendo_common.errors import Invalid

BEFORE = """
01 -
011 01
012 01
00001 011
00002 011
00003 012
00004 012
"""


def asked(*rows: Row, **change: Any) -> Reorganisation:
    return Reorganisation(effective_on=CENSUS, rows=rows, **change)


def done(operations: Sequence[Operation]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(each.kind, each.units, each.become) for each in operations]


@pytest.mark.parametrize(
    ("after", "rows", "expected"),
    [
        (
            "01 -\n011 01\n012 01\n00001 011\n00003 012\n00004 012",
            [row("00002", "00001")],
            [("merge", ("00001", "00002"), ("00001",))],
        ),
        (
            "01 -\n011 01\n012 01\n00001 011\n00005 011\n00002 011\n00003 012\n00004 012",
            [row("00001", "00005", "part"), row("00001", "00001", "part-main")],
            [("divide", ("00001",), ("00001", "00005"))],
        ),
        (
            "01 -\n011 01\n012 01\n00001 011 Xã Mới\n00002 011\n00003 012\n00004 012",
            [],
            [("rename", ("00001",), ("00001",))],
        ),
        (
            "01 -\n011 01\n012 01\n00001 012\n00002 011\n00003 012\n00004 012",
            [],
            [("move", ("00001",), ("00001",))],
        ),
        (
            "01 -\n011 01\n012 01\n00009 011 00001\n00002 011\n00003 012\n00004 012",
            [row("00001", "00009")],
            [("recode", ("00001",), ("00009",))],
        ),
    ],
    ids=["merge", "divide", "rename", "move", "recode"],
)
def test_what_happens_to_units_is_told_by_kind(after: str, rows: list[Row], expected: list[Any]) -> None:
    found = preview(asked(*rows, placing="all-to-main"), small(BEFORE, after))
    check_complete(found)
    assert done(found.operations) == expected
    assert found.kept == 4 - len(expected[0][1])
    assert not found.higher


def test_a_dropped_level_needs_no_rows_and_moves_nobody() -> None:
    after = "01 -\n00001 01\n00002 01\n00003 01\n00004 01"
    found = preview(asked(), small(BEFORE, after))
    check_complete(found)
    assert (found.levels_dropped, found.levels_added) == (["district"], [])
    assert found.higher == {"011": "01", "012": "01"}
    assert (done(found.operations), found.kept) == ([], 4)


def test_provinces_follow_their_communes() -> None:
    before = "01 -\n00001 01\n02 -\n00002 02\n03 -\n00003 03"
    after = "01 -\n00001 01\n00003 01\n04 -\n00002 04"
    found = preview(asked(), small(before, after))
    check_complete(found)
    assert found.higher == {"02": "04", "03": "01"}


def test_a_province_that_is_divided_needs_a_row_of_its_own() -> None:
    before = "01 -\n00001 01\n00002 01"
    after = "02 -\n00001 02\n03 -\n00002 03"
    found = preview(asked(), small(before, after))
    assert found.unmapped == ["01"]
    check_complete(preview(asked(row("01", "02")), small(before, after)))


def test_units_of_which_nothing_says_where_they_go_are_named() -> None:
    found = preview(asked(), small(BEFORE, "01 -\n011 01\n00001 011\n00007 011"))
    assert found.unmapped == ["00002", "00003", "00004"]
    assert found.founded == ["00007"]
    with pytest.raises(Invalid) as refused:
        check_complete(found)
    assert refused.value.field == "rows"
    assert "3 units would be lost: 00002 (00002), 00003 (00003), 00004 (00004)" in refused.value.detail


def test_limited_to_a_part_of_the_tree_it_is_about_no_other() -> None:
    gazetteer = small(BEFORE, "01 -\n011 01\n00001 011")
    found = preview(asked(row("00002", "00001"), within=("011",)), gazetteer)
    check_complete(found)
    for field, change in [
        ("within.0", {"within": ("013",)}),
        ("rows.0.from_code", {"within": ("012",)}),
    ]:
        with pytest.raises(Invalid) as refused:
            preview(asked(row("00002", "00001"), **change), gazetteer)
        assert refused.value.field == field


# --- divided units -----------------------------------------------------------------------------------------------

DIVIDED = "01 -\n011 01\n012 01\n00005 011\n00006 011\n00002 011\n00003 012\n00004 012"
KEPT = "01 -\n011 01\n012 01\n00005 011\n00001 011\n00002 011\n00003 012\n00004 012"


def test_a_divided_unit_needs_a_rule() -> None:
    rows = row("00001", "00005", "part-main"), row("00001", "00006", "part")
    found = preview(asked(*rows), small(BEFORE, DIVIDED))
    assert (found.needs_rule, found.unmapped) == (["00001"], [])
    with pytest.raises(Invalid) as refused:
        check_complete(found)
    assert refused.value.field == "placing"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"placing": "all-to-main"}, "00005"),
        ({"placing": "all-to-kept-code"}, "00005"),
        ({"placements": {"00001": "00006"}}, "00006"),
        ({"placements": {"00001": "00006"}, "placing": "all-to-main"}, "00006"),
    ]
    for change, takes in changes:
        found = preview(asked(*rows, **change), small(BEFORE, DIVIDED))
        check_complete(found)
        assert found.step.place["00001"] == takes
        assert found.step.sources["00005"] == found.step.sources["00006"] == ["00001"]


def test_records_cannot_leave_a_code_that_goes_on_for_another_part() -> None:
    # An upgrade of an old record would be counted at the code, and so at the part that is another unit now.
    rows = row("00001", "00005", "part-main"), row("00001", "00001", "part")
    found = preview(asked(*rows, placing="all-to-main"), small(BEFORE, KEPT))
    assert found.reused == ["00001"]
    with pytest.raises(NotYet) as refused:
        check_complete(found)
    assert "all-to-kept-code" in (refused.value.remedy or "")
    found = preview(asked(*rows, placing="all-to-kept-code"), small(BEFORE, KEPT))
    check_complete(found)
    assert found.step.place["00001"] == "00001"


def test_nor_one_that_comes_back_for_another_unit_later() -> None:
    gone = "01 -\n011 01\n012 01\n00002 011\n00003 012\n00004 012"
    found = preview(asked(row("00001", "00002")), small(BEFORE, gone, BEFORE))
    assert found.reused == ["00001"]


def test_parted_by_share_its_cells_go_to_one_part_and_its_numbers_to_all() -> None:
    rows = row("00001", "00005", "part-main"), row("00001", "00006", "part")
    gazetteer = small(BEFORE, DIVIDED)
    reorganisation = asked(*rows, placing="by-share", shares={"00001": {"00005": 2, "00006": 1}})
    found = preview(reorganisation, gazetteer)
    check_complete(found)
    assert found.step.place["00001"] == "00005"
    followed = History(gazetteer, [reorganisation]).follow("01", date(2024, 12, 31), date(2025, 1, 1))
    assert parts_of("00001", 10, followed.steps) == {"00005": 7, "00006": 3}
    assert parts_of("00002", 10, followed.steps) == {"00002": 10}
    assert {"00005", "00006"} <= set(followed.tree.units)
    with pytest.raises(Invalid, match="have no rule"):
        check_complete(preview(asked(*rows, placing="by-share"), gazetteer))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shares": {"00001": {"00005": 1}}}, "has the parts 00005, 00006"),
        ({"shares": {"00001": {"00005": 0, "00006": 0}}}, "Every weight"),
        ({"shares": {"00002": {"00002": 1}}}, "not divided"),
        (
            {"shares": {"00001": {"00005": 1, "00006": 1}}, "placements": {"00001": "00005"}},
            "stands in placements, too",
        ),
    ],
)
def test_shares_that_do_not_part_the_unit_are_refused(change: dict[str, Any], words: str) -> None:
    rows = row("00001", "00005", "part-main"), row("00001", "00006", "part")
    with pytest.raises(Invalid, match=words) as refused:
        preview(asked(*rows, placing="by-share", **change), small(BEFORE, DIVIDED))
    assert (refused.value.field or "").startswith("shares.")


# --- what is no mapping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"rows": (row("99999", "00002"),)}, "rows.0.from_code", "no unit '99999' on the day before"),
        ({"rows": (row("00001", "99999"),)}, "rows.0.to_code", "no unit '99999' on 2025-01-01"),
        ({"rows": (row("00001", "00002"),) * 2}, "rows.1.to_code", "stands already at rows.0"),
        ({"rows": (row("00001", "00005"), row("00001", "00006"))}, "rows.0.share", "whole, whole"),
        ({"rows": (row("00001", "00005", "part"),)}, "rows.0.share", "has the shares part"),
        ({"rows": (row("00001", "00005", "part-main"),)}, "rows.0.share", "has the shares part-main"),
        ({"rows": (row("00001", "01"),)}, "rows.0.to_code", "would become the whole of"),
        ({"effective_on": date(2025, 1, 2)}, "effective_on", "is that of the day before"),
        ({"placements": {"00002": "00002"}}, "placements.00002", "not divided"),
        (
            {
                "rows": (row("00001", "00005", "part-main"), row("00001", "00006", "part")),
                "placements": {"00001": "00002"},
            },
            "placements.00001",
            "no part of 00001",
        ),
    ],
)
def test_what_is_no_mapping_is_refused_and_the_row_named(
    change: dict[str, Any], field: str, words: str
) -> None:
    document = {"effective_on": CENSUS, "rows": (row("00001", "00005"),), **change}
    with pytest.raises(Invalid) as refused:
        preview(Reorganisation(**document), small(BEFORE, DIVIDED))
    assert refused.value.field == field
    assert words in refused.value.detail
    assert refused.value.remedy


def test_a_unit_is_reorganised_once_a_day() -> None:
    one = asked(row("00001", "00005"), within=("011",))
    with pytest.raises(AlreadyReorganised):
        preview(one, small(BEFORE, DIVIDED), [one])


# --- the country -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return country()


def test_the_country_goes_over_to_the_tree_of_2025_07_whole(gazetteer: Gazetteer) -> None:
    reform = Reorganisation(effective_on=REFORM, rows=reform_rows(), placing="all-to-kept-code")
    found = preview(reform, gazetteer)
    check_complete(found)
    step = found.step
    communes = {code for code, unit in step.new.units.items() if unit.level == "commune"}
    assert (len(communes), found.counts["divide"]) == (3_321, 471)
    assert found.levels_dropped == ["district"]
    assert found.founded == []
    # Every commune of before is in one of after, every one of after has something of before.
    assert {
        step.place[code] for code in step.old.units if step.old.units[code].level == "commune"
    } <= communes
    assert step.sources.keys() == communes
    assert step.place["62"] == "51"
    # Each province goes whole to one, and its communes with it.
    for code, there in step.place.items():
        assert there is not None
        [top] = [each for each in step.old.up_to(code, None) if step.old.units[each].parent is None]
        assert step.place[top] in set(step.new.up_to(there, None))


def test_27_divided_communes_must_be_placed_where_their_code_goes_on(gazetteer: Gazetteer) -> None:
    reform = Reorganisation(effective_on=REFORM, rows=reform_rows(), placing="all-to-main")
    found = preview(reform, gazetteer)
    assert len(found.reused) == 27
    assert not found.needs_rule
    without = preview(Reorganisation(effective_on=REFORM, rows=reform_rows()), gazetteer)
    assert len(without.needs_rule) == 471
    assert not without.unmapped


def test_the_communes_that_were_gone_by_2025_01_are_named(gazetteer: Gazetteer) -> None:
    found = preview(Reorganisation(effective_on=CENSUS, rows=()), gazetteer)
    assert len(found.unmapped) == 567
    quang_binh = preview(Reorganisation(effective_on=CENSUS, rows=(), within=("44",)), gazetteer)
    names = [quang_binh.step.old.units[code].name for code in quang_binh.unmapped]
    assert names == [
        "Xã Hóa Phúc", "Xã Hóa Thanh", "Xã Cảnh Hóa", "Xã Mỹ Trạch", "Xã Nam Trạch", "Thị trấn Quán Hàu",
    ]  # fmt: skip
