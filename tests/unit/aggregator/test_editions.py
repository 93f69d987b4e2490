"""Trees that are sent: whether they are trees."""

from datetime import date

import pytest

from tests.support.units import sent
from tiendo_aggregator.rules.units import Tree
from tiendo_aggregator.rules.units.edition import SentUnit, difference, make_edition
from tiendo_common.errors import Invalid

DAY = date(2026, 3, 1)


def test_a_tree_may_lack_the_levels_between() -> None:
    edition = make_edition(sent("01 -\n00001 01\n02 -\n021 02\n00002 021"), DAY)
    assert {code: span.parent for code, span in edition.items()} == {
        "01": None, "00001": "01", "02": None, "021": "02", "00002": "021",
    }  # fmt: skip
    assert {span.from_day for span in edition.values()} == {DAY}


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("01 -\n00001 01 A\n00001 01 B", "units.2.code", "stands already at units.1"),
        ("01 -\n00001 02", "units.1.parent_code", "is below 02, which isn't in this tree"),
        ("01 -\n011 012\n012 011", "units.1.parent_code", "in a ring: 011 below 012 below 011"),
        ("01 -\n011 011", "units.1.parent_code", "in a ring: 011 below 011"),
        ("01 -\n00001 01\n011 00001", "units.2.level", "is a district below the commune 00001"),
        ("01 -\n02 01", "units.1.level", "is a province below the province 01"),
        ("01 -\n00001 -", "units.1.level", "is a commune below nothing"),
    ],
)
def test_what_is_no_tree_is_refused_and_the_line_named(text: str, field: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        make_edition(sent(text), DAY)
    assert refused.value.field == field
    assert words in refused.value.detail
    assert refused.value.remedy


def test_no_tree_begins_before_the_first_one() -> None:
    with pytest.raises(Invalid) as refused:
        make_edition(sent("01 -"), date(2003, 12, 31))
    assert refused.value.field == "from_day"


def test_a_long_chain_that_is_no_ring_is_walked_once() -> None:
    units = [
        SentUnit(code=f"{n:05}", parent_code=f"{n - 1:05}" if n else None, level="commune", name="x")
        for n in range(3000)
    ]
    with pytest.raises(Invalid) as refused:
        make_edition(units[::-1], DAY)
    assert refused.value.field == "units.0.level"


def test_the_difference_of_two_trees_is_told_by_code() -> None:
    old = Tree(make_edition(sent("01 -\n011 01\n012 01\n00001 011\n00002 011\n00003 012"), DAY))
    new = Tree(make_edition(sent("01 -\n011 01\n012 01\n00001 011 New\n00003 011\n00004 012"), DAY))
    found = difference(old, new)
    assert (found.added, found.gone) == (["00004"], ["00002"])
    assert (found.renamed, found.moved) == (["00001"], ["00003"])
