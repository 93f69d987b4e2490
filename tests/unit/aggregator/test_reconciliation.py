"""Records and counters are compared cell by cell."""

from collections import defaultdict
from datetime import date

from tiendo_aggregator.rules.reconciliation import (
    Difference,
    Part,
    Whole,
    add_known,
    add_known_parts,
    citizens,
    differences,
    take_back,
    totals_of,
)

D, LATER = date(2023, 11, 11), date(2023, 11, 20)
HERE: Whole = ("23281", 0, D, 0, 2)
THERE: Whole = ("23284", 1, D, 2, 1)
BY_CHANNEL: Part = (*HERE, 0, "mobile")
BY_COHORT: Part = (*HERE, 1, "workers")
UNITS = {"23281", "23284"}


def test_the_same_cells_do_not_differ() -> None:
    assert differences({HERE: 3, THERE: 1}, {HERE: 3, THERE: 1}) == (2, [])


def test_a_missing_cell_is_a_zero_on_either_side() -> None:
    assert differences({HERE: 0}, {}) == (1, [])
    assert differences({HERE: 3}, {}) == (1, [Difference("intake", "residence", "23281", 2, D, 3, 0)])
    assert differences({}, {THERE: 3}) == (1, [Difference("activated", "collecting", "23284", 1, D, 0, 3)])


def test_a_part_that_differs_is_named_with_its_dimension_and_value() -> None:
    compared, differing = differences({BY_CHANNEL: 3, BY_COHORT: 2}, {BY_CHANNEL: 3, BY_COHORT: 1})
    assert compared == 2
    assert differing == [
        Difference("intake", "residence", "23281", 2, D, 2, 1, dimension="cohort", value="workers")
    ]


def test_what_differs_is_told_in_order() -> None:
    _, differing = differences({THERE: 3, HERE: 3}, {(*HERE[:2], LATER, 0, 2): 1})
    assert [(each.unit, each.day) for each in differing] == [("23281", D), ("23281", LATER), ("23284", D)]


def test_what_is_folded_out_again_leaves_nothing() -> None:
    cells: defaultdict[Whole, int] = defaultdict(int, {HERE: 5})
    parts: defaultdict[Part, int] = defaultdict(int, {BY_COHORT: 5})
    late = {("23281", 0, D, LATER, 0, 2): 2}
    late_part = {("23281", 0, D, LATER, 0, 2, 1, "workers"): 2}
    add_known(cells, late, 1, UNITS)
    add_known_parts(parts, late_part, 1, UNITS)
    assert (cells[HERE], parts[BY_COHORT]) == (7, 7)
    add_known(cells, late, -1, UNITS)
    add_known_parts(parts, late_part, -1, UNITS)
    assert (cells, parts) == ({HERE: 5}, {BY_COHORT: 5})


def test_units_outside_are_not_folded_in() -> None:
    cells: defaultdict[Whole, int] = defaultdict(int)
    parts: defaultdict[Part, int] = defaultdict(int)
    add_known(cells, {("00001", 0, D, D, 0, 2): 2}, 1, UNITS)
    add_known_parts(parts, {("00001", 0, D, D, 0, 2, 0, "home"): 2}, 1, UNITS)
    assert not cells
    assert not parts


def test_what_has_happened_since_is_taken_back_from_the_units_asked_about() -> None:
    counters: defaultdict[Whole, int] = defaultdict(int, {HERE: 5})
    take_back(counters, {HERE: 2, THERE: 1}, {"23281"})
    assert counters == {HERE: 3}
    take_back(counters, {THERE: -1}, {"23284"})
    assert counters == {HERE: 3, THERE: 1}


def test_channels_sum_to_the_totals_and_cohorts_do_not() -> None:
    parts: dict[Part, int] = {BY_CHANNEL: 3, (*HERE, 0, "home"): 2, BY_COHORT: 5, (*THERE, 0, "fixed"): 1}
    assert totals_of(parts) == {HERE: 5, THERE: 1}


def test_citizens_are_counted_where_they_live() -> None:
    assert citizens({HERE: 3, THERE: 9}) == {"intake": 3, "approved": 0, "activated": 0}
