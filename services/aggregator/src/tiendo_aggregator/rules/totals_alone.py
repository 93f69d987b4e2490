"""The fold of an aggregator that counts totals alone: of each boundary the same number as `rules.counting` has for it,
and nothing that it is broken down into. Half of what an event costs is saved, and no question is answered that needs
more.
"""

from collections.abc import Iterable
from datetime import date
from typing import Literal

import msgspec

from tiendo_aggregator.rules.counting import Boundary, Folded
from tiendo_common.events.catalogue import type_of
from tiendo_common.events.restatements import (
    AccountRestated,
    ApprovalRestated,
    AttemptFailed,
    IntakeRestated,
)


class BareSegment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a segment counts, and from when to when."""

    from_day: date
    until_day: date | None
    level: Literal[1, 2]
    residence: str
    collecting: str


class BareData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a restatement the totals need."""

    known_day: date
    before: tuple[BareSegment, ...]
    after: tuple[BareSegment, ...]


class BareIntake(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(IntakeRestated)):
    """An IntakeRestated."""

    data: BareData


class BareApproval(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(ApprovalRestated)):
    """An ApprovalRestated."""

    data: BareData


class BareAccount(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AccountRestated)):
    """An AccountRestated."""

    data: BareData


class BareAttempt(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AttemptFailed)):
    """A failed attempt, which is in no total."""


Bare = BareIntake | BareApproval | BareAccount | BareAttempt
BARE: tuple[type[Bare], ...] = (BareIntake, BareApproval, BareAccount, BareAttempt)

_INDICATOR_OF: dict[type, int] = {BareIntake: 0, BareApproval: 1, BareAccount: 2}


def fold_totals(events: Iterable[Bare]) -> Folded:
    """What events come to, as totals. The hot path, like `rules.counting.fold`."""
    sums: dict[Boundary, int] = {}
    stood = sums.get
    indicator_of = _INDICATOR_OF.get
    for event in events:
        indicator = indicator_of(type(event))
        if indicator is None:
            continue
        data: BareData = event.data  # type: ignore[union-attr]  # an attempt has none
        known = data.known_day
        for s in data.after:
            boundary = s.from_day, known, indicator, s.level, s.residence, s.collecting
            sums[boundary] = stood(boundary, 0) + 1
            if s.until_day is not None:
                boundary = s.until_day, known, indicator, s.level, s.residence, s.collecting
                sums[boundary] = stood(boundary, 0) - 1
        for s in data.before:
            boundary = s.from_day, known, indicator, s.level, s.residence, s.collecting
            sums[boundary] = stood(boundary, 0) - 1
            if s.until_day is not None:
                boundary = s.until_day, known, indicator, s.level, s.residence, s.collecting
                sums[boundary] = stood(boundary, 0) + 1
    return Folded({boundary: (n,) for boundary, n in sums.items() if n})
