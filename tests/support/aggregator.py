"""The real aggregator for tests, and the logs of intake and activation to feed it from."""

import asyncio
import contextlib
import functools
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from tests.support.postgres import Database, PostgresServer, make_database
from tiendo_aggregator.main import wire
from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.settings import Settings
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.clock import new_event_id
from tiendo_common.database.migrate import migrate
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.eventlog.postgres import PostgresEventLog
from tiendo_common.eventlog.schema import log_generations, log_tables
from tiendo_common.events.catalogue import owned_by
from tiendo_common.events.restatements import (
    AccountRestated,
    AccountRestatement,
    ApprovalRestated,
    ApprovalRestatement,
    Channel,
    Cohort,
    IntakeRestated,
    IntakeRestatement,
    Segment,
)
from tiendo_common.events.state import Indicator
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import build_app

DATA = Path(__file__).parents[2] / "data"
KEY = "a-key-for-tests"
PRODUCERS = ("intake", "activation")


def counting_anew() -> str:
    """What docs/kafka.md has an operator say to the database, so that all is counted anew."""
    page = (DATA.parent / "docs" / "kafka.md").read_text(encoding="utf-8")
    return page.partition("```sql\n")[2].partition("```")[0]


async def eventually(condition: Callable[[], Awaitable[bool]], *, deadline: float = 60.0) -> None:
    """Wait until something holds. Raises TimeoutError after `deadline` seconds."""
    async with asyncio.timeout(deadline):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def segment(
    day: date,
    residence: str,
    *,
    until: date | None = None,
    level: int = 2,
    collecting: str | None = None,
    channel: Channel = "mobile",
    cohorts: tuple[Cohort, ...] = (),
    team: str | None = None,
) -> Segment:
    """A span of days in a citizen's life."""
    return Segment(
        from_day=day,
        until_day=until,
        level=1 if level == 1 else 2,
        residence=residence,
        collecting=collecting or residence,
        channel=channel,
        cohorts=cohorts,
        team=team,
    )


def restated(
    indicator: Indicator,
    after: Sequence[Segment],
    before: Sequence[Segment] = (),
    *,
    known: date,
    record: str | None = None,
) -> NewEvent:
    """An event of the indicator's topic that replaces `before` by `after`."""
    record = record or new_event_id()
    moment = datetime.combine(known, datetime.min.time(), UTC)
    attributes: dict[str, Any] = {
        "id": new_event_id(),
        "source": "/vn/test",
        "subject": (*after, *before)[0].residence,
        "time": moment,
        "partitionkey": record,
    }
    data: dict[str, Any] = {
        "record_id": record,
        "version": 1,
        "occurred_at": moment,
        "known_day": known,
        "before": tuple(before),
        "after": tuple(after),
    }
    if indicator == "intake":
        intake = IntakeRestatement(change="recorded", **data)
        return NewEvent("intake", IntakeRestated(**attributes, data=intake))
    if indicator == "approved":
        approval = ApprovalRestatement(change="approved", **data)
        return NewEvent("approval", ApprovalRestated(**attributes, data=approval))
    account = AccountRestatement(change="activated", **data)
    return NewEvent("activation", AccountRestated(**attributes, data=account))


@functools.cache
def kon_tum_communes() -> tuple[str, ...]:
    """The communes of Kon Tum in 2023."""
    tree = Gazetteer(merge_editions(read_editions(DATA))).as_of(date(2023, 11, 11))
    return tuple(tree.communes("62"))


def plan_document(**change: object) -> dict[str, Any]:
    """Kon Tum's plan with made-up eligible populations, as it is put."""
    return {
        "name": "Kon Tum: 50 ngày đêm",
        "plan_number": "3903/KH-UBND",
        "plan_issued_on": "2023-11-10",
        "province": "62",
        "first_day": "2023-11-11",
        "last_day": "2023-12-30",
        "day_cut_off": "21:00:00",
        "targets": [{"indicator": "intake", "value": 421_100}, {"indicator": "activated", "value": 335_512}],
        "eligible": {code: 3000 + 37 * place for place, code in enumerate(kon_tum_communes())},
        "figures": [
            {"id": "intake_of_target", "indicator": "intake", "over": "target", "decimals": 1},
            {"id": "activated_of_approved", "indicator": "activated", "over": "approved", "decimals": 0},
        ],
        **change,
    }


class Producers:
    """The logs of intake and activation, each written by its own role."""

    def __init__(self, pools: dict[str, asyncpg.Pool]) -> None:
        self._pools = pools
        self._logs = {service: PostgresEventLog(service, pool) for service, pool in pools.items()}

    async def append(self, events: Sequence[NewEvent]) -> None:
        """Append, each producer in one transaction."""
        for service, log in self._logs.items():
            topics = {topic.name for topic in owned_by(service)}
            async with self._pools[service].acquire() as connection, connection.transaction():
                await log.append(connection, [event for event in events if event.topic in topics])

    async def append_body(self, topic: str, partition: int, body: bytes) -> None:
        """Append bytes as they are, as a producer of another build would."""
        pool = self._pools["activation" if topic == "activation" else "intake"]
        async with pool.acquire() as connection, connection.transaction():
            sequence = await connection.fetchval(
                "UPDATE log_partition SET next = next + 1 WHERE topic = $1 AND partition = $2 "
                "RETURNING next - 1",
                topic,
                partition,
            )
            await connection.execute(
                f"INSERT INTO log_{topic} (partition, seq, event_id, body) VALUES ($1, $2, $3, $4)",
                partition,
                sequence,
                new_event_id(),
                body,
            )

    async def reconnect(self) -> None:
        """Forget connections to a server that has died since."""
        for pool in self._pools.values():
            await pool.expire_connections()

    async def complete_to(self, instant: datetime) -> None:
        """Say that everything up to `instant` has been appended."""
        for log in self._logs.values():
            await log.publish_watermark(instant)

    async def heads(self) -> dict[str, list[int]]:
        """The next sequence of every partition of the topics that the aggregator reads."""
        heads: dict[str, list[int]] = {}
        for log in self._logs.values():
            heads |= await log.heads()
        del heads["dossier"]
        return heads


@contextlib.asynccontextmanager
async def producers(database: Database) -> AsyncIterator[Producers]:
    """The producers' logs, made if they are not there yet."""
    pools: dict[str, asyncpg.Pool] = {}
    async with contextlib.AsyncExitStack() as stack:
        for service in PRODUCERS:
            pools[service] = await stack.enter_async_context(
                asyncpg.create_pool(database.dsn(service), min_size=1, max_size=2)
            )
            if not await pools[service].fetchval("SELECT to_regclass('log_partition')"):
                topics = owned_by(service)
                for statement in [*log_tables(topics), *log_generations(topics)]:
                    await pools[service].execute(statement)
        yield Producers(pools)


@dataclass
class RunningAggregator:
    """A started aggregator."""

    app: FastAPI
    client: httpx2.AsyncClient

    @property
    def kit(self) -> Kit:
        kit: Kit = self.app.state.kit
        return kit

    async def get(self, path: str, **params: str | int) -> Any:
        """The answer's document; it must be a good one."""
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def put_plan(self, **change: object) -> Any:
        answer = await self.client.put("/v1/campaigns/kon-tum-2023", json=plan_document(**change))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def move_clock(self, now: datetime) -> None:
        answer = await self.client.post("/v1/clock", json={"now": now.isoformat()})
        assert answer.status_code == 200, answer.text

    async def become_ready(self) -> None:
        """Wait until all that the service needs is there."""

        async def ready() -> bool:
            return (await self.client.get("/readyz")).status_code == 200

        await eventually(ready)

    async def drain(self, feed: Producers) -> None:
        """Wait until the counters hold all that was appended."""
        heads = await feed.heads()

        async def drained() -> bool:
            return all(position == heads for position in (await self.positions()).values())

        await eventually(drained)

    async def positions(self) -> dict[str, dict[str, list[int]]]:
        positions: dict[str, dict[str, list[int]]] = (await self.get("/v1/positions"))["consumers"]
        return positions


def keys_file(folder: Path) -> Path:
    """API keys: one that may do everything."""
    path = folder / "api-keys.json"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    path.write_text(json.dumps({"keys": [{"name": "admin", "sha256": digest, "scopes": ["admin"]}]}))
    return path


@contextlib.asynccontextmanager
async def starting_aggregator(
    database: Database, folder: Path, *, clock: str = "driven", data_facts: Path = DATA, counts: str = "all"
) -> AsyncIterator[RunningAggregator]:
    """The real application from its first moment on."""
    settings = Settings.model_validate(
        {
            "port": 1,
            "database_url": database.dsn("aggregator"),
            "api_keys_file": keys_file(folder),
            "clock": clock,
            "data_facts": data_facts,
            "counts": counts,
        }
    )
    app = build_app("aggregator", settings, wire)
    lifespan = app.router.lifespan_context(app)
    await lifespan.__aenter__()
    try:
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://aggregator",
            headers={"Authorization": f"Bearer {KEY}"},
        ) as client:
            yield RunningAggregator(app, client)
    finally:
        # As a server does it: whatever happened, the lifespan ends in the ordinary way.
        await lifespan.__aexit__(None, None, None)


@contextlib.asynccontextmanager
async def aggregator(
    database: Database, folder: Path, *, clock: str = "driven", data_facts: Path = DATA, counts: str = "all"
) -> AsyncIterator[RunningAggregator]:
    """The same, started and its units loaded; its consumers may still wait for watermarks."""
    async with starting_aggregator(
        database, folder, clock=clock, data_facts=data_facts, counts=counts
    ) as service:

        async def started() -> bool:
            missing = service.app.state.runtime.missing
            assert missing is None or "failed" not in missing, missing
            return missing is None

        await eventually(started)
        yield service


@pytest.fixture(scope="session")
def counted_template(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a database that an aggregator has run on, beside the tables of intake and activation: to make copies
    of."""

    async def run(database: Database) -> None:
        for service in PRODUCERS:
            await migrate(database.dsn(service), service)
        async with aggregator(database, tmp_path_factory.mktemp("template")):
            pass

    with make_database(postgres_server) as template:
        asyncio.run(run(template))
        yield template.name
