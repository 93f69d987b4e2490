"""What was wrong with dossiers: added to with the counters, read for closings."""

from collections.abc import Mapping, Sequence
from datetime import date

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.faults import FAULTS, Fault, FaultCell
from tiendo_aggregator.storage.sums import adding_sums
from tiendo_common.eventlog.port import Connection

#: The columns that identify a row, in the order in which all who write there write.
FAULT_KEY = ("collecting", "known_day", "what")
_FROM_ARRAYS = f"unnest($1::text[], $2::date[], $3::smallint[], $4::int[]) AS new ({', '.join(FAULT_KEY)}, n)"


async def add_faults(connection: Connection, sums: Mapping[FaultCell, int], table: str = "fault") -> None:
    """Add to the faults, or to another table like theirs, in the caller's transaction. Whoever adds to the work by
    team, too, does that first: all write in one order."""
    rows = [(*cell, n) for cell, n in sums.items() if n]
    if rows:
        await connection.execute(adding_sums(FAULT_KEY, _FROM_ARRAYS, table), *zip(*rows, strict=True))


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
