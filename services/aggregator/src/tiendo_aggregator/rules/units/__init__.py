"""Units through time: the tree of a day, how one tree became the next, and a province followed from one to the other.

What others need of it; the rooms are tree, edition, hamlets, reorganisation and history.
"""

from tiendo_aggregator.rules.units.history import Followed, History
from tiendo_aggregator.rules.units.reorganisation import Reorganisation, Step
from tiendo_aggregator.rules.units.tree import (
    EDITIONS,
    FIRST_DAY,
    Edition,
    Gazetteer,
    Hamlet,
    Hamlets,
    Spans,
    Tree,
    eve,
    in_order,
    merge_editions,
    search_key,
)

__all__ = [
    "EDITIONS",
    "FIRST_DAY",
    "Edition",
    "Followed",
    "Gazetteer",
    "Hamlet",
    "Hamlets",
    "History",
    "Reorganisation",
    "Spans",
    "Step",
    "Tree",
    "eve",
    "in_order",
    "merge_editions",
    "search_key",
]
