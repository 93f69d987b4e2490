"""A notifier with everything around it real: PostgreSQL, the aggregator's log, a receiver on HTTP.

The aggregator is stood in for by its own tables and its own event log, written as its own role.
"""

import asyncio
import contextlib
import json
import threading
import time as times
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
from fastapi import FastAPI
from standardwebhooks import Webhook

from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM, new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.eventlog.postgres import PostgresEventLog
from tiendo_common.eventlog.schema import log_generations, log_tables
from tiendo_common.events.catalogue import owned_by
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    Indicator,
    IndicatorProgress,
    ProgressPublication,
    ProgressPublished,
    TargetPublication,
    TargetSet,
    UnitPublication,
    UnitPublished,
    UnitSpan,
)
from tiendo_common.service.runtime import build_app
from tiendo_notifier.channels.addresses import Network
from tiendo_notifier.main import wiring
from tiendo_notifier.settings import NotifierSettings

CAMPAIGN = "kon-tum-2023"
FIRST, LAST = date(2023, 11, 11), date(2023, 12, 30)
LOOPBACK = (ip_network("127.0.0.0/8"),)
#: A commune with a target of 5,000 activations over 50 days: a quota of 100 a day.
UNIT, SIBLING = "23341", "23344"
#: Whoever does less than the day's quota is told of at once: what is tried here is mostly what follows.
SHARP = {
    "quota_percent": 99, "quota_clear_percent": 100, "quota_closings": 1, "quota_warning_closings": 3,
    "start_percent": 0, "least_gap": 1,
}  # fmt: skip
KEYS = {
    "admin": ["admin"],
    "reader": ["incident:read"],
    "officer": ["incident:read", "incident:write"],
    "sender": ["intake:write"],
    "province": ["incident:read", "incident:write", "destination:write", "policy:write"],
    "district": ["incident:read", "incident:write", "destination:write", "policy:write"],
    "commune": ["incident:read", "incident:write", "destination:write", "policy:write"],
    "stranger": ["incident:read", "incident:write", "destination:write", "policy:write"],
}
#: Those that are bound; the stranger's unit is on no tree.
BOUND = {"province": ["62"], "district": ["610"], "commune": [UNIT], "stranger": ["999"]}


def at(day: date, hour: int = 21) -> datetime:
    return datetime.combine(day, time(hour), VIETNAM)


def day_of(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


class Aggregator:
    """What the notifier sees of the aggregator: its topics."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._log = PostgresEventLog("aggregator", pool)

    async def make_tables(self) -> None:
        topics = owned_by("aggregator")
        for statement in [*log_tables(topics), *log_generations(topics)]:
            await self._pool.execute(statement)

    async def publish(self, *events: NewEvent) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await self._log.append(connection, events)
        await self._log.publish_watermark(datetime.now(UTC))

    async def publish_tree(self) -> None:
        """A province, a district, two communes, and the campaign."""
        rows = [
            ("62", None, "province", "Tỉnh Kon Tum"),
            ("610", "62", "district", "Huyện Đăk Glei"),
            (UNIT, "610", "commune", "Xã Đăk Môn"),
            (SIBLING, "610", "commune", "Xã Xốp"),
        ]
        await self.publish(*(unit(*row) for row in rows), campaign())

    async def next_of(self, topic: str) -> list[int]:
        return (await self._log.heads())[topic]

    async def put_garbage(self, body: bytes) -> None:
        """A body that is no event, as a bug or a hand in the database would leave it."""
        await self._pool.execute(
            "WITH grown AS (UPDATE log_partition SET next = next + 1 WHERE topic = 'progress' RETURNING next) "
            "INSERT INTO log_progress (partition, seq, event_id, key, body) "
            "SELECT 0, next - 1, $1, NULL, $2 FROM grown",
            new_event_id(),
            body,
        )


def _event(
    kind: type[Any], topic: str, key: str, subject: str, data: object, time: datetime | None = None
) -> NewEvent:
    return NewEvent(
        topic,
        kind(
            id=new_event_id(), source="/vn/aggregator", subject=subject, time=time or datetime.now(UTC),
            partitionkey=key, data=data,
        ),
        key,
    )  # fmt: skip


def unit(code: str, parent: str | None, level: Any, name: str, until: date | None = None) -> NewEvent:
    span = UnitSpan(from_day=date(2023, 1, 1), until_day=until, parent=parent, level=level, name=name)
    return _event(UnitPublished, "units", code, code, UnitPublication(code=code, spans=(span,), loaded=4))


def campaign(
    weights: tuple[int, ...] | None = None, known: datetime | None = None, *, night: time | None = None
) -> NewEvent:
    """`night`: the hour after midnight at which its days end, instead of 21:00."""
    data = CampaignPublication(
        campaign=CAMPAIGN, name="Kon Tum, 50 ngày đêm", province="62", first_day=FIRST, last_day=LAST,
        day_cut_off=night or time(21), day_weights=weights or msgspec.UNSET,
        days_end_after_midnight=True if night is not None else msgspec.UNSET,
    )  # fmt: skip
    return _event(CampaignPublished, "campaigns", CAMPAIGN, "62", data, known)


def target(code: str = UNIT, value: int = 5000, indicator: Indicator = "activated") -> NewEvent:
    data = TargetPublication(campaign=CAMPAIGN, unit=code, unit_name="?", indicator=indicator, value=value)
    return _event(TargetSet, "targets", f"{CAMPAIGN}/{code}/{indicator}", code, data)


def progress(
    day: date, done: int, value: int | None = None, code: str = UNIT, *, complete_to: datetime | None = None
) -> NewEvent:
    """Figures of a day, its closing ones unless told otherwise; on plan as far as the pace goes."""
    on_plan = 100 * ((day - FIRST).days + 1)
    figures = IndicatorProgress(value=on_plan if value is None else value, baseline=0, done=done)
    data = ProgressPublication(
        campaign=CAMPAIGN, unit=code, day=day, complete_to=complete_to or at(day),
        intake=figures, approved=figures, activated=figures,
    )  # fmt: skip
    return _event(ProgressPublished, "progress", f"{CAMPAIGN}/{code}", code, data)


@dataclass
class Endpoint:
    """A webhook's receiving end. `plan` holds the next answers: status, headers, seconds to wait; then 204."""

    url: str
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    plan: deque[tuple[int, dict[str, str], float]] = field(default_factory=deque)
    released: threading.Event = field(default_factory=threading.Event)

    def will(self, status: int, *, wait: float = 0, **headers: str) -> None:
        self.plan.append((status, {k.replace("_", "-"): v for k, v in headers.items()}, wait))

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.received]

    def kinds(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.received]

    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """All that was received, each checked with the library that receivers use."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.received]


@contextlib.contextmanager
def receiving() -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            endpoint.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status, headers, wait = endpoint.plan.popleft() if endpoint.plan else (204, {}, 0.0)
            endpoint.released.wait(wait)
            with contextlib.suppress(OSError):  # the other end may have gone
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/hook")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield endpoint
        finally:
            endpoint.released.set()
            server.shutdown()


@dataclass
class Notifier:
    """A running notifier, its interface, and its tables."""

    app: FastAPI
    http: httpx2.AsyncClient
    aggregator: Aggregator

    @property
    def pool(self) -> asyncpg.Pool:
        pool: asyncpg.Pool = self.app.state.kit.pool
        return pool

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(f"/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def put_destination(self, name: str, url: str, **more: Any) -> str:
        """Make a destination; the secret that it was given."""
        answer = await self.http.put(f"/v1/destinations/{name}", json={"url": url, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])

    async def put_policy(self, unit: str | None = None, **document: Any) -> httpx2.Response:
        """Set one; nothing goes up a level unless that is asked for."""
        if unit is None:
            document = {"rhythm": {"escalate_from": "never"}} | document
        return await self.http.put(
            f"/v1/policies/{CAMPAIGN}",
            params={"unit": unit} if unit else {},
            json={"reason": "a test", **document},
        )

    async def move_clock(self, now: datetime) -> None:
        answer = await self.http.post("/v1/clock", json={"now": now.isoformat()})
        assert answer.status_code == 200, answer.text

    async def consumed(self) -> None:
        """Wait until all progress has been judged."""
        consumer = self.app.state.kit.consumers[0]
        heads = await self.aggregator.next_of("progress")
        await eventually(lambda: self._at(consumer, heads))

    @staticmethod
    async def _at(consumer: Any, heads: list[int]) -> bool:
        return bool((await consumer.positions())["progress"] == heads)

    async def close_day(self, number: int, done: int, value: int | None = None) -> None:
        """Live through the end of a day, as a replay does."""
        await self.move_clock(at(day_of(number)))
        await self.aggregator.publish(progress(day_of(number), done, value))
        await self.consumed()

    async def settled(self) -> list[dict[str, Any]]:
        """Wait until nothing is on its way any more; the delivery log without the lines for the log."""

        async def nothing_pending() -> bool:
            return not (await self.get("deliveries", state="pending"))["deliveries"]

        await eventually(nothing_pending)
        found = (await self.get("deliveries"))["deliveries"]
        return [each for each in found if each["destination"] != "log"]

    async def state(self) -> dict[str, Any]:
        """All that the notifier remembers."""
        return {
            table: [dict(row) for row in await self.pool.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")]
            for table in ("standing", "told_day", "incident", "decision", "delivery")
        }


async def eventually(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Return once the condition holds."""
    until = times.monotonic() + seconds
    while True:
        holds = condition()
        if await holds if asyncio.iscoroutine(holds) else holds:
            return
        assert times.monotonic() < until, "it never happened"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(
    database: Database,
    keys_file: Path,
    aggregator: Aggregator,
    *,
    allow: Sequence[Network] = LOOPBACK,
    **settings_of_mail: Any,
) -> AsyncIterator[Notifier]:
    settings = NotifierSettings(
        port=1, database_url=database.dsn("notifier"), api_keys_file=keys_file, clock="driven",
        webhook_allow=tuple(allow), **settings_of_mail,
    )  # fmt: skip
    app = build_app("notifier", settings, wiring(settings))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://notifier",
            headers={"authorization": "Bearer admin"},
        ) as http,
    ):

        async def ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually(ready)
        notifier = Notifier(app, http, aggregator)
        assert (await notifier.put_policy(thresholds=SHARP)).status_code == 200
        yield notifier
