"""What is published of a changed dossier: the same for a line and for a placement."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import msgspec

from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.restatements import (
    ApprovalChange,
    ApprovalRestated,
    ApprovalRestatement,
    DossierRestated,
    DossierRestatement,
    IntakeChange,
    IntakeRestated,
    IntakeRestatement,
)
from tiendo_intake.rules import (
    Change,
    Fact,
    approved_segments,
    intake_segments,
    rejected_segments,
    segments,
)
from tiendo_intake.storage import Record

#: The changes that are decisions; all others are facts about the dossier itself.
DECISIONS = {"approved", "rejected", "revoked"}


@dataclass(frozen=True, slots=True)
class Because:
    """What changed a dossier, when that happened in the world, why, and the API key that sent it; `campaign` None: none
    did. `shift_began_on`: the day on which it counts, where that is the one before."""

    change: Change
    occurred_at: datetime
    campaign: str | None
    reason: str | None
    submitter: str
    shift_began_on: date | None = None


def restate(
    record: Record,
    facts: tuple[Fact, ...],
    because: Because,
    *,
    source: str,
    key_id: int,
    now: datetime,
    today: date,
) -> list[NewEvent]:
    """Let these facts be in force for the record in hand; the events that say so."""
    before, after = record.segments, segments(facts)
    record.version += 1
    record.facts = facts
    record.segments = after
    record.changed = True
    attributes: dict[str, Any] = {
        "source": source,
        "subject": (after or before)[-1].residence,
        "time": now,
        "partitionkey": record.record_id,
    }
    if because.campaign is not None:
        attributes["campaign"] = because.campaign
    said: dict[str, Any] = {
        "record_id": record.record_id,
        "version": record.version,
        "known_day": today,
        "occurred_at": because.occurred_at,
        "working_day": because.shift_began_on or msgspec.UNSET,
    }
    events: list[NewEvent] = []
    change, reason = because.change, because.reason
    decided = change in DECISIONS
    if not decided:
        intake_before, intake_after = intake_segments(before), intake_segments(after)
        if intake_before != intake_after:
            intake = IntakeRestatement(
                **said,
                change=cast(IntakeChange, change),
                before=intake_before,
                after=intake_after,
                reason=reason,
            )
            events.append(NewEvent("intake", IntakeRestated(id=new_event_id(), **attributes, data=intake)))
    approved_before, approved_after = approved_segments(before), approved_segments(after)
    rejected_before, rejected_after = rejected_segments(before), rejected_segments(after)
    rejected_as_before = rejected_before == rejected_after
    if decided or approved_before != approved_after or not rejected_as_before:
        approval = ApprovalRestatement(
            **said,
            change=cast(ApprovalChange, change),
            before=approved_before,
            after=approved_after,
            reason=reason,
            rejected_before=msgspec.UNSET if rejected_as_before else rejected_before,
            rejected_after=msgspec.UNSET if rejected_as_before else rejected_after,
        )
        events.append(NewEvent("approval", ApprovalRestated(id=new_event_id(), **attributes, data=approval)))
    dossier = DossierRestatement(
        **said,
        key_id=key_id,
        person_hash=record.person_hash,
        segments=after,
        change=change,
        reason=msgspec.UNSET if reason is None else reason,
        submitter=because.submitter,
    )
    events.append(NewEvent("dossier", DossierRestated(id=new_event_id(), **attributes, data=dossier)))
    return events
