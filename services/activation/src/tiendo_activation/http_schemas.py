"""Lines as they come in, and answers as they go out. Decoded with msgspec: this is the hot path."""

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from tiendo_activation.use_cases import Submission
from tiendo_common.errors import Invalid
from tiendo_common.events.restatements import Channel, DossierSegment, FailureReason, Segment
from tiendo_common.service.lines import FactLine, Team, UnitCode


class ActivationLine(FactLine, frozen=True, kw_only=True, gc=False):
    """An activation was tried, or an account was switched off or on again. A failure needs a reason."""

    result: Literal["succeeded", "failed", "deactivated", "reactivated"]
    reason: FailureReason | None = None
    collecting_unit: Annotated[
        UnitCode | None, Meta(description="The unit that helped; absent when the citizen needed no help.")
    ] = None
    team: Team | None = None
    channel: Channel | None = None


def submission(submitter: str, line: ActivationLine) -> Submission:
    """What an activation line says. Raises Invalid."""
    if line.result == "failed" and line.reason is None:
        raise Invalid(
            "A failed activation needs a reason.",
            field="reason",
            remedy=f"Send one of {', '.join(get_args(FailureReason))}.",
        )
    if line.result != "failed" and line.reason is not None:
        raise Invalid(
            "Only a failed activation has a reason.",
            field="reason",
            remedy="Leave it out, or send the result failed.",
        )
    return Submission(
        submitter=submitter,
        line_id=line.line_id,
        citizen_id=line.citizen_id,
        result=line.result,
        occurred_at=line.occurred_at,
        day=line.day,
        shift_began_on=line.shift_began_on,
        campaign=line.campaign,
        reason=line.reason,
        collecting=line.collecting_unit,
        team=line.team,
        channel=line.channel,
    )


class AccountAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it stands; nothing in it says whose it is."""

    record_id: str
    version: int
    activated: bool
    dossier: tuple[DossierSegment, ...]
    segments: tuple[Segment, ...]


class FailureCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts failed for one reason, and how many of these accounts came right since."""

    reason: FailureReason
    attempts: int
    accounts: int
    activated_since: int
