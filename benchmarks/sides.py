"""What is compared, each in a fresh process with a service's event loop and settings of the collector.

`python -m benchmarks.sides NAME SPEC` does one thing with a topic or a log that is there already, and prints how
long it took as JSON. Both sides of a comparison begin their clock with everything imported and nothing connected.
"""

import asyncio
import gc
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from benchmarks.content import BATCH_BYTES, batch_records
from benchmarks.stack import FACTS
from tiendo_aggregator.main import wire
from tiendo_aggregator.settings import Settings
from tiendo_common.database.pool import make_pool
from tiendo_common.eventlog.consumer import Consumer
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher, _partition_key
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.kafka.wire import headers
from tiendo_common.eventlog.port import Partition
from tiendo_common.observability import logging as logs
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import build_app


class Spec(msgspec.Struct, frozen=True):
    """What a side needs to know. `heads`: where topics or logs end. `url`: the database of whose side it is.
    `keys`: any file of API keys. `prefix`: of the topics. `counts`: what an aggregator counts."""

    bootstrap: str
    heads: dict[str, list[int]]
    url: str
    keys: Path
    prefix: str = "tiendo."
    counts: str = "all"

    def broker(self) -> Broker:
        """Where the topics are."""
        return Broker(self.bootstrap, self.prefix)


class Took(msgspec.Struct, frozen=True):
    """What it took: seconds of the wall and of this process's CPU, its largest memory in MB."""

    seconds: float
    cpu: float
    peak: float


class _Watch:
    """Begins at once."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Took(time.perf_counter() - self._began, time.process_time() - self._cpu, peak)


def events_below(heads: Mapping[str, Sequence[int]]) -> int:
    """How many events there are below these positions."""
    return sum(next_ - 1 for partitions in heads.values() for next_ in partitions)


async def run_side(name: str, spec: Spec) -> Took:
    """Run a side in a process of its own. Raises RuntimeError if it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sides", name, msgspec.json.encode(spec, enc_hook=str).decode(),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{name} ended with status {process.returncode}")
    return msgspec.json.decode(out, type=Took)


async def read(spec: Spec) -> Took:
    """Read the topics with bare aiokafka as it comes, `getmany` and its own settings: nothing is looked at."""
    watch = _Watch()
    client = AIOKafkaConsumer(bootstrap_servers=spec.bootstrap, enable_auto_commit=False)
    await client.start()
    try:
        return await _read_all(client, spec, None, watch)
    finally:
        await client.stop()


async def read_tuned(spec: Spec) -> Took:
    """The same with the client that our reader makes, its settings, and as few records at once as serve it best."""
    reader = KafkaLogReader(spec.broker(), "bare")
    watch = _Watch()
    try:
        return await _read_all(await reader._started(), spec, 8000, watch)
    finally:
        await reader.close()


async def _read_all(client: AIOKafkaConsumer, spec: Spec, limit: int | None, watch: _Watch) -> Took:
    broker = spec.broker()
    left = events_below(spec.heads)
    places = [
        broker.at(Partition(topic, number))
        for topic in spec.heads
        for number in range(len(spec.heads[topic]))
    ]
    client.assign(places)
    await client.seek_to_beginning(*places)
    while left:
        found = await client.getmany(timeout_ms=1000, max_records=limit)
        left -= sum(map(len, found.values()))
    return watch.took()


async def fold(spec: Spec) -> Took:
    """The aggregator's own consumer of what is counted by unit, wired as it wires it, until all is durable in
    PostgreSQL."""
    kit = _aggregator(spec)
    consumer = next(each for each in kit.consumers if each.name == "counting")
    watch = _Watch()
    await kit.pool
    running = asyncio.create_task(consumer.run())
    try:
        await _read_to(consumer, spec.heads)
        return watch.took()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await kit.pool.close()


async def _read_to(consumer: Consumer[Any], heads: Mapping[str, Sequence[int]]) -> None:
    while await consumer.positions() != heads:
        if consumer.halted:
            raise RuntimeError(consumer.halted)
        await asyncio.sleep(0.05)


def _aggregator(spec: Spec) -> Kit:
    """The aggregator's parts. Nothing is connected, and of its web side nothing is used."""
    settings = Settings.model_validate(
        {
            "port": 1,
            "database_url": spec.url,
            "api_keys_file": spec.keys,
            "data_facts": FACTS,
            "log": f"kafka://{spec.bootstrap}",
            "counts": spec.counts,
        }
    )
    kit: Kit = build_app("aggregator", settings, wire).state.kit
    return kit


async def publish(spec: Spec) -> Took:
    """The real publisher of intake, until its positions are at the log's heads."""
    pool = make_pool(spec.url, "intake")
    watch = _Watch()
    await pool
    publisher = KafkaPublisher("intake", pool, spec.broker())
    running = asyncio.create_task(publisher.run())
    try:
        while await publisher._claims.stored() != spec.heads:
            if publisher.stopped or running.done():
                raise RuntimeError(publisher.stopped or "the publisher ended")
            await asyncio.sleep(0.05)
        return watch.took()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()


async def send(spec: Spec) -> Took:
    """The same records with bare `send_batch`: keys, headers, values lie in memory; batches are built and sent."""
    return await _send(spec, built=False)


async def send_built(spec: Spec) -> Took:
    """The same with the batches built before the clock starts: what is left is the broker and the network."""
    return await _send(spec, built=True)


async def _send(spec: Spec, *, built: bool) -> Took:
    records = await _log_rows(spec)
    broker = spec.broker()
    watch = _Watch()
    producer = AIOKafkaProducer(
        **broker.client("bare"), acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await producer.start()

    def batch(part: Sequence[Mapping[str, Any]]) -> BatchBuilder:
        batch = producer.create_batch()
        for record in part:
            batch.append(**record)
        return batch

    async def partition(place: Partition, batches: Sequence[Any]) -> None:
        at = broker.at(place)
        sent = [
            await producer.send_batch(each if built else batch(each), at.topic, partition=at.partition)
            for each in batches
        ]
        await asyncio.gather(*sent)

    parts: Mapping[Partition, Sequence[Any]] = records
    if built:
        parts = {place: [batch(part) for part in some] for place, some in records.items()}
        watch = _Watch()
    await asyncio.gather(*(partition(place, batches) for place, batches in parts.items()))
    took = watch.took()
    await producer.stop()
    return took


async def _log_rows(spec: Spec) -> dict[Partition, list[list[dict[str, Any]]]]:
    """What the publisher would send, by partition, in its batches."""
    found: defaultdict[Partition, list[dict[str, Any]]] = defaultdict(list)
    connection = await asyncpg.connect(spec.url)
    try:
        for topic in spec.heads:
            for number, sequence, body, at in await connection.fetch(
                "SELECT partition, seq, body, (extract(epoch FROM appended_at) * 1000)::bigint "
                f"FROM log_{topic} ORDER BY partition, seq"
            ):
                found[Partition(topic, number)].append(
                    {
                        "timestamp": at,
                        "key": _partition_key(body),
                        "value": body,
                        "headers": headers(1, sequence),
                    }
                )
    finally:
        await connection.close()
    return {
        place: [
            rows[at : at + batch_records(place.topic)]
            for at in range(0, len(rows), batch_records(place.topic))
        ]
        for place, rows in found.items()
    }


SIDES: dict[str, Callable[[Spec], Coroutine[Any, Any, Took]]] = {
    "read": read,
    "read_tuned": read_tuned,
    "fold": fold,
    "publish": publish,
    "send": send,
    "send_built": send_built,
}


def main() -> None:
    name, said = sys.argv[1:]
    logs.configure("bench", "warning")
    gc.set_threshold(50_000, 20, 50)  # as tiendo_common.service.runtime.serve
    spec = msgspec.json.decode(said, type=Spec, dec_hook=lambda kind, text: kind(text))
    print(msgspec.json.encode(uvloop.run(SIDES[name](spec))).decode())


if __name__ == "__main__":
    main()
