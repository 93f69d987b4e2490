"""Replicas of state topics: read whole at each start, the newest event of a key wins."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Retry
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import LogReader, Partition, Position
from tiendo_common.events.catalogue import TOPICS, EventDecoder
from tiendo_common.events.envelope import Event

EventT = TypeVar("EventT", bound=Event)

log = structlog.get_logger(__name__)


class StateReplica(Generic[EventT]):
    """Keeps an in-memory copy of a state topic current by calling `put` with each event.

    Not `loaded` before it has reached what was published when it first looked.
    """

    POLL = 0.1

    def __init__(
        self, topic: str, event: type[EventT], reader: LogReader, put: Callable[[EventT], None]
    ) -> None:
        self.loaded = False
        self._reader = reader
        self._put = put
        self._decoder = EventDecoder([event])
        self._positions = {Partition(topic, n): Position(1) for n in range(TOPICS[topic].partitions)}
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        said = ""
        try:
            while True:
                try:
                    await self._take_in(thoroughly=not self.loaded)
                except (Retry, *PASSING_FAULTS) as error:
                    if said != (said := str(error)):
                        log.info("state topic not readable yet", reason=said)
                await asyncio.sleep(self.POLL)
        finally:
            await self._reader.close()

    async def catch_up(self) -> None:
        """Take in all that is published now. Raises Retry while the topic cannot be read."""
        await self._take_in(thoroughly=True)

    async def _take_in(self, *, thoroughly: bool) -> None:
        async with self._lock:
            while chunks := await self._reader.fetch(
                self._positions, 20_000, wait=None if thoroughly else 0.0
            ):
                batch = Batch(chunks)
                for event in batch.events(self._decoder):
                    self._put(event)
                for letter in batch.rejected:
                    log.error("unreadable state event passed over", at=letter.partition, reason=letter.reason)
                self._positions |= {chunk.partition: chunk.after for chunk in chunks}
            self.loaded = True
