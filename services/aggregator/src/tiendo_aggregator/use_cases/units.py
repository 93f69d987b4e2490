"""Units: loaded from the files of facts, published, looked up."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
import msgspec
import structlog

from tiendo_aggregator.errors import NotLoaded
from tiendo_aggregator.rules.units import (
    Edition,
    Gazetteer,
    Hamlet,
    Hamlets,
    History,
    in_order,
    merge_editions,
    search_key,
)
from tiendo_aggregator.rules.units.hamlets import HamletList, Lists, hamlet_spans
from tiendo_aggregator.storage.facts import read_editions_by_day
from tiendo_aggregator.storage.reorganisation import in_force
from tiendo_aggregator.storage.units import (
    lock_units,
    raise_units_revision,
    replace_hamlets,
    replace_units,
    stored_editions,
    stored_hamlets,
    stored_lists,
    stored_units,
    units_revision,
)
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_common.eventlog.port import Connection, EventLog, NewEvent
from tiendo_common.events.state import HamletSpan, UnitPublication, UnitPublished, UnitSpan
from tiendo_common.service.rounds import go_round

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit or hamlet as of a day."""

    code: str
    span: UnitSpan | Hamlet


class Units:
    """The tree of units of every day with its hamlets, and the reorganisations in force between them.

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
        self._lists: Lists = {}
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
            await self.publish(connection, self.gazetteer)

    async def follow(self) -> None:
        """Notice what other replicas change, until cancelled."""

        async def look() -> None:
            async with self._pool.acquire() as connection:
                await self._read(connection)

        await go_round(look, self._origin.clock, self.LOOK, "units not read again")

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Connection]:
        """A transaction that alone may change editions, lists of hamlets and reorganisations. `history` is at its
        newest in it; what is changed holds from the commit on."""
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                await lock_units(connection)
                await self._read(connection)
                yield connection
                await raise_units_revision(connection)
            await self._read(connection)

    def with_edition(self, from_day: date, edition: Edition) -> Gazetteer:
        """The history of units if this were the tree from that day on."""
        return _gazetteer({**self._files, **self._sent, from_day: edition}, self._lists)

    def with_list(self, province: str, from_day: date, sent: HamletList) -> tuple[Lists, Gazetteer]:
        """All lists if this were the province's from that day on, and the history of units with them."""
        lists = {**self._lists, (province, from_day): sent}
        return lists, Gazetteer(self.gazetteer.spans, hamlet_spans(lists, self.gazetteer.spans))

    async def publish(self, connection: Connection, gazetteer: Gazetteer) -> None:
        """Store this history of units and hamlets and publish what is new in it, in the caller's transaction."""
        stored = Gazetteer(await stored_units(connection), await stored_hamlets(connection))
        if (stored.spans, stored.hamlets) == (gazetteer.spans, gazetteer.hamlets):
            return
        if stored.spans != gazetteer.spans:
            await replace_units(connection, gazetteer.spans)
        if stored.hamlets != gazetteer.hamlets:
            await replace_hamlets(connection, gazetteer.hamlets)
        await self._log.append(connection, self._changes(stored, gazetteer))
        log.info(
            "units loaded",
            codes=len(gazetteer.spans),
            before=len(stored.spans),
            hamlets=len(gazetteer.hamlets),
        )

    async def _read(self, connection: Connection) -> None:
        # One at a time: an older state must not take a newer one's place.
        async with self._reading:
            # The revision first: what is committed after it is read again at the next look.
            revision = await units_revision(connection)
            if revision == self._revision:
                return
            sent = await stored_editions(connection)
            lists = await stored_lists(connection)
            reorganisations = await in_force(connection)
            if self._history is not None and (sent, lists) == (self._sent, self._lists):
                gazetteer = self._history.gazetteer
            else:
                gazetteer = await asyncio.to_thread(_gazetteer, {**self._files, **sent}, lists)
            self._history = History(gazetteer, reorganisations)
            self._sent, self._lists, self._revision = sent, lists, revision

    def _changes(self, stored: Gazetteer, now: Gazetteer) -> list[NewEvent]:
        # Each publication says how many codes there are, so another number makes every one of them new.
        # A code that left the files stays published, with the spans that it had: it once was.
        same_number = len(stored.spans) == len(now.spans)
        before, after = _by_commune(stored.hamlets), _by_commune(now.hamlets)
        return [
            NewEvent(
                "units",
                UnitPublished(
                    **self._origin.attributes(code, code),
                    data=UnitPublication(
                        code=code,
                        spans=each,
                        loaded=len(now.spans),
                        hamlets=after.get(code, msgspec.UNSET),
                    ),
                ),
                key=code,
            )
            for code, each in now.spans.items()
            if not (same_number and stored.spans.get(code) == each and before.get(code) == after.get(code))
        ]

    def find(
        self, as_of: date, *, code: str | None, parent: str | None, search: str | None
    ) -> list[FoundUnit]:
        """The units and hamlets valid on a day that match everything asked for, by code."""
        tree = self.gazetteer.with_hamlets(as_of)
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

    def hamlets(self, province: str, as_of: date) -> list[FoundUnit]:
        """The hamlets of a province on a day, by code. Raises Invalid if it is none on that day."""
        tree = self.gazetteer.require(province, as_of, field="province")
        codes = {
            code for commune in tree.communes(province) for code in self.gazetteer.hamlets_on(commune, as_of)
        }
        there = self.gazetteer.with_hamlets(as_of).units
        return [FoundUnit(code, there[code]) for code in sorted(codes)]


def _gazetteer(editions: Mapping[date, Edition], lists: Lists) -> Gazetteer:
    spans = merge_editions(in_order(editions))
    return Gazetteer(spans, hamlet_spans(lists, spans))


def _by_commune(hamlets: Hamlets) -> dict[str, tuple[HamletSpan, ...]]:
    """As they are published: by code and day below each commune."""
    found: defaultdict[str, list[HamletSpan]] = defaultdict(list)
    for code, spans in hamlets.items():
        for each in spans:
            found[each.parent].append(
                HamletSpan(code=code, from_day=each.from_day, until_day=each.until_day, name=each.name)
            )
    return {commune: tuple(each) for commune, each in found.items()}
