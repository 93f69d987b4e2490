"""Records and counters are compared cell by cell."""

from collections import defaultdict
from datetime import date

from tiendo_aggregator.rules.reconciliation import Cell, Difference, add_known, citizens, differences

D = date(2023, 11, 11)
HERE: Cell = ("23281", 0, D, 0, 2)
THERE: Cell = ("23284", 1, D, 2, 1)


def test_the_same_cells_do_not_differ() -> None:
    assert differences(["23281", "23284"], {HERE: 3, THERE: 1}, {HERE: 3, THERE: 1}) == (2, [])


def test_a_missing_cell_is_a_zero_on_either_side() -> None:
    assert differences(["23281"], {HERE: 0}, {}) == (1, [])
    assert differences(["23281"], {HERE: 3}, {}) == (
        1,
        [Difference("intake", "residence", "23281", 2, D, 3, 0)],
    )
    assert differences(["23284"], {}, {THERE: 3}) == (
        1,
        [Difference("activated", "collecting", "23284", 1, D, 0, 3)],
    )


def test_units_outside_are_not_compared() -> None:
    assert differences(["23284"], {HERE: 3}, {HERE: 4}) == (0, [])


def test_what_is_folded_out_again_leaves_nothing() -> None:
    cells: defaultdict[Cell, int] = defaultdict(int, {HERE: 5})
    late = {("23281", 0, D, date(2023, 11, 20), 0, 2): 2}
    add_known(cells, late, 1)
    assert cells[HERE] == 7
    add_known(cells, late, -1)
    assert cells == {HERE: 5}


def test_citizens_are_counted_where_they_live() -> None:
    assert citizens(["23281", "23284"], {HERE: 3, THERE: 9}) == {"intake": 3, "approved": 0, "activated": 0}
