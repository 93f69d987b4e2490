"""Declared counts: states, sums beside records, and who owes a report on a later tree."""

from datetime import UTC, date, datetime, time

from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import REFORM, country, reform_rows
from tiendo_aggregator.rules.declared import Declared, may_declare, records_beside, side_by_side, states
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.units import History, Reorganisation
from tiendo_common.events.declarations import DeclaredCount

FIRST = date(2025, 6, 30)
COMMUNES = tuple(country().as_of(FIRST).communes("62"))

counts = st.builds(
    lambda one, two, apart: DeclaredCount(
        value=one + two, level_1=one if apart else None, level_2=two if apart else None
    ),
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.booleans(),
)


def declared(unit: str, count: DeclaredCount, *, late: bool = False) -> Declared:
    return Declared(
        unit, FIRST, 1, {"intake": count}, "by hand", "k", datetime(2025, 6, 30, tzinfo=UTC), FIRST, late
    )


def test_a_report_that_is_missing_is_awaited_until_it_is_due_and_then_not_reported() -> None:
    zero = DeclaredCount(value=0, level_1=None, level_2=None)
    came = {"a": declared("a", zero), "b": declared("b", zero, late=True), "x": declared("x", zero)}
    assert states(["a", "b", "c"], came, due_passed=False)["c"] == "awaited"
    assert states(["a", "b", "c"], came, due_passed=True) == {
        "a": "reported",
        "b": "late",
        "c": "not_reported",
        "x": "reported",
    }


@given(
    st.dictionaries(st.sampled_from(COMMUNES[:12]), counts, max_size=6),
    st.lists(
        st.tuples(st.sampled_from(COMMUNES[:12]), st.sampled_from([1, 2]), st.integers(0, 99)), max_size=12
    ),
)
def test_a_unit_above_has_what_was_declared_below_it_and_the_records_of_those_alone(
    said: dict[str, DeclaredCount], records: list[tuple[str, int, int]]
) -> None:
    followed = History(country()).follow("62", FIRST, FIRST)
    tree = followed.tree
    came = {unit: declared(unit, count) for unit, count in said.items()}
    units = side_by_side(
        followed,
        "62",
        9,
        states(COMMUNES[:12], came, due_passed=True),
        came,
        records_beside(
            [Count(unit, "intake", level, n, 0) for unit, level, n in records], followed, followed, FIRST
        ),
    )
    for unit in units:
        below = set(tree.below(unit.code))
        theirs = [count for code, count in said.items() if code in below]
        assert sum(unit.states.values()) == len(below & set(COMMUNES[:12]))
        assert unit.states["not_reported"] == len((below & set(COMMUNES[:12])) - said.keys())
        if not theirs:
            assert unit.indicators == {}
            continue
        beside = unit.indicators["intake"]
        assert beside.communes == len(theirs)
        assert beside.declared.value == sum(count.value for count in theirs)
        assert (beside.declared.level_1 is None) == any(count.level_1 is None for count in theirs)
        assert beside.records.value == sum(n for code, _, n in records if code in below and code in said)
        assert beside.difference.value == beside.declared.value - beside.records.value
        if beside.declared.level_1 is not None and beside.declared.level_2 is not None:
            assert beside.declared.level_1 + beside.declared.level_2 == beside.declared.value


def test_after_a_merger_the_new_commune_owes_one_report() -> None:
    mapping = Reorganisation(effective_on=REFORM, rows=reform_rows(), placing="all-to-kept-code")
    history = History(country(), [mapping])
    # Two go into one, the third becomes a part of another.
    declaring = Declaring(cut_off=time(16, 30), units=("23281", "23287", "23427"))
    assert may_declare(declaring, history.follow("62", FIRST, FIRST)) == ["23281", "23287", "23427"]
    assert may_declare(declaring, history.follow("62", FIRST, REFORM)) == ["23293", "23428"]
