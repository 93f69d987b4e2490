"""What was set for campaigns and units: every version is kept, the newest holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from tiendo_common.eventlog.port import Connection

#: In the place of a unit's code: the whole campaign.
WHOLE = ""


class Stored(NamedTuple):
    """A version of what is set for a campaign or a unit and all below it; `document` is JSON."""

    campaign: str
    unit: str
    version: int
    document: str
    author: str
    reason: str
    at: datetime


async def in_force(connection: Connection | asyncpg.Pool, campaigns: Sequence[str]) -> list[Stored]:
    """The newest version of each unit's."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (campaign, unit) campaign, unit, version, document::text, author, reason, at "
        "FROM policy WHERE campaign = ANY($1) ORDER BY campaign, unit, version DESC",
        campaigns,
    )
    return [Stored(*row) for row in rows]


async def versions(pool: asyncpg.Pool, campaign: str) -> list[Stored]:
    """Every version of a campaign's, oldest first."""
    rows = await pool.fetch(
        "SELECT campaign, unit, version, document::text, author, reason, at FROM policy WHERE campaign = $1 "
        "ORDER BY at, version",
        campaign,
    )
    return [Stored(*row) for row in rows]


async def lock(connection: Connection, campaign: str) -> None:
    """Let nobody else set anything for the campaign until the transaction ends: what is set is checked together."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('policy ' || $1))", campaign)


async def add(
    connection: Connection, campaign: str, unit: str, document: str, author: str, reason: str, at: datetime
) -> int:
    """Store the next version; its number."""
    version: int = await connection.fetchval(
        "INSERT INTO policy (campaign, unit, version, document, author, reason, at) "
        "SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6 FROM policy "
        "WHERE campaign = $1 AND unit = $2 RETURNING version",
        campaign,
        unit,
        document,
        author,
        reason,
        at,
    )
    return version
