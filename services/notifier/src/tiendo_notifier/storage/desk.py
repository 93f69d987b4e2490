"""What the desk reads and writes: steps that are due, digests that are due, days that are late."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from tiendo_common.eventlog.port import Connection
from tiendo_notifier.storage.judging import keep_policies


class Due(NamedTuple):
    """An incident that nobody has taken on in time; `notice` is the newest news of it
    that was no step up."""

    id: str
    campaign: str
    unit: str
    unit_name: str
    rules: list[str]
    severity: int
    last_day: date
    news: int
    addressee: str
    notice: str


class Unresolved(NamedTuple):
    """An incident that is not over."""

    id: str
    campaign: str
    unit: str
    indicator: str
    rule: str
    rules: list[str]
    severity: int
    last_day: date


class Item(NamedTuple):
    """A message that waits for a digest."""

    message: str
    notice: str


async def may_work(connection: Connection) -> bool:
    """Whether this replica is the one that works, until the end of the transaction."""
    answer: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('notifier desk'))")
    return answer


async def due_steps(connection: Connection, now: datetime, most: int) -> list[Due]:
    """Incidents whose next step is due, locked in the order in which the judge locks them."""
    rows = await connection.fetch(
        "SELECT id::text, campaign, unit, unit_name, rules, severity, last_day, news, addressee, "
        "(SELECT notice FROM message WHERE incident = incident.id AND kind <> 'incident.escalated' "
        "ORDER BY number DESC LIMIT 1) "
        "FROM incident WHERE next_step <= $1 AND state IN ('notified', 'escalated') ORDER BY id LIMIT $2 FOR UPDATE",
        now,
        most,
    )
    return [Due(*row) for row in rows]


async def step(connection: Connection, incident: str, addressee: str, next_step: datetime | None) -> None:
    """The level above has been told."""
    await connection.execute(
        "UPDATE incident SET state = 'escalated', addressee = $2, next_step = $3, news = news + 1 WHERE id = $1",
        incident,
        addressee,
        next_step,
    )


async def put_off(connection: Connection, incident: str, until: datetime | None) -> None:
    """Its next step is at another time; None: there is none any more."""
    await connection.execute("UPDATE incident SET next_step = $2 WHERE id = $1", incident, until)


async def unresolved(connection: Connection) -> list[Unresolved]:
    """Every incident that is not over, locked in the order in which the judge locks them."""
    rows = await connection.fetch(
        "SELECT id::text, campaign, unit, indicator, rule, rules, severity, last_day FROM incident "
        "WHERE state <> 'resolved' ORDER BY id FOR UPDATE"
    )
    return [Unresolved(*row) for row in rows]


async def close_for_good(
    connection: Connection, incident: Unresolved, decision: str, day: date, reason: str, now: datetime
) -> None:
    """The incident's unit is no more: it is over, on record, and its target has no standing and no past any longer."""
    await connection.execute(
        "UPDATE incident SET state = 'resolved', resolved_day = $2, next_step = NULL WHERE id = $1",
        incident.id,
        day,
    )
    for table in ("standing", "told_day", "told_revision"):
        await connection.execute(
            f"DELETE FROM {table} WHERE campaign = $1 AND unit = $2 AND indicator = $3",  # noqa: S608
            incident.campaign,
            incident.unit,
            incident.indicator,
        )
    policies = await keep_policies(connection, ["{}"])
    await connection.execute(
        "INSERT INTO decision (id, campaign, unit, indicator, rule, rules, from_day, day, outcome, severity, reason, "
        "inputs, applied_policy, historical, incident, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 'resolved', $8, $9, '{}', $12, false, $10, $11) "
        # The day may have been judged before the tree was brought.
        "ON CONFLICT DO NOTHING",
        decision,
        incident.campaign,
        incident.unit,
        incident.indicator,
        incident.rule,
        incident.rules,
        day,
        incident.severity,
        reason,
        incident.id,
        now,
        policies["{}"],
    )


async def due_digests(connection: Connection, now: datetime) -> dict[str, list[Item]]:
    """What waits for a digest that is due, by destination, the oldest first."""
    rows = await connection.fetch(
        "SELECT destination, message, notice FROM ("
        "  SELECT destination FROM digest_item JOIN destination ON name = destination AND disabled IS NULL "
        "  WHERE sent_in IS NULL GROUP BY 1 HAVING min(due) <= $1"
        ") AS due JOIN digest_item USING (destination) JOIN message ON message.id = message "
        "WHERE sent_in IS NULL ORDER BY destination, message.id",
        now,
    )
    answer: dict[str, list[Item]] = {}
    for destination, message, notice in rows:
        answer.setdefault(destination, []).append(Item(str(message), notice))
    return answer


async def went_into(connection: Connection, destination: str, messages: Sequence[str], digest: str) -> None:
    """These were told in that digest."""
    await connection.execute(
        "UPDATE digest_item SET sent_in = $3 WHERE destination = $1 AND message = ANY($2::uuid[])",
        destination,
        messages,
        digest,
    )


async def judged_through(connection: Connection) -> dict[str, date]:
    """The last day of each campaign whose closing was judged."""
    rows = await connection.fetch(
        "SELECT campaign, max(judged_day) FROM standing WHERE indicator NOT IN ('report', 'live') GROUP BY 1"
    )
    return {row["campaign"]: row["max"] for row in rows}


async def lags(connection: Connection) -> dict[str, date]:
    """The day for which each campaign that lags was found to."""
    rows = await connection.fetch("SELECT campaign, day FROM lag")
    return {row["campaign"]: row["day"] for row in rows}


async def begin_lag(connection: Connection, campaign: str, day: date, now: datetime) -> None:
    """A day's closing is late."""
    await connection.execute("INSERT INTO lag (campaign, day, since) VALUES ($1, $2, $3)", campaign, day, now)


async def end_lag(connection: Connection, campaign: str) -> None:
    """It has come."""
    await connection.execute("DELETE FROM lag WHERE campaign = $1", campaign)
