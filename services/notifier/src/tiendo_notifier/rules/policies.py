"""What is set for a campaign, or a unit and all below it: thresholds, and rules that are switched off.

What is nearer to a unit goes first; what it does not set is inherited, in the end from the defaults.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tiendo_notifier.rules.table import RuleName
from tiendo_notifier.rules.thresholds import Thresholds, merged


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one place sets; null inherits."""

    thresholds: Mapping[str, int] = {}
    off: tuple[RuleName, ...] | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds at one place, and the versions that it comes from (by unit, empty: the campaign's)."""

    thresholds: Thresholds
    off: tuple[RuleName, ...] = ()
    versions: Mapping[str, int] = {}


def in_force(documents: Sequence[tuple[str, int, Document]]) -> Policy:
    """What these make together, the farthest first: each with its unit and its version."""
    off: tuple[RuleName, ...] = ()
    for _, _, document in documents:
        if document.off is not None:
            off = document.off
    return Policy(
        thresholds=merged([document.thresholds for _, _, document in documents]),
        off=off,
        versions={unit: version for unit, version, _ in documents},
    )
