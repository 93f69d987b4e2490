"""Units: loaded from the files of facts, published, looked up."""

import asyncio
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
import structlog

from tiendo_aggregator.errors import NotLoaded
from tiendo_aggregator.rules.units import Gazetteer, Spans, merge_editions, search_key
from tiendo_aggregator.storage.facts import read_editions
from tiendo_aggregator.storage.units import lock_units, replace_units, stored_units
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_common.eventlog.port import EventLog, NewEvent
from tiendo_common.events.state import UnitPublication, UnitPublished, UnitSpan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit as of a day."""

    code: str
    span: UnitSpan


class Units:
    """The tree of units of every day."""

    def __init__(self, pool: asyncpg.Pool, event_log: EventLog, origin: Origin, data_facts: Path) -> None:
        self._pool = pool
        self._log = event_log
        self._origin = origin
        self._data_facts = data_facts
        self._gazetteer: Gazetteer | None = None

    @property
    def gazetteer(self) -> Gazetteer:
        """Raises NotLoaded while the service starts."""
        if self._gazetteer is None:
            raise NotLoaded("The units are not loaded yet.", remedy="Try again in a moment.")
        return self._gazetteer

    def missing(self) -> str | None:
        """What readiness waits for."""
        return None if self._gazetteer is not None else "the units are not loaded yet"

    async def load(self) -> None:
        """Bring the stored and published units to what the files say; write nothing if they already are."""
        spans = merge_editions(await asyncio.to_thread(read_editions, self._data_facts))
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_units(connection)
            stored = await stored_units(connection)
            if stored != spans:
                await replace_units(connection, spans)
                await self._log.append(connection, self._changes(stored, spans))
                log.info("units loaded", codes=len(spans), before=len(stored))
        self._gazetteer = Gazetteer(spans)

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
