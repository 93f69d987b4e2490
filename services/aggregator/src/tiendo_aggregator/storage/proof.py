"""When each unit's counters were last compared with the records, and what differed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.reconciliation import Difference
from tiendo_common.eventlog.port import Connection

#: Of a unit's differing days so many are kept: one is enough to act on.
MOST_DAYS = 31


@dataclass(frozen=True, slots=True)
class Proof:
    """A unit's last comparison. `differing` counts cells; `days` are the first days on which one differs."""

    unit: str
    checked_at: datetime
    differing: int
    days: Sequence[date]


@dataclass(frozen=True, slots=True)
class ProofState:
    """All units together. `age` is that of the oldest comparison, in seconds; None: nothing was ever compared."""

    units: int
    differing_units: int
    differing_cells: int
    age: float | None


async def note_proof(connection: Connection, units: Sequence[str], differing: Sequence[Difference]) -> None:
    """Note that these units were compared now, and what of them differed."""
    number: defaultdict[str, int] = defaultdict(int)
    days: defaultdict[str, set[date]] = defaultdict(set)
    for each in differing:
        number[each.unit] += 1
        days[each.unit].add(each.day)
    # The database's clock: the age is measured by it, too, and a driven clock may stand still for days.
    await connection.executemany(
        "INSERT INTO proof (unit, checked_at, differing, days) VALUES ($1, clock_timestamp(), $2, $3) "
        "ON CONFLICT (unit) DO UPDATE SET checked_at = excluded.checked_at, differing = excluded.differing, "
        "days = excluded.days",
        [(unit, number[unit], sorted(days[unit])[:MOST_DAYS]) for unit in sorted(units)],
    )


async def proofs(connection: Connection, units: Sequence[str]) -> list[Proof]:
    """The last comparison of each of these units that was ever compared, by code."""
    return [
        Proof(*row)
        for row in await connection.fetch(
            "SELECT unit, checked_at, differing, days FROM proof WHERE unit = ANY($1) ORDER BY unit", units
        )
    ]


async def proof_state(pool: asyncpg.Pool) -> ProofState:
    """What the gauges show."""
    row = await pool.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE differing > 0), coalesce(sum(differing), 0)::bigint, "
        "extract(epoch FROM clock_timestamp() - min(checked_at))::float FROM proof"
    )
    assert row is not None
    return ProofState(*row)
