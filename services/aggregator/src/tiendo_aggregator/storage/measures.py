"""Measures and what was told of them: only ever added to, so that anything can be had as it was known on a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from tiendo_aggregator.rules.measures import Measure, Standing
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class MeasureVersion:
    """A measure as it was put, by whom, and the business day on which it was."""

    version: int
    known_day: date
    put_by: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class ToldStanding:
    """A standing as it was told; a later `revision` for the same unit and day corrects it."""

    standing: Standing
    revision: int
    known_day: date
    told_at: datetime
    told_by: str


async def lock_measure(connection: Connection, campaign: str, measure: str) -> None:
    """Let changes of one measure take turns, until the end of the transaction."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext($1))", f"aggregator measure {campaign}/{measure}"
    )


async def measure_versions(
    connection: Connection, campaign: str, measure: str | None = None
) -> list[MeasureVersion]:
    """Every version of a campaign's measures, or of one of them, oldest first within each."""
    rows = await connection.fetch(
        "SELECT version, known_day, put_by, document FROM measure_version "
        "WHERE campaign = $1 AND ($2::text IS NULL OR measure = $2) ORDER BY measure, version",
        campaign,
        measure,
    )
    return [
        MeasureVersion(version, known_day, put_by, msgspec.json.decode(document, type=Measure))
        for version, known_day, put_by, document in rows
    ]


async def add_measure_version(connection: Connection, campaign: str, version: MeasureVersion) -> None:
    """Keep a further version."""
    await connection.execute(
        "INSERT INTO measure_version (campaign, measure, version, known_day, put_by, document) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        campaign,
        version.measure.id,
        version.version,
        version.known_day,
        version.put_by,
        msgspec.json.encode(version.measure).decode(),
    )


async def newest_standings(
    connection: Connection,
    campaign: str,
    measure: str,
    as_of: date,
    known_at: date | None,
    changes: Sequence[date],
) -> list[Standing]:
    """Each unit's standing of the newest day up to `as_of`, and of the newest before each of the `changes` of the tree,
    in its last revision known at the end of `known_at`."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (unit, width_bucket(day, $5::date[])) unit, day, value, out_of, source FROM standing "
        "WHERE campaign = $1 AND measure = $2 AND day <= $3 AND ($4::date IS NULL OR known_day <= $4) "
        "ORDER BY unit, width_bucket(day, $5::date[]), day DESC, revision DESC",
        campaign,
        measure,
        as_of,
        known_at,
        changes,
    )
    return [Standing(*row) for row in rows]


async def told_standings(
    connection: Connection, campaign: str, measure: str, units: Sequence[str] | None = None
) -> list[ToldStanding]:
    """All that was told of a measure, of some units or of all, by unit, day and revision."""
    rows = await connection.fetch(
        "SELECT unit, day, value, out_of, source, revision, known_day, told_at, told_by FROM standing "
        "WHERE campaign = $1 AND measure = $2 AND ($3::text[] IS NULL OR unit = ANY($3)) "
        "ORDER BY unit, day, revision",
        campaign,
        measure,
        units,
    )
    return [ToldStanding(Standing(*row[:5]), *row[5:]) for row in rows]


async def add_standings(
    connection: Connection, campaign: str, measure: str, told: Sequence[ToldStanding]
) -> None:
    """Keep further standings."""
    await connection.copy_records_to_table(
        "standing",
        columns=[
            "campaign", "measure", "unit", "day", "revision", "value", "out_of", "source", "known_day", "told_at",
            "told_by",
        ],
        records=[
            (
                campaign,
                measure,
                each.standing.unit,
                each.standing.day,
                each.revision,
                each.standing.value,
                each.standing.out_of,
                each.standing.source,
                each.known_day,
                each.told_at,
                each.told_by,
            )
            for each in told
        ],
    )  # fmt: skip
