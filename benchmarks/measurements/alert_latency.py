"""From the event that closes a day to the webhook that tells of it, on the whole stack while lines come in."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2

from benchmarks.lines import lines_of
from benchmarks.measurements.figures import p99
from benchmarks.measurements.latency import RATE, WARM_UP
from benchmarks.measurements.whole_campaign import carried_by
from benchmarks.parts import fresh_node
from benchmarks.result import Result
from benchmarks.single_requests import answers_at_rate, prepare
from benchmarks.stack import FACTS, empty_folder
from tiendo.instance import Instance, running_instance
from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.clock import WallClock, epoch_seconds

#: Quảng Ngãi: 96 communes. In those from here on lines come in; of those before, campaigns close their days.
_PROVINCE, _BUSY_FROM = "51", 60
#: Every so-many-th commune is told of at its first closing, by itself: fewer than a third are. Others never.
_SHARP = 4
#: So many campaigns close a day each, one after the other, so many seconds apart. The first is not counted.
_CLOSINGS, _APART = 9, 2.0
_INDICATORS = ("intake", "activated")

#: When a receiver was told of each campaign.
Arrivals = defaultdict[str, asyncio.Queue[float]]


async def alert_latency_postgres() -> list[Result]:
    """On the embedded default."""
    with empty_folder() as data:
        async with running_instance(data, clock="wall") as instance:
            return await _measure("alert_latency_postgres", instance)


async def alert_latency_kafka() -> list[Result]:
    """With a durable Kafka node."""
    with empty_folder() as data:
        async with fresh_node(data.parent / "kafka", durable=True) as broker:
            with carried_by(f"kafka://{broker.bootstrap}"):
                async with running_instance(data, clock="wall") as instance:
                    return await _measure("alert_latency_kafka", instance)


async def _measure(name: str, instance: Instance) -> list[Result]:
    communes = _communes()
    arrived: Arrivals = defaultdict(asyncio.Queue)
    quiet, busy = communes[:_BUSY_FROM], communes[_BUSY_FROM:]
    closing = [f"closing-{number}" for number in range(_CLOSINGS)]
    async with await asyncio.start_server(_sink(arrived), "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await _set_up(instance, {"busy": busy} | dict.fromkeys(closing, quiet), url)
        count = RATE * int(WARM_UP + _APART * _CLOSINGS)
        at = (WallClock().now() - timedelta(minutes=1)).isoformat()
        intake = instance.url("intake")
        requests = [
            prepare(intake, "/v1/intakes", instance.admin_key, line)
            for line in lines_of(busy, "busy", count, occurred_at=at)
        ]
        began = time.perf_counter()
        sending = asyncio.create_task(answers_at_rate(intake, requests, RATE))
        told = -(-len(quiet) // _SHARP) * len(_INDICATORS)
        waits = await _close(instance, closing, arrived, told)
        rate = len(await sending) / (time.perf_counter() - began)
    waits = sorted(waits[told:])
    how = (
        f"{len(waits)} webhooks, {told} for each closing of {len(quiet)} communes; {rate:.0f} lines/s beside"
    )
    return [
        Result(f"{name}_p50", waits[len(waits) // 2], "ms", None, None, "no goal", 1),
        Result(f"{name}_p99", p99(waits), "ms", None, None, "< 1000 ms", 1, how),
    ]


async def _close(instance: Instance, campaigns: Sequence[str], arrived: Arrivals, told: int) -> list[float]:
    """Let yesterday close for one after the other. Milliseconds from the beginning of the transaction that appends a
    closing to the arrival of each webhook, `told` for each campaign."""
    waits: list[float] = []
    connection = await asyncpg.connect(instance.database_url("aggregator"))
    try:
        due = time.monotonic() + WARM_UP
        for campaign in campaigns:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += _APART
            await connection.execute(
                "UPDATE campaign SET known_since = known_since - 1 WHERE id = $1", campaign
            )
        for campaign in campaigns:
            async with asyncio.timeout(60):
                arrivals = [await arrived[campaign].get() for _ in range(told)]
            began = await connection.fetchval(
                "SELECT extract(epoch FROM min(appended_at))::float8 FROM log_progress "
                "WHERE key LIKE $1 || '/%/%'",
                campaign,
            )
            waits += [1000 * (each - began) for each in arrivals]
    finally:
        await connection.close()
    return waits


def _sink(arrived: Arrivals) -> Any:
    """A receiver that notes when it was told of which campaign."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        notice = json.loads(await reader.readexactly(length))
        arrived[notice["data"]["campaign"]].put_nowait(epoch_seconds())
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    return take


async def _set_up(instance: Instance, campaigns: dict[str, list[str]], url: str) -> None:
    """Campaigns that are ten days old, of which nothing was known before today, and who is told of them."""
    async with httpx2.AsyncClient(headers=instance.headers, timeout=60) as http:

        async def put(service: str, path: str, document: object) -> None:
            for _ in range(100):
                answer = await http.put(f"{instance.url(service)}{path}", json=document)
                if answer.status_code != 404:  # the notifier may have yet to hear of the campaign
                    break
                await asyncio.sleep(0.1)
            answer.raise_for_status()

        await put("notifier", "/v1/destinations/sink", {"url": url})
        late = {"start_percent": 90, "early_days": 1_000}
        sharp = {"start_percent": 0, "behind_closings": 1, "least_gap": 1, "least_gap_percent": 0}
        for campaign, communes in campaigns.items():
            await put("aggregator", f"/v1/campaigns/{campaign}", _plan(campaign, communes))
            policy = {"reason": "measured", "rhythm": {"escalate_from": "never"}}
            path = f"/v1/policies/{campaign}"
            await put("notifier", path, policy | {"thresholds": late})
            if campaign != "busy":
                for unit in communes[::_SHARP]:
                    await put("notifier", f"{path}?unit={unit}", policy | {"thresholds": sharp})


def _plan(campaign: str, communes: Sequence[str]) -> dict[str, object]:
    today = WallClock().today()
    return {
        "name": campaign,
        "plan_number": "1",
        "plan_issued_on": str(today),
        "province": _PROVINCE,
        "units": communes,
        "first_day": str(today - timedelta(days=10)),
        "last_day": str(today + timedelta(days=40)),
        "day_cut_off": "23:59:59",
        "targets": [{"indicator": each, "value": 1_000 * len(communes)} for each in _INDICATORS],
        "eligible": dict.fromkeys(communes, 5_000),
    }


def _communes() -> list[str]:
    tree = Gazetteer(merge_editions(read_editions(FACTS))).as_of(WallClock().today())
    return list(tree.communes(_PROVINCE))
