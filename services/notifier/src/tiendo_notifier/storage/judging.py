"""What the judge reads and writes, in the consumer's transaction: a few statements, whatever the batch."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from tiendo_common.eventlog.port import Connection


class Key(NamedTuple):
    """What has a standing."""

    campaign: str
    unit: str
    indicator: str
    rule: str


class Standing(NamedTuple):
    """A row of `standing`: the state after the closing of `judged_day`, and the incident that is open."""

    judged_day: date
    run: int
    peak: int | None
    told: bool
    incident: str | None


class Incident(NamedTuple):
    """A row of `incident`. `opened_day` is written once, by the row that opens it."""

    id: str
    campaign: str
    unit: str
    unit_name: str
    indicator: str
    rule: str
    state: str
    severity: int
    opened_day: date
    last_day: date
    closed_day: date | None
    figures: str


class Decision(NamedTuple):
    """A row of `decision`; `inputs` and `notice` are JSON texts."""

    id: str
    campaign: str
    unit: str
    indicator: str
    rule: str
    from_day: date
    day: date
    outcome: str
    severity: int | None
    reason: str
    inputs: str
    historical: bool
    incident: str | None
    at: datetime
    notice: str | None


class Subscriber(NamedTuple):
    """A destination that is not disabled, and what it wants: null is everything."""

    name: str
    units: list[str] | None
    rules: list[str] | None


async def standings(connection: Connection, units: Iterable[tuple[str, str]]) -> dict[Key, Standing]:
    """The standings of these (campaign, unit). Not locked: the partition's lease admits one judge."""
    campaigns, codes = _columns(list(units), 2)
    rows = await connection.fetch(
        "SELECT campaign, unit, indicator, rule, judged_day, run, peak, told, incident::text FROM standing "
        "JOIN unnest($1::text[], $2::text[]) AS wanted (campaign, unit) USING (campaign, unit)",
        campaigns,
        codes,
    )
    return {Key(*row[:4]): Standing(*row[4:]) for row in rows}


async def write(
    connection: Connection,
    after: dict[Key, Standing],
    incidents: Sequence[Incident],
    decisions: Sequence[Decision],
) -> None:
    """Store what a batch led to. A second decision on a day already judged is refused by the database."""
    if after:
        await connection.execute(
            "INSERT INTO standing (campaign, unit, indicator, rule, judged_day, run, peak, told, incident) "
            "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::int[], "
            "$7::smallint[], $8::bool[], $9::uuid[]) "
            "ON CONFLICT (campaign, unit, indicator, rule) DO UPDATE SET judged_day = excluded.judged_day, "
            "run = excluded.run, peak = excluded.peak, told = excluded.told, incident = excluded.incident",
            *_columns([(*key, *standing) for key, standing in after.items()], 9),
        )
    if incidents:
        await connection.execute(
            "INSERT INTO incident (id, campaign, unit, unit_name, indicator, rule, state, severity, "
            "opened_day, last_day, closed_day, figures) "
            "SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], "
            "$7::text[], $8::smallint[], $9::date[], $10::date[], $11::date[], $12::jsonb[]) "
            "ON CONFLICT (id) DO UPDATE SET unit_name = excluded.unit_name, state = excluded.state, "
            "severity = excluded.severity, last_day = excluded.last_day, closed_day = excluded.closed_day, "
            "figures = excluded.figures",
            *_columns(incidents, len(Incident._fields)),
        )
    if decisions:
        await connection.copy_records_to_table("decision", records=decisions, columns=Decision._fields)


async def subscribers(connection: Connection) -> list[Subscriber]:
    """Who may want to be told."""
    rows = await connection.fetch("SELECT name, units, rules FROM destination WHERE disabled IS NULL")
    return [Subscriber(*row) for row in rows]


async def enqueue(connection: Connection, deliveries: Sequence[tuple[str, str, str]]) -> None:
    """Put (decision, incident, destination) on their way, in this transaction: told if and only if decided."""
    if deliveries:
        await connection.execute(
            "INSERT INTO delivery (decision, incident, destination) "
            "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
            *_columns(deliveries, 3),
        )


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(width)]
