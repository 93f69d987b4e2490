"""The projection that counts."""

from collections.abc import Sequence

from tiendo_aggregator.rules import counting
from tiendo_aggregator.storage.counting import add_counts
from tiendo_aggregator.storage.passages import add_waits
from tiendo_aggregator.storage.teams import add_team_work
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder

#: The topics that are counted; each indicator comes from exactly one of them.
TOPICS = ("intake", "approval", "activation")


class Counters:
    """Citizens by unit, day, indicator and level; how many of them came by each channel and are of each cohort; since
    when what happened to them had been waited for; and which team did the work."""

    def __init__(self) -> None:
        self._decoder = EventDecoder[counting.Lean](counting.LEAN)

    def prepare(self, batch: Batch) -> counting.Folded:
        return counting.fold(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[counting.Folded]) -> None:
        folded = counting.add_up(works)
        await add_counts(connection, folded.counts)
        await add_waits(connection, folded.waits)
        await add_team_work(connection, folded.teams)
