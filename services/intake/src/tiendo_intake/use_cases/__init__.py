"""What intake does: takes lines in, a chunk in a transaction, and answers each."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Literal

import asyncpg
import msgspec

from tiendo_common.clock import Clock, new_record_id
from tiendo_common.errors import Invalid, NotFound, Problem
from tiendo_common.eventlog.port import Connection, EventLog, NewEvent
from tiendo_common.events.directory import Directory
from tiendo_common.events.restatements import DossierRestated
from tiendo_common.identity import PersonHasher, check_personal_number
from tiendo_common.service.idempotency import (
    Collision,
    LineKey,
    SeenLine,
    answer_again,
    in_transaction,
    seen_lines,
    write_lines,
)
from tiendo_common.service.lines import Answer, naming_the_day, rejected
from tiendo_common.service.person_keys import lift_hashes
from tiendo_intake import storage
from tiendo_intake.errors import NoDossier
from tiendo_intake.rules import (
    Accepted,
    Action,
    Correction,
    Decided,
    Duplicate,
    Moved,
    Taken,
    decide,
)
from tiendo_intake.storage import Record
from tiendo_intake.use_cases.restating import Because, restate

_encode = msgspec.json.Encoder().encode


class Submission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line, understood. `citizen_id` lives no longer than the request."""

    submitter: str
    line_id: str
    citizen_id: str
    kind: Literal["intake", "approval", "amendment"]
    action: Action
    occurred_at: datetime
    day: date
    shift_began_on: date | None
    campaign: str
    reason: str | None = None

    def __repr__(self) -> str:
        return f"Submission({self.submitter!r}, {self.line_id!r})"


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A submission that passed every check that needs no record."""

    place: int
    submission: Submission
    person_hash: bytes
    content: bytes


class IntakeDesk:
    """Takes lines in."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        log: EventLog,
        clock: Clock,
        hasher: PersonHasher,
        directory: Directory,
        source: str,
    ) -> None:
        self._pool = pool
        self._log = log
        self._clock = clock
        self._hasher = hasher
        self._directory = directory
        self._source = source

    async def lift_hashes(self) -> None:
        """Bring every hash of a personal number under the newest key, before anybody looks one up."""
        await lift_hashes(self._pool, self._hasher, storage.HASHED)

    async def submit(self, submissions: Sequence[Submission]) -> list[Answer]:
        """Record what can be recorded, in one transaction; an answer for each, in order.

        When this returns, what is answered `accepted` is durable together with its events. Raises
        Unavailable and the database's errors with nothing recorded.
        """
        self._directory.check_complete()
        answers: dict[int, Answer] = {}
        admitted: list[Admitted] = []
        now, today = self._clock.now(), self._clock.today()
        for place, submission in enumerate(submissions):
            try:
                self._check(submission, now, today)
            except Problem as problem:
                answers[place] = rejected(submission.line_id, problem)
                continue
            admitted.append(
                Admitted(place, submission, self._hasher.hash(submission.citizen_id), _digest(submission))
            )
        if admitted:
            answers |= await in_transaction(
                self._pool, lambda connection: self._record(connection, admitted, now, today)
            )
        return [answers[place] for place in range(len(submissions))]

    def _check(self, submission: Submission, now: datetime, today: date) -> None:
        """Raise the problem that a line has whatever is on record."""
        check_personal_number(submission.citizen_id, today)
        day = submission.day
        self._directory.check_moment(submission.occurred_at, day, now, submission.campaign)
        action = submission.action
        if isinstance(action, (Taken, Moved)):
            self._directory.check_unit(action.residence, day, "residence_unit", commune=True)
        if isinstance(action, Taken):
            self._directory.check_unit(action.collecting, day, "collecting_unit")

    def _check_correction(self, action: Correction, since: date) -> None:
        """Raise Invalid unless the right units were there on the day from which they are right."""
        if action.residence is not None:
            self._directory.check_unit(action.residence, since, "residence_unit", commune=True)
        if action.collecting is not None:
            self._directory.check_unit(action.collecting, since, "collecting_unit")

    async def _record(
        self, connection: Connection, admitted: list[Admitted], now: datetime, today: date
    ) -> dict[int, Answer]:
        # Records are locked first and the log's partitions last, each in a fixed order: no deadlock. The
        # lines are looked up after the locks, so a concurrent copy of this request has committed by then.
        records = await storage.lock_records(connection, [line.person_hash for line in admitted])
        seen = await seen_lines(
            connection,
            [(line.submission.submitter, line.submission.line_id) for line in admitted],
            self._hasher.key_id,
        )
        answers: dict[int, Answer] = {}
        remembered: dict[LineKey, SeenLine] = {}
        events: list[NewEvent] = []
        for line in admitted:
            submission = line.submission
            key = (submission.submitter, submission.line_id)
            said = SeenLine(line.person_hash, line.content)
            record = records.get(line.person_hash)
            known = remembered.get(key) or seen.get(key)
            if known is not None:
                if record is None and known == said:
                    raise Collision("a copy of this line was committed after the records were locked")
                record_id = record.record_id if record else None
                answers[line.place] = answer_again(submission.line_id, said, known, record_id)
                continue
            facts = record.facts if record else None
            try:
                if facts and isinstance(submission.action, Correction):
                    self._check_correction(submission.action, facts[0].day)
                outcome = decide(facts, submission.action)
            except (Invalid, NoDossier) as problem:
                answers[line.place] = rejected(submission.line_id, problem)
                continue
            if record is None:
                record = Record(line.person_hash, new_record_id(), 0, None, (), is_new=True)
                records[line.person_hash] = record
            if isinstance(outcome, Duplicate):
                answers[line.place] = Answer(
                    line_id=submission.line_id,
                    status="duplicate",
                    record_id=record.record_id,
                    differs=naming_the_day(outcome.differs, submission.shift_began_on),
                )
            else:
                events += self._apply(record, submission, outcome, now, today)
                answers[line.place] = Answer(
                    line_id=submission.line_id,
                    status="accepted",
                    record_id=record.record_id,
                    differs=outcome.differs,
                )
            remembered[key] = said
        if remembered:
            await storage.write_records(connection, list(records.values()), self._hasher.key_id)
            await write_lines(connection, remembered, self._hasher.key_id)
            await self._log.append(connection, events)
        return answers

    def _apply(
        self, record: Record, submission: Submission, outcome: Accepted, now: datetime, today: date
    ) -> list[NewEvent]:
        """Change the record in hand; the events that say so."""
        because = Because(
            outcome.change,
            submission.occurred_at,
            submission.campaign,
            submission.reason,
            submission.submitter,
            submission.shift_began_on,
        )
        return restate(
            record,
            outcome.facts,
            because,
            source=self._source,
            key_id=self._hasher.key_id,
            now=now,
            today=today,
        )


def _digest(submission: Submission) -> bytes:
    """All that a line says but for the citizen: an unkeyed digest of a personal number would betray it."""
    said: tuple[object, ...] = (
        submission.kind,
        submission.action,
        # The same instant is the same, whatever offset it is written with.
        submission.occurred_at.astimezone(UTC),
        submission.campaign,
        submission.reason,
    )
    if submission.shift_began_on is not None:
        said = (*said, submission.shift_began_on)
    return hashlib.blake2b(_encode(said), digest_size=16).digest()


class DossierView(msgspec.Struct, frozen=True):
    """A dossier as it stands."""

    record: Record
    state: Literal["pending", "approved", "rejected", "voided"]


async def find_history(pool: asyncpg.Pool, record_id: str) -> list[DossierRestated]:
    """Every version of a dossier as it was published, oldest first. Raises NotFound.

    Told by the log, which is never rewritten, and not by the record, which holds what is in force.
    """
    record = await storage.find_record(pool, record_id)
    if record is None:
        raise NotFound(f"There is no record {record_id}.", field="record_id")
    return await storage.find_versions(pool, record_id, record.version)


async def find_dossier(pool: asyncpg.Pool, record_id: str) -> DossierView:
    """Raises NotFound."""
    record = await storage.find_record(pool, record_id)
    if record is None:
        raise NotFound(f"There is no record {record_id}.", field="record_id")
    decided = [fact for fact in record.facts or () if isinstance(fact, Decided)]
    if not record.facts:
        return DossierView(record, "voided")
    if record.segments[-1].approved:
        return DossierView(record, "approved")
    return DossierView(record, "rejected" if decided else "pending")
