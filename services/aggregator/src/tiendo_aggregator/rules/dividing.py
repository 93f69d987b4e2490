"""Numbers that were given to a commune, once it is divided by shares: to each part what the shares say, exactly."""

from tiendo_aggregator.rules.plan import spread
from tiendo_aggregator.rules.units import Followed


def parts_of(code: str, number: int, followed: Followed) -> dict[str, int]:
    """What each unit of the tree that the campaign was followed to has of a number of `code`. Raises KeyError if it has
    no place there."""
    shares = followed.shares.get(code)
    return {followed.places[code]: number} if shares is None else spread(number, shares)
