"""The proof: counters against the records they were folded from, without stopping anything."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

import asyncpg
import msgspec

from tiendo_aggregator.errors import LogUnreadable
from tiendo_aggregator.rules.counting import (
    ATTRIBUTIONS,
    COUNTED,
    INDICATORS,
    Attribution,
    Counted,
    fold,
    totals,
)
from tiendo_aggregator.rules.reconciliation import Cell, Difference, add_known, citizens, differences
from tiendo_aggregator.storage.counting import all_totals, positions
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.errors import ConsumerError, Invalid
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Chunk, LogReader, Partition, Position
from tiendo_common.events.catalogue import TOPICS, EventDecoder
from tiendo_common.events.state import Indicator

_FETCH = 20_000


#: The next sequence of a partition; they begin at 1, and no log gets near the bound.
Head = Annotated[int, msgspec.Meta(ge=1, lt=2**62)]


class Tally(msgspec.Struct, frozen=True):
    """What a producer's records say: net changes per day, and its log's heads in the same snapshot.

    A cell is indicator, attribution, unit, level, day, net change. Tens of thousands come in one request.
    """

    heads: dict[str, list[Head]]
    cells: list[tuple[Indicator, Attribution, str, Literal[1, 2], date, int]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether counters and records agree, cell by cell."""

    campaign: str
    compared: int
    totals: Mapping[Indicator, int]
    differing: Sequence[Difference]

    @property
    def clean(self) -> bool:
        return not self.differing


class Reconciliation:
    """Compares the totals with tallies of the producers' records."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        reader: LogReader,
        plans: Plans,
        units: Units,
        consumer: str,
        topics: Sequence[str],
    ) -> None:
        self._pool = pool
        self._reader = reader
        self._plans = plans
        self._units = units
        self._consumer = consumer
        self._topics = topics
        self._decoder = EventDecoder[Counted](COUNTED)

    async def compare(self, campaign: str, tallies: Sequence[Tally]) -> Verdict:
        """Compare every cell of every unit that was ever in the campaign's province.

        Counters and positions are read in one snapshot; the log between them and the tallies' heads is
        folded in, or out where the counters are ahead, so both sides speak of exactly the same events.

        Raises UnknownCampaign, Invalid for tallies that don't cover the topics, LogUnreadable.
        """
        plan = await self._plans.get(campaign)
        units = self._units.gazetteer.ever_below(plan.campaign.province)
        heads = self._heads(tallies)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            counters = await all_totals(connection, units)
            reached = await positions(connection, self._consumer)
        start = {partition: reached.get(partition, 1) for partition in heads}
        await self._fold_between(counters, start, heads, 1)
        await self._fold_between(counters, heads, start, -1)
        records: defaultdict[Cell, int] = defaultdict(int)
        for tally in tallies:
            for indicator, attribution, unit, level, day, n in tally.cells:
                records[unit, ATTRIBUTIONS.index(attribution), day, INDICATORS.index(indicator), level] += n
        compared, differing = differences(units, records, counters)
        return Verdict(campaign, compared, citizens(units, records), differing)

    def _heads(self, tallies: Sequence[Tally]) -> dict[Partition, int]:
        heads = {
            Partition(topic, number): next_
            for tally in tallies
            for topic, each in tally.heads.items()
            for number, next_ in enumerate(each)
        }
        for topic in self._topics:
            wanted = {Partition(topic, number) for number in range(TOPICS[topic].partitions)}
            if {partition for partition in heads if partition.topic == topic} != wanted:
                raise Invalid(
                    f"The tallies don't say how far each of the {len(wanted)} partitions of {topic} went.",
                    field="tallies.heads",
                    remedy="Send the whole tally of intake and that of activation.",
                )
        return {partition: next_ for partition, next_ in heads.items() if partition.topic in self._topics}

    async def _fold_between(
        self,
        cells: defaultdict[Cell, int],
        start: Mapping[Partition, int],
        end: Mapping[Partition, int],
        sign: int,
    ) -> None:
        """Add the events from `start` to before `end`, where that is ahead."""
        at = {partition: Position(next_) for partition, next_ in start.items() if next_ < end[partition]}
        while at:
            try:
                chunks = [
                    _before(chunk, end[chunk.partition]) for chunk in await self._reader.fetch(at, _FETCH)
                ]
                add_known(cells, totals(fold(Batch(chunks).events(self._decoder))), sign)
            except ConsumerError as error:
                raise LogUnreadable(str(error)) from error
            if not chunks:
                partition = min(at)
                raise Invalid(
                    f"The tally says that {partition.topic}/{partition.number} went to {end[partition]}; "
                    f"the log ends at {at[partition].next}.",
                    field="tallies.heads",
                    remedy="Take the tallies from the services that these counters follow.",
                )
            at |= {chunk.partition: chunk.after for chunk in chunks}
            at = {partition: position for partition, position in at.items() if position.next < end[partition]}


def _before(chunk: Chunk, end: int) -> Chunk:
    """The part of a chunk of a fact topic that stands before `end`."""
    keep = end - chunk.sequences[0]
    return Chunk(chunk.partition, chunk.sequences[:keep], chunk.bodies[:keep], chunk.after)
