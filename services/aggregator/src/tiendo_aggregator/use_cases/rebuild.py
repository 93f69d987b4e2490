"""Counters folded anew from the whole log, and held against the live ones, while events keep arriving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
import structlog

from tiendo_aggregator.errors import PositionsSetBack, RebuildUnderWay
from tiendo_aggregator.rules.counting import Folded
from tiendo_aggregator.rules.detail import Fold
from tiendo_aggregator.storage.counting import positions
from tiendo_aggregator.storage.rebuild import (
    add_rebuilt,
    alone_with_positions,
    begin_rebuild,
    checksums,
    copy_live,
    differing,
    end_rebuild,
    generations,
    note_rebuild,
    only_rebuild,
    rebuild_is_over,
    repair,
)
from tiendo_aggregator.use_cases.log_between import folded_between
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection, LogReader, Partition
from tiendo_common.events.catalogue import TOPICS

log = structlog.get_logger(__name__)

#: Events that are folded and stored in one go: the more, the fewer rows are written twice.
_AT_ONCE = 8000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: live counters beside what the log comes to, both at the same positions. `differing` counts
    rows, also such as differ only in a breakdown, in a fault or in when they became known, which the checksums (of
    totals, passages and work by team) leave out. `repaired`: whether differences were put right."""

    province: str | None
    events: int
    repaired: bool
    checksum_live: int
    checksum_rebuilt: int
    differing: int
    named: Sequence[tuple[str, date]]


class Rebuild:
    """Folds the log from its beginning, beside the consumer and without stopping it.

    The live counters are copied in one snapshot with the positions that they stand at; then the log is folded up to
    exactly there, in tables of the session's own. Nothing is locked meanwhile. What differs is put right only by order:
    by the difference, which stays right whatever was folded since, in a transaction that is alone with the consumer's
    positions and finds that they only went on.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        reader: LogReader,
        units: Units,
        topics: Sequence[str],
        fold: Fold,
        *,
        consumer: str,
    ) -> None:
        self._pool = pool
        self._reader = reader
        self._units = units
        self._topics = topics
        self._consumer = consumer
        self._fold = fold

    async def run(self, *, by: str, province: str | None, repair_because: str | None) -> Rebuilt:
        """Rebuild and compare; of the units that were ever in `province`, or of all. With `repair_because` differences
        are put right.

        Raises Invalid for an unknown province, RebuildUnderWay, LogUnreadable, PositionsSetBack.
        """
        units = None if province is None else self._ever_in(province)
        async with self._pool.acquire() as connection:
            if not await only_rebuild(connection):
                raise RebuildUnderWay(
                    "Another rebuild is under way.",
                    remedy="Wait for its end.",
                )
            try:
                return await self._run(connection, by, province, units, repair_because)
            finally:
                await end_rebuild(connection)
                await rebuild_is_over(connection)

    async def _run(
        self,
        connection: Connection,
        by: str,
        province: str | None,
        units: Sequence[str] | None,
        repair_because: str | None,
    ) -> Rebuilt:
        await begin_rebuild(connection)
        async with connection.transaction(isolation="repeatable_read"):
            await copy_live(connection, units)
            reached = await positions(connection, self._consumer)
            copied_of = await generations(connection, self._consumer)
        wanted = None if units is None else frozenset(units)
        since = dict.fromkeys(self._partitions(), 1)
        async for sums, _ in folded_between(self._reader, self._fold, since, reached, at_once=_AT_ONCE):
            async with connection.transaction():
                await add_rebuilt(connection, _of(sums, wanted))
        live, rebuilt = await checksums(connection, units)
        found = await differing(connection, units)
        events = sum(reached.get(partition, 1) - 1 for partition in since)
        repaired = repair_because is not None and found.rows > 0
        async with connection.transaction():
            if repaired:
                await self._repair(connection, reached, copied_of)
            await note_rebuild(
                connection,
                by=by,
                reason=repair_because if repaired else None,
                province=province,
                events=events,
                differing=found.rows,
            )
        log.info("counters rebuilt", events=events, differing=found.rows, repaired=repaired)
        return Rebuilt(province, events, repaired, live, rebuilt, found.rows, found.named)

    async def _repair(
        self, connection: Connection, reached: Mapping[Partition, int], copied_of: Mapping[Partition, int]
    ) -> None:
        now, of = await alone_with_positions(connection, self._consumer)
        if of != copied_of or any(now.get(each, 1) < next_ for each, next_ in reached.items()):
            raise PositionsSetBack(
                f"The positions of {self._consumer} were set back while the log was folded anew.",
                remedy="Wait until it has caught up, then rebuild again.",
            )
        await repair(connection)

    def _ever_in(self, province: str) -> list[str]:
        units = self._units.gazetteer.ever_below(province)
        if not units:
            raise Invalid(
                f"No unit was ever {province!r}.",
                field="province",
                remedy="GET /v1/units?search= finds codes; provinces have two digits.",
            )
        return units

    def _partitions(self) -> list[Partition]:
        return [
            Partition(topic, number) for topic in self._topics for number in range(TOPICS[topic].partitions)
        ]


def _of(folded: Folded, units: frozenset[str] | None) -> Folded:
    """What concerns these units: their citizens, or their work."""
    if units is None:
        return folded
    return Folded(
        {each: n for each, n in folded.counts.items() if each[4] in units or each[5] in units},
        {each: n for each, n in folded.waits.items() if each[0] in units},
        {each: n for each, n in folded.teams.items() if each[0] in units},
        {each: n for each, n in folded.faults.items() if each[0] in units},
    )
