"""What communes say of those who are not reached. Only ever added to."""

from collections.abc import Sequence
from datetime import date

import asyncpg
import msgspec

from tiendo_aggregator.rules.remaining import Remaining, RemainingReport
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import Indicator

_lines = msgspec.json.Decoder(tuple[Remaining, ...])


async def lock_remaining(connection: Connection, campaign: str) -> None:
    """Let reports of a campaign take turns, until the end of the transaction."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('aggregator remaining ' || $1))", campaign
    )


async def newest_reports(
    connection: Connection, campaign: str, as_of: date, known_at: date | None, changes: Sequence[date]
) -> list[RemainingReport]:
    """The report of the newest day up to `as_of` of each unit and indicator, and of the newest before each of the
    `changes` of the tree, in its last revision known at `known_at`."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (unit, indicator, width_bucket(day, $4::date[])) "
        "unit, indicator, day, revision, lines, source, reported_by, reported_at, known_day FROM remaining "
        "WHERE campaign = $1 AND day <= $2 AND known_day <= $3 "
        "ORDER BY unit, indicator, width_bucket(day, $4::date[]), day DESC, revision DESC",
        campaign,
        as_of,
        known_at or date.max,
        changes,
    )
    return [_report(row) for row in rows]


async def reports_of(
    connection: Connection, campaign: str, unit: str, indicator: Indicator, day: date
) -> list[RemainingReport]:
    """Every revision of a unit's report of a day, oldest first."""
    rows = await connection.fetch(
        "SELECT unit, indicator, day, revision, lines, source, reported_by, reported_at, known_day "
        "FROM remaining "
        "WHERE campaign = $1 AND unit = $2 AND indicator = $3 AND day = $4 ORDER BY revision",
        campaign,
        unit,
        indicator,
        day,
    )
    return [_report(row) for row in rows]


async def add_report(connection: Connection, campaign: str, report: RemainingReport) -> None:
    """Write a report down, for good."""
    await connection.execute(
        "INSERT INTO remaining (campaign, unit, indicator, day, revision, lines, source, reported_by, "
        "reported_at, known_day) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10)",
        campaign,
        report.unit,
        report.indicator,
        report.day,
        report.revision,
        msgspec.json.encode(report.lines).decode(),
        report.source,
        report.reported_by,
        report.reported_at,
        report.known_day,
    )


def _report(row: asyncpg.Record) -> RemainingReport:
    unit, indicator, day, revision, lines, *how = row
    return RemainingReport(unit, indicator, day, revision, _lines.decode(lines), *how)
