"""The queue of notices: claimed for a while, sent outside any transaction, then settled."""

from collections.abc import Mapping
from typing import NamedTuple

import asyncpg


class Claimed(NamedTuple):
    """A delivery in this process's hands until the claim runs out. `attempt` counts from 1."""

    id: int
    message_id: str
    attempt: int
    destination: str
    url: str
    secret: str
    notice: str


async def claim(
    pool: asyncpg.Pool, busy: Mapping[str, int], *, lanes: int, most: int, seconds: float
) -> list[Claimed]:
    """Take due deliveries, up to `most`, and up to `lanes` less those `busy` of each destination, so that
    a slow receiver holds up nobody but itself. A notice waits for the earlier ones of its incident to be
    settled, so that a destination never hears of an end before the beginning.

    A claim is a due time in the future: whoever dies before settling leaves the delivery to be claimed
    again when `seconds` have passed. Rows that another process is claiming are skipped.
    """
    rows = await pool.fetch(
        "WITH picked AS MATERIALIZED ("
        "  SELECT due.id, destination.name, destination.url, destination.secret FROM destination "
        "  LEFT JOIN unnest($1::text[], $2::int[]) AS busy (name, n) USING (name) "
        "  CROSS JOIN LATERAL ("
        "    SELECT id FROM delivery WHERE destination = name AND state = 'pending' AND due <= now() "
        "    AND NOT EXISTS (SELECT FROM delivery AS earlier WHERE earlier.incident = delivery.incident "
        "      AND earlier.destination = name AND earlier.state = 'pending' AND earlier.id < delivery.id) "
        "    ORDER BY due LIMIT greatest(0, $3 - coalesce(busy.n, 0)) FOR UPDATE SKIP LOCKED"
        "  ) AS due WHERE disabled IS NULL LIMIT $4"
        ") "
        "UPDATE delivery SET attempts = attempts + 1, due = now() + make_interval(secs => $5) "
        "FROM picked, message WHERE delivery.id = picked.id AND message.id = delivery.message "
        "RETURNING delivery.id, message.id::text, attempts, picked.name, url, secret, notice",
        list(busy.keys()),
        list(busy.values()),
        lanes,
        most,
        seconds,
    )
    return [Claimed(*row) for row in rows]


async def delivered(pool: asyncpg.Pool, claimed: Claimed, status: int | None) -> None:
    """It got there. True whoever holds the claim by now."""
    await pool.execute(
        "UPDATE delivery SET state = 'delivered', status = $2, error = NULL, finished_at = now() "
        "WHERE id = $1",
        claimed.id,
        status,
    )


async def again(pool: asyncpg.Pool, claimed: Claimed, status: int | None, error: str, wait: float) -> None:
    """Due again after `wait` seconds, unless the claim has passed to another since."""
    await pool.execute(
        "UPDATE delivery SET status = $3, error = $4, due = now() + make_interval(secs => $5) "
        "WHERE id = $1 AND attempts = $2 AND state = 'pending'",
        claimed.id,
        claimed.attempt,
        status,
        error,
        wait,
    )


async def failed(pool: asyncpg.Pool, claimed: Claimed, status: int | None, error: str) -> None:
    """It will not be tried again."""
    await pool.execute(
        "UPDATE delivery SET state = 'failed', status = $3, error = $4, finished_at = now() "
        "WHERE id = $1 AND attempts = $2 AND state = 'pending'",
        claimed.id,
        claimed.attempt,
        status,
        error,
    )


async def gone(pool: asyncpg.Pool, claimed: Claimed, status: int | None, error: str) -> None:
    """Disable the destination and end all that is on its way there."""
    async with pool.acquire() as connection, connection.transaction():
        # Only the address that said so: it may have been replaced meanwhile.
        disabled = await connection.execute(
            "UPDATE destination SET disabled = $3, changed_at = now() WHERE name = $1 AND url = $2",
            claimed.destination,
            claimed.url,
            error,
        )
        if disabled == "UPDATE 1":
            await connection.execute(
                "UPDATE delivery SET state = 'failed', error = $2, finished_at = now(), "
                "status = CASE WHEN id = $3 THEN $4 ELSE status END "
                "WHERE destination = $1 AND state = 'pending'",
                claimed.destination,
                f"destination disabled: {error}",
                claimed.id,
                status,
            )
