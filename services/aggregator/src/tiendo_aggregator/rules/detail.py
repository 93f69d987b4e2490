"""How much of what happens an aggregator counts, and the fold that goes with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tiendo_aggregator.errors import NotCounted
from tiendo_aggregator.rules.counting import LEAN, Folded, fold
from tiendo_aggregator.rules.totals_alone import BARE, fold_totals

#: all: totals, what they are broken down into, passages, work by team and faults. totals: these alone.
Detail = Literal["all", "totals"]


@dataclass(frozen=True, slots=True)
class Fold:
    """The one way in which an instance counts, proves and rebuilds: `sums` of events that are decoded as `types`."""

    detail: Detail
    types: tuple[type, ...]
    sums: Callable[[Iterable[Any]], Folded]

    @property
    def all(self) -> bool:
        """Whether more than totals is counted."""
        return self.detail == "all"

    def require_all(self, what: str, field: str | None = None) -> None:
        """Raise NotCounted, rather than let anybody read zeros, where totals alone are counted."""
        if not self.all:
            raise NotCounted(what, field)


ALL = Fold("all", LEAN, fold)
TOTALS = Fold("totals", BARE, fold_totals)
FOLDS = {each.detail: each for each in (ALL, TOTALS)}
