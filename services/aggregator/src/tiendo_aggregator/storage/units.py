"""The history of units and hamlets."""

from collections.abc import Mapping
from datetime import date, datetime

from tiendo_aggregator.rules.units import Edition, Hamlet, Hamlets, Spans
from tiendo_aggregator.rules.units.hamlets import HamletList, Lists, SentHamlet
from tiendo_common.database.pool import let_think
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import UnitSpan


async def lock_units(connection: Connection) -> None:
    """Let replicas that start together take turns, until the end of the transaction; whole trees are worked out in
    it."""
    await let_think(connection)
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


async def stored_hamlets(connection: Connection) -> Hamlets:
    """Every hamlet's spans, oldest first."""
    spans: dict[str, list[Hamlet]] = {}
    for code, from_day, until_day, parent, name in await connection.fetch(
        "SELECT code, from_day, until_day, parent, name FROM hamlet_span ORDER BY code, from_day"
    ):
        spans.setdefault(code, []).append(
            Hamlet(from_day=from_day, until_day=until_day, parent=parent, name=name)
        )
    return {code: tuple(each) for code, each in spans.items()}


async def replace_hamlets(connection: Connection, hamlets: Hamlets) -> None:
    """Store this history instead of what there was."""
    await connection.execute("DELETE FROM hamlet_span")
    await connection.copy_records_to_table(
        "hamlet_span",
        columns=["code", "from_day", "until_day", "parent", "name"],
        records=[
            (code, hamlet.from_day, hamlet.until_day, hamlet.parent, hamlet.name)
            for code, each in hamlets.items()
            for hamlet in each
        ],
    )


async def stored_lists(connection: Connection) -> Lists:
    """The lists of hamlets that provinces sent."""
    hamlets: dict[tuple[str, date], list[SentHamlet]] = {}
    for province, from_day, code, parent, name in await connection.fetch(
        "SELECT province, from_day, code, parent, name FROM hamlet_list_row ORDER BY code"
    ):
        hamlets.setdefault((province, from_day), []).append(
            SentHamlet(code=code, parent_code=parent, name=name)
        )
    return {
        (province, from_day): HamletList(until_day, tuple(hamlets.get((province, from_day), ())))
        for province, from_day, until_day in await connection.fetch(
            "SELECT province, from_day, until_day FROM hamlet_list"
        )
    }


async def store_list(
    connection: Connection, province: str, from_day: date, sent: HamletList, sent_at: datetime, sent_by: str
) -> None:
    """Store this list instead of what the province sent for the same day."""
    await connection.execute(
        "INSERT INTO hamlet_list (province, from_day, until_day, sent_at, sent_by) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (province, from_day) DO UPDATE SET until_day = excluded.until_day, "
        "sent_at = excluded.sent_at, sent_by = excluded.sent_by",
        province,
        from_day,
        sent.until_day,
        sent_at,
        sent_by,
    )
    await connection.execute(
        "DELETE FROM hamlet_list_row WHERE province = $1 AND from_day = $2", province, from_day
    )
    await connection.copy_records_to_table(
        "hamlet_list_row",
        columns=["province", "from_day", "code", "parent", "name"],
        records=[(province, from_day, each.code, each.parent_code, each.name) for each in sent.hamlets],
    )


async def units_revision(connection: Connection) -> int:
    """How often editions, lists of hamlets and reorganisations have changed."""
    revision: int = await connection.fetchval("SELECT revision FROM units_revision")
    return revision


async def raise_units_revision(connection: Connection) -> None:
    """Let the other replicas know of a change, once it is committed."""
    await connection.execute("UPDATE units_revision SET revision = revision + 1")
