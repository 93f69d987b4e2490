"""The history of units."""

from tiendo_aggregator.rules.units import Spans
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
