"""The ministry's figures as imported, and which figure a signed report uses. Only ever added to."""

from datetime import date

import msgspec

from tiendo_aggregator.rules.ministry import Choice, Claim, Import
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.declarations import DeclaredCount
from tiendo_common.events.state import Indicator

_figures = msgspec.json.Decoder(dict[str, dict[Indicator, DeclaredCount]])
_claims = msgspec.json.Decoder(tuple[Claim, ...])


async def lock_ministry(connection: Connection, campaign: str) -> None:
    """Let imports and choices of a campaign take turns, until the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('aggregator ministry ' || $1))", campaign)


async def newest_import(
    connection: Connection, campaign: str, as_of: date, known_at: date | None = None
) -> Import | None:
    """The newest revision of the figures as of a day, of those known at the end of `known_at` (None: all)."""
    row = await connection.fetchrow(
        "SELECT as_of, revision, source, figures, claims, imported_by, imported_at, known_day "
        "FROM ministry_import WHERE campaign = $1 AND as_of = $2 AND known_day <= $3 "
        "ORDER BY revision DESC LIMIT 1",
        campaign,
        as_of,
        known_at or date.max,
    )
    if row is None:
        return None
    day, revision, source, figures, claims, *how = row
    return Import(day, revision, source, _figures.decode(figures), _claims.decode(claims), *how)


async def add_import(connection: Connection, campaign: str, new: Import) -> None:
    """Write an import down, for good."""
    await connection.execute(
        "INSERT INTO ministry_import (campaign, as_of, revision, source, figures, claims, imported_by, "
        "imported_at, known_day) VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, $8, $9)",
        campaign,
        new.as_of,
        new.revision,
        new.source,
        msgspec.json.encode(new.figures).decode(),
        msgspec.json.encode(new.claims).decode(),
        new.imported_by,
        new.imported_at,
        new.known_day,
    )


async def newest_choices(
    connection: Connection, campaign: str, as_of: date, known_at: date | None = None
) -> dict[tuple[str, Indicator], Choice]:
    """The newest choice for each unit and indicator of the report as of a day, of those known at `known_at`."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (unit, indicator) unit, indicator, revision, used, reason, chosen_by, chosen_at, "
        "known_day FROM figure_choice WHERE campaign = $1 AND as_of = $2 AND known_day <= $3 "
        "ORDER BY unit, indicator, revision DESC",
        campaign,
        as_of,
        known_at or date.max,
    )
    return {(row["unit"], row["indicator"]): Choice(*row) for row in rows}


async def add_choice(connection: Connection, campaign: str, as_of: date, choice: Choice) -> None:
    """Write a choice down, for good."""
    await connection.execute(
        "INSERT INTO figure_choice (campaign, as_of, unit, indicator, revision, used, reason, chosen_by, "
        "chosen_at, known_day) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        campaign,
        as_of,
        choice.unit,
        choice.indicator,
        choice.revision,
        choice.use,
        choice.reason,
        choice.chosen_by,
        choice.chosen_at,
        choice.known_day,
    )
