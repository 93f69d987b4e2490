"""Declared counts, and the state of each day at its cut-off. Only ever added to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg
import msgspec

from tiendo_aggregator.rules.declared import Declared
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.declarations import DeclaredCount
from tiendo_common.events.state import Indicator

_COLUMNS = "unit, day, revision, counts, source, declared_by, declared_at, known_day, late"
_counts = msgspec.json.Decoder(dict[Indicator, DeclaredCount])


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """Who owed a report of a day, and who of them had given none at its cut-off."""

    cut_off: datetime
    expected: Sequence[str]
    not_reported: Sequence[str]


async def lock_declared(connection: Connection, campaign: str) -> None:
    """Let declarations of a campaign and the closing of its days take turns, until the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('aggregator declared ' || $1))", campaign)


async def newest_declared(
    connection: Connection, campaign: str, day: date, known_at: date | None = None
) -> dict[str, Declared]:
    """The newest revision of each unit's report of a day, of those known at the end of `known_at` (None: all)."""
    rows = await connection.fetch(
        f"SELECT DISTINCT ON (unit) {_COLUMNS} FROM declaration "  # noqa: S608
        "WHERE campaign = $1 AND day = $2 AND known_day <= $3 ORDER BY unit, revision DESC",
        campaign,
        day,
        known_at or date.max,
    )
    return {row["unit"]: _declared(row) for row in rows}


async def revisions_of(connection: Connection, campaign: str, day: date, unit: str) -> list[Declared]:
    """All that a unit declared of a day, oldest first."""
    return [
        _declared(row)
        for row in await connection.fetch(
            f"SELECT {_COLUMNS} FROM declaration "  # noqa: S608
            "WHERE campaign = $1 AND day = $2 AND unit = $3 ORDER BY revision",
            campaign,
            day,
            unit,
        )
    ]


async def add_declared(connection: Connection, campaign: str, declared: Declared) -> None:
    """Write a revision down, for good."""
    await connection.execute(
        f"INSERT INTO declaration (campaign, {_COLUMNS}) "  # noqa: S608
        "VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10)",
        campaign,
        declared.unit,
        declared.day,
        declared.revision,
        msgspec.json.encode(declared.counts).decode(),
        declared.source,
        declared.declared_by,
        declared.declared_at,
        declared.known_day,
        declared.late,
    )


async def closed_declarations(connection: Connection, campaign: str, day: date) -> ClosedDay | None:
    """A day's state at its cut-off; None while that is to come, and for days on which nobody owed anything."""
    row = await connection.fetchrow(
        "SELECT cut_off, expected, not_reported FROM declaration_day WHERE campaign = $1 AND day = $2",
        campaign,
        day,
    )
    return None if row is None else ClosedDay(*row)


async def declarations_closed_through(connection: Connection, campaign: str) -> date | None:
    """The last day that was closed."""
    day: date | None = await connection.fetchval(
        "SELECT max(day) FROM declaration_day WHERE campaign = $1", campaign
    )
    return day


async def close_declarations(connection: Connection, campaign: str, day: date, closed: ClosedDay) -> None:
    """Write a day's state down, for good."""
    await connection.execute(
        "INSERT INTO declaration_day (campaign, day, cut_off, expected, not_reported) "
        "VALUES ($1, $2, $3, $4, $5)",
        campaign,
        day,
        closed.cut_off,
        closed.expected,
        closed.not_reported,
    )


def _declared(row: asyncpg.Record) -> Declared:
    return Declared(
        unit=row["unit"],
        day=row["day"],
        revision=row["revision"],
        counts=_counts.decode(row["counts"]),
        source=row["source"],
        declared_by=row["declared_by"],
        declared_at=row["declared_at"],
        known_day=row["known_day"],
        late=row["late"],
    )
