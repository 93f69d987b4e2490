"""The parts of a Tiendo one by one: a database, a Kafka node. Each for the duration of a measurement."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg

from tiendo.broker.node import KafkaNode
from tiendo.folders import DataFolder
from tiendo.stack import Plan, database
from tiendo.supervisor import free_port_base
from tiendo_common.database.migrate import migrate
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.topics import ensure_topics


@contextlib.asynccontextmanager
async def fresh_database(data: Path, *services: str) -> AsyncIterator[Mapping[str, str]]:
    """The embedded PostgreSQL, durable as it always is, with the tables of these services; their URLs."""
    plan = Plan(data=DataFolder(data))
    plan.data.make()
    async with database(plan, lambda line: print(line, file=sys.stderr)) as (urls, _server):
        for service in services:
            await migrate(urls[service], service)
        yield urls


@contextlib.asynccontextmanager
async def fresh_node(home: Path, *, durable: bool, topics: bool = True) -> AsyncIterator[Broker]:
    """One Kafka node. `durable`: as `make kafka` runs it, each batch on the disk before it is acknowledged."""
    node = KafkaNode(home, port=free_port_base(20_000 + os.getpid() % 1000 * 10, 2), durable=durable)
    await asyncio.to_thread(node.start)
    try:
        broker = Broker(node.bootstrap)
        if topics:
            await ensure_topics(broker, 1)
        yield broker
    finally:
        await asyncio.to_thread(node.stop)


async def empty_counters(url: str) -> None:
    """Nothing counted, nothing read."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("TRUNCATE counter, waited, consumer_position, consumer_member, dead_letter")
    finally:
        await connection.close()
