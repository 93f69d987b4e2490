"""What would be told and is kept back: under a silence, together with its siblings, or because it flaps.

What is kept back is not lost. Nobody counts as told of it, so it is told at the first closing at which nothing keeps it
back and it is still bad; what is over by then is in the records only.
"""

from collections.abc import Collection
from dataclasses import dataclass

from tiendo_notifier.rules.life import Decision, Standing

#: A parent hears once in place of its children when so many of them, and at least a third, are in trouble, ...
LEAST_CHILDREN = 3
#: ... and until fewer than a quarter of them are.
FORMS, ENDS = 3, 4
#: Those who join them are named, too, so many days after the last message at the earliest.
NAMED_AGAIN_DAYS = 3
#: A target flaps when it has opened so many times in so many days; it is told once it has stayed open so long.
FLAPS, FLAP_DAYS, SETTLED_DAYS = 3, 7, 3


def together(children: int, in_trouble: int, *, were: bool) -> bool:
    """Whether a parent is told once in place of `in_trouble` of its children; `were`: it is so already."""
    if were:
        return in_trouble * ENDS >= children and in_trouble > 1
    return in_trouble >= LEAST_CHILDREN and in_trouble * FORMS >= children


def names_again(joined: int, days_since_told: int | None) -> bool:
    """Whether the parent is told once more, since units have joined those that it was told of."""
    return joined > 0 and days_since_told is not None and days_since_told >= NAMED_AGAIN_DAYS


def flapping(standing: Standing, day_number: int) -> bool:
    """Whether the target has opened too often of late to be told of before it has settled."""
    if not standing.openings:
        return False
    last = standing.openings[-1]
    often = sum(last - opened < FLAP_DAYS for opened in standing.openings) >= FLAPS
    return often and day_number - last < SETTLED_DAYS


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the target itself: the silence that covers it, and the parent that is told in its place."""

    silence: str | None = None
    parent: str | None = None


def kept_back(decision: Decision, after: Standing, day_number: int, around: Circumstances) -> str | None:
    """Why what is to be told is kept back; None: it is told."""
    if decision.tell is None:
        return None
    if around.silence is not None:
        return around.silence
    if decision.tell in ("opened", "worsened"):
        if around.parent is not None:
            return f"told together with its siblings, in one message about {around.parent}"
        if flapping(after, day_number):
            return f"it flaps: opened on days {_listed(after.openings)}; told once it has settled"
    return None


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(str(number) for number in numbers)
