"""Messages on their way: each once, with a delivery for each destination, or a place in its next digest."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tiendo_common.eventlog.port import Connection


class Message(NamedTuple):
    """A row of `message`; `number` counts the news of its incident."""

    id: str
    kind: str
    campaign: str | None
    unit: str | None
    incident: str | None
    number: int | None
    notice: str
    at: datetime


class Subscriber(NamedTuple):
    """A destination that is not disabled, and what it wants: null is everything. `digest`: all at once."""

    name: str
    units: list[str] | None
    rules: list[str] | None
    digest: bool
    least: int
    addressed: bool


async def subscribers(connection: Connection) -> list[Subscriber]:
    """Who may want to be told."""
    rows = await connection.fetch(
        "SELECT name, units, rules, digest, least, addressed FROM destination WHERE disabled IS NULL"
    )
    return [Subscriber(*row) for row in rows]


async def put(
    connection: Connection,
    messages: Sequence[Message],
    deliveries: Sequence[tuple[str, str | None, str]],
    items: Sequence[tuple[str, str, datetime]],
) -> None:
    """Store messages, their deliveries (message, incident, destination), and their places in digests (destination,
    message, due)."""
    await connection.copy_records_to_table("message", records=messages, columns=Message._fields)
    if deliveries:
        await connection.execute(
            "INSERT INTO delivery (message, incident, destination) "
            "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
            *(list(column) for column in zip(*deliveries, strict=True)),
        )
    if items:
        await connection.execute(
            "INSERT INTO digest_item (destination, message, due) "
            "SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[])",
            *(list(column) for column in zip(*items, strict=True)),
        )
