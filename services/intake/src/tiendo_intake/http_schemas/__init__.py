"""Lines as they come in, and answers as they go out. Decoded with msgspec: this is the hot path."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tiendo_common.errors import Invalid
from tiendo_common.events.restatements import Channel, Cohort, DossierRestated, DossierSegment
from tiendo_common.service.lines import END, WORDS, FactLine, Team, UnitCode
from tiendo_intake.rules import Action, Correction, Decided, Moved, Taken, Void
from tiendo_intake.use_cases import Submission

Reason = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[a-z][a-z_]*" + END,
        description="A code of small letters and underscores: it is published, and free text could name somebody.",
        extra={WORDS: "a code of 1 to 64 small letters and underscores, like moved_house: it is published"},
    ),
]
Cohorts = Annotated[tuple[Cohort, ...], Meta(max_length=8)]


class IntakeLine(FactLine, frozen=True, kw_only=True, gc=False):
    """A dossier was taken from a citizen, or upgraded from level 1 to 2."""

    level: Literal[1, 2]
    residence_unit: UnitCode
    collecting_unit: UnitCode
    channel: Channel
    team: Team | None = None
    cohorts: Cohorts = ()


class ApprovalLine(FactLine, frozen=True, kw_only=True, gc=False):
    """The ministry's system decided on a dossier. A rejection needs a reason."""

    decision: Literal["approved", "rejected"]
    reason: Reason | None = None


class AmendmentLine(FactLine, frozen=True, kw_only=True, gc=False):
    """A citizen moved, a dossier was wrong from the start, or should never have been."""

    kind: Literal["move", "correct", "void"]
    reason: Reason
    residence_unit: UnitCode | None = None
    level: Literal[1, 2] | None = None
    collecting_unit: UnitCode | None = None
    channel: Channel | None = None
    cohorts: Cohorts | None = None


Line = IntakeLine | ApprovalLine | AmendmentLine

#: What amendments can change, and what each kind of them does.
_CORRECTED = ("level", "residence_unit", "collecting_unit", "channel", "cohorts")
_TAKEN_OVER = {"move": ("residence_unit",), "correct": _CORRECTED, "void": ()}


def intake_submission(submitter: str, line: IntakeLine) -> Submission:
    """What an intake line asks for."""
    day = line.day
    action = Taken(
        day,
        line.level,
        line.residence_unit,
        line.collecting_unit,
        line.channel,
        tuple(sorted(set(line.cohorts))),
        line.team,
    )
    return _submission(submitter, line, day, "intake", action)


def approval_submission(submitter: str, line: ApprovalLine) -> Submission:
    """What an approval line asks for. Raises Invalid."""
    if line.decision == "rejected" and line.reason is None:
        raise Invalid(
            "A rejection needs a reason.",
            field="reason",
            remedy="Send a code of small letters and underscores, like blurred_photo.",
        )
    day = line.day
    action = Decided(day, line.decision == "approved", line.reason)
    return _submission(submitter, line, day, "approval", action, line.reason)


def amendment_submission(submitter: str, line: AmendmentLine) -> Submission:
    """What an amendment line asks for. Raises Invalid, also for a value that its kind would not take over: whoever
    sent it believes it to be on record."""
    said = [name for name in _CORRECTED if getattr(line, name) is not None]
    surplus = [name for name in said if name not in _TAKEN_OVER[line.kind]]
    if surplus:
        raise Invalid(
            f"A line of the kind {line.kind} changes nothing of {surplus[0]}.",
            field=surplus[0],
            remedy="Leave it out; what was wrong from the start is a line of the kind correct.",
        )
    day = line.day
    action: Action
    if line.kind == "move":
        if line.residence_unit is None:
            raise Invalid(
                "A move needs the new residence unit.", field="residence_unit", remedy="Add it to the line."
            )
        action = Moved(day, line.residence_unit)
    elif line.kind == "correct":
        if not said:
            raise Invalid(
                "A correction names at least one right value.",
                field="kind",
                remedy="Add level, residence_unit, collecting_unit, channel or cohorts.",
            )
        cohorts = None if line.cohorts is None else tuple(sorted(set(line.cohorts)))
        action = Correction(line.level, line.residence_unit, line.collecting_unit, line.channel, cohorts)
    else:
        action = Void()
    return _submission(submitter, line, day, "amendment", action, line.reason)


def _submission(
    submitter: str,
    line: Line,
    day: date,
    kind: Literal["intake", "approval", "amendment"],
    action: Action,
    reason: str | None = None,
) -> Submission:
    return Submission(
        submitter=submitter,
        line_id=line.line_id,
        citizen_id=line.citizen_id,
        kind=kind,
        action=action,
        occurred_at=line.occurred_at,
        day=day,
        shift_began_on=line.shift_began_on,
        campaign=line.campaign,
        reason=reason,
    )


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A dossier at one version, and what made it so; null where a build before did not say it. `working_day`: the day
    on which the change counts, where that is the one before `occurred_at`'s; else null."""

    version: int
    change: str | None
    reason: str | None
    occurred_at: datetime | None
    working_day: date | None
    accepted_at: datetime
    known_day: date
    submitter: str | None
    campaign: str | None
    segments: tuple[DossierSegment, ...]

    @classmethod
    def of(cls, event: DossierRestated) -> "VersionAnswer":
        data = event.data
        return cls(
            version=data.version,
            change=data.change or None,
            reason=data.reason or None,
            occurred_at=data.occurred_at or None,
            working_day=data.working_day or None,
            accepted_at=event.time,
            known_day=data.known_day,
            submitter=data.submitter or None,
            campaign=event.campaign or None,
            segments=data.segments,
        )


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every version that a dossier ever had, oldest first; nothing in it says who the citizen is."""

    record_id: str
    versions: tuple[VersionAnswer, ...]


class DossierAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A citizen's dossier as it stands; nothing in it says who the citizen is."""

    record_id: str
    version: int
    state: Literal["pending", "approved", "rejected", "voided"]
    segments: tuple[DossierSegment, ...]
