"""What people do with incidents."""

from datetime import datetime
from typing import NamedTuple

import asyncpg


class Standing(NamedTuple):
    """What an incident is at, and who has taken it on, if anybody."""

    state: str
    acknowledged_by: str | None


async def acknowledge(
    pool: asyncpg.Pool, identifier: str, author: str, note: str | None, now: datetime
) -> Standing | None:
    """Take an incident on, unless somebody has or it is over; what it was at before. None: there is none."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "SELECT state, (SELECT author FROM acknowledgement WHERE incident = incident.id AND lapsed_at IS NULL) "
            "FROM incident WHERE id = $1 FOR UPDATE",
            identifier,
        )
        if row is None:
            return None
        before = Standing(*row)
        if before.state != "resolved" and before.acknowledged_by is None:
            await connection.execute(
                "UPDATE incident SET state = 'acknowledged', next_step = NULL WHERE id = $1", identifier
            )
            await connection.execute(
                "INSERT INTO acknowledgement (incident, author, note, at) VALUES ($1, $2, $3, $4)",
                identifier,
                author,
                note,
                now,
            )
        return before
