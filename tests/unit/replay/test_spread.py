"""Spreading whole numbers: exact sums, no overflow, order kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo.replay.spread import largest_remainder, saturating


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_largest_remainder_is_exact_and_off_by_less_than_one(total: int, weights: list[int]) -> None:
    if not sum(weights):
        weights[0] = 1
    shares = largest_remainder(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / sum(weights)) < 1


def test_ties_go_to_the_earlier_one() -> None:
    assert largest_remainder(5, [1, 1, 1]) == [2, 2, 1]


def test_nothing_to_weigh_by_is_refused() -> None:
    assert largest_remainder(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="every weight is zero"):
        largest_remainder(1, [0, 0])


@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.integers(0, 10**5), st.floats(0.2, 4.0)), min_size=1, max_size=40),
)
def test_saturating_is_exact_and_never_overflows(part: float, places: list[tuple[int, float]]) -> None:
    capacities = [capacity for capacity, _ in places]
    total = int(part * sum(capacities))
    shares = saturating(total, capacities, [willing for _, willing in places])
    assert sum(shares) == total
    assert all(0 <= share <= capacity for share, capacity in zip(shares, capacities, strict=True))


def test_who_is_more_willing_fills_up_more() -> None:
    shares = saturating(1500, [1000, 1000, 1000], [0.5, 1.0, 2.0])
    assert shares == sorted(shares)
    assert shares[0] < shares[1] < shares[2]


def test_what_does_not_fit_is_refused() -> None:
    assert saturating(3, [1, 2, 9], [1.0, 1.0, 0.0]) == [1, 2, 0]
    with pytest.raises(ValueError, match="4 do not fit in 3"):
        saturating(4, [1, 2, 9], [1.0, 1.0, 0.0])
