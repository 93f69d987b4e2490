"""Where alerts go: written seldom."""

from collections.abc import Sequence
from typing import NamedTuple

from tiendo_common.eventlog.port import Connection


class Stored(NamedTuple):
    """Whether a destination is new, and the secret that was generated for it, if one was."""

    created: bool
    generated: str | None


class Wanted(NamedTuple):
    """What a destination is to be: where it is, and what it wants (null: everything). See `http_schemas`."""

    url: str
    units: Sequence[str] | None
    rules: Sequence[str] | None
    digest: bool
    least: int
    language: str | None
    addressed: bool


async def hold(connection: Connection, name: str) -> Sequence[str | None] | None:
    """Nobody else changes or makes the destination of that name until the transaction ends. The units that it tells
    of ([None]: of everything); None: there is none."""
    # Of a row that isn't there yet there is nothing to lock.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"destination {name}")
    row = await connection.fetchrow("SELECT units FROM destination WHERE name = $1", name)
    return None if row is None else row["units"] or [None]


async def put(
    connection: Connection, name: str, wanted: Wanted, secret: str | None, generated: str
) -> Stored:
    """Make or replace a destination and switch it on again. Without a `secret` the one it has stays; a new
    one gets the `generated` secret."""
    created = await connection.fetchval(
        "INSERT INTO destination (name, url, units, rules, digest, least, language, addressed, secret) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, $10)) "
        "ON CONFLICT (name) DO UPDATE SET url = excluded.url, secret = coalesce($9, destination.secret), "
        "units = excluded.units, rules = excluded.rules, digest = excluded.digest, least = excluded.least, "
        "language = excluded.language, addressed = excluded.addressed, disabled = NULL, failures = 0, "
        "paused_until = NULL, changed_at = now() "
        # A row that this statement inserted was never locked or updated by it.
        "RETURNING xmax = 0",
        name,
        *wanted,
        secret,
        generated,
    )
    return Stored(created, generated if created and secret is None else None)


async def rotate(connection: Connection, name: str, secret: str, keep_hours: int) -> None:
    """Sign with a new secret, and for a while with the one before as well."""
    await connection.execute(
        "UPDATE destination SET old_secret = secret, old_until = now() + make_interval(hours => $3), secret = $2, "
        "changed_at = now() WHERE name = $1",
        name,
        secret,
        keep_hours,
    )


async def delete(connection: Connection, name: str) -> None:
    """Remove a destination and end all that is on its way there."""
    await connection.execute("DELETE FROM destination WHERE name = $1", name)
    await connection.execute(
        "UPDATE delivery SET state = 'failed', error = 'destination deleted', finished_at = now() "
        "WHERE destination = $1 AND state = 'pending'",
        name,
    )
    await connection.execute("DELETE FROM digest_item WHERE destination = $1 AND sent_in IS NULL", name)
