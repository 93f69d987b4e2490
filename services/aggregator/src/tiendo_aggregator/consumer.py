"""The projection that counts."""

from collections.abc import Sequence
from typing import Any

from tiendo_aggregator.rules.counting import Folded, add_up
from tiendo_aggregator.rules.detail import Fold
from tiendo_aggregator.storage.counting import add_counts
from tiendo_aggregator.storage.faults import add_faults
from tiendo_aggregator.storage.passages import add_waits
from tiendo_aggregator.storage.teams import add_team_work
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder

#: The topics that are counted; each indicator comes from exactly one of them.
TOPICS = ("intake", "approval", "activation")


class Counters:
    """Citizens by unit, day, indicator and level; how many of them came by each channel and are of each cohort; since
    when what happened to them had been waited for; which team did the work; and what was wrong
    with dossiers. Of all that, as much as `fold` makes."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold.sums
        self._decoder = EventDecoder[Any](fold.types)

    def prepare(self, batch: Batch) -> Folded:
        return self._fold(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[Folded]) -> None:
        folded = add_up(works)
        await add_counts(connection, folded.counts)
        await add_waits(connection, folded.waits)
        await add_team_work(connection, folded.teams)
        await add_faults(connection, folded.faults)
