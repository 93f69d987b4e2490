"""Reorganisations: asked for, applied, taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import asyncpg
import msgspec

from tiendo_aggregator.rules.units.reorganisation import Reorganisation, Row
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class Applied:
    """A reorganisation as it was applied; `rows` counts its mapping. `stays` names, of units that are parted by share
    or by hamlet, the part at which records count that intake does not move, or that name no hamlet. `taken_in`: of
    those that are parted by share, the other codes whose records were theirs on the day before."""

    id: int
    effective_on: date
    resolution: str
    within: list[str] | None
    rule: str | None
    shares: Mapping[str, Mapping[str, int]]
    by_hamlet: Mapping[str, Mapping[str, int]]
    stays: Mapping[str, str]
    rows: int
    applied_at: datetime
    applied_by: str
    undone_at: datetime | None
    undone_by: str | None
    taken_in: Mapping[str, Sequence[str]] = field(default_factory=dict)


_shares = msgspec.json.Decoder(dict[str, dict[str, int]])
_stays = msgspec.json.Decoder(dict[str, str])
_APPLIED = (
    "SELECT id, effective_on, resolution, within, rule, shares, by_hamlet, "
    "(SELECT coalesce(json_object_agg(from_code, to_code), '{}') FROM reorganisation_step AS step "
    "WHERE step.reorganisation = each.id AND share = 'part-main' "
    "AND each.shares || each.by_hamlet ? from_code) AS stays, "
    "(SELECT count(*) FROM reorganisation_step AS step WHERE step.reorganisation = each.id) AS rows, "
    "applied_at, applied_by, undone_at, undone_by FROM reorganisation AS each"
)


async def all_applied(connection: Connection) -> list[Applied]:
    """Every reorganisation that was ever applied, in that order."""
    return [_applied(row) for row in await connection.fetch(f"{_APPLIED} ORDER BY id")]


async def applied(connection: Connection, id_: int) -> Applied | None:
    """One of them."""
    row = await connection.fetchrow(f"{_APPLIED} WHERE id = $1", id_)
    return _applied(row) if row else None


def _applied(row: asyncpg.Record) -> Applied:
    shares, by_hamlet = (_shares.decode(row[name]) for name in ("shares", "by_hamlet"))
    main = _stays.decode(row["stays"])
    stays = {unit: unit if unit in parts else main[unit] for unit, parts in (shares | by_hamlet).items()}
    return Applied(**{**row, "shares": shares, "by_hamlet": by_hamlet, "stays": stays})


async def in_force(connection: Connection) -> list[Reorganisation]:
    """Those that were not taken back, in the order in which they were applied."""
    rows: dict[int, list[Row]] = {}
    placements: dict[int, dict[str, str]] = {}
    for id_, from_code, to_code, share, resolution, placed in await connection.fetch(
        "SELECT id, from_code, to_code, share, step.resolution, placed FROM reorganisation_step AS step "
        "JOIN reorganisation AS each ON each.id = step.reorganisation WHERE undone_at IS NULL ORDER BY id, place"
    ):
        rows.setdefault(id_, []).append(
            Row(from_code=from_code, to_code=to_code, share=share, resolution=resolution)
        )
        if placed:
            placements.setdefault(id_, {})[from_code] = to_code
    return [
        Reorganisation(
            effective_on=effective_on,
            rows=tuple(rows.get(id_, ())),
            within=tuple(within) if within is not None else None,
            placing=placing,
            placements=placements.get(id_, {}),
            shares=_shares.decode(shares),
            by_hamlet=_shares.decode(by_hamlet),
        )
        for id_, effective_on, within, placing, shares, by_hamlet in await connection.fetch(
            "SELECT id, effective_on, within, rule, shares, by_hamlet FROM reorganisation "
            "WHERE undone_at IS NULL ORDER BY id"
        )
    ]


async def store_reorganisation(
    connection: Connection, asked: Reorganisation, resolution: str, applied_at: datetime, applied_by: str
) -> int:
    """Put it in force, in the caller's transaction; its id."""
    id_: int = await connection.fetchval(
        "INSERT INTO reorganisation (effective_on, resolution, within, rule, applied_at, applied_by, shares, "
        "by_hamlet) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        asked.effective_on,
        resolution,
        asked.within,
        asked.placing,
        applied_at,
        applied_by,
        msgspec.json.encode(asked.shares).decode(),
        msgspec.json.encode(asked.by_hamlet).decode(),
    )
    await connection.copy_records_to_table(
        "reorganisation_step",
        columns=["reorganisation", "place", "from_code", "to_code", "share", "resolution", "placed"],
        records=[
            (
                id_,
                place,
                row.from_code,
                row.to_code,
                row.share,
                row.resolution,
                asked.placements.get(row.from_code) == row.to_code,
            )
            for place, row in enumerate(asked.rows)
        ],
    )
    return id_


async def take_back(connection: Connection, id_: int, undone_at: datetime, undone_by: str) -> None:
    """Let it no longer be in force. What it was stays known."""
    await connection.execute(
        "UPDATE reorganisation SET undone_at = $2, undone_by = $3 WHERE id = $1", id_, undone_at, undone_by
    )
