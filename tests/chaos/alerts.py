"""Alerts under faults: days that close while everything is hurt, a sink for what is told of them, and what must be true
of both in the end.

The calendar is quick: at a moment of the run the plan counts as known for some days longer than it is, so that those
days close at once, one after the other, as after an outage of days; today closes later in the run.
"""

import asyncio
import contextlib
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import asyncpg
import httpx2
import msgspec

from tests.chaos.faults import Surroundings
from tests.chaos.fleet import HOST
from tests.support.decisions import decided_again
from tests.support.pasts import carry_on
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.database.roles import schema_of
from tiendo_common.events.state import (
    CampaignPublished,
    ProgressPublication,
    ProgressPublished,
    TargetSet,
    UnitPublished,
)
from tiendo_notifier.rules.past import Past
from tiendo_notifier.rules.shares import Tallies
from tiendo_notifier.storage import judging
from tiendo_notifier.use_cases.judge import closes_its_day
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.session import Session

#: So many days before today close while the run goes on. Of the first nobody is told any more: it is long gone.
DAYS = 3
#: Every citizen is worth a call where there are so few.
FEW = {"start_percent": 0, "least_gap": 1, "least_gap_percent": 0}
#: Fewer than a third of the communes are told of at once, so each by itself; the others after three closings.
SHARP = {"behind_closings": 1, "quota_closings": 1}
SHARP_SHARE = 0.3
#: Of the requests to the sink every so-many-th is taken and then refused, and cut off without an answer.
REFUSED, CUT_OFF = 5, 7

#: The keys of last words on days; what else is said of a unit, later on the same day, too, has no day in its key.
CLOSINGS = "%/%/%"

Key = tuple[str, str]


class Sink:
    """A webhook's receiving end that keeps what it is sent, and now and then denies it."""

    def __init__(self) -> None:
        self.received: defaultdict[str, list[bytes]] = defaultdict(list)
        self.requests = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, HOST, 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}/"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # the other end may be killed
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            tries = self.received[headers["webhook-id"]]
            tries.append(body)
            self.requests += 1
            # No message twice: the third try comes only after minutes.
            deny = len(tries) == 1
            if not deny or self.requests % CUT_OFF:
                status = "503 Busy" if deny and self.requests % REFUSED == 0 else "204 Taken"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
                await writer.drain()
        writer.close()


async def subscribe(
    http: httpx2.AsyncClient, notifier: str, sink: Sink, campaign: str, communes: Sequence[str]
) -> None:
    """Have everything told to the sink, and some communes told of sooner than others."""
    await _put(http, f"{notifier}/v1/destinations/sink", {"url": sink.url})
    sharp = communes[: int(len(communes) * SHARP_SHARE)]
    for unit, limits in (("", FEW), *((code, SHARP) for code in sharp)):
        document = {"thresholds": limits, "reason": "chaos", "rhythm": {"escalate_from": "never"}}
        query = f"?unit={unit}" if unit else ""
        await _put(http, f"{notifier}/v1/policies/{campaign}{query}", document)


async def _put(http: httpx2.AsyncClient, url: str, document: Mapping[str, Any]) -> None:
    """Put it, once the notifier has heard of the campaign."""
    for _ in range(300):
        answer = await http.put(url, json=document)
        if answer.status_code != 404:
            break
        await asyncio.sleep(0.1)
    assert answer.is_success, answer.text


async def close_days(around: Surroundings, campaign: str, at: float, patience: float) -> None:
    """After `at` seconds let days close, and kill whoever judges as soon as it is decided that something is told:
    those who come after tell it. That nothing was decided within `patience` is a fault that could not happen."""
    await asyncio.sleep(at)
    try:
        async with around.victim(("notifier",), alone=True):
            async with asyncio.timeout(patience):
                await _in_database(
                    around,
                    f"UPDATE {schema_of('aggregator')}.campaign SET known_since = known_since - {DAYS} "
                    f"WHERE id = '{campaign}' RETURNING true",
                )
                around.say(f"{DAYS} days close")
                decided = (
                    f"SELECT true FROM {schema_of('notifier')}.decision WHERE message IS NOT NULL LIMIT 1"
                )
                while not await _in_database(around, decided):  # noqa: ASYNC110 - another process decides
                    await asyncio.sleep(0.02)
            around.say("SIGKILL whoever judges")
            for replica in around.fleet.of("notifier"):
                replica.signal(signal.SIGKILL)
            around.done["judges"] += 1
    except (LookupError, TimeoutError) as error:
        around.failed.append(f"judges: {error!r}")


async def _in_database(around: Surroundings, statement: str) -> Any:
    """What a statement answers, once the server takes it."""
    while True:
        try:
            connection = await asyncpg.connect(around.database.admin_dsn(), timeout=2, command_timeout=5)
            try:
                return await connection.fetchval(statement)
            finally:
                connection.terminate()
        except PASSING_FAULTS:
            await asyncio.sleep(0.2)


async def reached(connection: asyncpg.Connection, sink: Sink) -> tuple[str, list[str]]:
    """Every message on record reached the sink, whatever is decided to be told is on record, and each id stands for one
    message: the same bytes at every try."""
    rows = await connection.fetch(f"SELECT id::text, kind, notice FROM {schema_of('notifier')}.message")
    recorded = {row["id"]: row["notice"].encode() for row in rows}
    told = await connection.fetch(
        f"SELECT message::text FROM {schema_of('notifier')}.decision WHERE message IS NOT NULL"
    )
    wrong = [
        f"{row['message']} was decided and is no message" for row in told if row["message"] not in recorded
    ]
    wrong += [f"{each} never came" for each in recorded if each not in sink.received]
    for identifier, bodies in sink.received.items():
        if set(bodies) != {recorded.get(identifier)}:
            wrong.append(f"{identifier} is not what is on record")
    kinds = Counter(row["kind"] for row in rows)
    listed = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
    return f"{len(recorded)} messages ({listed}), {sink.requests} times", wrong


async def replayed(connection: asyncpg.Connection) -> tuple[str, list[str]]:
    """Each decision's stored inputs decide the same again, and the decisions alone make the incidents there are."""
    # By day: ids are told by the clocks of whoever decided, and one of these may be an hour off.
    rows = await connection.fetch(
        "SELECT unit, indicator, day, outcome, rule, severity, reason, kept_back, historical, message, "
        f"inputs::text, document::text AS policy FROM {schema_of('notifier')}.decision "
        f"JOIN {schema_of('notifier')}.applied_policy AS applied ON applied.id = applied_policy "
        "WHERE outcome <> 'not_judged' ORDER BY decision.day, decision.id"
    )
    wrong = []
    made: defaultdict[Key, list[tuple[date, date | None, int]]] = defaultdict(list)
    for row in rows:
        key = row["unit"], row["indicator"]
        again, kept = decided_again(
            msgspec.json.decode(row["inputs"]),
            msgspec.json.decode(row["policy"]),
            historical=row["historical"],
        )
        said = (again.outcome, again.rule, again.severity, again.reason, kept)
        stored = tuple(row[name] for name in ("outcome", "rule", "severity", "reason", "kept_back"))
        if said != stored or (again.tell is not None and kept is None) != (row["message"] is not None):
            wrong.append(f"{key} on {row['day']}: {said} instead of {stored}")
        if again.outcome == "opened":
            made[key].append((row["day"], None, again.severity or 0))
        elif made[key] and made[key][-1][1] is None:
            over = row["day"] if again.outcome in ("resolved", "withdrawn") else None
            made[key][-1] = (made[key][-1][0], over, again.severity or 0)
    wrong += _incidents_differing(made, await _incidents(connection))
    outcomes = Counter(row["outcome"] for row in rows)
    return f"{len(rows)} decisions ({', '.join(f'{o} {n}' for o, n in sorted(outcomes.items()))})", wrong


async def standing(connection: asyncpg.Connection, campaign: str) -> tuple[str, list[str]]:
    """The incidents are what the rules make of the closings in the aggregator's log, lived through without a fault."""
    reference = Reference()
    for unit in await _published(connection, "units", UnitPublished):
        reference.put_unit(unit)
    for plan in await _published(connection, "campaigns", CampaignPublished):
        reference.put_campaign(plan)
    for target in await _published(connection, "targets", TargetSet):
        reference.put_target(target)
    by_day: defaultdict[date, list[ProgressPublication]] = defaultdict(list)
    for progress in await _published(connection, "progress", ProgressPublished, CLOSINGS):
        if closes_its_day(progress.data, reference.campaigns[campaign]):
            by_day[progress.data.day].append(progress.data)
    if not by_day:
        return "no day closed", ["no day closed"]
    async with connection.transaction():
        await connection.execute(f"SET LOCAL search_path TO {schema_of('notifier')}")
        policies = await InForce.read(connection, reference, [campaign])
    now = max(each.complete_to for each in by_day[max(by_day)])
    session = Session(reference, now, policies, {}, {}, [])
    known: dict[judging.Key, Past | Tallies] = {}
    for day in sorted(by_day):
        session.look_at(by_day[day], known)
        session.conclude()
        carry_on(known, session)
    made: defaultdict[Key, list[tuple[date, date | None, int]]] = defaultdict(list)
    for incident in session.incidents.values():
        made[incident.unit, incident.indicator].append(
            (incident.opened_day, incident.resolved_day, incident.severity)
        )
    found = await _incidents(connection)
    still = sum(over is None for spans in found.values() for _, over, _ in spans)
    return f"{len(by_day)} days, {sum(map(len, found.values()))} incidents, {still} of them standing", list(
        _incidents_differing(made, found)
    )


async def _published(
    connection: asyncpg.Connection, topic: str, kind: type[Any], keys: str = "%"
) -> list[Any]:
    """The events on a state topic under such keys, without what poisoned it."""
    decoder = msgspec.json.Decoder(kind)
    rows = await connection.fetch(
        f"SELECT body FROM {schema_of('aggregator')}.log_{topic} WHERE key LIKE $1 ORDER BY seq", keys
    )
    return [decoder.decode(row["body"]) for row in rows]


async def _incidents(connection: asyncpg.Connection) -> dict[Key, list[tuple[date, date | None, int]]]:
    """When each target's incidents opened, were over, and how severe they were, the oldest first."""
    found: defaultdict[Key, list[tuple[date, date | None, int]]] = defaultdict(list)
    for row in await connection.fetch(
        "SELECT unit, indicator, opened_day, resolved_day, severity "
        f"FROM {schema_of('notifier')}.incident ORDER BY opened_day"
    ):
        found[row["unit"], row["indicator"]].append(tuple(row)[2:])
    return found


def _incidents_differing(
    made: Mapping[Key, Sequence[tuple[date, date | None, int]]],
    found: Mapping[Key, Sequence[tuple[date, date | None, int]]],
) -> Iterator[str]:
    for key in sorted({*made, *found}):
        wanted, there = sorted(made.get(key, ())), sorted(found.get(key, ()))
        if wanted != there:
            yield f"incidents of {key}: {there} instead of {wanted}"
