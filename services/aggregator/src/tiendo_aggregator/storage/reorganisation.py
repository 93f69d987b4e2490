"""Reorganisations: asked for, applied, taken back."""

from dataclasses import dataclass
from datetime import date, datetime

from tiendo_aggregator.rules.units.reorganisation import Reorganisation, Row
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class Applied:
    """A reorganisation as it was applied; `rows` counts its mapping."""

    id: int
    effective_on: date
    resolution: str
    within: list[str] | None
    rule: str | None
    rows: int
    applied_at: datetime
    applied_by: str
    undone_at: datetime | None
    undone_by: str | None


_APPLIED = (
    "SELECT id, effective_on, resolution, within, rule, "
    "(SELECT count(*) FROM reorganisation_step AS step WHERE step.reorganisation = each.id) AS rows, "
    "applied_at, applied_by, undone_at, undone_by FROM reorganisation AS each"
)


async def all_applied(connection: Connection) -> list[Applied]:
    """Every reorganisation that was ever applied, in that order."""
    return [Applied(**row) for row in await connection.fetch(f"{_APPLIED} ORDER BY id")]


async def applied(connection: Connection, id_: int) -> Applied | None:
    """One of them."""
    row = await connection.fetchrow(f"{_APPLIED} WHERE id = $1", id_)
    return Applied(**row) if row else None


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
        )
        for id_, effective_on, within, placing in await connection.fetch(
            "SELECT id, effective_on, within, rule FROM reorganisation WHERE undone_at IS NULL ORDER BY id"
        )
    ]


async def store_reorganisation(
    connection: Connection, asked: Reorganisation, resolution: str, applied_at: datetime, applied_by: str
) -> int:
    """Put it in force, in the caller's transaction; its id."""
    id_: int = await connection.fetchval(
        "INSERT INTO reorganisation (effective_on, resolution, within, rule, applied_at, applied_by) "
        "VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        asked.effective_on,
        resolution,
        asked.within,
        asked.placing,
        applied_at,
        applied_by,
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
