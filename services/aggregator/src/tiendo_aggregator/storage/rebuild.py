"""Counters folded anew from the log, in tables of the session's own, beside a copy of the live ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.checksum import MODULUS
from tiendo_aggregator.rules.counting import BreakdownCell, TotalCell
from tiendo_aggregator.storage.counting import BREAKDOWN_KEY, TOTAL_KEY, adding_to
from tiendo_common.eventlog.port import Connection, Partition

# What a checksum is made of, in the order of rules.reconciliation.Cell and Part.
_CHECKED = ("unit", "attribution", "day", "indicator", "level", "dimension", "value")
#: So many differences are named; all are counted.
MOST_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """One of the two counter tables, and what identifies its cells."""

    name: str
    key: tuple[str, ...]


TOTAL = Table("total", TOTAL_KEY)
BREAKDOWN = Table("breakdown", BREAKDOWN_KEY)


@dataclass(frozen=True, slots=True)
class Differing:
    """What is counted otherwise: cells, also such as differ only in when they became known, and the first of their
    units and days."""

    cells: int
    named: Sequence[tuple[str, date]]


async def begin_rebuild(connection: Connection, table: Table) -> None:
    """Make the session's tables, empty."""
    await end_rebuild(connection, table)
    for copy in (f"live_{table.name}", f"rebuilt_{table.name}"):
        await connection.execute(f"CREATE TEMP TABLE {copy} (LIKE {table.name} INCLUDING INDEXES)")


async def end_rebuild(connection: Connection, table: Table) -> None:
    """Drop them."""
    for prefix in ("live", "rebuilt", "new_rebuilt"):
        await connection.execute(f"DROP TABLE IF EXISTS pg_temp.{prefix}_{table.name}")


async def copy_live(connection: Connection, table: Table, units: Sequence[str] | None) -> None:
    """Copy the live counters (of these units; None: all) as they stand in the caller's snapshot."""
    await connection.execute(
        f"INSERT INTO live_{table.name} SELECT * FROM {table.name} "  # noqa: S608
        "WHERE $1::text[] IS NULL OR unit = ANY($1)",
        units,
    )


async def add_rebuilt(
    connection: Connection, table: Table, cells: Mapping[TotalCell, int] | Mapping[BreakdownCell, int]
) -> None:
    """Add what was folded to the rebuilt counters."""
    await adding_to(f"rebuilt_{table.name}", table.key).add(connection, cells)


async def checksums(connection: Connection, table: Table) -> tuple[int, int]:
    """The checksums of the live copy and of what was rebuilt: see rules.checksum."""
    key = ", ".join(name for name in _CHECKED if name in table.key)
    weight = f"('x' || substr(md5(concat_ws('|', {key})), 1, 16))::bit(64)::bigint"
    live, rebuilt = [
        await connection.fetchval(
            f"SELECT coalesce(sum({weight}::numeric * n), 0) FROM {copy}_{table.name}"  # noqa: S608
        )
        for copy in ("live", "rebuilt")
    ]
    return int(live) % MODULUS, int(rebuilt) % MODULUS


async def differing(connection: Connection, table: Table) -> Differing:
    """Where the live copy and what was rebuilt differ."""
    source = _difference(table)
    cells = await connection.fetchval(f"SELECT count(*) FROM ({source}) AS d")  # noqa: S608
    named = await connection.fetch(
        f"SELECT DISTINCT unit, day FROM ({source}) AS d ORDER BY unit, day LIMIT {MOST_NAMED}"  # noqa: S608
    )
    return Differing(cells, [(row["unit"], row["day"]) for row in named])


async def repair(connection: Connection, table: Table) -> None:
    """Add what the live counters lack, in the caller's transaction. A sum of changes stays right when more is folded
    meanwhile; in the order of the key, as all who write there."""
    columns = ", ".join(table.key)
    await connection.execute(
        f"INSERT INTO {table.name} AS old ({columns}, n) SELECT {columns}, n FROM ({_difference(table)}) AS d "  # noqa: S608
        f"ORDER BY {columns} ON CONFLICT ({columns}) DO UPDATE SET n = old.n + excluded.n"
    )


def _difference(table: Table) -> str:
    columns = ", ".join(table.key)
    return (
        f"SELECT {columns}, coalesce(r.n, 0) - coalesce(l.n, 0) AS n FROM live_{table.name} AS l "  # noqa: S608
        f"FULL JOIN rebuilt_{table.name} AS r USING ({columns}) WHERE coalesce(r.n, 0) <> coalesce(l.n, 0)"
    )


async def alone_with_positions(
    connection: Connection, consumer: str
) -> tuple[dict[Partition, int], dict[Partition, int]]:
    """Let no batch of this consumer in until the caller's transaction ends; its positions and their generations."""
    rows = await connection.fetch(
        "SELECT topic, partition, next, generation FROM consumer_position WHERE consumer = $1 "
        "ORDER BY topic, partition FOR UPDATE",
        consumer,
    )
    return (
        {Partition(row["topic"], row["partition"]): row["next"] for row in rows},
        {Partition(row["topic"], row["partition"]): row["generation"] for row in rows},
    )


async def generations(connection: Connection, consumer: str) -> dict[Partition, int]:
    """The log generation of each of a consumer's positions."""
    return {
        Partition(topic, partition): generation
        for topic, partition, generation in await connection.fetch(
            "SELECT topic, partition, generation FROM consumer_position WHERE consumer = $1", consumer
        )
    }


async def only_rebuild(connection: Connection) -> bool:
    """Whether this session is the only one that rebuilds, until `rebuild_is_over`."""
    answer: bool = await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('aggregator rebuild'))")
    return answer


async def rebuild_is_over(connection: Connection) -> None:
    """Let the next one begin."""
    await connection.execute("SELECT pg_advisory_unlock(hashtext('aggregator rebuild'))")


async def note_rebuild(
    connection: Connection,
    *,
    by: str,
    reason: str | None,
    province: str | None,
    events: int,
    totals: int,
    breakdowns: int,
) -> None:
    """Write down that somebody rebuilt, and how many cells differed; `reason`: why they were repaired, None: they were
    not."""
    await connection.execute(
        "INSERT INTO rebuild (at, by, reason, province, events, differing_totals, differing_breakdowns) "
        "VALUES (clock_timestamp(), $1, $2, $3, $4, $5, $6)",
        by,
        reason,
        province,
        events,
        totals,
        breakdowns,
    )
