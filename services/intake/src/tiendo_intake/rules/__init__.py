"""What a fact does to a dossier. Pure: the same facts give the same segments, always.

State of a dossier and what each line does to it (D: answered "duplicate", changes nothing):

    line \\ state         none        pending     approved    rejected    voided
    intake, same/lower   recorded    D           D           D           recorded
    intake, level 1→2    recorded    upgraded    upgraded    upgraded    recorded
    approved             NoDossier   approved    D           approved    NoDossier
    rejected             NoDossier   rejected    revoked     D           NoDossier
    move                 NoDossier   moved       moved       moved       NoDossier
    move to same unit    NoDossier   D           D           D           NoDossier
    correct              NoDossier   corrected   corrected   corrected   NoDossier
    correct to the same  NoDossier   D           D           D           NoDossier
    void                 NoDossier   voided      voided      voided      D

The first accepted fact wins: a second intake of the same citizen is a duplicate, whatever it says, and a
duplicate leaves no fact behind, even where a later line would have made one of it. A rejection that is dated
before the approval in force is kept as `rejected` and revokes nothing. An
upgrade, a move and a decision hold from their own day, never before the intake's; a correction rewrites
from the start; a void empties the dossier for all days. An upgrade keeps the approval and credits whoever
took the level-2 dossier; one that was rejected waits for a decision again. The record, its id and its version outlive
a void.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec

from tiendo_common.events.restatements import Channel, Cohort, DossierSegment, Segment
from tiendo_intake.errors import NoDossier

Level = Literal[1, 2]


class Taken(msgspec.Struct, frozen=True, array_like=True, tag="taken", gc=False):
    """A dossier was taken: always the first fact in force."""

    day: date
    level: Level
    residence: str
    collecting: str
    channel: Channel
    cohorts: tuple[Cohort, ...] = ()
    team: str | None = None


class Upgraded(msgspec.Struct, frozen=True, array_like=True, tag="upgraded", gc=False):
    """A level-2 dossier was taken from somebody at level 1."""

    day: date
    collecting: str
    channel: Channel
    team: str | None = None


class Moved(msgspec.Struct, frozen=True, array_like=True, tag="moved", gc=False):
    """The citizen lives elsewhere from this day."""

    day: date
    residence: str


class Placed(msgspec.Struct, frozen=True, array_like=True, tag="placed", gc=False):
    """From this day what was `unit` is divided, and the part where the citizen lives is `residence`, if he lived in
    `unit` until then. The reorganisation is named: taken back, the fact is no longer in force."""

    day: date
    unit: str
    residence: str
    reorganisation: str


class Decided(msgspec.Struct, frozen=True, array_like=True, tag="decided", gc=False):
    """The ministry's system approved or rejected the dossier."""

    day: date
    approved: bool
    reason: str | None = None


Fact = Taken | Upgraded | Moved | Placed | Decided


class Correction(msgspec.Struct, frozen=True, gc=False):
    """What was wrong from the start; None leaves a field as it is."""

    level: Level | None = None
    residence: str | None = None
    collecting: str | None = None
    channel: Channel | None = None
    cohorts: tuple[Cohort, ...] | None = None


class Void(msgspec.Struct, frozen=True, gc=False):
    """The dossier should never have been: a duplicate or the wrong person."""


#: What a line asks for, once its unit codes, times and texts have been checked.
Action = Taken | Moved | Decided | Correction | Void

Change = Literal["recorded", "upgraded", "moved", "corrected", "voided", "approved", "rejected", "revoked"]


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The facts in force after the line, and what it is called. `differs` names what was not taken over."""

    facts: tuple[Fact, ...]
    change: Change
    differs: tuple[str, ...] = ()


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """Already on record; `differs` names the fields in which the line says something else."""

    differs: tuple[str, ...] = ()


def decide(facts: tuple[Fact, ...] | None, action: Action) -> Accepted | Duplicate:
    """Apply the table above. `facts` is None for an unknown citizen, empty after a void.

    Raises NoDossier.
    """
    if isinstance(action, Taken):
        if not facts:
            return Accepted((action,), "recorded")
        return _take_again(facts, action)
    if not facts:
        if isinstance(action, Void) and facts is not None:
            return Duplicate()
        raise NoDossier(
            "No dossier of this citizen is on record." if facts is None else "The dossier was voided.",
            field="citizen_id",
            remedy="Send the intake first, then this line again.",
        )
    if action in facts:
        return Duplicate()
    if isinstance(action, Decided):
        return _decide_on(facts, action)
    if isinstance(action, Moved):
        if segments(facts)[-1].residence == action.residence:
            return Duplicate()
        return Accepted((*facts, action), "moved")
    if isinstance(action, Correction):
        return _correct(facts, action)
    return Accepted((), "voided")


def _take_again(facts: tuple[Fact, ...], line: Taken) -> Accepted | Duplicate:
    now = segments(facts)[-1]
    if line.level == 2 and now.level == 1:
        # An intake says who the citizen is, too, but only a move or a correction changes that.
        same = {"residence_unit": line.residence == now.residence, "cohorts": line.cohorts == now.cohorts}
        differs = tuple(name for name, is_same in same.items() if not is_same)
        upgrade = Upgraded(line.day, line.collecting, line.channel, line.team)
        return Accepted((*facts, upgrade), "upgraded", differs)
    taken = facts[0]
    assert isinstance(taken, Taken)
    pairs = (
        ("level", line.level, now.level),
        ("residence_unit", line.residence, now.residence),
        ("collecting_unit", line.collecting, now.collecting),
        ("team", line.team, now.team),
        ("channel", line.channel, now.channel),
        ("cohorts", line.cohorts, now.cohorts),
        ("occurred_at", line.day, taken.day),
    )
    return Duplicate(tuple(name for name, said, known in pairs if said != known))


def _decide_on(facts: tuple[Fact, ...], line: Decided) -> Accepted | Duplicate:
    in_force = _decision(facts)
    if in_force is not None and in_force.approved == line.approved:
        differs = []
        if line.day != in_force.day:
            differs.append("occurred_at")
        if line.reason != in_force.reason:
            differs.append("reason")
        return Duplicate(tuple(differs))
    change: Change = "approved" if line.approved else "rejected"
    if in_force is not None and in_force.approved and line.day >= in_force.day:
        change = "revoked"
    return Accepted((*facts, line), change)


def _decision(facts: tuple[Fact, ...]) -> Decided | None:
    """The decision that holds in the end: the one of the latest day, of two on one day the later accepted."""
    found: Decided | None = None
    for fact in facts:
        if isinstance(fact, Decided) and (found is None or fact.day >= found.day):
            found = fact
    return found


def _correct(facts: tuple[Fact, ...], line: Correction) -> Accepted | Duplicate:
    taken = facts[0]
    assert isinstance(taken, Taken)
    right = Taken(
        taken.day,
        taken.level if line.level is None else line.level,
        taken.residence if line.residence is None else line.residence,
        taken.collecting if line.collecting is None else line.collecting,
        taken.channel if line.channel is None else line.channel,
        taken.cohorts if line.cohorts is None else line.cohorts,
        taken.team,
    )
    # Level 1 from the start means that the upgrades accepted so far were wrong as well.
    rest = [fact for fact in facts[1:] if not (line.level == 1 and isinstance(fact, Upgraded))]
    if right == taken and len(rest) == len(facts) - 1:
        return Duplicate()
    return Accepted((right, *rest), "corrected")


def segments(facts: tuple[Fact, ...]) -> tuple[DossierSegment, ...]:
    """The dossier's days: ordered, without overlap, neighbours different, the last one open."""
    if not facts:
        return ()
    taken = facts[0]
    assert isinstance(taken, Taken)
    start = taken.day
    level, residence, approved, decided = taken.level, taken.residence, False, False
    collecting, channel, team = taken.collecting, taken.channel, taken.team
    answer: list[DossierSegment] = []
    since = start
    # Stable: facts of one day hold in the order in which they were accepted.
    later = sorted(facts[1:], key=_day) if len(facts) > 2 else facts[1:]
    for fact in later:
        day = max(_day(fact), start)
        if day > since:
            _extend(answer, DossierSegment(
                from_day=since, until_day=day, level=level, residence=residence, collecting=collecting,
                channel=channel, cohorts=taken.cohorts, team=team, approved=approved,
                decided=decided,
            ))  # fmt: skip
            since = day
        if isinstance(fact, Decided):
            approved, decided = fact.approved, True
        elif isinstance(fact, Moved):
            residence = fact.residence
        elif isinstance(fact, Placed):
            if residence == fact.unit:
                residence = fact.residence
        elif isinstance(fact, Upgraded) and level == 1:
            level, collecting, channel, team = 2, fact.collecting, fact.channel, fact.team
            decided = approved
    _extend(answer, DossierSegment(
        from_day=since, until_day=None, level=level, residence=residence, collecting=collecting,
        channel=channel, cohorts=taken.cohorts, team=team, approved=approved,
        decided=decided,
    ))  # fmt: skip
    return tuple(answer)


def _day(fact: Fact) -> date:
    return fact.day


def _extend(answer: list[DossierSegment], segment: DossierSegment) -> None:
    """Append, or lengthen the last one if nothing but the days differs."""
    if answer:
        last = answer[-1]
        if msgspec.structs.replace(last, from_day=segment.from_day, until_day=segment.until_day) == segment:
            answer[-1] = msgspec.structs.replace(last, until_day=segment.until_day)
            return
    answer.append(segment)


def intake_segments(dossier: Sequence[DossierSegment]) -> tuple[Segment, ...]:
    """Where the intake counts: the dossier's days, whatever was decided."""
    answer: list[Segment] = []
    for index, part in enumerate(dossier):
        if index and not _differs_beyond_approval(dossier[index - 1], part):
            answer[-1] = msgspec.structs.replace(answer[-1], until_day=part.until_day)
        else:
            answer.append(_public(part))
    return tuple(answer)


def approved_segments(dossier: Sequence[DossierSegment]) -> tuple[Segment, ...]:
    """Where the approved dossier counts: its approved days."""
    if not dossier:
        return ()
    taken_on = dossier[0].from_day
    # A dossier as a build before left it: its events did not say since when, so it is not said that they did.
    return tuple([
        _public(part, msgspec.UNSET if part.decided is msgspec.UNSET else taken_on)
        for part in dossier if part.approved
    ])  # fmt: skip


def rejected_segments(dossier: Sequence[DossierSegment]) -> tuple[Segment, ...]:
    """The days on which a rejection holds."""
    if not dossier:
        return ()
    return tuple(
        [_public(part, dossier[0].from_day) for part in dossier if part.decided is True and not part.approved]
    )


def _public(part: DossierSegment, since: date | msgspec.UnsetType = msgspec.UNSET) -> Segment:
    return Segment(
        from_day=part.from_day,
        until_day=part.until_day,
        level=part.level,
        residence=part.residence,
        collecting=part.collecting,
        channel=part.channel,
        cohorts=part.cohorts,
        team=part.team,
        since=since,
    )


def _differs_beyond_approval(one: DossierSegment, other: DossierSegment) -> bool:
    return (one.level, one.residence, one.collecting, one.channel, one.team) != (
        other.level,
        other.residence,
        other.collecting,
        other.channel,
        other.team,
    )
