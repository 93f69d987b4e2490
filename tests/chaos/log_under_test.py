"""The log that a run is about: what it adds to the services' settings, to the faults and to the checks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import asyncpg

from tests.chaos.faults import Fault
from tests.chaos.poison import Letter
from tests.chaos.proxy import Proxy


class LogUnderTest(Protocol):
    """One mode of the event log, with whatever stands between producers and consumers."""

    name: str

    async def start(self) -> None:
        """Start what the mode has of its own: nothing, or a broker. Before the services."""
        ...

    async def stop(self) -> None:
        """End it and remove what it made."""
        ...

    async def connect(self) -> tuple[Mapping[str, str], Sequence[Proxy]]:
        """For one replica: what to set in its environment, and the proxies that it will be served through."""
        ...

    @property
    def faults(self) -> Mapping[str, Fault]:
        """The faults of this mode, beside those of every mode (`faults.EVERYWHERE`)."""
        ...

    async def settled(self, connection: asyncpg.Connection) -> str | None:
        """None once consumers have dealt with all that moves no position, else what they have not."""
        ...

    async def letters(self) -> set[Letter]:
        """The dead letters that the mode's own faults must have led to."""
        ...

    async def unpublished(self, connection: asyncpg.Connection) -> tuple[int, list[str]]:
        """How many events were appended, and those that readers would look for in vain."""
        ...


class PostgresLog:
    """The producers' own tables: what is committed is published."""

    name = "postgres"
    faults: Mapping[str, Fault] = {}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def connect(self) -> tuple[Mapping[str, str], Sequence[Proxy]]:
        return {}, []

    async def settled(self, _connection: asyncpg.Connection) -> str | None:
        return None

    async def letters(self) -> set[Letter]:
        return set()

    async def unpublished(self, _connection: asyncpg.Connection) -> tuple[int, list[str]]:
        return 0, []
