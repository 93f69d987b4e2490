"""Looks at the run while it goes on: what may only ever rise, and what the processes count."""

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg

from tests.chaos.fleet import Fleet
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.database.roles import schema_of

PRODUCERS = ("intake", "activation", "aggregator")
CONSUMERS = ("activation", "aggregator", "notifier")
_EVERY = 0.4


class Rising:
    """Values that never fall: a partition's next sequence, a consumer's position and epoch."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self.samples = 0
        self.fallen: list[str] = []
        self.epochs: dict[tuple[str, ...], int] = {}
        self._dsn = dsn
        self._seen: dict[tuple[str, ...], int] = {}

    async def run(self) -> None:
        """Sample until cancelled; while the server is away, nothing is seen."""
        while True:
            with contextlib.suppress(*PASSING_FAULTS):
                connection = await asyncpg.connect(self._dsn(), timeout=2, command_timeout=5)
                try:
                    while True:
                        await self.sample(connection)
                        await asyncio.sleep(_EVERY)
                finally:
                    connection.terminate()
            await asyncio.sleep(_EVERY)

    async def sample(self, connection: asyncpg.Connection) -> None:
        """Read everything once and compare with the last time."""
        for service in PRODUCERS:
            for row in await _rows(connection, service, "log_partition", "topic, partition, next"):
                self._note((service, "log", row["topic"], str(row["partition"]), "next"), row["next"])
        for service in CONSUMERS:
            columns = "consumer, topic, partition, next, epoch"
            for row in await _rows(connection, service, "consumer_position", columns):
                place = (service, row["consumer"], row["topic"], str(row["partition"]))
                self._note((*place, "next"), row["next"])
                self._note((*place, "epoch"), row["epoch"])
                self.epochs[place] = row["epoch"]
        self.samples += 1

    def _note(self, place: tuple[str, ...], value: int) -> None:
        before = self._seen.get(place)
        if before is not None and value < before:
            self.fallen.append(f"{'/'.join(place)} fell from {before} to {value}")
        self._seen[place] = value


async def watch_metrics(fleet: Fleet) -> None:
    """Read every replica's metrics now and then until cancelled: a killed process takes its counts along."""
    while True:
        await asyncio.sleep(1.0)
        await asyncio.gather(*(fleet.read_metrics(replica) for replica in fleet.replicas))


async def _rows(
    connection: asyncpg.Connection, service: str, table: str, columns: str
) -> list[asyncpg.Record]:
    try:
        return await connection.fetch(f"SELECT {columns} FROM {schema_of(service)}.{table}")
    except asyncpg.UndefinedTableError:  # before its first migration
        return []
