"""The log between two positions, folded: what reconciliation and rebuilding stand on."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from tiendo_aggregator.errors import LogUnreadable
from tiendo_aggregator.rules.counting import Folded
from tiendo_aggregator.rules.detail import Fold
from tiendo_common.errors import ConsumerError, Invalid
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Chunk, LogReader, Partition, Position
from tiendo_common.events.catalogue import EventDecoder


async def folded_between(
    reader: LogReader,
    fold: Fold,
    since: Mapping[Partition, int],
    reached: Mapping[Partition, int],
    *,
    at_once: int,
) -> AsyncIterator[tuple[Folded, int]]:
    """The log since these positions to those that were reached, folded piece by piece: 1 what happened, -1 what
    has not. `at_once`: events in a piece; the loop stands still while they are folded, some 6 us each.

    Raises LogUnreadable; Invalid if the log ends before.
    """
    decoder = EventDecoder[Any](fold.types)
    goal = {partition: reached.get(partition, 1) for partition in since}
    for begin, end, sign in ((since, goal, 1), (goal, since, -1)):
        at = {partition: Position(next_) for partition, next_ in begin.items() if next_ < end[partition]}
        while at:
            try:
                chunks = [_before(chunk, end[chunk.partition]) for chunk in await reader.fetch(at, at_once)]
                sums = fold.sums(Batch(chunks).events(decoder))
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
            yield sums, sign
            at |= {chunk.partition: chunk.after for chunk in chunks}
            at = {partition: position for partition, position in at.items() if position.next < end[partition]}


def _before(chunk: Chunk, end: int) -> Chunk:
    """The part of a chunk of a fact topic that stands before `end`."""
    keep = end - chunk.sequences[0]
    return Chunk(chunk.partition, chunk.sequences[:keep], chunk.bodies[:keep], chunk.after)
