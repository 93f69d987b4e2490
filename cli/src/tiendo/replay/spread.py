"""Spreads whole numbers exactly: over communes by weight, and under capacities by willingness."""

from collections.abc import Sequence
from math import expm1


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Shares of `total` in proportion to `weights`, summing to it exactly; ties go to the earlier one.

    Raises ValueError when there is something to spread and no weight to spread it by.
    """
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError(f"{total} cannot be spread: every weight is zero")
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def saturating(total: int, capacities: Sequence[int], willingness: Sequence[float]) -> list[int]:
    """Spread `total` over places of limited capacity, summing to it exactly and never above a capacity.

    A place takes capacity x (1 - exp(-t x willingness)) with one t for all: who is more willing fills up
    more, nobody overflows, and the order of the ratios is the order of willingness (but for rounding).
    Raises ValueError when the capacities that are willing don't hold the total.
    """
    room = sum(c for c, w in zip(capacities, willingness, strict=True) if w > 0)
    if total > room:
        raise ValueError(f"{total} do not fit in {room}")
    if total == room:
        return [c if w > 0 else 0 for c, w in zip(capacities, willingness, strict=True)]

    def taken(t: float) -> list[float]:
        return [-c * expm1(-t * w) for c, w in zip(capacities, willingness, strict=True)]

    low, high = 0.0, 1.0
    while sum(taken(high)) < total:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        if sum(taken(middle)) < total:
            low = middle
        else:
            high = middle
    exact = taken(high)
    shares = [min(int(x), c) for x, c in zip(exact, capacities, strict=True)]
    missing = total - sum(shares)
    by_remainder = sorted(range(len(shares)), key=lambda i: (shares[i] - exact[i], i))
    while missing > 0:
        for i in by_remainder:
            if missing and willingness[i] > 0 and shares[i] < capacities[i]:
                shares[i] += 1
                missing -= 1
    for i in reversed(by_remainder):  # floating point may have given one too many
        if missing < 0 < shares[i]:
            shares[i] -= 1
            missing += 1
    return shares
