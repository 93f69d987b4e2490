"""What was told of a commune that was divided by shares since: its numbers go to the parts as the shares say.

A commune divided by hamlet has such shares, too, for what was told of it; of its records each says itself where it is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tiendo_aggregator.rules.plan import spread
from tiendo_aggregator.rules.units import Step


def parts_of(code: str, number: int, steps: Sequence[Step], *, records: bool = False) -> Mapping[str, int]:
    """What each unit has of a number of `code` after these changes of the tree (see `Followed.after`); with `records`,
    of a number of records that are counted at the code itself.

    At each of them a unit that was divided is parted by largest remainder: nothing is lost, and what a part has is what
    its own parts come to when it is divided in turn.
    """
    parts: Mapping[str, int] = {code: number}
    for step in steps:
        there: defaultdict[str, int] = defaultdict(int)
        for unit, n in parts.items():
            weights = step.shares.get(unit)
            if weights is None or (records and unit in step.by_hamlet):
                there[step.place.get(unit) or unit] += n
            else:
                for part, share in spread(n, weights).items():
                    there[part] += share
        parts = there
    return parts


def is_parted(code: str, steps: Sequence[Step], *, records: bool = False) -> bool:
    """Whether a number of `code` is parted by these changes."""
    return any(step.shares for step in steps) and len(parts_of(code, 0, steps, records=records)) > 1
