"""Put news on its way: composed once, the same bytes to everybody, addressed to whoever asked for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import Connection
from tiendo_notifier.rules.table import Severity
from tiendo_notifier.storage import outbox
from tiendo_notifier.storage.outbox import Message, Subscriber


@dataclass(frozen=True, slots=True)
class News:
    """A message, and what decides who gets it and when.

    `line`: the unit that it is addressed to and all above it; empty: no unit, operations. `rules` that had anything to
    say; the incident's `severity` (None: it has none).
    `at_once`: also to those who are told all at once; else they hear at `digest`.
    """

    message: Message
    line: Sequence[str]
    rules: Sequence[str]
    severity: Severity | None
    at_once: bool
    digest: datetime


def compose(
    kind: str,
    now: datetime,
    data: dict[str, Any],
    *,
    campaign: str | None = None,
    unit: str | None = None,
    incident: str | None = None,
    number: int | None = None,
) -> Message:
    """A message with an id of its own; `number` counts the news of its incident."""
    notice = msgspec.json.encode({"type": kind, "timestamp": now, "data": data}).decode()
    return Message(new_event_id(), kind, campaign, unit, incident, number, notice, now)


def pressing(severity: Severity | None, *, quiet: bool) -> bool:
    """Whether those who are told all at once hear of it before their time."""
    return severity is Severity.CRITICAL and not quiet


async def tell(connection: Connection, news: Sequence[News]) -> None:
    """Store it and put it on its way, in the caller's transaction: told if and only if decided."""
    if not news:
        return
    subscribers = await outbox.subscribers(connection)
    deliveries: list[tuple[str, str | None, str]] = []
    items: list[tuple[str, str, datetime]] = []
    for each in news:
        for subscriber in subscribers:
            if not _wants(subscriber, each):
                continue
            if subscriber.digest and not each.at_once:
                items.append((subscriber.name, each.message.id, each.digest))
            else:
                deliveries.append((each.message.id, each.message.incident, subscriber.name))
    await outbox.put(connection, [each.message for each in news], deliveries, items)


def _wants(subscriber: Subscriber, news: News) -> bool:
    if subscriber.rules is not None and not any(rule in subscriber.rules for rule in news.rules):
        return False
    # Good news has the severity of the trouble that is over.
    if news.severity is not None and news.severity < subscriber.least:
        return False
    units = subscriber.units
    line = news.line[:1] if subscriber.addressed else news.line
    return units is None or any(code in units for code in line)
