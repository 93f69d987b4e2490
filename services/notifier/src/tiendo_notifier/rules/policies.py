"""What is set for a campaign, or a unit and all below it: thresholds, rules that are switched off, the working rhythm.

What is nearer to a unit goes first; what it does not set is inherited, in the end from the defaults.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tiendo_notifier.rules.rhythm import DEFAULT_RHYTHM, Rhythm
from tiendo_notifier.rules.table import RuleName
from tiendo_notifier.rules.thresholds import Thresholds, merged


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one place sets; null inherits."""

    thresholds: Mapping[str, int] = {}
    off: tuple[RuleName, ...] | None = None
    rhythm: Mapping[str, Any] = {}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds at one place, and the versions that it comes from (by unit, empty: the campaign's)."""

    thresholds: Thresholds
    off: tuple[RuleName, ...] = ()
    rhythm: Rhythm = DEFAULT_RHYTHM
    versions: Mapping[str, int] = {}

    @property
    def not_asked(self) -> tuple[RuleName, ...]:
        """The rules that say nothing here: those that are off; and, where a unit reports live, standing still is seen
        at once and not once more at the cut-off."""
        return *self.off, "stalled" if self.rhythm.reports == "live" else "stalled_live"


def in_force(documents: Sequence[tuple[str, int, Document]]) -> Policy:
    """What these make together, the farthest first: each with its unit and its version."""
    off: tuple[RuleName, ...] = ()
    for _, _, document in documents:
        if document.off is not None:
            off = document.off
    told: dict[str, Any] = {}
    for _, _, document in documents:
        told |= document.rhythm
    rhythm = msgspec.convert(told, Rhythm)
    return Policy(
        rhythm=rhythm,
        thresholds=merged([document.thresholds for _, _, document in documents]),
        off=off,
        versions={unit: version for unit, version, _ in documents},
    )
