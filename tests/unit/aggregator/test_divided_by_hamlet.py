"""The days of a commune that was divided by hamlet: each hamlet's are its own, in whatever part it is by then."""

from collections import Counter
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import CENSUS, REFORM, row, small
from tests.unit.aggregator.test_hamlets import bring, dividing, listed
from tiendo_aggregator.rules.progress import Count
from tiendo_aggregator.rules.rebasing import (
    divisions,
    rebased_days,
    rebased_residents,
    require_whole,
    resident_codes,
)
from tiendo_aggregator.rules.units import FIRST_DAY, Followed, History, Reorganisation

FIRST, EVE = date(2023, 11, 11), CENSUS - timedelta(days=1)
BEFORE = "01 -\n00001 01\n00002 01"
DIVIDED = "01 -\n00001 01\n00002 01\n00009 01"
#: At the reform the new part is divided in turn, by share: no list has hamlets there by then.
AGAIN = "01 -\n00001 01\n00002 01\n00009 01\n00010 01"
GAZETTEER = bring(
    small(BEFORE, DIVIDED, AGAIN),
    ("01", FIRST_DAY, listed("101 00001", "102 00001", "201 00002", until=CENSUS)),
    ("01", CENSUS, listed("101 00009", "102 00001", "201 00002", until=date(2025, 6, 1))),
)
SHARED = Reorganisation(
    effective_on=REFORM,
    rows=(row("00009", "00009", "part-main"), row("00009", "00010", "part")),
    placing="by-share",
    shares={"00009": {"00009": 1, "00010": 1}},
)
HISTORY = History(GAZETTEER, [dividing(), SHARED])
CODES = ("00001", "101", "102", "201")


def followed_to(day: date) -> Followed:
    followed = HISTORY.follow("01", FIRST, day)
    followed.require(day, day, field="tree")
    return followed


cells = st.dictionaries(
    st.tuples(st.sampled_from(CODES), st.sampled_from([FIRST + timedelta(n) for n in range(450)])),
    st.integers(-9, 99),
)


@given(cells)
def test_days_of_the_parts_sum_to_what_stands_at_their_ends(found: dict[tuple[str, date], int]) -> None:
    followed = followed_to(CENSUS)
    changes = [(code, ("intake", day), n) for (code, day), n in found.items()]
    days = rebased_days(changes, followed, "01", CENSUS)
    for end in (FIRST, EVE, CENSUS):
        so_far = Counter[str]()
        for (code, day), n in found.items():
            so_far[code] += n if day <= end else 0
        stood = [Count(code, "intake", 2, n, 0) for code, n in so_far.items()]
        stands = Counter[str]()
        for each in rebased_residents(stood, followed, "01", end, FIRST):
            stands[each.unit] += each.value
        sums = Counter[str]()
        for unit, (_, day), n in days:
            sums[unit] += n if day <= end else 0
        for unit in ("00001", "00002", "00009"):
            assert sums[unit] == stands[unit], (unit, end)


@given(cells)
def test_a_part_alone_has_the_days_that_it_has_among_all(found: dict[tuple[str, date], int]) -> None:
    followed = followed_to(CENSUS)
    changes = [(code, ("intake", day), n) for (code, day), n in found.items()]
    among_all = rebased_days(changes, followed, "01", CENSUS)
    for unit in ("00001", "00009"):
        codes = resident_codes(followed, unit)
        own = [each for each in changes if each[0] in codes]
        assert rebased_days(own, followed, unit, CENSUS) == [each for each in among_all if each[0] == unit]


def test_what_a_hamlet_did_before_the_division_is_of_the_part_that_it_is_in() -> None:
    changes = [
        ("101", ("intake", FIRST), 4),
        ("102", ("intake", FIRST), 3),
        ("00001", ("intake", FIRST), 2),
        ("101", ("intake", CENSUS), 1),
    ]
    on = "intake", FIRST
    assert rebased_days(changes, followed_to(CENSUS), "01", CENSUS) == [
        ("00009", on, 4),
        ("00001", on, 3),
        ("00001", on, 2),
        ("00009", ("intake", CENSUS), 1),
    ]
    # On the tree of the eve all of it is the commune's.
    assert {unit for unit, _, _ in rebased_days(changes[:3], followed_to(EVE), "01", EVE)} == {"00001"}


def test_no_part_of_a_division_by_hamlet_lacks_a_past() -> None:
    followed = followed_to(CENSUS)
    assert divisions(followed, FIRST) == []
    require_whole(followed, ["00001", "00009"], EVE)


def test_a_part_that_is_divided_by_share_later_lacks_the_past_of_that_day() -> None:
    followed = followed_to(REFORM)
    [division] = divisions(followed, FIRST)
    assert (division.day, division.code, set(division.parts)) == (REFORM, "00009", {"00009", "00010"})
    assert division.cuts(["00010"])
    assert not division.cuts(["00001"])
    assert not division.cuts(["01", "00001", "00009", "00010"])
    assert divisions(followed, REFORM) == []
