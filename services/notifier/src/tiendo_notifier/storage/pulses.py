"""Since when nothing has come from units that report live."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import NamedTuple

from tiendo_common.eventlog.port import Connection


class Pulse(NamedTuple):
    """What was `done` on `day` by the newest totals, of each indicator, and when that last changed."""

    day: date
    done: list[int]
    since: datetime


async def read(connection: Connection, campaign: str) -> dict[str, Pulse]:
    """All pulses of a campaign, by unit."""
    rows = await connection.fetch("SELECT unit, day, done, since FROM pulse WHERE campaign = $1", campaign)
    return {row["unit"]: Pulse(row["day"], row["done"], row["since"]) for row in rows}


async def write(connection: Connection, campaign: str, pulses: Mapping[str, Pulse]) -> None:
    """Store those that changed."""
    await connection.executemany(
        "INSERT INTO pulse (campaign, unit, day, done, since) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (campaign, unit) DO UPDATE SET day = excluded.day, done = excluded.done, "
        "since = excluded.since",
        [(campaign, unit, *pulse) for unit, pulse in sorted(pulses.items())],
    )


async def forget(connection: Connection, campaign: str, units: Collection[str]) -> None:
    """Remove those of units that report live no more."""
    await connection.execute(
        "DELETE FROM pulse WHERE campaign = $1 AND unit = ANY($2)", campaign, sorted(units)
    )


async def listened_through(connection: Connection, campaign: str) -> datetime | None:
    """Up to when all that came was judged; None: never."""
    through: datetime | None = await connection.fetchval(
        "SELECT through FROM listened WHERE campaign = $1", campaign
    )
    return through


async def listened(connection: Connection, campaign: str, through: datetime) -> None:
    """All that came up to here was judged."""
    await connection.execute(
        "INSERT INTO listened (campaign, through) VALUES ($1, $2) "
        "ON CONFLICT (campaign) DO UPDATE SET through = excluded.through",
        campaign,
        through,
    )
