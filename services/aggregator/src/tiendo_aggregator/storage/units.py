"""The history of units."""

from collections.abc import Mapping
from datetime import date, datetime

from tiendo_aggregator.rules.units import Edition, Spans
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import UnitSpan


async def lock_units(connection: Connection) -> None:
    """Let replicas that start together take turns, until the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('aggregator units'))")


async def stored_units(connection: Connection) -> Spans:
    """Every code's spans, oldest first."""
    spans: dict[str, list[UnitSpan]] = {}
    for code, from_day, until_day, parent, level, name in await connection.fetch(
        "SELECT code, from_day, until_day, parent, level, name FROM unit_span ORDER BY code, from_day"
    ):
        spans.setdefault(code, []).append(
            UnitSpan(from_day=from_day, until_day=until_day, parent=parent, level=level, name=name)
        )
    return {code: tuple(each) for code, each in spans.items()}


async def replace_units(connection: Connection, spans: Spans) -> None:
    """Store this history instead of what there was."""
    await connection.execute("DELETE FROM unit_span")
    await connection.copy_records_to_table(
        "unit_span",
        columns=["code", "from_day", "until_day", "parent", "level", "name"],
        records=[
            (code, span.from_day, span.until_day, span.parent, span.level, span.name)
            for code, each in spans.items()
            for span in each
        ],
    )


async def stored_editions(connection: Connection) -> Mapping[date, Edition]:
    """The trees that were sent to us, by their first days."""
    editions: dict[date, dict[str, UnitSpan]] = {}
    for from_day, code, parent, level, name in await connection.fetch(
        "SELECT from_day, code, parent, level, name FROM unit_edition_row"
    ):
        editions.setdefault(from_day, {})[code] = UnitSpan(
            from_day=from_day, until_day=None, parent=parent, level=level, name=name
        )
    return editions


async def store_edition(
    connection: Connection, from_day: date, edition: Edition, sent_at: datetime, sent_by: str
) -> None:
    """Store this tree instead of what was sent for the same day."""
    await connection.execute(
        "INSERT INTO unit_edition (from_day, sent_at, sent_by) VALUES ($1, $2, $3) "
        "ON CONFLICT (from_day) DO UPDATE SET sent_at = excluded.sent_at, sent_by = excluded.sent_by",
        from_day,
        sent_at,
        sent_by,
    )
    await connection.execute("DELETE FROM unit_edition_row WHERE from_day = $1", from_day)
    await connection.copy_records_to_table(
        "unit_edition_row",
        columns=["from_day", "code", "parent", "level", "name"],
        records=[(from_day, code, span.parent, span.level, span.name) for code, span in edition.items()],
    )


async def units_revision(connection: Connection) -> int:
    """How often editions and reorganisations have changed."""
    revision: int = await connection.fetchval("SELECT revision FROM units_revision")
    return revision


async def raise_units_revision(connection: Connection) -> None:
    """Let the other replicas know of a change, once it is committed."""
    await connection.execute("UPDATE units_revision SET revision = revision + 1")
