"""The tokens of the Zalo account: one row for all replicas."""

from typing import NamedTuple

import asyncpg


class Known(NamedTuple):
    """What is known of an app's tokens. `access`: None before the first; `fresh`: it has some minutes left; `asking`:
    somebody asks for its successor; `fault`: why the last question brought none."""

    access: str | None
    fresh: bool
    asking: bool
    fault: str | None


async def begin(pool: asyncpg.Pool, app: str, seed: str, refresh: str) -> None:
    """Begin with the refresh token that was set, unless the row already began with it: it is used up by then. `seed`:
    its SHA-256."""
    await pool.execute(
        "INSERT INTO zalo_token (app, seed, refresh) VALUES ($1, $2, $3) "
        "ON CONFLICT (app) DO UPDATE SET seed = excluded.seed, refresh = excluded.refresh, access = NULL, "
        "expires_at = NULL, asked_at = NULL, asking = false, fault = NULL WHERE zalo_token.seed <> excluded.seed",
        app,
        seed,
        refresh,
    )


async def known(pool: asyncpg.Pool, app: str, seconds: float) -> Known:
    """What there is now. Who asked `seconds` ago and left no answer is not asking any more."""
    row = await pool.fetchrow(
        "SELECT access, coalesce(expires_at > now() + interval '5 minutes', false), "
        "asking AND asked_at > now() - make_interval(secs => $2), fault FROM zalo_token WHERE app = $1",
        app,
        seconds,
    )
    assert row is not None, "nothing was begun"
    return Known(*row)


async def claim(pool: asyncpg.Pool, app: str, stale: str | None, seconds: float) -> str | None:
    """Be the one who asks for the successor of the access token `stale`; the refresh token to ask with. None: another
    asks, or asked less than `seconds` ago, or `stale` has a successor."""
    refresh: str | None = await pool.fetchval(
        "UPDATE zalo_token SET asked_at = now(), asking = true WHERE app = $1 AND access IS NOT DISTINCT FROM $2 "
        "AND coalesce(asked_at < now() - make_interval(secs => $3), true) RETURNING refresh",
        app,
        stale,
        seconds,
    )
    return refresh


async def keep(pool: asyncpg.Pool, app: str, used: str, access: str, refresh: str, seconds: float) -> None:
    """Keep what was given for the refresh token `used`: both at once, since the one before is void."""
    await pool.execute(
        "UPDATE zalo_token SET access = $3, refresh = $4, expires_at = now() + make_interval(secs => $5), "
        "asking = false, fault = NULL WHERE app = $1 AND refresh = $2",
        app,
        used,
        access,
        refresh,
        seconds,
    )


async def note_fault(pool: asyncpg.Pool, app: str, used: str, fault: str) -> None:
    """Say why none was given."""
    await pool.execute(
        "UPDATE zalo_token SET fault = $3, asking = false WHERE app = $1 AND refresh = $2", app, used, fault
    )
