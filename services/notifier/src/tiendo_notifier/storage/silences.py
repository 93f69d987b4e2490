"""Silences and maintenance windows."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from tiendo_common.eventlog.port import Connection


class Silence(NamedTuple):
    """For a while nobody is told of some units (with all below them), rules, a campaign; null: of all."""

    id: str
    kind: str
    campaign: str | None
    unit: str | None
    rules: list[str] | None
    from_at: datetime
    until_at: datetime
    author: str
    reason: str
    created_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None


async def in_force(connection: Connection, now: datetime) -> list[Silence]:
    """Those that hold now."""
    rows = await connection.fetch(
        "SELECT id::text, kind, campaign, unit, rules, from_at, until_at, author, reason, created_at, ended_at, "
        "ended_by FROM silence WHERE from_at <= $1 AND until_at > $1 AND ended_at IS NULL ORDER BY id",
        now,
    )
    return [Silence(*row) for row in rows]


async def add(pool: asyncpg.Pool, silence: Silence) -> None:
    """Store one."""
    await pool.execute(
        "INSERT INTO silence (id, kind, campaign, unit, rules, from_at, until_at, author, reason, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        *silence[:10],
    )


async def get(pool: asyncpg.Pool, identifier: str) -> Silence | None:
    """The one of that id."""
    row = await pool.fetchrow(
        "SELECT id::text, kind, campaign, unit, rules, from_at, until_at, author, reason, created_at, ended_at, "
        "ended_by FROM silence WHERE id = $1",
        identifier,
    )
    return None if row is None else Silence(*row)


async def end(pool: asyncpg.Pool, identifier: str, now: datetime, author: str) -> bool:
    """End one before its time; False: it was over already."""
    status = await pool.execute(
        "UPDATE silence SET ended_at = $2, ended_by = $3 WHERE id = $1 AND ended_at IS NULL AND until_at > $2",
        identifier,
        now,
        author,
    )
    return bool(status == "UPDATE 1")


async def listed(pool: asyncpg.Pool, now: datetime, *, all_: bool) -> Sequence[Silence]:
    """Those that hold or are to come, or all of the newest 500, newest first."""
    rows = await pool.fetch(
        "SELECT id::text, kind, campaign, unit, rules, from_at, until_at, author, reason, created_at, ended_at, "
        "ended_by FROM silence WHERE $2 OR (until_at > $1 AND ended_at IS NULL) ORDER BY id DESC LIMIT 500",
        now,
        all_,
    )
    return [Silence(*row) for row in rows]
