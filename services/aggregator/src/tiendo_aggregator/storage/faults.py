"""What was wrong with dossiers: added to with the work by team, read for closings."""

from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.faults import FAULTS, Fault, FaultCell
from tiendo_common.eventlog.port import Connection


async def add_faults(connection: Connection, sums: Mapping[FaultCell, int]) -> None:
    """Add to the faults, in the caller's transaction; sorted, so that replicas lock rows in the same order."""
    rows = [(*cell, n) for cell, n in sorted(sums.items()) if n]
    if rows:
        await connection.execute(
            "INSERT INTO fault AS old (collecting, known_day, what, n) "
            "SELECT * FROM unnest($1::text[], $2::date[], $3::smallint[], $4::int[]) "
            "ON CONFLICT (collecting, known_day, what) DO UPDATE SET n = old.n + excluded.n",
            *zip(*rows, strict=True),
        )


async def faults(
    connection: Connection, units: Sequence[str], first_day: date, last_day: date
) -> list[tuple[str, Fault | None, int]]:
    """The faults that became known on these days in the dossiers of these units; None: the dossiers that they took on
    them, without those that were voided since."""
    return [
        (unit, None if what is None else FAULTS[what], n)
        for unit, what, n in await connection.fetch(
            "SELECT collecting, what, sum(n) FROM fault "
            "WHERE collecting = ANY($1) AND known_day BETWEEN $2 AND $3 GROUP BY 1, 2 "
            "UNION ALL SELECT collecting, NULL, sum(n) FROM counter "
            "WHERE collecting = ANY($1) AND day BETWEEN $2 AND $3 AND indicator = $4 GROUP BY 1",
            units,
            first_day,
            last_day,
            INDICATORS.index("intake"),
        )
    ]
