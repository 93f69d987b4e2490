"""When something last came from a unit, from its newest totals.

The aggregator publishes a unit's totals when they change, and those of the unit on top at least each minute, after all
others. So a unit of which nothing was published up to then has done nothing up to then: that is known, not guessed.
"""

from collections.abc import Sequence
from datetime import date, datetime


def came(known: Sequence[int], told: Sequence[int], *, same_day: bool) -> bool:
    """Whether totals of a day say that something was done since those that are `known`. A new day begins at nothing."""
    return list(told) != list(known) if same_day else any(told)


def is_older(day: date, told: date, since: datetime, at: datetime) -> bool:
    """Whether totals of the day `told`, complete to `at`, were overtaken by those of `day`, which last changed at
    `since`: read again, they say nothing."""
    return told < day or at < since
