"""What the suites need of a backend, beside the port itself. Each backend brings its own."""

from collections.abc import Sequence
from typing import Protocol

import asyncpg

from tiendo_common.eventlog.port import Connection, EventLog, LogReader, NewEvent, Partition, Position
from tiendo_common.events.catalogue import TOPICS

FACTS, STATE = "intake", "units"


class LogBackend(Protocol):
    """An empty log of all services in PostgreSQL, and whatever carries it to its readers."""

    def pool(self, service: str) -> asyncpg.Pool:
        """Connections as the service's role; its schema has the tables that its migrations make."""
        ...

    def log(self, service: str) -> EventLog:
        """The writing side."""
        ...

    def reader(self, service: str) -> LogReader:
        """A reading side as this service sees it."""
        ...

    async def settled(self) -> None:
        """Return once all that was committed can be read."""
        ...

    async def append_body(self, topic: str, body: bytes, *, partition: int = 0) -> int:
        """Append bytes as they are, as a build with a bug or a newer contract would; their sequence."""
        ...

    async def lose(self, topic: str, partition: int, sequence: int) -> None:
        """Make the log forget one event, as a careless restore would."""
        ...

    async def withhold(self, topic: str) -> None:
        """Make the topic unreadable, as it is before its owner's first start."""
        ...


async def append(backend: LogBackend, *events: NewEvent, service: str = "intake") -> None:
    """Append in one transaction."""
    async with backend.pool(service).acquire() as connection, connection.transaction():
        await append_in(backend, connection, events, service=service)


async def append_in(
    backend: LogBackend, connection: Connection, events: Sequence[NewEvent], *, service: str = "intake"
) -> None:
    """Append in a transaction that the caller ends."""
    await backend.log(service).append(connection, events)


def beginning(topic: str) -> dict[Partition, Position]:
    """Where reading a whole topic begins."""
    return {Partition(topic, number): Position(1) for number in range(TOPICS[topic].partitions)}


async def read_all(
    reader: LogReader, topic: str, *, limit: int = 10_000
) -> dict[Partition, list[tuple[int, bytes]]]:
    """All that can be read now, from the beginning: sequence and bytes, by partition."""
    positions = beginning(topic)
    found: dict[Partition, list[tuple[int, bytes]]] = {partition: [] for partition in positions}
    while chunks := await reader.fetch(positions, limit):
        for chunk in chunks:
            found[chunk.partition] += zip(chunk.sequences, chunk.bodies, strict=True)
            positions[chunk.partition] = chunk.after
    return found
