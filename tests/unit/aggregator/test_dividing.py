"""What was told of communes that were divided by shares: nothing is lost, and nothing is counted twice."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import CENSUS, REFORM, row, small
from tiendo_aggregator.rules.dividing import is_parted, parts_of, records_of
from tiendo_aggregator.rules.exemptions import Exempted, ExemptionDecision, exempt_citizens
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.rebasing import rebased_days, rebased_residents, require_whole, resident_codes
from tiendo_aggregator.rules.units import Followed, History, Reorganisation
from tiendo_common.errors import Invalid

FIRST, EVE = date(2023, 11, 11), CENSUS - timedelta(days=1)
#: 00001 is divided at the census; its new part 00003 at the reform, when 00001 becomes one with 00002.
GAZETTEER = small(
    "01 -\n011 01\n00001 011\n00002 011",
    "01 -\n011 01\n00001 011\n00002 011\n00003 011",
    "01 -\n00002 01\n00003 01\n00004 01\n00005 01",
)
COMMUNES = ("00002", "00003", "00004", "00005")

weights = st.lists(st.integers(0, 50), min_size=2, max_size=3).filter(any)


def parted(first: tuple[int, int] = (3, 1), second: tuple[int, ...] = (1, 1, 1)) -> History:
    """The two reorganisations, with these weights."""
    new = ("00003", "00004", "00005")
    rows = [row("00003", each, "part" if each != "00003" else "part-main") for each in new]
    rest = row("00001", "00002"), row("00002", "00002")
    one = Reorganisation(
        effective_on=CENSUS,
        rows=(row("00001", "00001", "part-main"), row("00001", "00003", "part")),
        placing="by-share",
        shares={"00001": dict(zip(("00001", "00003"), first, strict=True))},
    )
    two = Reorganisation(
        effective_on=REFORM,
        rows=(*rows, *rest),
        placing="by-share",
        shares={"00003": dict(zip(new, (*second, 0), strict=False))},
    )
    return History(GAZETTEER, [one, two])


def followed_to(history: History, day: date) -> Followed:
    followed = history.follow("01", FIRST, day)
    assert not followed.lost
    return followed


@given(st.integers(0, 10_000), weights, weights)
def test_a_number_is_parted_to_the_unit_at_every_step(n: int, one: list[int], two: list[int]) -> None:
    history = parted((one[0], sum(one[1:])), tuple(two))
    before = parts_of("00001", n, followed_to(history, CENSUS).steps)
    after = parts_of("00001", n, followed_to(history, REFORM).steps)
    assert sum(before.values()) == sum(after.values()) == n
    # What a part had is what its own parts have.
    assert after["00002"] == before["00001"]
    assert all(each >= 0 for each in after.values())
    assert sum(n for unit, n in after.items() if unit != "00002") == before["00003"]


def test_what_was_told_since_the_division_is_of_the_part_alone() -> None:
    followed = followed_to(parted(), REFORM)
    assert parts_of("00001", 8, followed.after(EVE)) == {"00002": 6, "00003": 1, "00004": 1, "00005": 0}
    assert parts_of("00001", 8, followed.after(CENSUS)) == {"00002": 8}
    assert parts_of("00003", 8, followed.after(CENSUS)) == {"00003": 3, "00004": 3, "00005": 2}
    assert parts_of("00002", 8, followed.steps) == {"00002": 8}
    assert is_parted("00001", followed.steps)
    assert not is_parted("00001", followed.after(CENSUS))


def test_who_is_exempt_since_the_division_is_exempt_in_the_part_that_the_decision_names() -> None:
    def decided(number: str, unit: str, citizens: int, from_day: date) -> ExemptionDecision:
        line = Exempted(unit=unit, citizens=citizens, reason="abroad")
        return ExemptionDecision(
            number=number, signed_by="S", from_day=from_day, document="D", lines=(line,), withdraws=None,
            entered_by="a", entered_at=datetime(2025, 1, 1, tzinfo=UTC), known_day=from_day,
        )  # fmt: skip

    decisions = [
        decided("1", "00001", 3, FIRST),
        decided("2", "00001", 1, EVE),
        decided("3", "00001", 4, CENSUS),
        decided("4", "00003", 6, CENSUS),
    ]
    followed = followed_to(parted(), CENSUS)
    # Four of before go three to one; four and six of after stay where they were decided.
    assert exempt_citizens(decisions, CENSUS, None, followed) == {"00001": 7, "00003": 7}
    assert exempt_citizens(decisions, EVE, None, followed_to(parted(), EVE)) == {"00001": 4}


def counted(n: int, baseline: int) -> list[Count]:
    return [Count("00001", "intake", level, n, baseline) for level in (1, 2)]


@given(st.integers(0, 1000), st.integers(0, 1000), weights, weights)
def test_residents_before_a_division_are_parted_and_after_it_are_where_they_were_placed(
    n: int, baseline: int, one: list[int], two: list[int]
) -> None:
    followed = followed_to(parted((one[0], sum(one[1:])), tuple(two)), REFORM)
    at_the_eve = rebased_residents(counted(n, baseline), followed, "01", EVE, FIRST)
    assert {each.unit for each in at_the_eve} <= set(COMMUNES)
    for level in (1, 2):
        of_level = [each for each in at_the_eve if each.level == level]
        assert (sum(each.value for each in of_level), sum(each.baseline for each in of_level)) == (
            n,
            baseline,
        )
    now = rebased_residents(counted(n, baseline), followed, "01", REFORM, FIRST)
    assert sum(each.value for each in now if each.level == 1) == n
    assert {each.unit for each in now if each.value} <= {"00002"}  # what 00001 has become
    shares = parts_of("00001", baseline, followed.steps)
    assert {each.unit: each.baseline for each in now} == dict(shares)
    # A part alone has the same numbers as among all.
    for unit in COMMUNES:
        codes = resident_codes(followed, unit)
        assert ("00001" in codes) == (unit in shares)
        alone = rebased_residents(
            [each for each in counted(n, baseline) if each.unit in codes], followed, unit, EVE, FIRST
        )
        assert alone == [each for each in at_the_eve if each.unit == unit]


@given(
    st.dictionaries(st.sampled_from([FIRST + timedelta(n) for n in range(600)]), st.integers(-9, 99)),
    weights,
    weights,
)
def test_days_sum_to_what_stands_at_their_end(
    changes: dict[date, int], one: list[int], two: list[int]
) -> None:
    last = FIRST + timedelta(599)
    followed = followed_to(parted((one[0], sum(one[1:])), tuple(two)), REFORM)
    found = [("00001", ("intake", day), n) for day, n in changes.items()]
    days = rebased_days(found, followed, "01", last)
    for end in (EVE, CENSUS, REFORM - timedelta(1), REFORM, last):
        so_far = sum(n for day, n in changes.items() if day <= end)
        stands = records_of("00001", so_far, followed, end)
        assert sum(stands.values()) == so_far
        sums = dict.fromkeys(COMMUNES, 0)
        for unit, (_, day), n in days:
            sums[unit] += n if day <= end else 0
        assert sums == {unit: stands.get(unit, 0) for unit in COMMUNES}


def test_who_stayed_when_a_commune_was_divided_stays_counted_when_its_code_is_gone() -> None:
    """Intake placed the others; these are on record under a code that no tree has any more."""
    for followed, day in (
        (followed_to(parted(), REFORM), REFORM),
        (followed_to(parted(), REFORM), CENSUS),
        (followed_to(gone(), CENSUS), CENSUS),
    ):
        values = rebased_residents(counted(8, 0), followed, "01", day, FIRST)
        assert sum(each.value for each in values if each.level == 1) == 8
        assert [each.unit for each in values if each.value] == [followed.places["00001"]] * 2
        days = rebased_days([("00001", ("intake", day), 8)], followed, "01", day)
        assert sum(n for _, _, n in days) == 8


def gone() -> History:
    """00001 is divided, and neither part has its code."""
    return History(
        small("01 -\n00001 01\n00002 01", "01 -\n00002 01\n00003 01\n00004 01"),
        [
            Reorganisation(
                effective_on=CENSUS,
                rows=(row("00001", "00003", "part-main"), row("00001", "00004", "part")),
                placing="by-share",
                shares={"00001": {"00003": 3, "00004": 1}},
            )
        ],
    )


def test_a_division_is_no_progress() -> None:
    """Eight who are placed at exact quotas leave no trace in any part's days."""
    followed = followed_to(parted(), CENSUS)
    placed = [
        ("00001", ("intake", FIRST), 8),
        ("00001", ("intake", CENSUS), -2),
        ("00003", ("intake", CENSUS), 2),
    ]
    days = rebased_days(placed, followed, "01", CENSUS)
    assert {(unit, day): 0 for unit, (_, day), _ in days if day == CENSUS} == {
        (unit, day): sum(n for other, (_, on), n in days if (other, on) == (unit, day))
        for unit, (_, day), _ in days
        if day == CENSUS
    }
    assert sorted((unit, n) for unit, (_, day), n in days if day == FIRST) == [("00001", 6), ("00003", 2)]


def test_since_when_somebody_waits_is_not_parted() -> None:
    followed = followed_to(parted(), CENSUS)
    require_whole(followed, ["01", "011", "00002"], EVE)
    require_whole(followed, ["00001", "00003"], CENSUS)
    with pytest.raises(Invalid, match="a part of 00001") as refused:
        require_whole(followed, ["01", "00003"], EVE)
    assert refused.value.field == "tree"
    assert f"tree={EVE}" in str(refused.value.remedy)
    assert f"as_of={CENSUS} " in str(refused.value.remedy)
    assert "unit=011 " in str(refused.value.remedy)
    # Both divisions lie between: on the later tree it takes the later day.
    with pytest.raises(Invalid, match="a part of 00001") as refused:
        require_whole(followed_to(parted(), REFORM), ["00004"], EVE)
    assert f"as_of={REFORM} " in str(refused.value.remedy)
