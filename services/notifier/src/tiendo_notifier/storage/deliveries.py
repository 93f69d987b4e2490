"""The queue of notices: claimed for a while, sent outside any transaction, then settled."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from tiendo_common.eventlog.port import Connection


class Claimed(NamedTuple):
    """A delivery in this process's hands until the claim runs out. `attempt` counts from 1. `old_secret`: the one
    before, as long as it is signed with, too."""

    id: int
    message_id: str
    attempt: int
    destination: str
    url: str
    secret: str
    old_secret: str | None
    language: str | None
    notice: str


async def claim(
    pool: asyncpg.Pool, busy: Mapping[str, int], *, lanes: int, most: int, seconds: Mapping[str, float]
) -> list[Claimed]:
    """Take due deliveries, up to `most`, and up to `lanes` less those `busy` of each destination, so that
    a slow receiver holds up nobody but itself. One that failed is left alone until its pause is over, and then
    tried in one lane only. A notice waits for the earlier ones of its incident to be settled, so that a destination
    never hears of an end before the beginning.

    A claim is a due time in the future: whoever dies before settling leaves the delivery to be claimed
    again when its seconds have passed: those of the longest key of `seconds` that its URL begins with (some key must).
    Rows that another process is claiming are skipped.
    """
    rows = await pool.fetch(
        "WITH picked AS MATERIALIZED ("
        "  SELECT due.id, destination.name, destination.url, destination.secret, destination.language, "
        "  CASE WHEN old_until > now() THEN old_secret END AS old_secret FROM destination "
        "  LEFT JOIN unnest($1::text[], $2::int[]) AS busy (name, n) USING (name) "
        "  CROSS JOIN LATERAL ("
        "    SELECT id FROM delivery WHERE destination = name AND state = 'pending' AND due <= now() "
        "    AND NOT EXISTS (SELECT FROM delivery AS earlier WHERE earlier.incident = delivery.incident "
        "      AND earlier.destination = name AND earlier.state = 'pending' AND earlier.id < delivery.id) "
        "    ORDER BY due LIMIT greatest(0, CASE WHEN failures > 0 THEN 1 ELSE $3 END - coalesce(busy.n, 0)) "
        "    FOR UPDATE SKIP LOCKED"
        # Those that wait longest first, so that no destination is passed over when there are too many.
        "  ) AS due WHERE disabled IS NULL AND coalesce(paused_until <= now(), true) ORDER BY last_try NULLS FIRST "
        "  LIMIT $4"
        "), tried AS (UPDATE destination SET last_try = now() FROM (SELECT DISTINCT name FROM picked) AS each "
        "  WHERE destination.name = each.name"
        ") "
        "UPDATE delivery SET attempts = attempts + 1, due = now() + make_interval(secs => ("
        "SELECT seconds FROM unnest($5::text[], $6::float[]) AS way (beginning, seconds) "
        "WHERE starts_with(url, beginning) ORDER BY length(beginning) DESC LIMIT 1)) "
        "FROM picked, message WHERE delivery.id = picked.id AND message.id = delivery.message "
        "RETURNING delivery.id, message.id::text, attempts, picked.name, url, secret, old_secret, language, notice",
        list(busy.keys()),
        list(busy.values()),
        lanes,
        most,
        list(seconds.keys()),
        list(seconds.values()),
    )
    return [Claimed(*row) for row in rows]


async def delivered(pool: asyncpg.Pool, claimed: Claimed, status: int | None) -> None:
    """It got there. True whoever holds the claim by now. The destination is well again."""
    await pool.execute(
        "WITH settled AS (UPDATE delivery SET state = 'delivered', status = $2, error = NULL, finished_at = now() "
        "WHERE id = $1) UPDATE destination SET failures = 0, paused_until = NULL WHERE name = $3 AND failures > 0",
        claimed.id,
        status,
        claimed.destination,
    )


async def again(
    pool: asyncpg.Pool, claimed: Claimed, status: int | None, error: str, wait: float, pauses: Sequence[float]
) -> None:
    """Due again after `wait` seconds, unless the claim has passed to another since. The destination is left alone for
    the first of `pauses` (seconds) after its first failure in a row, the second after the second, and so on. Tries that
    fail side by side are one failure: those after the first end while the destination is left alone already."""
    await pool.execute(
        "WITH settled AS (UPDATE delivery SET status = $3, error = $4, due = now() + make_interval(secs => $5) "
        "WHERE id = $1 AND attempts = $2 AND state = 'pending') "
        "UPDATE destination SET failures = failures + CASE WHEN paused_until > now() THEN 0 ELSE 1 END, "
        "paused_until = greatest(paused_until, now() + make_interval(secs => ($7::float[])[least("
        "failures + CASE WHEN paused_until > now() THEN 0 ELSE 1 END, array_length($7::float[], 1))])) "
        "WHERE name = $6 AND url <> 'log:'",
        claimed.id,
        claimed.attempt,
        status,
        error,
        wait,
        claimed.destination,
        list(pauses),
    )


class Told(NamedTuple):
    """Where a delivery went, and the units that its message tells of (null: something about no unit)."""

    destination: str
    units: list[str | None]


async def told(pool: asyncpg.Pool, identifier: int) -> Told | None:
    """What a delivery told, and where; None: there is no such one."""
    row = await pool.fetchrow(
        "SELECT destination, CASE kind WHEN 'ping' THEN '{}' "
        "WHEN 'digest' THEN array(SELECT DISTINCT entry.unit FROM digest_item "
        "JOIN message AS entry ON entry.id = digest_item.message WHERE sent_in = message.id) "
        "ELSE ARRAY[message.unit] END AS units "
        "FROM delivery JOIN message ON message.id = delivery.message WHERE delivery.id = $1",
        identifier,
    )
    return None if row is None else Told(*row)


async def again_by_hand(connection: Connection, identifier: int) -> int | None:
    """A further delivery of the same message to the same destination, due now; its id. None: there is no such one."""
    again: int | None = await connection.fetchval(
        "INSERT INTO delivery (message, incident, destination) SELECT message, incident, destination FROM delivery "
        "JOIN destination ON name = destination AND disabled IS NULL WHERE delivery.id = $1 RETURNING id",
        identifier,
    )
    return again


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
