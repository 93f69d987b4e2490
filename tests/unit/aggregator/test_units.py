"""Units: codes with spans, trees of a day, names as people type them."""

from collections import Counter
from datetime import date

import pytest

from tests.support.aggregator import DATA
from tiendo_aggregator.rules.units import FIRST_DAY, Gazetteer, Spans, merge_editions, search_key
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.errors import Invalid
from tiendo_common.events.state import UnitSpan

A, B = date(2025, 1, 1), date(2025, 7, 1)


@pytest.fixture(scope="module")
def spans() -> Spans:
    return merge_editions(read_editions(DATA))


@pytest.fixture(scope="module")
def gazetteer(spans: Spans) -> Gazetteer:
    return Gazetteer(spans)


def unit(from_day: date, until_day: date | None, name: str = "Xã Một", parent: str = "01") -> UnitSpan:
    return UnitSpan(from_day=from_day, until_day=until_day, parent=parent, level="commune", name=name)


def test_spans_that_touch_and_say_the_same_become_one() -> None:
    merged = merge_editions([{"00001": unit(FIRST_DAY, A)}, {"00001": unit(A, B)}, {"00001": unit(B, None)}])
    assert merged == {"00001": (unit(FIRST_DAY, None),)}


def test_another_name_or_parent_begins_a_new_span() -> None:
    merged = merge_editions(
        [
            {"00001": unit(FIRST_DAY, A)},
            {"00001": unit(A, B, name="Phường Một")},
            {"00001": unit(B, None, name="Phường Một", parent="02")},
        ]
    )
    assert [span.from_day for span in merged["00001"]] == [FIRST_DAY, A, B]


def test_a_code_that_comes_back_has_a_gap() -> None:
    merged = merge_editions([{"00001": unit(FIRST_DAY, A)}, {}, {"00001": unit(B, None)}])
    assert merged == {"00001": (unit(FIRST_DAY, A), unit(B, None))}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # Five island districts have no communes; the other districts and all communes are in the files.
        (date(2023, 11, 11), {"province": 63, "district": 705, "commune": 10_599}),
        (date(2025, 6, 30), {"province": 63, "district": 696, "commune": 10_035}),
        (date(2025, 7, 1), {"province": 34, "commune": 3_321}),
    ],
)
def test_the_tree_of_a_day_has_the_units_of_that_day(
    gazetteer: Gazetteer, day: date, expected: dict[str, int]
) -> None:
    assert Counter(span.level for span in gazetteer.as_of(day).units.values()) == expected


def test_before_the_first_day_there_is_no_unit(gazetteer: Gazetteer) -> None:
    assert not gazetteer.as_of(date(2003, 12, 31)).units


def test_a_unit_stands_before_those_below_it(gazetteer: Gazetteer) -> None:
    tree = gazetteer.as_of(date(2023, 11, 11))
    below = list(tree.below("62"))
    assert below[0] == "62"
    assert len(below) == 1 + 10 + 102
    assert all(
        below.index(tree.units[code].parent or "") < place for place, code in enumerate(below) if place
    )
    assert list(tree.below("62", 1)) == ["62", *tree.children["62"]]
    assert list(tree.below("62", 0)) == ["62"]
    assert len(tree.communes("62")) == 102


def test_the_way_up_ends_at_the_root(gazetteer: Gazetteer) -> None:
    tree = gazetteer.as_of(date(2023, 11, 11))
    assert list(tree.up_to("23427", "62")) == ["23427", "612", "62"]
    assert list(tree.up_to("23427", "612")) == ["23427", "612"]


def test_the_same_code_can_be_another_unit_later(gazetteer: Gazetteer) -> None:
    assert gazetteer.name("00004", date(2023, 1, 1)) == "Phường Trúc Bạch"
    assert gazetteer.name("00004", B) == "Phường Ba Đình"
    assert gazetteer.name("62", B) is None


def test_every_unit_that_ever_was_below_is_known(gazetteer: Gazetteer) -> None:
    ever = set(gazetteer.ever_below("62"))
    for day in (date(2023, 11, 11), date(2025, 2, 1)):
        assert set(gazetteer.as_of(day).below("62")) <= ever


def test_a_unit_of_another_day_is_refused_with_its_days(gazetteer: Gazetteer) -> None:
    with pytest.raises(Invalid) as refused:
        gazetteer.require("62", B, field="as_of")
    assert refused.value.field == "as_of"
    assert "valid from 2004-01-01 to 2025-06-30: ask" in (refused.value.remedy or "")


@pytest.mark.parametrize("typed", ["Đắk Rơ Nga", "Đăk Rơ Nga", "dak ro nga", "ĐẮK  RƠ NGA", "Dak Ro Nga"])
def test_a_name_is_found_however_it_is_accented(typed: str) -> None:
    assert search_key(typed) == "dak ro nga"


def test_an_apostrophe_is_no_letter() -> None:
    assert search_key("Huyện Ia H' Drai") == "huyen ia h drai"
    assert search_key("Cư M’gar") == search_key("cu m'gar") == "cu mgar"
