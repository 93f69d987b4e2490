"""The two projections. Each has a consumer of its own, so that neither waits for or stops the other."""

from collections.abc import Mapping, Sequence

from tiendo_aggregator.rules import counting
from tiendo_aggregator.storage.counting import add_breakdowns, add_totals
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder

#: The topics that are counted; each indicator comes from exactly one of them.
TOPICS = ("intake", "approval", "activation")


class Totals:
    """Citizens by unit, day, indicator and level."""

    def __init__(self) -> None:
        self._decoder = EventDecoder[counting.Lean](counting.LEAN)

    def prepare(self, batch: Batch) -> Mapping[counting.TotalCell, int]:
        return counting.count_totals(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[Mapping[counting.TotalCell, int]]) -> None:
        await add_totals(connection, counting.add_up(works))


class Breakdowns:
    """The same citizens by channel and by cohort."""

    def __init__(self) -> None:
        self._decoder = EventDecoder[counting.Lean](counting.LEAN)

    def prepare(self, batch: Batch) -> Mapping[counting.BreakdownCell, int]:
        return counting.breakdowns(counting.fold(batch.events(self._decoder)))

    async def apply(
        self, connection: Connection, works: Sequence[Mapping[counting.BreakdownCell, int]]
    ) -> None:
        await add_breakdowns(connection, counting.add_up(works))
