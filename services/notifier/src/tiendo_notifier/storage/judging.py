"""What the judge reads and writes, in the consumer's transaction: a few statements, whatever the batch."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from tiendo_common.eventlog.port import Connection


class Key(NamedTuple):
    """A target: what has a standing."""

    campaign: str
    unit: str
    indicator: str


class Standing(NamedTuple):
    """A row of `standing`: the state after the closing of `judged_day`, the incident that is open, what the closings
    since the campaign's first day said, and how often news of the incident went out. Two are JSON."""

    judged_day: date
    remembered: str
    incident: str | None
    past: str
    news: int


class Incident(NamedTuple):
    """A row of `incident` as the judge writes it. `opened_day` is written once, by the row that opens it; `state` too,
    but that a resolved incident is so for good, and one that is told of for the first time is `notified`."""

    id: str
    campaign: str
    unit: str
    unit_name: str
    indicator: str
    rule: str
    rules: list[str]
    state: str
    severity: int
    opened_day: date
    last_day: date
    resolved_day: date | None
    figures: str
    news: int


class Decision(NamedTuple):
    """A row of `decision`; `inputs`, `findings` and `policy` are JSON texts."""

    id: str
    campaign: str
    unit: str
    indicator: str
    rule: str | None
    rules: list[str]
    from_day: date
    day: date
    outcome: str
    severity: int | None
    reason: str
    findings: str
    inputs: str
    policy: str
    historical: bool
    incident: str | None
    at: datetime
    message: str | None
    kept_back: str | None


class Message(NamedTuple):
    """A row of `message`; `number` counts the news of its incident."""

    id: str
    kind: str
    campaign: str | None
    unit: str | None
    incident: str | None
    number: int | None
    notice: str
    at: datetime


class Subscriber(NamedTuple):
    """A destination that is not disabled, and what it wants: null is everything."""

    name: str
    units: list[str] | None
    rules: list[str] | None


async def standings(connection: Connection, units: Iterable[tuple[str, str]]) -> dict[Key, Standing]:
    """The standings of these (campaign, unit). Not locked: the partition's lease admits one judge."""
    campaigns, codes = _columns(list(units), 2)
    rows = await connection.fetch(
        "SELECT campaign, unit, indicator, judged_day, remembered::text, incident::text, past::text, "
        "coalesce(news, 0) FROM standing "
        "JOIN unnest($1::text[], $2::text[]) AS wanted (campaign, unit) USING (campaign, unit) "
        "LEFT JOIN (SELECT id, news FROM incident WHERE state <> 'resolved') AS open ON open.id = standing.incident",
        campaigns,
        codes,
    )
    return {Key(*row[:3]): Standing(*row[3:]) for row in rows}


async def write(
    connection: Connection,
    after: dict[Key, Standing],
    incidents: Sequence[Incident],
    decisions: Sequence[Decision],
) -> None:
    """Store what a batch led to. A second decision on a day already judged is refused by the database."""
    if after:
        await connection.execute(
            "INSERT INTO standing (campaign, unit, indicator, judged_day, remembered, incident, past) "
            "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::jsonb[], $6::uuid[], "
            "$7::jsonb[]) ON CONFLICT (campaign, unit, indicator) DO UPDATE SET judged_day = excluded.judged_day, "
            "remembered = excluded.remembered, incident = excluded.incident, past = excluded.past",
            *_columns([(*key, *standing[:-1]) for key, standing in after.items()], 7),
        )
    if incidents:
        await connection.execute(
            "INSERT INTO incident (id, campaign, unit, unit_name, indicator, rule, state, severity, "
            "opened_day, last_day, resolved_day, figures, news, rules) "
            "SELECT id, campaign, unit, unit_name, indicator, rule, state, severity, opened_day, last_day, "
            "resolved_day, figures, news, string_to_array(rules, ',') "
            "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], "
            "$7::text[], $8::text[], $9::smallint[], $10::date[], $11::date[], $12::date[], $13::jsonb[], $14::int[]) "
            "AS new (id, campaign, unit, unit_name, indicator, rule, rules, state, severity, opened_day, last_day, "
            "resolved_day, figures, news) "
            "ON CONFLICT (id) DO UPDATE SET unit_name = excluded.unit_name, rule = excluded.rule, "
            "rules = ARRAY(SELECT DISTINCT unnest(incident.rules || excluded.rules) ORDER BY 1), "
            "state = CASE WHEN excluded.state = 'resolved' OR incident.state = 'open' THEN excluded.state "
            "ELSE incident.state END, "
            "severity = excluded.severity, last_day = excluded.last_day, resolved_day = excluded.resolved_day, "
            "figures = excluded.figures, news = excluded.news",
            *_columns(
                [incident._replace(rules=",".join(incident.rules)) for incident in incidents],  # type: ignore[arg-type]
                len(Incident._fields),
            ),
        )
    if decisions:
        await connection.copy_records_to_table("decision", records=decisions, columns=Decision._fields)


async def subscribers(connection: Connection) -> list[Subscriber]:
    """Who may want to be told."""
    rows = await connection.fetch("SELECT name, units, rules FROM destination WHERE disabled IS NULL")
    return [Subscriber(*row) for row in rows]


async def tell(
    connection: Connection, messages: Sequence[Message], deliveries: Sequence[tuple[str, str | None, str]]
) -> None:
    """Put messages on their way, (message, incident, destination) each, in this transaction: told if and only if
    decided."""
    if messages:
        await connection.copy_records_to_table("message", records=messages, columns=Message._fields)
    if deliveries:
        await connection.execute(
            "INSERT INTO delivery (message, incident, destination) "
            "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
            *_columns(deliveries, 3),
        )


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(width)]
