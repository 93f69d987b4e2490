"""From a POST to the counter that shows it, on the whole stack at a steady rate."""

import asyncio
import bisect
import contextlib
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from benchmarks.campaign import campaign, register
from benchmarks.lines import intake_lines
from benchmarks.measurements.whole_campaign import carried_by
from benchmarks.parts import fresh_node
from benchmarks.result import Result
from benchmarks.single_requests import answers_at_rate, prepare
from benchmarks.stack import empty_folder
from tiendo.instance import Instance, running_instance
from tiendo_common.events.envelope import PARTITIONS

RATE = 500
SECONDS = int(os.environ.get("TIENDO_BENCH_SECONDS", "20"))
#: Not counted: until the services have met each statement and each other once.
WARM_UP = 3
_LOOK = 0.003


async def latency_postgres() -> list[Result]:
    """On the embedded default."""
    with empty_folder() as data:
        async with running_instance(data, clock="wall") as instance:
            return await _measure("latency_postgres", instance, 100)


async def latency_kafka() -> list[Result]:
    """With a durable Kafka node: each event is on its disk before it can be read."""
    with empty_folder() as data:
        async with fresh_node(data.parent / "kafka", durable=True) as broker:
            with carried_by(f"kafka://{broker.bootstrap}"):
                async with running_instance(data, clock="wall") as instance:
                    return await _measure("latency_kafka", instance, 250)


async def _measure(name: str, instance: Instance, goal: int) -> list[Result]:
    subject = campaign()
    await register(instance, subject)
    lines = intake_lines(subject, RATE * (WARM_UP + SECONDS), run=0)
    url = instance.url("intake")
    requests = [prepare(url, "/v1/intakes", instance.admin_key, line) for line in lines]
    async with _positions(instance.database_url("aggregator")) as looks:
        answers = await answers_at_rate(url, requests, RATE)
        places = await _places(instance.database_url("intake"))
        await _until_visible(looks, places.values())
    measured = answers[RATE * WARM_UP :]
    visible = [looks.passed(*places[answer.record]) for answer in measured]
    # From when the POST was due: a client that must wait for its turn waits too.
    whole = [seen - answer.due for seen, answer in zip(visible, measured, strict=True)]
    answered = [answer.answered - answer.due for answer in measured]
    after = [seen - answer.answered for seen, answer in zip(visible, measured, strict=True)]
    seconds = max(answer.answered for answer in measured) - measured[0].due
    how = f"{len(measured) / seconds:.0f} events/s; looked at every {1000 * _LOOK:g} ms; all durable"
    return [
        _percentile(f"{name}_p50", whole, answered, 50, "no goal", "baseline: until the answer"),
        _percentile(f"{name}_p99", whole, answered, 99, f"< {goal} ms", how),
        _percentile(f"{name}_after_answer_p99", after, None, 99, "no goal", "from the answer on"),
    ]


def _percentile(
    name: str, values: Sequence[float], baselines: Sequence[float] | None, percent: int, goal: str, how: str
) -> Result:
    def at(some: Sequence[float]) -> float:
        return 1000 * sorted(some)[len(some) * percent // 100]

    baseline = at(baselines) if baselines else None
    return Result(name, at(values), "ms", baseline, at(values) / baseline if baseline else None, goal, 1, how)


@dataclass
class _Looks:
    """When each partition of `intake` was seen to be counted up to which sequence."""

    times: list[list[float]]
    next: list[list[int]]

    def see(self, partition: int, next_: int, now: float) -> None:
        if not self.next[partition] or self.next[partition][-1] < next_:
            self.next[partition].append(next_)
            self.times[partition].append(now)

    async def seen(self, partition: int, sequence: int) -> None:
        """Wait until the event was seen to be counted."""
        while True:
            if self.next[partition] and self.next[partition][-1] > sequence:
                return
            await asyncio.sleep(_LOOK)

    def passed(self, partition: int, sequence: int) -> float:
        """When the event was first seen to be counted."""
        return self.times[partition][bisect.bisect_right(self.next[partition], sequence)]


@contextlib.asynccontextmanager
async def _positions(url: str) -> AsyncIterator[_Looks]:
    """Look again and again how far the counters are: their position and the counters change in one transaction, so
    whoever reads the one could read the others."""
    looks = _Looks([[] for _ in range(PARTITIONS)], [[] for _ in range(PARTITIONS)])

    async def look() -> None:
        connection = await asyncpg.connect(url)
        try:
            statement = await connection.prepare(
                "SELECT partition, next FROM consumer_position WHERE consumer = 'counting' AND topic = 'intake'"
            )
            while True:
                for partition, next_ in await statement.fetch():
                    looks.see(partition, next_, time.perf_counter())
                await asyncio.sleep(_LOOK)
        finally:
            await connection.close()

    looking = asyncio.create_task(look())
    try:
        yield looks
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _places(url: str) -> dict[str, tuple[int, int]]:
    """Partition and sequence of each record's event."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT convert_from(body, 'UTF8')::jsonb -> 'data' ->> 'record_id', partition, seq FROM log_intake"
        )
        return {record: (partition, sequence) for record, partition, sequence in rows}
    finally:
        await connection.close()


async def _until_visible(looks: _Looks, places: Iterable[tuple[int, int]]) -> None:
    newest: defaultdict[int, int] = defaultdict(int)
    for partition, sequence in places:
        newest[partition] = max(newest[partition], sequence)
    async with asyncio.timeout(60):
        for partition, sequence in newest.items():
            await looks.seen(partition, sequence)
