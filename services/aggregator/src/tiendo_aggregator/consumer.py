"""The projections that count."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tiendo_aggregator.rules import counting
from tiendo_aggregator.rules.faults import FaultCell, fold_faults
from tiendo_aggregator.rules.teams import TeamCell, TeamDecoder, fold_teams
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
    """Citizens by unit, day, indicator and level; how many of them came by each channel and are of each cohort;
    and since when what happened to them had been waited for."""

    def __init__(self) -> None:
        self._decoder = EventDecoder[counting.Lean](counting.LEAN)

    def prepare(self, batch: Batch) -> counting.Folded:
        return counting.fold(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[counting.Folded]) -> None:
        folded = counting.add_up(works)
        await add_counts(connection, folded.counts)
        await add_waits(connection, folded.waits)


class Teams:
    """Work by team, and what was wrong with dossiers, beside the counters and at a pace of its own: so it could begin
    at the log's beginning when they were far along."""

    def __init__(self) -> None:
        self._decoder = TeamDecoder()

    def prepare(self, batch: Batch) -> tuple[Mapping[TeamCell, int], Mapping[FaultCell, int]]:
        events = list(batch.events(self._decoder))
        # Foreign records are kept aside where everything is counted; once is enough.
        batch.rejected[:] = [letter for letter in batch.rejected if letter.sequence is not None]
        return fold_teams(events), fold_faults(events)

    async def apply(
        self,
        connection: Connection,
        works: Sequence[tuple[Mapping[TeamCell, int], Mapping[FaultCell, int]]],
    ) -> None:
        of_teams: Counter[TeamCell] = Counter()
        faults: Counter[FaultCell] = Counter()
        for teams, found in works:
            of_teams.update(teams)
            faults.update(found)
        await add_team_work(connection, of_teams)
        await add_faults(connection, faults)
