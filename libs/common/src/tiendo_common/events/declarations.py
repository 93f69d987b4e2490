"""Counts that communes declare, and who did so in time. Never citizens' records: nothing is folded from them."""

from datetime import date, datetime, time

import msgspec

from tiendo_common.events.envelope import Event


class DailyDeclarations(msgspec.Struct, frozen=True, kw_only=True):
    """Which communes report by declaring, and the local time of day before which a day's counts are due.

    `units` are communes of the campaign's first day. After a reorganisation what they became owes the report.
    """

    cut_off: time
    units: tuple[str, ...]


class DeclaredCount(msgspec.Struct, frozen=True, kw_only=True):
    """Citizens at the end of the day, those from before the campaign included: cumulative, as targets are.

    The levels are null where the commune counts both together; else they sum to `value`.
    """

    value: int
    level_1: int | None
    level_2: int | None


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What a commune declared of a day. An indicator of which it said nothing is absent: that isn't zero.

    `revision` counts from 1, and the newest stands: a correction is told whole. `late`: the first one came after the
    day's cut-off; a correction makes no unit late. `source` is where the commune has its numbers from, in its own
    words; `declared_by` the name of the API key.
    """

    campaign: str
    unit: str
    day: date
    revision: int
    source: str
    declared_by: str
    declared_at: datetime
    late: bool
    intake: DeclaredCount | msgspec.UnsetType = msgspec.UNSET
    approved: DeclaredCount | msgspec.UnsetType = msgspec.UNSET
    activated: DeclaredCount | msgspec.UnsetType = msgspec.UNSET


class DeclarationsDue(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a day at its cut-off, which is final: who declared later is late.

    `expected` are the units, of that day's tree, that owed a report; `not_reported` those of them of which there was
    none. That is a state of its own, never a count of zero. A day for which the plan's calendar asks for nothing has
    nobody in either.
    """

    campaign: str
    day: date
    cut_off: datetime
    expected: tuple[str, ...]
    not_reported: tuple[str, ...]


class CountsDeclared(Event, frozen=True, kw_only=True, tag="vn.tiendo.aggregator.counts-declared.v1"):
    """Topic `declared`, key: campaign, unit and day."""

    data: Declaration


class DeclarationsClosed(Event, frozen=True, kw_only=True, tag="vn.tiendo.aggregator.declarations-closed.v1"):
    """Topic `declared`, key: campaign and day. Once a day, when its cut-off has passed; every declaration that came in
    time stands before it in the log, every late one after it."""

    data: DeclarationsDue
