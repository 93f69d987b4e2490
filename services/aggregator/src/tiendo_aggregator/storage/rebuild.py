"""Counters folded anew from the log, in tables of the session's own, beside a copy of the live ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.checksum import MODULUS
from tiendo_aggregator.rules.counting import COLLECTING, PASSAGES, TEAM, Folded, passage_part
from tiendo_aggregator.storage.counting import COUNTS, KEY, add_counts, adding
from tiendo_aggregator.storage.faults import FAULT_KEY, add_faults
from tiendo_aggregator.storage.passages import (
    WAITED_KEY,
    add_waits,
    adding_waits,
    each_with,
    passages_of_table,
)
from tiendo_aggregator.storage.sums import adding_sums
from tiendo_aggregator.storage.teams import TEAM_KEY, add_team_work
from tiendo_common.eventlog.port import Connection, Partition

#: So many differences are named; all are counted.
MOST_NAMED = 1000

_SIDES = ("live", "rebuilt")
#: What is folded from the log. docs/kafka.md tells how to empty them by hand, too.
FOLDED = ("counter", "waited", "team_counter", "fault")


# What the rebuilt rows have more than the live ones.
_COUNTERS = (
    f"SELECT * FROM (SELECT {', '.join(KEY)}, "  # noqa: S608
    + ", ".join(f"coalesce(r.{count}, 0) - coalesce(l.{count}, 0) AS {count}" for count in COUNTS)
    + f" FROM live_counter AS l FULL JOIN rebuilt_counter AS r USING ({', '.join(KEY)})) AS each "
    f"WHERE ({', '.join(COUNTS)}) <> ({', '.join('0' for _ in COUNTS)})"
)
_WAITS = (
    f"SELECT * FROM (SELECT {', '.join(WAITED_KEY)}, {each_with('r.n', '-', 'l.n')} AS n "  # noqa: S608
    f"FROM live_waited AS l FULL JOIN rebuilt_waited AS r USING ({', '.join(WAITED_KEY)})) AS each "
    "WHERE 0 <> ANY(n)"
)
_WORK = (
    f"SELECT * FROM (SELECT {', '.join(TEAM_KEY)}, coalesce(r.n, 0) - coalesce(l.n, 0) AS n "  # noqa: S608
    f"FROM live_team_counter AS l FULL JOIN rebuilt_team_counter AS r USING ({', '.join(TEAM_KEY)})) AS each "
    "WHERE n <> 0"
)
_FAULTS = (
    f"SELECT * FROM (SELECT {', '.join(FAULT_KEY)}, coalesce(r.n, 0) - coalesce(l.n, 0) AS n "  # noqa: S608
    f"FROM live_fault AS l FULL JOIN rebuilt_fault AS r USING ({', '.join(FAULT_KEY)})) AS each "
    "WHERE n <> 0"
)
# A passage's indicator and kind, as the fold tells them, for the key that its weight comes from.
_PARTS_OF_PASSAGES = ", ".join(
    f"({what}, {indicator}, {kind})"
    for what in range(len(PASSAGES))
    for indicator, kind, _ in [passage_part(what, date.min)]
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
    for table in FOLDED:
        for side in _SIDES:
            await connection.execute(
                f"CREATE TEMP TABLE {side}_{table} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES)"
            )


async def end_rebuild(connection: Connection) -> None:
    """Drop them."""
    for table in FOLDED:
        for side in _SIDES:
            await connection.execute(f"DROP TABLE IF EXISTS pg_temp.{side}_{table}")


async def copy_live(connection: Connection, units: Sequence[str] | None) -> None:
    """Copy the live counters (of these units; None: all) as they stand in the caller's snapshot."""
    await connection.execute(
        "INSERT INTO live_counter SELECT * FROM counter "
        "WHERE $1::text[] IS NULL OR residence = ANY($1) OR collecting = ANY($1)",
        units,
    )
    await connection.execute(
        "INSERT INTO live_waited SELECT * FROM waited WHERE $1::text[] IS NULL OR unit = ANY($1)", units
    )
    await connection.execute(
        "INSERT INTO live_team_counter SELECT * FROM team_counter "
        "WHERE $1::text[] IS NULL OR collecting = ANY($1)",
        units,
    )
    await connection.execute(
        "INSERT INTO live_fault SELECT * FROM fault WHERE $1::text[] IS NULL OR collecting = ANY($1)", units
    )


async def add_rebuilt(connection: Connection, folded: Folded) -> None:
    """Add what was folded to the rebuilt counters, passages, work by team and faults."""
    await add_counts(connection, folded.counts, "rebuilt_counter")
    await add_waits(connection, folded.waits, "rebuilt_waited")
    await add_team_work(connection, folded.teams, "rebuilt_team_counter")
    await add_faults(connection, folded.faults, "rebuilt_fault")


async def checksums(connection: Connection, units: Sequence[str] | None) -> tuple[int, int]:
    """The checksums of the totals, passages and work by team (of these units; None: all) of the live copy and of what
    was rebuilt: see rules.checksum."""
    live, rebuilt = [
        await connection.fetchval(
            f"SELECT coalesce(sum(('x' || substr(md5(key), 1, 16))::bit(64)::bigint::numeric * n), 0) FROM ("  # noqa: S608
            f"SELECT n, unit, concat_ws('|', unit, attribution, day, indicator, level) AS key FROM {side}_counter "
            "CROSS JOIN LATERAL (VALUES (residence, 0), (collecting, 1)) AS of (unit, attribution) UNION ALL "
            "SELECT n, unit, concat_ws('|', unit, 0, day, indicator, 0, kind, "
            "CASE WHEN since = '-infinity' THEN 'unknown' ELSE since::text END) "
            f"FROM ({passages_of_table(f'{side}_waited')}) AS passage "
            f"JOIN (VALUES {_PARTS_OF_PASSAGES}) AS part (what, indicator, kind) USING (what) UNION ALL "
            "SELECT n, collecting, "
            f"concat_ws('|', collecting, {COLLECTING}, day, indicator, level, {TEAM}, team) "
            f"FROM {side}_team_counter) AS each "
            "WHERE $1::text[] IS NULL OR unit = ANY($1)",
            units,
        )
        for side in _SIDES
    ]
    return int(live) % MODULUS, int(rebuilt) % MODULUS


async def differing(connection: Connection, units: Sequence[str] | None) -> Differing:
    """Where the live copy and what was rebuilt differ."""
    rows = await connection.fetchval(
        f"SELECT (SELECT count(*) FROM ({_COUNTERS}) AS c) + (SELECT count(*) FROM ({_WAITS}) AS w) "  # noqa: S608
        f"+ (SELECT count(*) FROM ({_WORK}) AS t) + (SELECT count(*) FROM ({_FAULTS}) AS f)"
    )
    named = await connection.fetch(
        f"SELECT DISTINCT unit, day FROM (SELECT of.unit, day FROM ({_COUNTERS}) AS c "  # noqa: S608
        "CROSS JOIN LATERAL (VALUES (residence), (collecting)) AS of (unit) "
        f"UNION ALL SELECT unit, day FROM ({_WAITS}) AS w "
        f"UNION ALL SELECT collecting, day FROM ({_WORK}) AS t "
        f"UNION ALL SELECT collecting, known_day FROM ({_FAULTS}) AS f) AS each "
        f"WHERE $1::text[] IS NULL OR unit = ANY($1) ORDER BY unit, day LIMIT {MOST_NAMED}",
        units,
    )
    return Differing(rows, [(row["unit"], row["day"]) for row in named])


async def repair(connection: Connection) -> None:
    """Add what the live counters, passages, work by team and faults lack, in the caller's transaction. A sum of changes
    stays right when more is folded meanwhile."""
    await connection.execute(adding(f"({_COUNTERS}) AS d"))
    await connection.execute(adding_waits(f"({_WAITS}) AS d"))
    await connection.execute(adding_sums(TEAM_KEY, f"({_WORK}) AS d", "team_counter"))
    await connection.execute(adding_sums(FAULT_KEY, f"({_FAULTS}) AS d", "fault"))


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
