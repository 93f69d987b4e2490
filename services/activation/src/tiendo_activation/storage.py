"""Accounts, the lines that made them and the attempts that failed. Set-based SQL on asyncpg."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, SmallInteger
from sqlalchemy.dialects.postgresql import JSON, UUID
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from tiendo_activation.rules import Switched
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.restatements import Channel, DossierSegment, Failure, FailureReason, Segment
from tiendo_common.service.idempotency import HASHED_LINES, insert_or_collide
from tiendo_common.service.person_keys import HashedTable


class ActivationTable(SQLModel, registry=registry()):
    """Base of this service's tables, with a registry of its own."""


class AccountRow(ActivationTable, table=True):
    """One citizen's account: our own switches, the dossier as intake last told it, what they come to, and what became
    of attempts that failed (those that builds before took are not in it).

    `record_id` is null while only switches are known. A dossier's first version is not kept unless it is
    approved: every version comes whole, so nothing is lost by waiting for one that matters.
    """

    __tablename__ = "account"

    person_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    key_id: int = Field(sa_column=Column(SmallInteger, nullable=False))
    record_id: str | None = Field(sa_column=Column(UUID(as_uuid=False), unique=True))
    dossier_version: int = Field(sa_column=Column(BigInteger, nullable=False))
    dossier_known: date
    dossier: Any = Field(sa_column=Column(JSON, nullable=False))
    switches: Any = Field(sa_column=Column(JSON, nullable=False))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    segments: Any = Field(sa_column=Column(JSON, nullable=False))
    failures: Any = Field(sa_column=Column(JSON, nullable=False))


class AttemptRow(ActivationTable, table=True):
    """A failed attempt. The same attempt told twice is one."""

    __tablename__ = "attempt"

    person_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    occurred_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    reason: str = Field(primary_key=True)
    known_day: date
    collecting: str | None
    channel: str | None
    team: str | None
    key_id: int = Field(sa_column=Column(SmallInteger, nullable=False))


class Account(msgspec.Struct, gc=False):
    """An account while lines and dossiers are applied to it."""

    person_hash: bytes
    record_id: str | None
    dossier_version: int
    dossier_known: date
    dossier: tuple[DossierSegment, ...]
    switches: tuple[Switched, ...]
    version: int
    segments: tuple[Segment, ...]
    failures: tuple[Failure, ...]
    is_new: bool = False
    changed: bool = False


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """A failed attempt to be kept."""

    person_hash: bytes
    occurred_at: datetime
    reason: FailureReason
    known_day: date
    collecting: str | None
    channel: Channel | None
    team: str | None


ACCOUNT_COLUMNS = {
    "person_hash": "bytea",
    "key_id": "smallint",
    "record_id": "uuid",
    "dossier_version": "bigint",
    "dossier_known": "date",
    "dossier": "json",
    "switches": "json",
    "version": "bigint",
    "segments": "json",
    "failures": "json",
}
ATTEMPT_COLUMNS = {
    "person_hash": "bytea",
    "occurred_at": "timestamptz",
    "reason": "text",
    "known_day": "date",
    "collecting": "text",
    "channel": "text",
    "team": "text",
    "key_id": "smallint",
}
#: Where hashes of personal numbers are, in the order in which they are written.
HASHED = (
    HashedTable("account", "person_hash", {"person_hash": "bytea"}),
    HashedTable(
        "attempt", "person_hash", {"person_hash": "bytea", "occurred_at": "timestamptz", "reason": "text"}
    ),
    HASHED_LINES,
)

#: Since when accounts have been approved and attempts failed, as `tiendo_aggregator.rules.counting` folds it from what
#: is published.
PASSAGES = """
    SELECT 'activated' AS indicator, CASE WHEN first_on - since > 7 THEN 'late' ELSE 'in_time' END AS passage,
        residence AS unit, day, since, sign AS n
    FROM account CROSS JOIN LATERAL (
        SELECT s.*, min(from_day) OVER (PARTITION BY since) AS first_on
        FROM json_to_recordset(segments) AS s(from_day date, until_day date, residence text, since date)
    ) AS part
    CROSS JOIN LATERAL (VALUES (from_day, 1), (until_day, -1)) AS bound(day, sign)
    WHERE day IS NOT NULL
    UNION ALL
    SELECT 'activated', kind || '_' || reason, unit, on_day, day, 1
    FROM account CROSS JOIN json_to_recordset(failures) AS f(unit text, reason text, day date, right_on date)
    CROSS JOIN LATERAL (VALUES ('failed', day), ('right', right_on)) AS w(kind, on_day)
    WHERE on_day IS NOT NULL
"""

_dossier = msgspec.json.Decoder(tuple[DossierSegment, ...])
_switches = msgspec.json.Decoder(tuple[Switched, ...])
_segments = msgspec.json.Decoder(tuple[Segment, ...])
_failures = msgspec.json.Decoder(tuple[Failure, ...])
_encode = msgspec.json.Encoder().encode

_COLUMNS = (
    "person_hash, record_id::text, dossier_version, dossier_known, dossier, switches, version, segments, "
    "failures"
)


def _account(row: asyncpg.Record) -> Account:
    return Account(
        row[0],
        row[1],
        row[2],
        row[3],
        _dossier.decode(row[4]),
        _switches.decode(row[5]),
        row[6],
        _segments.decode(row[7]),
        _failures.decode(row[8]),
    )


async def lock_accounts(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, Account]:
    """Lock these accounts, always in the order of their hashes, so that nobody deadlocks."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM account WHERE person_hash = ANY($1) ORDER BY person_hash FOR UPDATE",  # noqa: S608
        hashes,
    )
    return {row[0]: _account(row) for row in rows}


async def write_accounts(connection: Connection, accounts: Sequence[Account], key_id: int) -> None:
    """Insert new accounts and update changed ones. Raises Collision if somebody inserted one first."""
    new = sorted((each for each in accounts if each.is_new), key=lambda account: account.person_hash)
    await insert_or_collide(
        connection,
        "account",
        ACCOUNT_COLUMNS,
        [
            (
                each.person_hash,
                key_id,
                each.record_id,
                each.dossier_version,
                each.dossier_known,
                _encode(each.dossier).decode(),
                _encode(each.switches).decode(),
                each.version,
                _encode(each.segments).decode(),
                _encode(each.failures).decode(),
            )
            for each in new
        ],
    )
    changed = [each for each in accounts if each.changed and not each.is_new]
    if changed:
        await connection.execute(
            "UPDATE account SET record_id = new.record_id, dossier_version = new.dossier_version, "
            "dossier_known = new.dossier_known, dossier = new.dossier, switches = new.switches, "
            "version = new.version, segments = new.segments, failures = new.failures "
            "FROM unnest($1::bytea[], $2::uuid[], $3::bigint[], $4::date[], $5::json[], $6::json[], "
            "$7::bigint[], $8::json[], $9::json[]) AS new (person_hash, record_id, dossier_version, dossier_known, "
            "dossier, switches, version, segments, failures) WHERE account.person_hash = new.person_hash",
            [each.person_hash for each in changed],
            [each.record_id for each in changed],
            [each.dossier_version for each in changed],
            [each.dossier_known for each in changed],
            [_encode(each.dossier).decode() for each in changed],
            [_encode(each.switches).decode() for each in changed],
            [each.version for each in changed],
            [_encode(each.segments).decode() for each in changed],
            [_encode(each.failures).decode() for each in changed],
        )


AttemptKey = tuple[bytes, datetime, FailureReason]


async def known_attempts(connection: Connection, keys: Sequence[AttemptKey]) -> set[AttemptKey]:
    """Those of these attempts that are on record."""
    if not keys:
        return set()
    rows = await connection.fetch(
        "SELECT person_hash, occurred_at, reason FROM attempt "
        "JOIN unnest($1::bytea[], $2::timestamptz[], $3::text[]) AS wanted (person_hash, occurred_at, reason) "
        "USING (person_hash, occurred_at, reason)",
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
    )
    return {(row[0], row[1], row[2]) for row in rows}


async def write_attempts(connection: Connection, attempts: Sequence[Attempt], key_id: int) -> None:
    """Keep failed attempts. Raises Collision if somebody told one of them at the same moment."""
    rows = sorted(
        (
            each.person_hash, each.occurred_at, each.reason, each.known_day,
            each.collecting, each.channel, each.team, key_id,
        )
        for each in attempts
    )  # fmt: skip
    await insert_or_collide(connection, "attempt", ATTEMPT_COLUMNS, rows)


async def find_account(pool: asyncpg.Pool, record_id: str) -> Account | None:
    """An account as it stands, unlocked."""
    row = await pool.fetchrow(f"SELECT {_COLUMNS} FROM account WHERE record_id = $1", record_id)  # noqa: S608
    return _account(row) if row else None


async def count_failures(
    pool: asyncpg.Pool, first_day: date, last_day: date, collecting: str | None
) -> list[tuple[FailureReason, int, int, int]]:
    """Reason, attempts, accounts, accounts activated by now; by the attempt's day."""
    rows = await pool.fetch(
        "SELECT reason, count(*), count(DISTINCT attempt.person_hash), "
        "count(DISTINCT attempt.person_hash) FILTER (WHERE segments::jsonb @? '$[*] ? (@.until_day == null)') "
        "FROM attempt LEFT JOIN account USING (person_hash) "
        "WHERE (occurred_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date BETWEEN $1 AND $2 "
        "AND ($3::text IS NULL OR collecting = $3) GROUP BY reason ORDER BY 2 DESC, reason",
        first_day,
        last_day,
        collecting,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
