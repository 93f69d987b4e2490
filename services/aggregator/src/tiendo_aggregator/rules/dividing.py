"""What was told of a commune that was divided by shares since: its numbers go to the parts as the shares say.

A commune divided by hamlet has such shares, too, for what was told of it; of its records each says itself where it is.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.plan import spread
from tiendo_aggregator.rules.units import Followed, Step


def parts_of(code: str, number: int, steps: Sequence[Step]) -> Mapping[str, int]:
    """What each unit has of a number of `code` after these changes of the tree (see `Followed.after`).

    At each of them a unit that was divided is parted by largest remainder: nothing is lost, and what a part has is what
    its own parts come to when it is divided in turn.
    """
    return _carried(code, number, steps, lambda step, unit: step.shares.get(unit))


def records_of(code: str, number: int, followed: Followed, day: date) -> Mapping[str, int]:
    """What each unit has of a number of records that are counted at the code itself, as they stood at the end of `day`.

    Only a division by shares after that day parts them. At one that had been, intake placed each of the others by
    itself: those that are still counted at the code are of the part that stays. Those of a hamlet have its own code,
    and are its commune's own once it has ended.
    """
    own, steps = followed.own(code)
    return own_records(own, number, steps, day)


def own_records(code: str, number: int, steps: Sequence[Step], day: date) -> Mapping[str, int]:
    """Likewise of a unit's own through these changes of the tree."""
    return _carried(
        code,
        number,
        steps,
        lambda step, unit: None if step.day <= day or unit in step.by_hamlet else step.shares.get(unit),
    )


def _carried(
    code: str, number: int, steps: Sequence[Step], weights_of: Callable[[Step, str], Mapping[str, int] | None]
) -> Mapping[str, int]:
    parts: Mapping[str, int] = {code: number}
    for step in steps:
        there: defaultdict[str, int] = defaultdict(int)
        for unit, n in parts.items():
            weights = weights_of(step, unit)
            if weights is None:
                there[step.place.get(unit) or unit] += n
            else:
                for part, share in spread(n, weights).items():
                    there[part] += share
        parts = there
    return parts


def is_parted(code: str, steps: Sequence[Step]) -> bool:
    """Whether a number of `code` is parted by these changes."""
    return any(step.shares for step in steps) and len(parts_of(code, 0, steps)) > 1


def are_parted(code: str, followed: Followed) -> bool:
    """Whether records that are counted at the code itself were ever parted."""
    return any(step.shares for step in followed.steps) and len(records_of(code, 0, followed, date.min)) > 1
