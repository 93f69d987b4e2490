"""What is published of a changed dossier: the same for a line and for a placement."""

from collections.abc import Callable
from datetime import date, datetime
from typing import cast

import msgspec

from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.envelope import Event
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

#: Makes an event of its attributes.
_Kind = Callable[..., Event]

#: The changes that are decisions; all others are facts about the dossier itself.
DECISIONS = {"approved", "rejected", "revoked"}


class Because(msgspec.Struct, frozen=True, gc=False):
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
    record_id, version, occurred_at = record.record_id, record.version, because.occurred_at
    working_day = because.shift_began_on or msgspec.UNSET
    subject = (after or before)[-1].residence
    campaign = msgspec.UNSET if because.campaign is None else because.campaign
    events: list[NewEvent] = []

    # Keywords are written out here and below: dictionaries of them, unpacked four times, were a fifth of all this.
    def publish(topic: str, kind: _Kind, data: msgspec.Struct) -> None:
        events.append(
            NewEvent(
                topic,
                kind(
                    id=new_event_id(),
                    source=source,
                    subject=subject,
                    time=now,
                    partitionkey=record_id,
                    campaign=campaign,
                    data=data,
                ),
            )
        )

    change, reason = because.change, because.reason
    decided = change in DECISIONS
    if not decided:
        intake_before, intake_after = intake_segments(before), intake_segments(after)
        if intake_before != intake_after:
            intake = IntakeRestatement(
                record_id=record_id,
                version=version,
                change=cast(IntakeChange, change),
                occurred_at=occurred_at,
                known_day=today,
                before=intake_before,
                after=intake_after,
                reason=reason,
                working_day=working_day,
            )
            publish("intake", IntakeRestated, intake)
    approved_before, approved_after = approved_segments(before), approved_segments(after)
    rejected_before, rejected_after = rejected_segments(before), rejected_segments(after)
    rejected_as_before = rejected_before == rejected_after
    if decided or approved_before != approved_after or not rejected_as_before:
        approval = ApprovalRestatement(
            record_id=record_id,
            version=version,
            change=cast(ApprovalChange, change),
            occurred_at=occurred_at,
            known_day=today,
            before=approved_before,
            after=approved_after,
            reason=reason,
            rejected_before=msgspec.UNSET if rejected_as_before else rejected_before,
            rejected_after=msgspec.UNSET if rejected_as_before else rejected_after,
            working_day=working_day,
        )
        publish("approval", ApprovalRestated, approval)
    dossier = DossierRestatement(
        record_id=record_id,
        version=version,
        known_day=today,
        key_id=key_id,
        person_hash=record.person_hash,
        segments=after,
        change=change,
        reason=msgspec.UNSET if reason is None else reason,
        occurred_at=occurred_at,
        submitter=because.submitter,
        working_day=working_day,
    )
    publish("dossier", DossierRestated, dossier)
    return events
