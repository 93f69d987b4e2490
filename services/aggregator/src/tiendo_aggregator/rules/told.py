"""What was told of units on one tree, under the units that they have become on a later one.

Counts are cells by code and day; what somebody said of a unit is a document. It stands until the unit is told of
anew, and goes where the unit went: to one place, or in parts if the unit was divided by shares.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from tiendo_aggregator.rules.units import Followed, Step

DocumentT = TypeVar("DocumentT")
#: Parts a document by the weight of each unit that gets a part: its numbers sum to what they were.
Parting = Callable[[DocumentT, Mapping[str, int]], Mapping[str, DocumentT]]


@dataclass(frozen=True, slots=True)
class Told(Generic[DocumentT]):
    """What was said of a unit of the tree of `day`."""

    unit: str
    day: date
    document: DocumentT


@dataclass(frozen=True, slots=True)
class Piece(Generic[DocumentT]):
    """What a unit has of a document. `of_divided`: the unit of which it was said has been divided since, so this is a
    part of it, or the whole at the part that stays, where no part can be told."""

    document: DocumentT
    of_divided: bool


def carried(
    told: Iterable[Told[DocumentT]], followed: Followed, parting: Parting[DocumentT] | None, *, whole: bool
) -> dict[str, list[Piece[DocumentT]]]:
    """What is known of each unit of the tree that the campaign was followed to, from all that was `told`: of each unit
    the newest, and the newest before each change of the tree.

    What is told of a unit stands in place of what it had of documents from before. `parting` None: the documents are no
    sums. Then one stays whole where the unit's cells count, and a unit made of several has none. `whole`: neither has a
    unit of which something that went into it told nothing, since a part would pass for the whole. What was told of a
    unit whose level was dropped has no place.
    """
    waiting = sorted(told, key=lambda each: (each.day, each.unit))
    pieces: dict[str, list[Piece[DocumentT]]] = {}
    for step in followed.steps:
        while waiting and waiting[0].day < step.day:
            first = waiting.pop(0)
            pieces[first.unit] = [Piece(first.document, of_divided=False)]
        pieces = _moved(pieces, step, followed, parting, whole=whole)
    pieces |= {each.unit: [Piece(each.document, of_divided=False)] for each in waiting}
    return {unit: each for unit, each in pieces.items() if unit in followed.tree.units}


def _moved(
    pieces: Mapping[str, Sequence[Piece[DocumentT]]],
    step: Step,
    followed: Followed,
    parting: Parting[DocumentT] | None,
    *,
    whole: bool,
) -> dict[str, list[Piece[DocumentT]]]:
    moved: defaultdict[str, list[Piece[DocumentT]]] = defaultdict(list)
    for unit, each in pieces.items():
        weights = step.shares.get(unit)
        if weights is not None and parting is not None:
            for piece in each:
                for part, document in parting(piece.document, weights).items():
                    moved[part].append(Piece(document, of_divided=True))
        elif (place := _place(step, unit)) is not None:
            moved[place] += [Piece(piece.document, piece.of_divided or weights is not None) for piece in each]
    if whole or parting is None:
        made_of = _made_of(step, followed, parts=parting is not None)
        for unit in list(moved):
            if (parting is None and len(made_of[unit]) > 1) or (whole and not made_of[unit] <= pieces.keys()):
                del moved[unit]
    return moved


def _place(step: Step, unit: str) -> str | None:
    """Where a unit's cells go, if what is there is of its level."""
    place = step.place.get(unit)
    if place is None or step.new.units[place].level != step.old.units[unit].level:
        return None
    return place


def _made_of(step: Step, followed: Followed, *, parts: bool) -> defaultdict[str, set[str]]:
    """Which of the campaign's units before a step went into each one after it."""
    made_of: defaultdict[str, set[str]] = defaultdict(set)
    for unit in followed.places:
        if unit not in step.old.units:
            continue
        weights = step.shares.get(unit)
        if weights is not None and parts:
            for part in weights:
                made_of[part].add(unit)
        elif (place := _place(step, unit)) is not None:
            made_of[place].add(unit)
    return made_of
