"""Facts about citizens' accounts, as day-ordered segments before and after each change.

A restatement replaces all that was said before about one record on one topic. Whoever counts adds
`deltas(after)` and takes away `deltas(before)`: the sums telescope to the last state, in whatever order
topics are read. Each indicator is folded from exactly one topic.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from tiendo_common.events.envelope import Event

Channel = Literal["fixed", "mobile", "home", "online"]
Cohort = Literal[
    "officials",
    "employees",
    "armed_forces",
    "students",
    "workers",
    "elderly",
    "ethnic_minorities",
    "fishermen",
]


class Segment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A span of days in which a citizen counts in the same places.

    Counted from `from_day` up to the day before `until_day`; null means to this day. `residence` is the
    unit where the citizen lives, `collecting` the unit credited with the work. `since` is the day on which the
    citizen began to wait for this: of an approved dossier the day of its intake, of an activated account the day of
    its approval. Builds before did not say it, and no intake has one.
    """

    from_day: date
    until_day: date | None
    level: Literal[1, 2]
    residence: str
    collecting: str
    channel: Channel
    cohorts: tuple[Cohort, ...] = ()
    team: str | None = None
    since: date | msgspec.UnsetType = msgspec.UNSET


class DossierSegment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A segment of a dossier, approved or not. `decided`: whether a decision holds, an approval or a rejection; builds
    before did not say it."""

    from_day: date
    until_day: date | None
    level: Literal[1, 2]
    residence: str
    collecting: str
    channel: Channel
    cohorts: tuple[Cohort, ...] = ()
    team: str | None = None
    approved: bool = False
    decided: bool | msgspec.UnsetType = msgspec.UNSET


def deltas(segments: Sequence[Segment]) -> Iterator[tuple[date, int, Segment]]:
    """What segments add to the counters: +1 on the first day, −1 on the day after the last."""
    for segment in segments:
        yield segment.from_day, 1, segment
        if segment.until_day is not None:
            yield segment.until_day, -1, segment


IntakeChange = Literal["recorded", "upgraded", "moved", "corrected", "voided"]
ApprovalChange = Literal["approved", "rejected", "revoked", "upgraded", "moved", "corrected", "voided"]
AccountChange = Literal["activated", "deactivated", "reactivated", "dossier"]
FailureReason = Literal["old_device", "no_smartphone", "phone_not_owned", "network", "other"]


class Failure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A failed attempt as it is counted: at the unit that helped, or where the citizen was known to live then.

    `right_on`: the first day from `day` on when the account counts as activated; null: it came to nothing so far.
    """

    unit: str
    reason: FailureReason
    day: date
    right_on: date | None = None


class IntakeRestatement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a citizen's intake counts, before and after a change.

    `version` rises by one with every change of the record; `occurred_at` is when the change happened in
    the world and `known_day` the business day on which the service accepted it. `working_day`: the day before
    `occurred_at`'s, to which it belongs and on which it counts; absent: it was done by no shift past midnight.
    """

    record_id: str
    version: int
    change: IntakeChange
    occurred_at: datetime
    known_day: date
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    reason: str | None = None
    working_day: date | msgspec.UnsetType = msgspec.UNSET


class ApprovalRestatement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a citizen's approved dossier counts, before and after a change or a decision.

    `rejected_before` and `rejected_after` are the days on which a rejection holds: told when they change.
    `working_day`: see IntakeRestatement.
    """

    record_id: str
    version: int
    change: ApprovalChange
    occurred_at: datetime
    known_day: date
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    reason: str | None = None
    rejected_before: tuple[Segment, ...] | msgspec.UnsetType = msgspec.UNSET
    rejected_after: tuple[Segment, ...] | msgspec.UnsetType = msgspec.UNSET
    working_day: date | msgspec.UnsetType = msgspec.UNSET


class DossierRestatement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The whole dossier at one version, with the keyed hash of its citizen: restricted.

    What made it so stands beside it, so that this topic alone tells a dossier's history: `change`, why if a reason was
    given, when it happened in the world, the `working_day` if that is another one (see IntakeRestatement), and the API
    key that sent it. Builds before did not say it.
    """

    record_id: str
    version: int
    known_day: date
    key_id: int
    person_hash: bytes
    segments: tuple[DossierSegment, ...]
    change: IntakeChange | ApprovalChange | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    occurred_at: datetime | msgspec.UnsetType = msgspec.UNSET
    submitter: str | msgspec.UnsetType = msgspec.UNSET
    working_day: date | msgspec.UnsetType = msgspec.UNSET


class AccountRestatement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a citizen's activated account counts, before and after a change.

    `failures_before` and `failures_after` are the attempts that failed, told when it changes whether they came right.
    `working_day`: see IntakeRestatement.
    """

    record_id: str
    version: int
    change: AccountChange
    occurred_at: datetime
    known_day: date
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    failures_before: tuple[Failure, ...] | msgspec.UnsetType = msgspec.UNSET
    failures_after: tuple[Failure, ...] | msgspec.UnsetType = msgspec.UNSET
    working_day: date | msgspec.UnsetType = msgspec.UNSET


class FailedAttempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An activation was tried and failed. `record_id` is null while no dossier is known. `failure` is how it is
    counted; builds before did not say it, and theirs are in no figure."""

    record_id: str | None
    reason: FailureReason
    occurred_at: datetime
    known_day: date
    collecting: str | None
    channel: Channel | None
    team: str | None = None
    failure: Failure | msgspec.UnsetType = msgspec.UNSET


class IntakeRestated(Event, frozen=True, kw_only=True, gc=False, tag="vn.tiendo.intake.intake-restated.v1"):
    """Topic `intake`: the only source of the indicator intake."""

    data: IntakeRestatement


class ApprovalRestated(
    Event, frozen=True, kw_only=True, gc=False, tag="vn.tiendo.intake.approval-restated.v1"
):
    """Topic `approval`: the only source of the indicator approved."""

    data: ApprovalRestatement


class DossierRestated(Event, frozen=True, kw_only=True, gc=False, tag="vn.tiendo.intake.dossier-restated.v1"):
    """Topic `dossier`: read by activation alone."""

    data: DossierRestatement


class AccountRestated(
    Event, frozen=True, kw_only=True, gc=False, tag="vn.tiendo.activation.account-restated.v1"
):
    """Topic `activation`: the only source of the indicator activated."""

    data: AccountRestatement


class AttemptFailed(Event, frozen=True, kw_only=True, gc=False, tag="vn.tiendo.activation.attempt-failed.v1"):
    """Topic `activation`: an attempt that did not succeed, with its reason."""

    data: FailedAttempt
