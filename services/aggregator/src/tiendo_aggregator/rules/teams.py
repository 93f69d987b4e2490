"""The fold of work by team: restated segments into net changes of who did the work. Only what has a team. Read with it
is what was wrong with dossiers (see `faults`): most events have no part in either, and are passed over.

Kept apart from the counters: a team in their key would multiply rows that most questions have to sum up again, and
who lives where says nothing about who did the work.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal

import msgspec

from tiendo_common.events.catalogue import EventDecoder, type_of
from tiendo_common.events.restatements import AccountRestated, ApprovalRestated, AttemptFailed, IntakeRestated


class TeamSegment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a segment is counted for a team."""

    from_day: date
    until_day: date | None
    level: Literal[1, 2]
    collecting: str
    team: str | None = None


class TeamData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a restatement is counted for teams."""

    known_day: date
    change: str
    before: tuple[TeamSegment, ...]
    after: tuple[TeamSegment, ...]


class TeamApprovalData(TeamData, frozen=True, kw_only=True, gc=False):
    """Likewise, with the days on which a rejection holds."""

    rejected_after: tuple[TeamSegment, ...] | msgspec.UnsetType = msgspec.UNSET


class TeamIntake(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(IntakeRestated)):
    """What of an IntakeRestated is counted for teams."""

    data: TeamData


class TeamApproval(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(ApprovalRestated)):
    """What of an ApprovalRestated is counted for teams."""

    data: TeamApprovalData


class TeamAccount(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AccountRestated)):
    """What of an AccountRestated is counted for teams."""

    data: TeamData


class TeamAttempt(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag=type_of(AttemptFailed)):
    """A failed attempt: nobody's citizen."""


Teamed = TeamIntake | TeamApproval | TeamAccount | TeamAttempt
#: In the place of an event that no team had a part in.
NOBODYS = TeamAttempt()

# In the order of rules.counting.INDICATORS.
_INDICATOR_OF: dict[type[Teamed], int] = {TeamIntake: 0, TeamApproval: 1, TeamAccount: 2}

#: The changes that say that something was wrong with a dossier.
CHANGES = ("voided", "corrected", "rejected", "revoked")

#: collecting unit, team, day, known day, indicator, level
TeamCell = tuple[str, str, date, date, int, int]


class TeamDecoder(EventDecoder[Teamed]):
    """Decodes what a team had a part in, or what was wrong with a dossier, and passes over all else unread: most bodies
    say neither."""

    def __init__(self) -> None:
        super().__init__((TeamIntake, TeamApproval, TeamAccount, TeamAttempt))

    def decode_all(self, bodies: Sequence[bytes]) -> list[Teamed] | None:
        return super().decode_all([body for body in bodies if _is_of_interest(body)])

    def decode(self, body: bytes) -> Teamed:
        return super().decode(body) if _is_of_interest(body) else NOBODYS


# Producers write no space between a member's name and its value.
_NAMED, _CHANGE = b'"team":"', b'"change":"'
#: How the changes begin that are faults; `recorded`, by far the most frequent, begins otherwise.
_FAULTY = frozenset(change[:3].encode() for change in CHANGES)


def _is_of_interest(body: bytes) -> bool:
    if _NAMED in body:
        return True
    at = body.find(_CHANGE)
    return at >= 0 and body[at + len(_CHANGE) : at + len(_CHANGE) + 3] in _FAULTY


def fold_teams(events: Iterable[Teamed]) -> Mapping[TeamCell, int]:
    """The net change of each cell; without those that stay."""
    sums: defaultdict[TeamCell, int] = defaultdict(int)
    for event in events:
        if isinstance(event, TeamAttempt):
            continue
        indicator, data = _INDICATOR_OF[type(event)], event.data
        for sign, segments in ((1, data.after), (-1, data.before)):
            for segment in segments:
                if segment.team is None:
                    continue
                cell = segment.collecting, segment.team
                kind = indicator, segment.level
                sums[(*cell, segment.from_day, data.known_day, *kind)] += sign
                if segment.until_day is not None:
                    sums[(*cell, segment.until_day, data.known_day, *kind)] -= sign
    return {cell: n for cell, n in sums.items() if n}
