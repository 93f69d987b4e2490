"""Where everybody stands: asked while events come in, and of the whole country."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta

import asyncpg
import httpx2

from benchmarks.campaign import campaign, register
from benchmarks.lines import intake_lines
from benchmarks.measurements.figures import cells_of, p99
from benchmarks.result import Result
from benchmarks.stack import FACTS, fresh_stack
from tiendo.instance import Instance
from tiendo_aggregator.rules.counting import Boundary, Counts
from tiendo_aggregator.rules.units import Gazetteer, Tree, merge_editions
from tiendo_aggregator.storage.counting import add_counts
from tiendo_aggregator.storage.facts import read_editions

RATE = 2_000
#: Lines in one request: a province's system sends what it has each tenth of a second.
_AT_ONCE = 200
#: A day of the tree that has 34 provinces and 3,321 communes.
_REFORMED = date(2025, 7, 2)


async def progress_beside_events(runs: int = 300) -> list[Result]:
    """All communes of a province with 50 days counted, asked again and again over HTTP while RATE lines a second are
    taken, published and counted by the whole stack; before that, the same without them."""
    subject = campaign()
    async with fresh_stack() as instance:
        await register(instance, subject)
        await _fill(instance, cells_of(list(subject.communes), subject.first_day, subject.last_day))
        asked = {"depth": "2", "as_of": str(subject.last_day)}
        path = f"/v1/campaigns/{subject.id}/progress"
        async with _client(instance, "aggregator") as http:
            quiet = [await _ask(http, path, asked) for _ in range(runs + 20)][20:]
            async with _events(instance, intake_lines(subject, RATE * 120, run=0)) as sent:
                await asyncio.sleep(3)
                began, before = time.perf_counter(), sum(sent)
                busy = []
                while time.perf_counter() - began < 20:
                    busy.append(await _ask(http, path, asked))
                    await asyncio.sleep(0.02)
                rate = (sum(sent) - before) / (time.perf_counter() - began)
    how = f"{len(subject.communes)} communes x 50 days; {rate:.0f} lines/s beside {1 / 0.02:.0f} questions/s at most"
    p50 = statistics.median(busy), statistics.median(quiet)
    return [
        Result("progress_beside_events_p50", p50[0], "ms", p50[1], p50[0] / p50[1], "no goal", len(busy), how),
        Result(
            "progress_beside_events_p99", p99(busy), "ms", p99(quiet), p99(busy) / p99(quiet), "< 50 ms", len(busy),
            "baseline: without events",
        ),
    ]  # fmt: skip


async def progress_of_country(runs: int = 60) -> list[Result]:
    """A campaign in each of 34 provinces, one day of all 3,321 communes counted: all provinces are asked for all of
    their communes at once, until the last has answered."""
    tree = Gazetteer(merge_editions(read_editions(FACTS))).as_of(_REFORMED)
    provinces = tree.roots()
    communes = [code for province in provinces for code in tree.communes(province)]
    async with fresh_stack() as instance, _client(instance, "aggregator") as http:
        for province in provinces:
            answer = await http.put(f"/v1/campaigns/of-{province}", json=_plan(province, tree))
            answer.raise_for_status()
        clock = {"now": f"{_REFORMED}T20:00:00+07:00"}
        (await http.post("/v1/clock", json=clock)).raise_for_status()
        await _fill(instance, cells_of(communes, _REFORMED, _REFORMED))
        asked = {"depth": "1", "as_of": str(_REFORMED)}
        took = []
        for _ in range(runs + 5):
            began = time.perf_counter()
            await asyncio.gather(
                *(_ask(http, f"/v1/campaigns/of-{province}/progress", asked) for province in provinces)
            )
            took.append(1000 * (time.perf_counter() - began))
    how = f"{len(provinces)} provinces, {len(communes)} communes, one day; one client on {_CONNECTIONS} connections"
    took = took[5:]
    return [
        Result("progress_of_country_p50", statistics.median(took), "ms", None, None, "no goal", runs),
        Result("progress_of_country_p99", p99(took), "ms", None, None, "< 300 ms", runs, how),
    ]


def _plan(province: str, tree: Tree) -> dict[str, object]:
    return {
        "name": province,
        "plan_number": "1",
        "plan_issued_on": str(_REFORMED),
        "province": province,
        "first_day": str(_REFORMED),
        "last_day": str(_REFORMED + timedelta(days=49)),
        "day_cut_off": "21:00",
        "targets": [{"indicator": "intake", "value": 10_000}, {"indicator": "activated", "value": 8_000}],
        "eligible": dict.fromkeys(tree.communes(province), 5_000),
    }


_CONNECTIONS = 8


@contextlib.asynccontextmanager
async def _client(instance: Instance, service: str) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=_CONNECTIONS)
    url = instance.url(service)
    async with httpx2.AsyncClient(headers=instance.headers, base_url=url, limits=limits, timeout=60) as http:
        yield http


async def _ask(http: httpx2.AsyncClient, path: str, asked: Mapping[str, str]) -> float:
    """Milliseconds to the whole answer."""
    began = time.perf_counter()
    answer = await http.get(path, params=asked)
    took = time.perf_counter() - began
    answer.raise_for_status()
    return 1000 * took


async def _fill(instance: Instance, cells: Mapping[Boundary, Counts]) -> None:
    connection = await asyncpg.connect(instance.database_url("aggregator"))
    try:
        async with connection.transaction():
            await add_counts(connection, cells)
        await connection.execute("VACUUM ANALYZE counter")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _events(instance: Instance, lines: Sequence[str]) -> AsyncIterator[list[int]]:
    """Send lines at RATE, in requests of _AT_ONCE, until the end; the list grows with each answer by as
    many as were accepted."""
    sent: list[int] = []
    bodies = ["\n".join(lines[at : at + _AT_ONCE]) for at in range(0, len(lines), _AT_ONCE)]

    async def send() -> None:
        async with _client(instance, "intake") as http, asyncio.TaskGroup() as group:

            async def one(body: str) -> None:
                headers = {"content-type": "application/x-ndjson"}
                answer = await http.post("/v1/intakes/bulk", content=body.encode(), headers=headers)
                answer.raise_for_status()
                assert answer.text.count('"accepted"') == _AT_ONCE, answer.text[:500]
                sent.append(_AT_ONCE)

            began = time.perf_counter()
            for number, body in enumerate(bodies):
                due = began + number * _AT_ONCE / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(one(body))

    sending = asyncio.create_task(send())
    try:
        yield sent
    finally:
        if sending.done():
            await sending
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
