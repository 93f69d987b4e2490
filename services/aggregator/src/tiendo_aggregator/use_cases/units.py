"""Units: loaded from the files of facts, published, looked up."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
import structlog

from tiendo_aggregator.errors import NotLoaded
from tiendo_aggregator.rules.units import (
    Edition,
    Gazetteer,
    History,
    Spans,
    in_order,
    merge_editions,
    search_key,
)
from tiendo_aggregator.storage.facts import read_editions_by_day
from tiendo_aggregator.storage.reorganisation import in_force
from tiendo_aggregator.storage.units import (
    lock_units,
    raise_units_revision,
    replace_units,
    stored_editions,
    stored_units,
    units_revision,
)
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_common.eventlog.port import Connection, EventLog, NewEvent
from tiendo_common.events.state import UnitPublication, UnitPublished, UnitSpan
from tiendo_common.service.rounds import go_round

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit as of a day."""

    code: str
    span: UnitSpan


class Units:
    """The tree of units of every day, and the reorganisations in force between them.

    Held in memory and read again when the revision in the database has risen: a change is seen at once by the
    replica that made it, by the others within LOOK seconds.
    """

    LOOK = 1.0

    def __init__(self, pool: asyncpg.Pool, event_log: EventLog, origin: Origin, data_facts: Path) -> None:
        self._pool = pool
        self._log = event_log
        self._origin = origin
        self._data_facts = data_facts
        self._files: Mapping[date, Edition] = {}
        self._sent: Mapping[date, Edition] = {}
        self._revision = -1
        self._reading = asyncio.Lock()
        self._history: History | None = None

    @property
    def history(self) -> History:
        """Raises NotLoaded while the service starts."""
        if self._history is None:
            raise NotLoaded("The units are not loaded yet.", remedy="Try again in a moment.")
        return self._history

    @property
    def gazetteer(self) -> Gazetteer:
        """Raises NotLoaded while the service starts."""
        return self.history.gazetteer

    def missing(self) -> str | None:
        """What readiness waits for."""
        return None if self._history is not None else "the units are not loaded yet"

    async def load(self) -> None:
        """Bring the stored and published units to what the files and the editions sent to us say; write nothing
        if they already are. An edition that was sent stands in place of a file of the same day."""
        self._files = await asyncio.to_thread(read_editions_by_day, self._data_facts)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_units(connection)
            await self._read(connection)
            await self.publish(connection, self.gazetteer.spans)

    async def follow(self) -> None:
        """Notice what other replicas change, until cancelled."""

        async def look() -> None:
            async with self._pool.acquire() as connection:
                await self._read(connection)

        await go_round(look, self._origin.clock, self.LOOK, "units not read again")

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Connection]:
        """A transaction that alone may change editions and reorganisations. `history` is at its newest in it; what
        is changed holds from the commit on."""
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                await lock_units(connection)
                await self._read(connection)
                yield connection
                await raise_units_revision(connection)
            await self._read(connection)

    def spans_with(self, from_day: date, edition: Edition) -> Spans:
        """The history of units if this were the tree from that day on."""
        return merge_editions(in_order({**self._files, **self._sent, from_day: edition}))

    async def publish(self, connection: Connection, spans: Spans) -> None:
        """Store this history of units and publish what is new in it, in the caller's transaction."""
        stored = await stored_units(connection)
        if stored != spans:
            await replace_units(connection, spans)
            await self._log.append(connection, self._changes(stored, spans))
            log.info("units loaded", codes=len(spans), before=len(stored))

    async def _read(self, connection: Connection) -> None:
        # One at a time: an older state must not take a newer one's place.
        async with self._reading:
            # The revision first: what is committed after it is read again at the next look.
            revision = await units_revision(connection)
            if revision == self._revision:
                return
            sent = await stored_editions(connection)
            reorganisations = await in_force(connection)
            if self._history is not None and sent == self._sent:
                gazetteer = self._history.gazetteer
            else:
                gazetteer = Gazetteer(
                    await asyncio.to_thread(merge_editions, in_order({**self._files, **sent}))
                )
            self._history = History(gazetteer, reorganisations)
            self._sent, self._revision = sent, revision

    def _changes(self, stored: Spans, spans: Spans) -> list[NewEvent]:
        # Each publication says how many codes there are, so another number makes every one of them new.
        # A code that left the files stays published, with the spans that it had: it once was.
        same_number = len(stored) == len(spans)
        return [
            NewEvent(
                "units",
                UnitPublished(
                    **self._origin.attributes(code, code),
                    data=UnitPublication(code=code, spans=each, loaded=len(spans)),
                ),
                key=code,
            )
            for code, each in spans.items()
            if not (same_number and stored.get(code) == each)
        ]

    def find(
        self, as_of: date, *, code: str | None, parent: str | None, search: str | None
    ) -> list[FoundUnit]:
        """The units valid on a day that match everything asked for, by code."""
        tree = self.gazetteer.as_of(as_of)
        if code is not None:
            codes = [code] if code in tree.units else []
        elif parent is not None:
            codes = tree.children.get(parent, [])
        else:
            codes = sorted(tree.units)
        if parent is not None:
            codes = [each for each in codes if tree.units[each].parent == parent]
        if search is not None:
            wanted = search_key(search)
            codes = [each for each in codes if wanted in tree.search_keys[each]]
        return [FoundUnit(each, tree.units[each]) for each in codes]
