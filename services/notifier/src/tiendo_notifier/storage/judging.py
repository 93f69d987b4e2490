"""What the judge reads and writes, in the consumer's transaction: a few statements, whatever the batch."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from tiendo_common.eventlog.port import Connection


class Key(NamedTuple):
    """A target: what has a standing. `indicator` is the name of its goal, an indicator as a whole or narrowed, or
    `report`."""

    campaign: str
    unit: str
    indicator: str


class Standing(NamedTuple):
    """A row of `standing`: the state (JSON) after the closing of `judged_day`, the incident that is open, and how often
    news of it went out."""

    judged_day: date
    remembered: str
    incident: str | None
    news: int


class Incident(NamedTuple):
    """A row of `incident` as the judge writes it. `opened_day` is written once, by the row that opens it. The state
    `open` says that nothing was told: what people made of the incident stays; `notified` begins its way anew."""

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
    addressee: str
    next_step: datetime | None


class Decision(NamedTuple):
    """A row of `decision`; `inputs`, `findings` and `policy` are JSON texts. Policies are stored once each."""

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


class Gathering(NamedTuple):
    """A row of `gathering`, but for its key: a parent that is told in place of its children. `named`: those whom it was
    told of, last on `told_day`."""

    since: date
    peak: int
    told: int | None
    named: list[str]
    told_day: date | None


async def standings(connection: Connection, campaigns: Sequence[str]) -> dict[Key, Standing]:
    """All standings of these campaigns: siblings are looked at together. Not locked: the partition's lease admits one
    judge."""
    # Whoever acknowledges or escalates waits, in the same order, until what is decided here is committed.
    await connection.execute(
        "SELECT FROM incident WHERE campaign = ANY($1) AND state <> 'resolved' ORDER BY id FOR UPDATE",
        campaigns,
    )
    rows = await connection.fetch(
        "SELECT campaign, unit, indicator, judged_day, remembered::text, incident::text, coalesce(news, 0) "
        "FROM standing "
        "LEFT JOIN (SELECT id, news FROM incident WHERE state <> 'resolved') AS open ON open.id = standing.incident "
        "WHERE campaign = ANY($1)",
        campaigns,
    )
    return {Key(*row[:3]): Standing(*row[3:]) for row in rows}


async def write(
    connection: Connection,
    after: dict[Key, Standing],
    incidents: Sequence[Incident],
    decisions: Sequence[Decision],
    now: datetime,
) -> None:
    """Store what a batch led to. A second decision on a day already judged is refused by the database."""
    rows = [(*key, *standing[:-1]) for key, standing in after.items()]
    if rows:
        await connection.execute(
            "INSERT INTO standing (campaign, unit, indicator, judged_day, remembered, incident) "
            "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::jsonb[], $6::uuid[]) "
            "ON CONFLICT (campaign, unit, indicator) DO UPDATE SET judged_day = excluded.judged_day, "
            "remembered = excluded.remembered, incident = excluded.incident",
            *_columns(rows, 6),
        )
    if incidents:
        await connection.execute(
            "INSERT INTO incident (id, campaign, unit, unit_name, indicator, rule, state, severity, opened_day, "
            "last_day, resolved_day, figures, news, rules, addressee, next_step) "
            "SELECT id, campaign, unit, unit_name, indicator, rule, state, severity, opened_day, last_day, "
            "resolved_day, figures, news, string_to_array(rules, ','), addressee, next_step "
            "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], "
            "$8::text[], $9::smallint[], $10::date[], $11::date[], $12::date[], $13::jsonb[], $14::int[], $15::text[], "
            "$16::timestamptz[]) AS new (id, campaign, unit, unit_name, indicator, rule, rules, state, severity, "
            "opened_day, last_day, resolved_day, figures, news, addressee, next_step) "
            "ON CONFLICT (id) DO UPDATE SET unit_name = excluded.unit_name, "
            # Nothing leads any more where the rules that did are switched off: it stays known what did.
            "rule = coalesce(nullif(excluded.rule, ''), incident.rule), "
            "rules = ARRAY(SELECT DISTINCT unnest(incident.rules || excluded.rules) ORDER BY 1), "
            "severity = excluded.severity, last_day = excluded.last_day, resolved_day = excluded.resolved_day, "
            "figures = excluded.figures, news = greatest(incident.news, excluded.news), "
            "state = CASE WHEN excluded.state = 'open' THEN incident.state ELSE excluded.state END, "
            "addressee = CASE WHEN excluded.state = 'open' THEN incident.addressee ELSE excluded.addressee END, "
            "next_step = CASE WHEN excluded.state = 'open' THEN incident.next_step ELSE excluded.next_step END",
            *_columns(
                [(*incident[:6], ",".join(incident.rules), *incident[7:]) for incident in incidents],
                len(Incident._fields),
            ),
        )
        # What somebody took on has become another thing.
        await connection.execute(
            "UPDATE acknowledgement SET lapsed_at = $2 WHERE incident = ANY($1::uuid[]) AND lapsed_at IS NULL",
            [incident.id for incident in incidents if incident.state == "notified"],
            now,
        )
    if decisions:
        policies = await keep_policies(connection, {each.policy for each in decisions})
        place = Decision._fields.index("policy")
        columns = [*Decision._fields[:place], "applied_policy", *Decision._fields[place + 1 :]]
        records = [(*each[:place], policies[each.policy], *each[place + 1 :]) for each in decisions]
        await connection.copy_records_to_table("decision", records=records, columns=columns)


async def keep_policies(connection: Connection, texts: Collection[str]) -> dict[str, bytes]:
    """Store policies (JSON) that decisions were decided by, each once whoever else does; their ids."""
    ids = {text: sha256(text.encode()).digest() for text in texts}
    await connection.execute(
        "INSERT INTO applied_policy (id, document) SELECT * FROM unnest($1::bytea[], $2::jsonb[]) "
        "ORDER BY 1 ON CONFLICT DO NOTHING",
        list(ids.values()),
        list(ids),
    )
    return ids


async def gatherings(connection: Connection, campaigns: Sequence[str]) -> dict[Key, Gathering]:
    """The parents that are told in place of their children."""
    rows = await connection.fetch(
        "SELECT campaign, unit, indicator, since, peak, told, named, told_day FROM gathering WHERE campaign = ANY($1)",
        campaigns,
    )
    return {Key(*row[:3]): Gathering(*row[3:]) for row in rows}


async def write_gatherings(connection: Connection, after: Mapping[Key, Gathering | None]) -> None:
    """Store those that changed; None: it is over."""
    for key, gathering in after.items():
        if gathering is None:
            await connection.execute(
                "DELETE FROM gathering WHERE campaign = $1 AND unit = $2 AND indicator = $3", *key
            )
        else:
            await connection.execute(
                "INSERT INTO gathering (campaign, unit, indicator, since, peak, told, named, told_day) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (campaign, unit, indicator) DO UPDATE SET "
                "peak = excluded.peak, told = excluded.told, named = excluded.named, told_day = excluded.told_day",
                *key,
                *gathering,
            )


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(width)]
