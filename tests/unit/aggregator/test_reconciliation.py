"""Records and counters are compared cell by cell."""

from collections import defaultdict
from datetime import date

from tiendo_aggregator.rules.counting import BLOCK, CHANNEL, PARTS, TEAM, Folded
from tiendo_aggregator.rules.reconciliation import (
    Difference,
    Happened,
    Part,
    Whole,
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
UNITS = frozenset({"23281", "23284"})


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


def boundary(
    indicator: int, level: int, residence: str, collecting: str, *, known: date = D
) -> tuple[date, date, int, int, str, str]:
    return D, known, indicator, level, residence, collecting


def counts(n: int, *parts: tuple[int, str]) -> list[int]:
    return [n, *(n if part in parts else 0 for part in PARTS)]


def test_what_is_folded_out_again_leaves_nothing() -> None:
    happened = Happened(UNITS)
    late = Folded({boundary(0, 2, "23281", "23284", known=LATER): counts(2, (CHANNEL, "home"))})
    happened.add(late, 1)
    assert happened.cells(UNITS)[0] == {HERE: 2, ("23284", 1, D, 0, 2): 2}
    happened.add(late, -1)
    assert not any(any(cells.values()) for cells in happened.cells(UNITS))


def test_what_became_known_on_two_days_is_one_cell() -> None:
    happened = Happened(UNITS)
    for known in (D, LATER):
        happened.add(
            Folded({boundary(0, 2, "23281", "23281", known=known): counts(1, (CHANNEL, "mobile"))}), 1
        )
    assert happened.cells({"23281"}) == (
        {HERE: 2, ("23281", 1, D, 0, 2): 2},
        {BY_CHANNEL: 2, ("23281", 1, D, 0, 2, CHANNEL, "mobile"): 2},
    )


def test_only_the_units_that_are_asked_for_are_told() -> None:
    happened = Happened(UNITS)
    happened.add(
        Folded(
            {
                boundary(0, 2, "00001", "00001"): counts(9),
                boundary(0, 2, "23281", "00001"): counts(1),
                boundary(2, 1, "00001", "23284"): counts(3),
            },
            {("23281", D, D, 0, 0): [4] * BLOCK, ("00001", D, D, 0, 0): [4] * BLOCK},
            {("23284", "Tổ 1", D, D, 2, 1): 3, ("00001", "Tổ 1", D, D, 2, 1): 5},
        ),
        1,
    )
    assert len(happened) == 4
    assert happened.cells(UNITS)[0] == {HERE: 1, THERE: 3}
    wholes, parts = happened.cells({"23284"})
    assert (wholes, parts) == ({THERE: 3}, {(*THERE, TEAM, "Tổ 1"): 3})
    happened.narrow(frozenset({"23284"}))
    assert len(happened) == 2
    assert happened.cells({"23284"}) == (wholes, parts)


def test_what_has_happened_since_is_taken_back() -> None:
    counters: defaultdict[Whole, int] = defaultdict(int, {HERE: 5})
    take_back(counters, {HERE: 2, THERE: -1})
    assert counters == {HERE: 3, THERE: 1}


def test_channels_sum_to_the_totals_and_cohorts_do_not() -> None:
    parts: dict[Part, int] = {BY_CHANNEL: 3, (*HERE, 0, "home"): 2, BY_COHORT: 5, (*THERE, 0, "fixed"): 1}
    assert totals_of(parts) == {HERE: 5, THERE: 1}


def test_citizens_are_counted_where_they_live() -> None:
    assert citizens({HERE: 3, THERE: 9}) == {"intake": 3, "approved": 0, "activated": 0}
