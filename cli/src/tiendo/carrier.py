"""What carries events to their readers, as the command line deals with it: nothing, or a Kafka cluster.

Kafka's client and the services' settings are imported where they are used, here and in `topics.py`: they take longer to
load than all else together, and most commands need neither.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import asyncpg

from tiendo.errors import AlreadyRunning, Refused
from tiendo_common.errors import Retry, Stop
from tiendo_common.events.catalogue import TOPICS

if TYPE_CHECKING:
    from tiendo_common.eventlog.kafka.connection import Broker

#: Who appends to topics, in the order in which services are named everywhere.
PRODUCERS = tuple(dict.fromkeys(topic.owner for topic in TOPICS.values()))
UNREACHED = (
    "Check the address, the TIENDO_KAFKA_ settings, the number of copies against the number of brokers, and the "
    "rights of the user. For one on this machine: make kafka"
)
_PAUSE = 0.5


class BrokerFailed(Refused):
    """The brokers that were named cannot be used."""


class BrokerAhead(Refused):
    """The brokers have events that the database lacks."""


def named_broker(log: str | None) -> "Broker | None":
    """The broker of an option, else of TIENDO_LOG; None where that is postgres. Raises SystemExit, with what
    is wrong with the settings."""
    from tiendo_common.service.settings import BrokerSettings

    class Settings(BrokerSettings):
        """The environment's, under our own name where they are wrong."""

    return (Settings.read(log=log) if log else Settings.read()).broker()


def the_broker(log: str | None) -> "Broker":
    """The same where there must be one. Raises Refused."""
    broker = named_broker(log)
    if broker is None:
        raise Refused("No broker was named.", remedy="Say --log kafka://HOST:PORT, or set TIENDO_LOG.")
    return broker


async def prepare_topics(broker: "Broker", replication: int, patience: float) -> list[str]:
    """Make and check all topics, waiting up to `patience` seconds for brokers that are coming up; the names of
    those that were made. Raises BrokerFailed."""
    from tiendo_common.eventlog.kafka.topics import ensure_topics

    until = time.monotonic() + patience
    while True:
        try:
            return await ensure_topics(broker, replication)
        except Stop as problem:
            raise BrokerFailed(
                f"Kafka cannot be used: {problem}.",
                remedy="Look whether this is the right cluster, and these are the right prefix "
                "(TIENDO_KAFKA_TOPIC_PREFIX) and --replication. If so, the topic must be made anew by somebody "
                "who knows who else reads it.",
            ) from problem
        except Retry as problem:
            if time.monotonic() + _PAUSE < until:
                await asyncio.sleep(_PAUSE)
                continue
            raise BrokerFailed(
                f"Kafka cannot be used: {problem}",
                remedy=UNREACHED,
            ) from problem


async def refuse_if_ahead(broker: "Broker", database_urls: Mapping[str, str]) -> None:
    """Raise BrokerAhead if the brokers have events that the logs lack: before anybody reads those."""
    from tiendo_common.eventlog.kafka.generations import strangers

    for service in PRODUCERS:
        async with connected(database_urls[service]) as pool:
            # Before the first start there is no log, and nothing can have come from it.
            if await pool.fetchval("SELECT to_regclass('log_generation') IS NULL"):
                continue
            try:
                found = await strangers(broker, pool, service)
            except Retry as problem:
                raise BrokerFailed(
                    f"Kafka cannot be used: {problem}", remedy="See whether the brokers are up."
                ) from problem
        if found:
            raise BrokerAhead(
                f"Kafka has {len(found)} events of {service} that the database lacks, the first of them "
                f"{found[0].topic}/{found[0].partition} number {found[0].sequence}: was it restored from a backup?",
                remedy="If so: tiendo topics new-generation, and have what was sent since the backup sent again "
                "(docs/kafka.md). If not, this is the wrong cluster, or the wrong prefix of topics.",
            )


async def refuse_if_running(pool: asyncpg.Pool, service: str) -> None:
    """Raise AlreadyRunning while the service is connected to its database."""
    sessions = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND application_name = $1",
        f"tiendo-{service}",
    )
    if sessions:
        raise AlreadyRunning(
            f"{service} runs: it has {sessions} sessions open.",
            remedy="Stop all services first. If one that is stopped already still seems to run, wait a minute.",
        )


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Pool]:
    """A few connections for the duration."""
    pool = await asyncpg.create_pool(url, min_size=0, max_size=2)
    try:
        yield pool
    finally:
        await pool.close()
