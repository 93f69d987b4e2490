"""Counters folded anew from the log, in tables of the session's own, beside a copy of the live ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.checksum import MODULUS
from tiendo_aggregator.rules.counting import Boundary, Counts
from tiendo_aggregator.storage.counting import COUNTS, KEY, add_counts, adding
from tiendo_common.eventlog.port import Connection, Partition

#: So many differences are named; all are counted.
MOST_NAMED = 1000

_TABLES = ("live_counter", "rebuilt_counter")
# What the rebuilt rows have more than the live ones.
_DIFFERENCE = (
    f"SELECT * FROM (SELECT {', '.join(KEY)}, "  # noqa: S608
    + ", ".join(f"coalesce(r.{count}, 0) - coalesce(l.{count}, 0) AS {count}" for count in COUNTS)
    + f" FROM live_counter AS l FULL JOIN rebuilt_counter AS r USING ({', '.join(KEY)})) AS each "
    f"WHERE ({', '.join(COUNTS)}) <> ({', '.join('0' for _ in COUNTS)})"
)


@dataclass(frozen=True, slots=True)
class Differing:
    """What is counted otherwise: rows, also such as differ only in when they became known, and the first of their
    units and days."""

    rows: int
    named: Sequence[tuple[str, date]]


async def begin_rebuild(connection: Connection) -> None:
    """Make the session's tables, empty."""
    await end_rebuild(connection)
    for table in _TABLES:
        await connection.execute(f"CREATE TEMP TABLE {table} (LIKE counter INCLUDING INDEXES)")


async def end_rebuild(connection: Connection) -> None:
    """Drop them."""
    for table in _TABLES:
        await connection.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")


async def copy_live(connection: Connection, units: Sequence[str] | None) -> None:
    """Copy the live counters (of these units; None: all) as they stand in the caller's snapshot."""
    await connection.execute(
        "INSERT INTO live_counter SELECT * FROM counter "
        "WHERE $1::text[] IS NULL OR residence = ANY($1) OR collecting = ANY($1)",
        units,
    )


async def add_rebuilt(connection: Connection, sums: Mapping[Boundary, Counts]) -> None:
    """Add what was folded to the rebuilt counters."""
    await add_counts(connection, sums, "rebuilt_counter")


async def checksums(connection: Connection, units: Sequence[str] | None) -> tuple[int, int]:
    """The checksums of the totals (of these units; None: all) of the live copy and of what was rebuilt: see
    rules.checksum."""
    weight = "('x' || substr(md5(concat_ws('|', unit, attribution, day, indicator, level)), 1, 16))::bit(64)::bigint"
    live, rebuilt = [
        await connection.fetchval(
            f"SELECT coalesce(sum({weight}::numeric * n), 0) FROM {table} "  # noqa: S608
            "CROSS JOIN LATERAL (VALUES (residence, 0), (collecting, 1)) AS of (unit, attribution) "
            "WHERE $1::text[] IS NULL OR unit = ANY($1)",
            units,
        )
        for table in _TABLES
    ]
    return int(live) % MODULUS, int(rebuilt) % MODULUS


async def differing(connection: Connection, units: Sequence[str] | None) -> Differing:
    """Where the live copy and what was rebuilt differ."""
    rows = await connection.fetchval(f"SELECT count(*) FROM ({_DIFFERENCE}) AS d")  # noqa: S608
    named = await connection.fetch(
        f"SELECT DISTINCT unit, day FROM ({_DIFFERENCE}) AS d "  # noqa: S608
        "CROSS JOIN LATERAL (VALUES (residence), (collecting)) AS of (unit) "
        f"WHERE $1::text[] IS NULL OR unit = ANY($1) ORDER BY unit, day LIMIT {MOST_NAMED}",
        units,
    )
    return Differing(rows, [(row["unit"], row["day"]) for row in named])


async def repair(connection: Connection) -> None:
    """Add what the live counters lack, in the caller's transaction. A sum of changes stays right when more is folded
    meanwhile."""
    await connection.execute(adding(f"({_DIFFERENCE}) AS d"))


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
    differing: int,
) -> None:
    """Write down that somebody rebuilt, and how many rows differed; `reason`: why they were repaired, None: they were
    not."""
    await connection.execute(
        "INSERT INTO rebuild (at, by, reason, province, events, differing) "
        "VALUES (clock_timestamp(), $1, $2, $3, $4, $5)",
        by,
        reason,
        province,
        events,
        differing,
    )
