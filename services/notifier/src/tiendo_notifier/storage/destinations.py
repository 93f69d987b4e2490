"""Where alerts go: written seldom, by administrators."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg


class Stored(NamedTuple):
    """Whether a destination is new, and the secret that was generated for it, if one was."""

    created: bool
    generated: str | None


async def put(
    pool: asyncpg.Pool,
    name: str,
    url: str,
    secret: str | None,
    generated: str,
    units: Sequence[str] | None,
    rules: Sequence[str] | None,
) -> Stored:
    """Make or replace a destination and switch it on again. Without a `secret` the one it has stays; a new
    one gets the `generated` secret."""
    created = await pool.fetchval(
        "INSERT INTO destination (name, url, secret, units, rules) VALUES ($1, $2, coalesce($3, $4), $5, $6) "
        "ON CONFLICT (name) DO UPDATE SET url = excluded.url, secret = coalesce($3, destination.secret), "
        "units = excluded.units, rules = excluded.rules, disabled = NULL, changed_at = now() "
        # A row that this statement inserted was never locked or updated by it.
        "RETURNING xmax = 0",
        name,
        url,
        secret,
        generated,
        units,
        rules,
    )
    return Stored(created, generated if created and secret is None else None)


async def delete(pool: asyncpg.Pool, name: str) -> bool:
    """Remove a destination and end all that is on its way there; whether there was one."""
    async with pool.acquire() as connection, connection.transaction():
        if await connection.execute("DELETE FROM destination WHERE name = $1", name) == "DELETE 0":
            return False
        await connection.execute(
            "UPDATE delivery SET state = 'failed', error = 'destination deleted', finished_at = now() "
            "WHERE destination = $1 AND state = 'pending'",
            name,
        )
        return True
