"""What other systems and communes told of units: on a later tree it comes to the same totals, counted once."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import CENSUS, REFORM
from tests.unit.aggregator.test_dividing import EVE, FIRST, followed_to, parted, weights
from tiendo_aggregator.rules.declared import Declared, records_beside, side_by_side
from tiendo_aggregator.rules.measures import Measure, MeasuredUnit, Standing, measured_units, placed
from tiendo_aggregator.rules.ministry import placed as placed_figures
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.rechecks import Recheck, Round, recheck_progress
from tiendo_aggregator.rules.remaining import Remaining, RemainingReport, standing_reports
from tiendo_aggregator.rules.units import History
from tiendo_common.events.declarations import DeclaredCount

MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = (FIRST, EVE, CENSUS, REFORM - timedelta(days=1), REFORM)
shares = st.tuples(st.tuples(st.integers(0, 50), st.integers(1, 50)), weights).map(
    lambda both: parted(both[0], tuple(both[1]))
)


def measured(
    told: Iterable[Standing], history: History, day: date, *, adds_up: bool = True, share: bool = True
) -> dict[str, MeasuredUnit]:
    measure = Measure(
        id="m", name="M", out_of="cards" if share else None, decimals=1, targets={"01": 90, "00001": 41},
        decision=None, adds_up=adds_up,
    )  # fmt: skip
    followed = followed_to(history, day)
    start = followed_to(history, FIRST).tree
    found = placed(measure, told, followed)
    return {each.code: each for each in measured_units(measure, found, followed, start, "01", 9)}


@given(shares, st.integers(0, 3000), st.integers(1, 3000), st.booleans())
def test_a_measure_of_a_divided_commune_comes_to_the_same(
    history: History, value: int, out_of: int, share: bool
) -> None:
    of = out_of if share else None
    told = [Standing("00001", FIRST, value, of, "S"), Standing("00002", FIRST, 7, 9 if share else None, "S")]
    before = measured(told, history, EVE, share=share)["01"]
    for day in (CENSUS, REFORM):
        units = measured(told, history, day, share=share)
        after = units["01"]
        assert (after.value, after.out_of, after.percent) == (before.value, before.out_of, before.percent)
        assert (after.covered, after.target) == (after.communes, 90)
        communes = [each for each in units.values() if each.level == "commune"]
        assert sum(each.value or 0 for each in communes) == before.value
        assert sum(each.out_of or 0 for each in communes) == (before.out_of or 0)
        assert sum(each.target or 0 for each in communes) == 41
        assert not any(each.over_100 for each in communes) or (share and value > out_of)
        assert after.of_divided == sum(each.of_divided for each in communes) >= 2
    assert measured(told, history, EVE, share=share)["01"].of_divided == 0


def test_what_is_told_after_a_division_stands_in_place_of_one_part_only() -> None:
    history = parted((3, 1), (1, 1, 0))
    told = [
        Standing("00001", FIRST, 80, 100, "S"),
        Standing("00002", FIRST, 1, 1, "S"),
        Standing("00001", CENSUS, 70, 90, "S"),
    ]
    units = measured(told, history, REFORM - timedelta(days=1))
    assert {code: (units[code].value, units[code].out_of) for code in ("00001", "00003", "01")} == {
        "00001": (70, 90), "00003": (20, 25), "01": (91, 116),
    }  # fmt: skip
    assert (units["00001"].of_divided, units["00003"].of_divided, units["01"].of_divided) == (0, 1, 1)
    later = measured(told, history, REFORM)
    assert {code: later[code].value for code in ("00002", "00003", "00004", "00005")} == {
        "00002": 71, "00003": 10, "00004": 10, "00005": 0,
    }  # fmt: skip
    # Told of the merged commune itself, and of a part: each stands for that one.
    told += [Standing("00002", REFORM, 100, 200, "S"), Standing("00004", REFORM, 9, 13, "S")]
    assert measured(told, history, REFORM)["01"].value == 100 + 10 + 9


def test_what_does_not_add_up_stays_with_the_part_that_keeps_the_records() -> None:
    history = parted()
    told = [Standing("00001", FIRST, 23, 25, "S"), Standing("00002", FIRST, 25, 25, "S")]
    before = measured(told, history, EVE, adds_up=False)
    assert (before["01"].how, before["00001"].value, before["00001"].target) == ("not_reported", 23, 41)
    divided = measured(told, history, CENSUS, adds_up=False)
    assert (divided["00001"].value, divided["00001"].of_divided, divided["00001"].target) == (23, 1, 41)
    assert (divided["00003"].how, divided["00003"].target) == ("not_reported", None)
    # Of a commune made of two nothing is known until it is told itself.
    merged = measured(told, history, REFORM, adds_up=False)
    assert (merged["00002"].how, merged["00002"].target) == ("not_reported", None)
    told.append(Standing("00002", REFORM, 24, 25, "S"))
    assert measured(told, history, REFORM, adds_up=False)["00002"].value == 24


@given(shares, st.lists(st.integers(1, 900), min_size=1, max_size=3))
def test_those_who_remain_are_as_many_for_each_reason(history: History, citizens: list[int]) -> None:
    reasons = ("abroad", "seriously_ill", "imprisoned")
    lines = tuple(Remaining(reason=why, citizens=n) for why, n in zip(reasons, citizens, strict=False))  # type: ignore[arg-type]
    report = RemainingReport("00001", "intake", FIRST, 1, lines, "s", "a", MOMENT, FIRST)
    for day in DAYS:
        found = standing_reports([report], followed_to(history, day))
        for line in lines:
            assert line.citizens == sum(
                each.citizens
                for pieces in found.values()
                for piece in pieces
                for each in piece.document.lines
                if each.reason == line.reason
            )
        divided = {unit for (unit, _), pieces in found.items() for piece in pieces if piece.of_divided}
        assert bool(divided) == (day >= CENSUS)


@given(shares, st.integers(0, 3000), st.integers(0, 3000), st.booleans(), st.integers(0, 3000))
def test_declared_counts_and_their_records_come_to_the_same(
    history: History, one: int, two: int, apart: bool, records: int
) -> None:
    count = DeclaredCount(value=one + two, level_1=one if apart else None, level_2=two if apart else None)
    said = {"00001": Declared("00001", EVE, 1, {"intake": count}, "s", "k", MOMENT, EVE, late=True)}
    for day in (EVE, CENSUS, REFORM):
        units = {
            each.code: each
            for each in side_by_side(
                followed_to(history, day), "01", 9, {"00001": "late", "00002": "not_reported"}, said,
                records_beside(
                    [Count("00001", "intake", 2, records, 0), Count("00002", "intake", 2, 5, 0)],
                    followed_to(history, EVE), followed_to(history, day), EVE,
                ),
            )
        }  # fmt: skip
        top = units["01"]
        beside = top.indicators["intake"]
        assert (beside.communes, beside.declared, beside.records.level_2) == (1, count, records)
        assert (top.states["late"], top.states["not_reported"]) == (1, 1)
        of_parts = [
            each.indicators["intake"]
            for each in units.values()
            if each.level == "commune" and each.indicators
        ]
        assert sum(each.difference.value for each in of_parts) == beside.difference.value
        assert all(each.communes == 1 for each in of_parts)
        assert (
            beside.of_divided
            == sum(each.of_divided for each in of_parts)
            == (len(of_parts) if day > EVE else 0)
        )
        if day == EVE:
            assert (units["00001"].state, units["00001"].newest) == ("late", said["00001"])
        if day == CENSUS:
            assert (units["00001"].state, units["00003"].state, units["00003"].newest) == (None, None, None)


@given(shares, st.integers(0, 3000), st.integers(0, 3000))
def test_the_ministry_s_figures_come_to_the_same(history: History, ours: int, other: int) -> None:
    def of(n: int) -> DeclaredCount:
        return DeclaredCount(value=n, level_1=None, level_2=None)

    figures = {"00001": {"intake": of(ours)}, "00002": {"intake": of(other)}, "01": {"intake": of(1)}}
    for day in (EVE, CENSUS, REFORM):
        found = dict(placed_figures(figures, {}, EVE, followed_to(history, day)))  # type: ignore[arg-type]
        assert [piece.document.count for piece in found.pop(("01", "intake"))] == [of(1)]
        assert (
            sum(piece.document.count.value for pieces in found.values() for piece in pieces) == ours + other
        )
    # A commune that took in one of which nothing was said has no figure.
    del figures["00002"]
    assert ("00002", "intake") not in placed_figures(figures, {}, EVE, followed_to(history, REFORM))  # type: ignore[arg-type]


def test_a_commune_that_was_checked_before_it_was_divided_is_done_once() -> None:
    round_ = Round(
        id="r", name="R", level="province", first_day=FIRST, last_day=REFORM, units=("00001", "00002")
    )
    done = [Recheck("00001", 1, FIRST, "D", (), "a", MOMENT, FIRST)]
    for day, of_divided in ((EVE, 0), (CENSUS, 1)):
        units = {
            each.code: each
            for each in recheck_progress(round_, done, day, followed_to(parted(), day), "01", 9)
        }
        assert (units["01"].done, units["01"].units, units["01"].of_divided) == (1, 2, of_divided)
        assert (units["00001"].done, units["00001"].of_divided) == (1, of_divided)
    assert (units["00003"].units, units["00003"].of_divided) == (0, 0)
