"""Topics of a province on a real Kafka node: into counters, and out of the log."""

import asyncio
import contextlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import asyncpg
import msgspec
import psutil

from benchmarks.campaign import CAMPAIGN, campaign
from benchmarks.content import Province, Writer, dossier
from benchmarks.parts import empty_counters, fresh_database, fresh_node
from benchmarks.result import Result, against, plain
from benchmarks.sides import Spec, Took, events_below, run_side
from benchmarks.stack import FACTS, empty_folder
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.topics import ensure_topics
from tiendo_common.eventlog.port import Partition
from tiendo_common.eventlog.postgres import LOG_COLUMNS
from tiendo_common.events.envelope import PARTITIONS, encode, partition_of
from tiendo_common.events.restatements import Channel

#: Of which each is sent three times in each run, and held in memory by who sends it bare.
MOST_PUBLISHED = 300_000
MEMORY_EVENTS, MEMORY_STEP = 10_000_000, 2_000_000
_READING = "Kafka durable=False (reading is not affected), PostgreSQL durable"


def event_count() -> int:
    """How many events topics get; fewer than the default are for a quick look."""
    return int(os.environ.get("TIENDO_BENCH_EVENTS", "2000000"))


@dataclass
class _Runs:
    """Rates of all runs by what was measured, and what else was seen."""

    events: int
    rates: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peak: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    seen: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, took: Took) -> None:
        self.rates[name].append(self.events / took.seconds)
        self.cpu[name].append(took.cpu / self.events * 1e6)
        self.peak[name].append(took.peak)


async def aggregator_kafka(runs: int = 3) -> list[Result]:
    """Events on the topics to counters durable in PostgreSQL, against what bare aiokafka reads of the same topics."""
    count = event_count()
    found = _Runs(count)
    province = Province(campaign().communes, CAMPAIGN, count)
    with empty_folder() as data:
        async with (
            fresh_node(data.parent / "kafka", durable=False) as broker,
            fresh_database(data, "aggregator") as urls,
        ):
            async with Writer(broker) as writer:
                await writer.write(province.events(count))
            spec = Spec(broker.bootstrap, writer.heads(), urls["aggregator"], data / "api-keys.json")
            assert events_below(spec.heads) == count
            counters = _Counters(spec.url, province.open)
            for _ in range(runs):
                found.add("bare", await run_side("read", spec))
                found.add("tuned", await run_side("read_tuned", spec))
                await _fold(spec, counters, found)
                await _fold_totals(spec, counters, found)
    how = f"{count:,} events; {_READING}"
    rates, cpu = found.rates, found.cpu
    return [
        against(
            "aggregator_kafka", "events/s", rates["counted"], rates["bare"],
            "ratio >= 0.3 with breakdowns", how=how,
        ),
        against(
            "aggregator_kafka_totals", "events/s", rates["totals"], rates["bare"],
            "ratio >= 0.6 for totals", how=f"TIENDO_COUNTS=totals; {how}",
        ),
        against("aggregator_kafka_totals_cpu", "us/event", cpu["totals"], cpu["bare"], "no goal"),
        plain("aggregator_kafka_totals_rows", "rows written/event", found.seen["rows of totals"], "no goal"),
        plain("aggregator_kafka_totals_memory", "MB peak", found.peak["totals"], "< 200 MB"),
        against(
            "aggregator_kafka_against_tuned", "events/s", rates["counted"], rates["tuned"],
            "a harder baseline, no goal", how="bare getmany with the settings of our reader",
        ),
        against("aggregator_kafka_cpu", "us/event", cpu["counted"], cpu["bare"], "no goal"),
        plain("aggregator_kafka_rows", "rows written/event", found.seen["rows"], "no goal"),
        plain("aggregator_kafka_memory", "MB peak", found.peak["counted"], "< 200 MB"),
        against(
            "aggregator_kafka_two_processes", "events/s", found.seen["two"], rates["counted"],
            "ratio is the factor, no goal", how=f"while both read; a machine of {os.cpu_count()} cores",
        ),
        plain(
            "aggregator_kafka_free_cores", "cores", found.seen["free"], "no goal",
            how="idle while one process counted: what a second one finds",
        ),
    ]  # fmt: skip


async def _fold(spec: Spec, counters: "_Counters", found: _Runs) -> None:
    """In one process and in two; what they counted is checked each time."""
    async with counters.checked():
        idle, began = psutil.cpu_times().idle, time.perf_counter()
        found.add("counted", await run_side("fold", spec))
        found.seen["free"].append((psutil.cpu_times().idle - idle) / (time.perf_counter() - began))
    found.seen["rows"].append(counters.written / found.events)
    async with counters.checked():
        watch = asyncio.create_task(_rate_of_two(spec))
        began = time.perf_counter()
        await asyncio.gather(*(run_side("fold", spec) for _ in range(2)))
        took = time.perf_counter() - began
        watch.cancel()
        [rate] = await asyncio.gather(watch, return_exceptions=True)
    found.seen["two"].append(rate if isinstance(rate, float) else found.events / took)


async def _fold_totals(spec: Spec, counters: "_Counters", found: _Runs) -> None:
    """Likewise in one process, of an instance that counts totals alone."""
    async with counters.checked(totals_alone=True):
        found.add("totals", await run_side("fold", msgspec.structs.replace(spec, counts="totals")))
    found.seen["rows of totals"].append(counters.written / found.events)


async def _rate_of_two(spec: Spec) -> float:
    """Events a second while two processes hold a part each: from then on until one may have come to its end. Where
    that is under a second, there is none to be had: waits for ever."""
    total = events_below(spec.heads)
    connection = await asyncpg.connect(spec.url)
    first: tuple[float, int] | None = None
    last = (0.0, 0)
    try:
        while True:
            [(done, owners)] = await connection.fetch(
                "SELECT coalesce(sum(next - 1), 0), count(DISTINCT owner) FROM consumer_position "
                "WHERE consumer = 'counting'"
            )
            now = time.perf_counter()
            if owners == 2 and first is None:
                first = (now, done)
            if done > total * 0.8:
                break
            last = (now, done)
            await asyncio.sleep(0.1)
        if first is None or last[0] - first[0] < 1:
            await asyncio.Event().wait()
        assert first is not None
        return float(last[1] - first[1]) / (last[0] - first[0])
    finally:
        await connection.close()


class _Counters:
    """The counters, emptied before each use and compared with what they must hold after it."""

    def __init__(self, url: str, expected: Mapping[tuple[int, int], int]) -> None:
        self._url = url
        self._expected = {cell: n for cell, n in sorted(expected.items()) if n}
        #: Rows that the last use wrote.
        self.written = 0

    @contextlib.asynccontextmanager
    async def checked(self, *, totals_alone: bool = False) -> AsyncIterator[None]:
        """For one use."""
        await empty_counters(self._url)
        before = await self._rows_written()
        yield
        await asyncio.sleep(1)  # sessions that have ended report what they did
        self.written = await self._rows_written() - before
        await self.check(totals_alone=totals_alone)

    async def check(self, *, totals_alone: bool = False) -> None:
        """Raise AssertionError unless they hold what they must, as totals and by channel."""
        by_channel = " + ".join(f"channel_{channel}" for channel in get_args(Channel))
        for count in ("n",) if totals_alone else ("n", by_channel):
            rows = await self._fetch(
                f"SELECT indicator, level, sum({count}) FROM counter "
                "GROUP BY indicator, level HAVING sum(n) <> 0",
            )
            counted = {(indicator, level): n for indicator, level, n in rows}
            assert counted == self._expected, f"{count}: {counted} instead of {self._expected}"

    async def _rows_written(self) -> int:
        [[rows]] = await self._fetch(
            "SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables WHERE relname IN ('counter', 'waited')"
        )
        return int(rows)

    async def _fetch(self, query: str, *arguments: object) -> list[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()


async def publisher(runs: int = 3) -> list[Result]:
    """The log's tables to the broker, against bare `send_batch` of the same bytes from memory."""
    count = min(event_count(), MOST_PUBLISHED)
    results = []
    for durable, runs_ in ((False, runs), (True, 1)):
        rates: defaultdict[str, list[float]] = defaultdict(list)
        with empty_folder() as data:
            async with (
                fresh_node(data.parent / "kafka", durable=durable, topics=False) as broker,
                fresh_database(data, "intake") as urls,
            ):
                heads = await _fill_log(urls["intake"], count)
                for run in range(runs_):
                    for side in ("send", "send_built", "publish"):
                        prefix = f"{side}-{run}."
                        await ensure_topics(Broker(broker.bootstrap, prefix), 1)
                        await _forget_published(urls["intake"])
                        spec = Spec(
                            broker.bootstrap, heads, urls["intake"], data / "api-keys.json", prefix=prefix
                        )
                        rates[side].append(events_below(heads) / (await run_side(side, spec)).seconds)
        name = "publisher_durable" if durable else "publisher"
        how = f"{events_below(heads):,} events; Kafka durable={durable} on both sides"
        goal = "no goal" if durable else "ratio >= 0.5"
        results += [
            against(name, "events/s", rates["publish"], rates["send"], goal, how=how),
            against(
                f"{name}_against_built", "events/s", rates["publish"], rates["send_built"],
                "a harder baseline, no goal", how="batches built before the clock starts",
            ),
        ]  # fmt: skip
    return results


async def _fill_log(url: str, count: int) -> dict[str, list[int]]:
    """Intake's log as `count` lines would have left it, of all its topics; its heads."""
    rows: dict[str, list[tuple[Any, ...]]] = {"intake": [], "approval": [], "dossier": []}
    heads = {topic: [1] * PARTITIONS for topic in rows}
    province = Province(campaign().communes, CAMPAIGN, count)
    for topic, event in province.events(count):
        if topic == "activation":
            continue
        for name, one in ((topic, event), ("dossier", dossier(event))):
            number = partition_of(event.partitionkey)
            rows[name].append((number, heads[name][number], one.id, encode(one), None))
            heads[name][number] += 1
    connection = await asyncpg.connect(url)
    try:
        for topic, some in rows.items():
            await connection.copy_records_to_table(f"log_{topic}", records=some, columns=list(LOG_COLUMNS))
            await connection.executemany(
                "UPDATE log_partition SET next = $3 WHERE topic = $1 AND partition = $2",
                [(*Partition(topic, number), next_) for number, next_ in enumerate(heads[topic])],
            )
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    return heads


async def _forget_published(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("TRUNCATE consumer_position, consumer_member")
    finally:
        await connection.close()


async def memory_kafka() -> list[Result]:
    """The aggregator as a service of its own, fed over ten million events: its memory after each two million."""
    count = int(os.environ.get("TIENDO_BENCH_EVENTS", str(MEMORY_EVENTS)))
    step = max(1, count * MEMORY_STEP // MEMORY_EVENTS)
    province = Province(campaign().communes, CAMPAIGN, count)
    results = []
    with empty_folder() as data:
        async with (
            fresh_node(data.parent / "kafka", durable=False) as broker,
            fresh_database(data) as urls,
            _aggregator(broker, urls["aggregator"], data) as process,
            Writer(broker) as writer,
        ):
            first: float | None = None
            for done in range(step, count + 1, step):
                await writer.write(province.events(step))
                await _counted_to(urls["aggregator"], writer.heads(), process)
                used = process.memory_info().rss / 2**20
                first = first or used
                results.append(
                    Result(
                        "memory_kafka", used, "MB", first, used / first, "flat: ratio <= 1.1", 1,
                        how=f"resident after {done:,} events; {_READING}",
                    )
                )  # fmt: skip
            await _Counters(urls["aggregator"], province.open).check()
    return results


@contextlib.asynccontextmanager
async def _aggregator(broker: Broker, url: str, data: Path) -> AsyncIterator[psutil.Process]:
    """`python -m tiendo_aggregator`, alone: what it reads comes from the broker."""
    environment = {
        **os.environ,
        "TIENDO_PORT": "0",
        "TIENDO_DATABASE_URL": url,
        "TIENDO_API_KEYS_FILE": str(data / "api-keys.json"),
        "TIENDO_DATA_FACTS": str(FACTS),
        "TIENDO_LOG": f"kafka://{broker.bootstrap}",
        "TIENDO_LOG_LEVEL": "warning",
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tiendo_aggregator", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _counted_to(url: str, heads: Mapping[str, list[int]], process: psutil.Process) -> None:
    """Wait until all that read these topics are there."""
    total = events_below(heads)
    connection = await asyncpg.connect(url)
    try:
        while True:
            with contextlib.suppress(asyncpg.UndefinedTableError):  # it has yet to make its tables
                done = await connection.fetchval(
                    "SELECT min(done) FROM (SELECT sum(next - 1) AS done FROM consumer_position "
                    "WHERE topic = ANY($1) GROUP BY consumer) AS each",
                    list(heads),
                )
                if done == total:
                    return
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise RuntimeError("the aggregator ended")
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
