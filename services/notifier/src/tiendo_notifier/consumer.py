"""Judges the aggregator's progress as it is published."""

from collections.abc import Sequence

from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import ProgressPublication, ProgressPublished
from tiendo_notifier.use_cases.judge import Judge


class ProgressProjection:
    """Hands the figures of a batch to the judge, in the transaction that moves the position."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._decoder = EventDecoder([ProgressPublished])

    def prepare(self, batch: Batch) -> list[ProgressPublication]:
        return [event.data for event in batch.events(self._decoder)]

    async def apply(self, connection: Connection, works: Sequence[list[ProgressPublication]]) -> None:
        await self._judge(connection, [figures for work in works for figures in work])
