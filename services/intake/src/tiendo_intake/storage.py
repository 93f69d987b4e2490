"""The records. The hot path is set-based SQL on asyncpg."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import BigInteger, Column, LargeBinary, SmallInteger
from sqlalchemy.dialects.postgresql import JSON, UUID
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import partition_of
from tiendo_common.events.restatements import DossierRestated, DossierSegment
from tiendo_common.service.idempotency import HASHED_LINES, insert_or_collide
from tiendo_common.service.person_keys import HashedTable
from tiendo_intake.rules import Fact
from tiendo_intake.rules.placing import Division


class IntakeTable(SQLModel, registry=registry()):
    """Base of this service's tables, with a registry of its own."""


class RecordRow(IntakeTable, table=True):
    """One citizen, for ever. `facts` are those in force, `segments` what they come to."""

    __tablename__ = "record"

    person_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    key_id: int = Field(sa_column=Column(SmallInteger, nullable=False))
    record_id: str = Field(sa_column=Column(UUID(as_uuid=False), unique=True, nullable=False))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    facts: Any = Field(sa_column=Column(JSON, nullable=False))
    segments: Any = Field(sa_column=Column(JSON, nullable=False))


class Record(msgspec.Struct, gc=False):
    """A record while lines are applied to it."""

    person_hash: bytes
    record_id: str
    version: int
    facts: tuple[Fact, ...] | None
    segments: tuple[DossierSegment, ...]
    is_new: bool = False
    changed: bool = False


RECORD_COLUMNS = {
    "person_hash": "bytea",
    "key_id": "smallint",
    "record_id": "uuid",
    "version": "bigint",
    "facts": "json",
    "segments": "json",
}

#: Where hashes of personal numbers are, in the order in which they are written.
HASHED = (HashedTable("record", "person_hash", {"person_hash": "bytea"}), HASHED_LINES)

#: Since when dossiers have been taken, approved and decided, as `tiendo_aggregator.rules.counting` folds it from what
#: is published: those taken or approved since the day itself are in the totals. Windows are of one record's segments.
PASSAGES = """
    SELECT indicator, passage, residence AS unit, day, since, sign AS n FROM record CROSS JOIN LATERAL (
        SELECT each.*, min(from_day) OVER () AS taken_on,
            max(from_day) FILTER (WHERE begins) OVER (ORDER BY from_day) AS approved_on
        FROM (
            SELECT s.*, approved AND NOT coalesce(lag(approved) OVER (ORDER BY from_day), false) AS begins
            FROM json_to_recordset(segments) AS s(
                from_day date, until_day date, residence text, approved boolean, decided boolean
            )
        ) AS each
    ) AS part
    CROSS JOIN LATERAL (VALUES (from_day, 1), (until_day, -1)) AS bound(day, sign)
    CROSS JOIN LATERAL (VALUES
        ('intake', 'taken', taken_on, day <> taken_on),
        ('approved', 'approved', approved_on, approved AND day <> approved_on),
        ('approved', 'decided', CASE WHEN decided IS NOT NULL THEN taken_on END, approved OR decided)
    ) AS p(indicator, passage, since, counts)
    WHERE day IS NOT NULL AND counts
"""

_facts = msgspec.json.Decoder(tuple[Fact, ...])
_segments = msgspec.json.Decoder(tuple[DossierSegment, ...])
_encode = msgspec.json.Encoder().encode


async def lock_records(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, Record]:
    """Lock the records of these citizens, always in the order of their hashes, so that nobody deadlocks."""
    rows = await connection.fetch(
        "SELECT person_hash, record_id::text, version, facts, segments FROM record "
        "WHERE person_hash = ANY($1) ORDER BY person_hash FOR UPDATE",
        hashes,
    )
    return {
        row[0]: Record(row[0], row[1], row[2], _facts.decode(row[3]), _segments.decode(row[4]))
        for row in rows
    }


async def write_records(connection: Connection, records: Sequence[Record], key_id: int) -> None:
    """Insert new records and update changed ones. Raises Collision if somebody inserted one first."""
    new = sorted((record for record in records if record.is_new), key=lambda record: record.person_hash)
    await insert_or_collide(
        connection,
        "record",
        RECORD_COLUMNS,
        [
            (
                record.person_hash,
                key_id,
                record.record_id,
                record.version,
                _encode(record.facts).decode(),
                _encode(record.segments).decode(),
            )
            for record in new
        ],
    )
    changed = [record for record in records if record.changed and not record.is_new]
    if changed:
        await connection.execute(
            "UPDATE record SET version = new.version, facts = new.facts, segments = new.segments "
            "FROM unnest($1::bytea[], $2::bigint[], $3::json[], $4::json[]) "
            "AS new (person_hash, version, facts, segments) "
            "WHERE record.person_hash = new.person_hash",
            [record.person_hash for record in changed],
            [record.version for record in changed],
            [_encode(record.facts).decode() for record in changed],
            [_encode(record.segments).decode() for record in changed],
        )


_versions = EventDecoder([DossierRestated])


async def find_versions(pool: asyncpg.Pool, record_id: str, newest: int) -> list[DossierRestated]:
    """The events of a record's versions up to `newest`, oldest first.

    The log has no index on records: this reads one partition, from its end back to the record's first event. That is
    some hundred milliseconds in a province's log, for a question asked now and then; an index would cost on every line.
    """
    rows = await pool.fetch(
        "SELECT body FROM log_dossier WHERE partition = $1 AND position($2::bytea IN body) > 0 "
        "ORDER BY seq DESC LIMIT $3",
        partition_of(record_id),
        f'"partitionkey":"{record_id}"'.encode(),
        newest,
    )
    return [_versions.decode(row[0]) for row in reversed(rows)]


async def find_record(pool: asyncpg.Pool, record_id: str) -> Record | None:
    """A record as it stands, unlocked."""
    row = await pool.fetchrow(
        "SELECT person_hash, record_id::text, version, facts, segments FROM record WHERE record_id = $1",
        record_id,
    )
    return Record(row[0], row[1], row[2], _facts.decode(row[3]), _segments.decode(row[4])) if row else None


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of a division: how many records each part has. Taken back, it stays known."""

    number: int
    division: Division
    placed: Mapping[str, int]
    placed_at: datetime
    placed_by: str
    undone_at: datetime | None
    undone_by: str | None


_division = msgspec.json.Decoder(Division)
_placed = msgspec.json.Decoder(dict[str, int])


async def lock_placements(connection: Connection, unit: str) -> None:
    """Let placements of a unit's records take turns, until the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('intake placement ' || $1))", unit)


async def newest_placement(connection: Connection, reorganisation: str, unit: str) -> Placement | None:
    """The last that was made of a unit under a reorganisation, also if it was taken back."""
    row = await connection.fetchrow(
        "SELECT number, division, placed, placed_at, placed_by, undone_at, undone_by FROM placement "
        "WHERE reorganisation = $1 AND unit = $2 ORDER BY number DESC LIMIT 1",
        reorganisation,
        unit,
    )
    if row is None:
        return None
    return Placement(row[0], _division.decode(row[1]), _placed.decode(row[2]), *row[3:])


async def add_placement(connection: Connection, made: Placement) -> None:
    """Keep what was placed."""
    await connection.execute(
        "INSERT INTO placement (reorganisation, unit, number, division, placed, placed_at, placed_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        made.division.reorganisation,
        made.division.unit,
        made.number,
        _encode(made.division).decode(),
        _encode(made.placed).decode(),
        made.placed_at,
        made.placed_by,
    )


async def note_undone(connection: Connection, made: Placement, undone_at: datetime, undone_by: str) -> None:
    """Note that a placement was taken back."""
    await connection.execute(
        "UPDATE placement SET undone_at = $4, undone_by = $5 "
        "WHERE (reorganisation, unit, number) = ($1, $2, $3)",
        made.division.reorganisation,
        made.division.unit,
        made.number,
        undone_at,
        undone_by,
    )


async def hashes_naming(connection: Connection, codes: Sequence[str]) -> list[bytes]:
    """The hashes of those whose facts name one of the codes. It reads all records: once for each unit that is
    divided."""
    rows = await connection.fetch(
        "SELECT person_hash FROM record WHERE facts::text ~ $1", f'"({"|".join(codes)})"'
    )
    return [row[0] for row in rows]
