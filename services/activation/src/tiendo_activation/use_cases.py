"""What activation does: takes lines in, follows dossiers, and restates accounts that either changes."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

import asyncpg
import msgspec

from tiendo_activation import storage
from tiendo_activation.errors import NotActivated
from tiendo_activation.rules import Duplicate, Switched, come_right, decide, segments
from tiendo_activation.storage import Account, Attempt, AttemptKey
from tiendo_common.clock import Clock, new_event_id
from tiendo_common.errors import NotFound, Problem, Stop
from tiendo_common.eventlog.port import Connection, EventLog, NewEvent
from tiendo_common.events.directory import Directory
from tiendo_common.events.restatements import (
    AccountChange,
    AccountRestated,
    AccountRestatement,
    AttemptFailed,
    Channel,
    DossierRestated,
    FailedAttempt,
    Failure,
    FailureReason,
)
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

_encode = msgspec.json.Encoder().encode

#: The day on which the dossier of an account without one was known.
NEVER = date.min


class Submission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line, understood. `citizen_id` lives no longer than the request."""

    submitter: str
    line_id: str
    citizen_id: str
    result: Literal["succeeded", "failed", "deactivated", "reactivated"]
    occurred_at: datetime
    day: date
    shift_began_on: date | None
    campaign: str
    reason: FailureReason | None
    collecting: str | None
    team: str | None
    channel: Channel | None

    def __repr__(self) -> str:
        return f"Submission({self.submitter!r}, {self.line_id!r})"


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A submission that passed every check that needs no account."""

    place: int
    submission: Submission
    person_hash: bytes
    content: bytes


class _Work:
    """What one transaction has in hand."""

    def __init__(self, accounts: dict[bytes, Account]) -> None:
        self.accounts = accounts
        self.attempts: dict[AttemptKey, Attempt] = {}
        self.events: list[NewEvent] = []

    def account(self, person_hash: bytes) -> Account:
        """The account, made if there is none."""
        found = self.accounts.get(person_hash)
        if found is None:
            found = Account(person_hash, None, 0, NEVER, (), (), 0, (), (), is_new=True)
            self.accounts[person_hash] = found
        return found


class Accounts:
    """Takes lines and dossiers in. Whichever comes, the account's row is locked first, by hash."""

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
        if submission.collecting is not None:
            self._directory.check_unit(submission.collecting, day, "collecting_unit")

    async def _record(
        self, connection: Connection, admitted: list[Admitted], now: datetime, today: date
    ) -> dict[int, Answer]:
        # Accounts are locked first and the log's partitions last, each in a fixed order: no deadlock. The
        # lines are looked up after the locks, so a concurrent copy of this request has committed by then.
        work = _Work(await storage.lock_accounts(connection, [line.person_hash for line in admitted]))
        seen = await seen_lines(
            connection,
            [(line.submission.submitter, line.submission.line_id) for line in admitted],
            self._hasher.key_id,
        )
        told = await storage.known_attempts(
            connection, [_attempt_key(line) for line in admitted if line.submission.result == "failed"]
        )
        answers: dict[int, Answer] = {}
        remembered: dict[LineKey, SeenLine] = {}
        for line in admitted:
            submission = line.submission
            key = (submission.submitter, submission.line_id)
            said = SeenLine(line.person_hash, line.content)
            known = remembered.get(key) or seen.get(key)
            if known is not None:
                account = work.accounts.get(line.person_hash)
                if account is None and known == said and submission.result != "failed":
                    raise Collision("a copy of this line was committed after the accounts were locked")
                answers[line.place] = answer_again(
                    submission.line_id, said, known, account.record_id if account else None
                )
                continue
            try:
                if submission.result == "failed":
                    answers[line.place] = self._fail(work, line, told, now, today)
                else:
                    answers[line.place] = self._switch(work, line, now, today)
            except NotActivated as problem:
                answers[line.place] = rejected(submission.line_id, problem)
                continue
            remembered[key] = said
        if remembered:
            await storage.write_accounts(connection, list(work.accounts.values()), self._hasher.key_id)
            await storage.write_attempts(connection, list(work.attempts.values()), self._hasher.key_id)
            await write_lines(connection, remembered, self._hasher.key_id)
            await self._log.append(connection, work.events)
        return answers

    def _switch(self, work: _Work, line: Admitted, now: datetime, today: date) -> Answer:
        submission = line.submission
        assert submission.result != "failed"
        switch = Switched(
            submission.day,
            submission.result != "deactivated",
            today,
            submission.collecting,
            submission.channel,
            submission.team,
        )
        account = work.accounts.get(line.person_hash)
        outcome = decide(account.switches if account else (), submission.result, switch)
        if isinstance(outcome, Duplicate):
            assert account is not None
            return Answer(
                line_id=submission.line_id,
                status="duplicate",
                record_id=account.record_id,
                differs=naming_the_day(outcome.differs, submission.shift_began_on),
            )
        account = work.account(line.person_hash)
        account.switches = (*account.switches, switch)
        account.changed = True
        self._restate(
            work,
            account,
            outcome,
            submission.occurred_at,
            now,
            submission.campaign,
            submission.shift_began_on,
        )
        return Answer(line_id=submission.line_id, status="accepted", record_id=account.record_id)

    def _fail(self, work: _Work, line: Admitted, told: set[AttemptKey], now: datetime, today: date) -> Answer:
        submission = line.submission
        assert submission.reason is not None
        account = work.accounts.get(line.person_hash)
        record_id = account.record_id if account else None
        key = _attempt_key(line)
        if key in told or key in work.attempts:
            return Answer(line_id=submission.line_id, status="duplicate", record_id=record_id)
        # Its row is what an activation that is told at the same moment takes turns with: neither may miss the other.
        account = work.account(line.person_hash)
        place = submission.collecting or self._place_of(account, submission.campaign)
        tried = Failure(unit=place, reason=submission.reason, day=submission.day)
        [failure] = come_right([tried], account.segments)
        account.failures = (*account.failures, failure)
        account.changed = True
        work.attempts[key] = Attempt(*key, today, submission.collecting, submission.channel, submission.team)
        event_id = new_event_id()
        work.events.append(
            NewEvent(
                "activation",
                AttemptFailed(
                    id=event_id,
                    source=self._source,
                    subject=place,
                    time=now,
                    partitionkey=record_id or event_id,
                    campaign=submission.campaign,
                    data=FailedAttempt(
                        record_id=record_id,
                        reason=submission.reason,
                        occurred_at=submission.occurred_at,
                        known_day=today,
                        collecting=submission.collecting,
                        channel=submission.channel,
                        team=submission.team,
                        failure=failure,
                    ),
                ),
            )
        )
        return Answer(line_id=submission.line_id, status="accepted", record_id=record_id)

    def _place_of(self, account: Account, campaign: str) -> str:
        """Where somebody lives whom nobody helped: as near as is known."""
        if account.dossier:
            return account.dossier[-1].residence
        return self._directory.province_of(campaign)

    async def follow(self, connection: Connection, dossiers: Sequence[DossierRestated]) -> None:
        """Take newer versions of dossiers in, in the consumer's transaction. A lower one changes nothing.

        Raises Stop for a hash under a key that this process does not have.
        """
        if not dossiers:
            return  # a batch of nothing but poison
        newest = max(event.data.key_id for event in dossiers)
        if newest > self._hasher.key_id:
            raise Stop(f"a dossier is under person key {newest}, the newest here is {self._hasher.key_id}")
        hashes = [self._hasher.lift(event.data.person_hash, event.data.key_id) for event in dossiers]
        work = _Work(await storage.lock_accounts(connection, hashes))
        for person_hash, event in zip(hashes, dossiers, strict=True):
            dossier = event.data
            if (
                person_hash not in work.accounts
                and dossier.version == 1
                and not any(part.approved for part in dossier.segments)
            ):
                # Nothing of it can count yet, and its next version will come whole. Later ones are kept: one
                # before them may wait as a dead letter, and must find them when it is replayed.
                continue
            account = work.account(person_hash)
            if dossier.version <= account.dossier_version:
                continue
            account.record_id = dossier.record_id
            account.dossier_version = dossier.version
            account.dossier_known = dossier.known_day
            account.dossier = dossier.segments
            account.changed = True
            campaign = event.campaign if isinstance(event.campaign, str) else None
            self._restate(work, account, "dossier", event.time, event.time, campaign)
        await storage.write_accounts(
            connection,
            [account for account in work.accounts.values() if account.changed],
            self._hasher.key_id,
        )
        await self._log.append(connection, work.events)

    def _restate(
        self,
        work: _Work,
        account: Account,
        change: AccountChange,
        occurred_at: datetime,
        now: datetime,
        campaign: str | None,
        shift_began_on: date | None = None,
    ) -> None:
        """Recompute the account's segments; an event if they changed."""
        before, after = account.segments, segments(account.dossier, account.switches)
        if before == after:
            return
        failures_before, failures_after = account.failures, come_right(account.failures, after)
        failures_as_before = failures_before == failures_after
        account.segments = after
        account.failures = failures_after
        account.version += 1
        assert account.record_id is not None
        attributes: dict[str, Any] = {} if campaign is None else {"campaign": campaign}
        work.events.append(
            NewEvent(
                "activation",
                AccountRestated(
                    id=new_event_id(),
                    source=self._source,
                    subject=(after or before)[-1].residence,
                    time=now,
                    partitionkey=account.record_id,
                    data=AccountRestatement(
                        record_id=account.record_id,
                        version=account.version,
                        change=change,
                        occurred_at=occurred_at,
                        working_day=shift_began_on or msgspec.UNSET,
                        # Known when the last of its facts was, not when this event is written.
                        known_day=max(
                            account.dossier_known, *(switch.known_day for switch in account.switches)
                        ),
                        before=before,
                        after=after,
                        failures_before=msgspec.UNSET if failures_as_before else failures_before,
                        failures_after=msgspec.UNSET if failures_as_before else failures_after,
                    ),
                    **attributes,
                ),
            )
        )


def _attempt_key(line: Admitted) -> AttemptKey:
    submission = line.submission
    assert submission.reason is not None
    return line.person_hash, submission.occurred_at, submission.reason


def _digest(submission: Submission) -> bytes:
    """All that a line says but for the citizen: an unkeyed digest of a personal number would betray it."""
    said: tuple[object, ...] = (
        submission.result,
        submission.reason,
        # The same instant is the same, whatever offset it is written with.
        submission.occurred_at.astimezone(UTC),
        submission.campaign,
        submission.collecting,
        submission.team,
        submission.channel,
    )
    if submission.shift_began_on is not None:
        said = (*said, submission.shift_began_on)
    return hashlib.blake2b(_encode(said), digest_size=16).digest()


async def find_account(pool: asyncpg.Pool, record_id: str) -> Account:
    """Raises NotFound."""
    account = await storage.find_account(pool, record_id)
    if account is None:
        raise NotFound(f"No account of the record {record_id} is known.", field="record_id")
    return account
