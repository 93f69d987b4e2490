"""When an account counts as activated. Pure: the same dossier and switches give the same segments, always.

What each line does (D: answered "duplicate", changes nothing):

    line \\ account    never on       on            off
    succeeded          activated      D             reactivated
    failed             an attempt is kept, whatever the state; the same attempt again: D
    deactivated        NotActivated   deactivated   D
    reactivated        NotActivated   D             reactivated

Whether the dossier is there or approved is not asked: a switch waits in the account until it is, and counts
from the first day on which both hold. Switches outlive a void of the dossier: the phone stays switched on.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal

import msgspec

from tiendo_activation.errors import NotActivated
from tiendo_common.events.restatements import AccountChange, Channel, DossierSegment, Failure, Segment


class Switched(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The account was switched on or off. `known_day` is when this service accepted that."""

    day: date
    on: bool
    known_day: date
    collecting: str | None = None
    channel: Channel | None = None
    team: str | None = None


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """Already on record; `differs` names the fields in which the line says something else."""

    differs: tuple[str, ...] = ()


Result = Literal["succeeded", "deactivated", "reactivated"]


def decide(switches: Sequence[Switched], result: Result, switch: Switched) -> AccountChange | Duplicate:
    """Apply the table above: what to call the change. Raises NotActivated."""
    last = latest(switches)
    if last is None:
        if result == "succeeded":
            return "activated"
        raise NotActivated(
            "No activation of this account is on record.",
            field="result",
            remedy="Send the activation first, then this line again.",
        )
    if last.on == switch.on:
        pairs = (
            ("occurred_at", switch.day, last.day),
            ("collecting_unit", switch.collecting, last.collecting),
            ("channel", switch.channel, last.channel),
            ("team", switch.team, last.team),
        )
        return Duplicate(tuple(name for name, said, known in pairs if said != known))
    return "reactivated" if switch.on else "deactivated"


def latest(switches: Sequence[Switched]) -> Switched | None:
    """The switch that holds in the end: of the latest day; of two on one day, the later accepted."""
    found: Switched | None = None
    for switch in switches:
        if found is None or switch.day >= found.day:
            found = switch
    return found


def segments(dossier: Sequence[DossierSegment], switches: Sequence[Switched]) -> tuple[Segment, ...]:
    """The days on which the dossier is approved and the account is on: ordered, without overlap.

    The work is credited to the unit that helped; somebody who needed no help counts for the unit where
    they live, by the channel `online`.
    """
    answer: list[Segment] = []
    if not dossier or not switches:
        return ()
    spans = list(_on_spans(switches))
    approved_on: date | None = None
    for part in dossier:
        if not part.approved:
            approved_on = None
            continue
        approved_on = approved_on or part.from_day
        for switch, on_until in spans:
            since = max(part.from_day, switch.day)
            until = _earlier(part.until_day, on_until)
            if until is not None and until <= since:
                continue
            _extend(answer, Segment(
                from_day=since,
                until_day=until,
                level=part.level,
                residence=part.residence,
                collecting=switch.collecting or part.residence,
                channel=switch.channel or "online",
                cohorts=part.cohorts,
                team=switch.team,
                since=approved_on,
            ))  # fmt: skip
    return tuple(answer)


def come_right(failures: Sequence[Failure], account: Sequence[Segment]) -> tuple[Failure, ...]:
    """Each failed attempt with the day on which it came right, by the account's segments."""
    return tuple(
        [msgspec.structs.replace(each, right_on=_activated_from(account, each.day)) for each in failures]
    )


def _activated_from(account: Sequence[Segment], day: date) -> date | None:
    """The first day from `day` on when the account counts."""
    for segment in account:
        if segment.until_day is None or segment.until_day > day:
            return max(segment.from_day, day)
    return None


def _on_spans(switches: Sequence[Switched]) -> Iterator[tuple[Switched, date | None]]:
    """Each switch-on with the day on which the account went off again, or None."""
    # Stable: switches of one day hold in the order in which they were accepted.
    ordered = sorted(switches, key=lambda switch: switch.day)
    on: Switched | None = None
    for switch in ordered:
        if switch.on and on is None:
            on = switch
        elif not switch.on and on is not None:
            yield on, switch.day
            on = None
    if on is not None:
        yield on, None


def _earlier(one: date | None, other: date | None) -> date | None:
    if one is None:
        return other
    return one if other is None else min(one, other)


def _extend(answer: list[Segment], segment: Segment) -> None:
    """Append, or lengthen the last one if they touch and nothing but the days differs."""
    if answer and answer[-1].until_day == segment.from_day:
        last = answer[-1]
        if msgspec.structs.replace(last, from_day=segment.from_day, until_day=segment.until_day) == segment:
            answer[-1] = msgspec.structs.replace(last, until_day=segment.until_day)
            return
    answer.append(segment)
