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


async def end(pool: asyncpg.Pool, identifier: str, now: datetime, author: str) -> bool | None:
    """End one before its time; None: there is none of that id, False: it was over already."""
    row = await pool.fetchrow(
        "WITH found AS (SELECT id, ended_at IS NULL AND until_at > $2 AS standing FROM silence WHERE id = $1 "
        "FOR UPDATE), ended AS (UPDATE silence SET ended_at = $2, ended_by = $3 FROM found "
        "WHERE silence.id = found.id AND standing RETURNING silence.id) SELECT standing FROM found",
        identifier,
        now,
        author,
    )
    return None if row is None else bool(row["standing"])


async def listed(pool: asyncpg.Pool, now: datetime, *, all_: bool) -> Sequence[Silence]:
    """Those that hold or are to come, or all of the newest 500, newest first."""
    rows = await pool.fetch(
        "SELECT id::text, kind, campaign, unit, rules, from_at, until_at, author, reason, created_at, ended_at, "
        "ended_by FROM silence WHERE $2 OR (until_at > $1 AND ended_at IS NULL) ORDER BY id DESC LIMIT 500",
        now,
        all_,
    )
    return [Silence(*row) for row in rows]
