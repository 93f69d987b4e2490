"""Judges what the aggregator publishes: progress, and who has reported."""

from collections.abc import Sequence

from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.declarations import CountsDeclared, DeclarationsClosed, DeclarationsDue
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


class ReportsProjection:
    """Hands the states of days at their cut-offs to the judge. What was declared is nobody's trouble."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._decoder = EventDecoder[CountsDeclared | DeclarationsClosed](
            [CountsDeclared, DeclarationsClosed]
        )

    def prepare(self, batch: Batch) -> list[DeclarationsDue]:
        return [event.data for event in batch.events(self._decoder) if isinstance(event, DeclarationsClosed)]

    async def apply(self, connection: Connection, works: Sequence[list[DeclarationsDue]]) -> None:
        await self._judge.reports(connection, [due for work in works for due in work])
