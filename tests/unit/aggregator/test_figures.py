"""Percentages are cut, exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_aggregator.rules.figures import cut_percent


@pytest.mark.parametrize(
    ("numerator", "denominator", "decimals", "printed"),
    [
        (607_583, 859_549, 2, "70.68"),  # Bình Phước, 2023-09-20
        (328_660, 502_775, 2, "65.36"),
        (293_928, 421_100, 1, "69.8"),  # Kon Tum, 2023-12-07
        (182_769, 234_319, 0, "78"),
        (999_999, 1_000_000, 1, "99.9"),
        (1, 1, 2, "100.00"),
        (0, 7, 1, "0.0"),
        (-1, 3, 1, "-33.3"),
        (-1, 10_000, 1, "0.0"),
    ],
)
def test_published_percentages_are_cut(numerator: int, denominator: int, decimals: int, printed: str) -> None:
    assert cut_percent(numerator, denominator, decimals) == printed


def test_nothing_to_divide_by_has_no_percentage() -> None:
    assert cut_percent(5, 0, 1) is None


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(0, 6))
def test_a_cut_percentage_is_the_largest_that_is_not_above(
    numerator: int, denominator: int, decimals: int
) -> None:
    exact = Fraction(numerator * 100, denominator)
    printed = cut_percent(numerator, denominator, decimals)
    assert printed is not None
    assert Fraction(printed) <= exact < Fraction(printed) + Fraction(1, 10**decimals)
    assert len(printed.partition(".")[2]) == decimals
