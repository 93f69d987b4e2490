"""Rounds of re-checks and what was reported in them. Only ever added to."""

from dataclasses import dataclass
from datetime import date

import asyncpg
import msgspec

from tiendo_aggregator.rules.rechecks import Correction, Recheck, Round
from tiendo_common.eventlog.port import Connection

_corrections = msgspec.json.Decoder(tuple[Correction, ...])


@dataclass(frozen=True, slots=True)
class RoundVersion:
    """A round as it was put, by whom, and the business day on which it was."""

    version: int
    known_day: date
    put_by: str
    round: Round


async def lock_rechecks(connection: Connection, campaign: str, round_: str) -> None:
    """Let changes of one round take turns, until the end of the transaction."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext($1))", f"aggregator recheck {campaign}/{round_}"
    )


async def round_versions(
    connection: Connection, campaign: str, round_: str | None = None
) -> list[RoundVersion]:
    """Every version of a campaign's rounds, or of one of them, oldest first within each."""
    rows = await connection.fetch(
        "SELECT version, known_day, put_by, document FROM recheck_round "
        "WHERE campaign = $1 AND ($2::text IS NULL OR round = $2) ORDER BY round, version",
        campaign,
        round_,
    )
    return [
        RoundVersion(version, known_day, put_by, msgspec.json.decode(document, type=Round))
        for version, known_day, put_by, document in rows
    ]


async def add_round_version(connection: Connection, campaign: str, version: RoundVersion) -> None:
    """Keep a further version."""
    await connection.execute(
        "INSERT INTO recheck_round (campaign, round, version, known_day, put_by, document) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        campaign,
        version.round.id,
        version.version,
        version.known_day,
        version.put_by,
        msgspec.json.encode(version.round).decode(),
    )


async def standing_rechecks(
    connection: Connection, campaign: str, round_: str, known_at: date | None
) -> list[Recheck]:
    """The report of each unit in its last revision known at the end of `known_at` (None: now)."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (unit) unit, revision, done_on, checked_by, corrections, reported_by, reported_at, "
        "known_day FROM recheck WHERE campaign = $1 AND round = $2 AND known_day <= $3 ORDER BY unit, revision DESC",
        campaign,
        round_,
        known_at or date.max,
    )
    return [_recheck(row) for row in rows]


async def rechecks_of(connection: Connection, campaign: str, round_: str, unit: str) -> list[Recheck]:
    """Every revision of a unit's report, oldest first."""
    rows = await connection.fetch(
        "SELECT unit, revision, done_on, checked_by, corrections, reported_by, reported_at, known_day "
        "FROM recheck WHERE campaign = $1 AND round = $2 AND unit = $3 ORDER BY revision",
        campaign,
        round_,
        unit,
    )
    return [_recheck(row) for row in rows]


async def add_recheck(connection: Connection, campaign: str, round_: str, report: Recheck) -> None:
    """Keep a further revision."""
    await connection.execute(
        "INSERT INTO recheck (campaign, round, unit, revision, done_on, checked_by, corrections, reported_by, "
        "reported_at, known_day) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        campaign,
        round_,
        report.unit,
        report.revision,
        report.done_on,
        report.checked_by,
        msgspec.json.encode(report.corrections).decode(),
        report.reported_by,
        report.reported_at,
        report.known_day,
    )


def _recheck(row: asyncpg.Record) -> Recheck:
    return Recheck(
        unit=row["unit"],
        revision=row["revision"],
        done_on=row["done_on"],
        checked_by=row["checked_by"],
        corrections=_corrections.decode(row["corrections"]),
        reported_by=row["reported_by"],
        reported_at=row["reported_at"],
        known_day=row["known_day"],
    )
