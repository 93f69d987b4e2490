"""What people do with incidents."""

from datetime import datetime
from typing import NamedTuple

from tiendo_common.eventlog.port import Connection


class Standing(NamedTuple):
    """What an incident is about and at, and who has taken it on, if anybody."""

    unit: str
    state: str
    acknowledged_by: str | None


async def lock(connection: Connection, identifier: str) -> Standing | None:
    """The incident, which stays so until the transaction ends; None: there is none."""
    row = await connection.fetchrow(
        "SELECT unit, state, (SELECT author FROM acknowledgement WHERE incident = incident.id "
        "AND lapsed_at IS NULL) FROM incident WHERE id = $1 FOR UPDATE",
        identifier,
    )
    return None if row is None else Standing(*row)


async def acknowledge(
    connection: Connection, identifier: str, author: str, note: str | None, now: datetime
) -> None:
    """Somebody has taken it on."""
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
