"""Counters folded anew from the whole log, and held against the live ones, while events keep arriving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
import structlog

from tiendo_aggregator.errors import PositionsSetBack, RebuildUnderWay
from tiendo_aggregator.rules.counting import COUNTED, Boundary, Counted, breakdowns, totals
from tiendo_aggregator.storage.counting import positions
from tiendo_aggregator.storage.rebuild import (
    BREAKDOWN,
    TOTAL,
    Table,
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
from tiendo_common.events.catalogue import TOPICS, EventDecoder

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RebuiltTable:
    """Live counters beside what the log comes to, both at the same positions. `differing` counts cells, also such as
    differ only in when they became known, which the checksums leave out."""

    checksum_live: int
    checksum_rebuilt: int
    differing: int
    named: Sequence[tuple[str, date]]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found. `repaired`: whether differences were put right."""

    province: str | None
    events: int
    repaired: bool
    totals: RebuiltTable
    breakdowns: RebuiltTable

    @property
    def equal(self) -> bool:
        return not (self.totals.differing or self.breakdowns.differing)


@dataclass(slots=True)
class _Side:
    """A counter table, the consumer that fills it, where its live copy stands and how far it was rebuilt."""

    table: Table
    consumer: str
    reached: dict[Partition, int]
    generations: dict[Partition, int]
    at: dict[Partition, int]


class Rebuild:
    """Folds the log from its beginning, beside the consumers and without stopping them.

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
        *,
        totals: str,
        breakdowns: str,
    ) -> None:
        self._pool = pool
        self._reader = reader
        self._units = units
        self._topics = topics
        self._totals = totals
        self._breakdowns = breakdowns
        self._decoder = EventDecoder[Counted](COUNTED)

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
                for table in (TOTAL, BREAKDOWN):
                    await end_rebuild(connection, table)
                await rebuild_is_over(connection)

    async def _run(
        self,
        connection: Connection,
        by: str,
        province: str | None,
        units: Sequence[str] | None,
        repair_because: str | None,
    ) -> Rebuilt:
        sides = []
        for table, consumer in ((TOTAL, self._totals), (BREAKDOWN, self._breakdowns)):
            await begin_rebuild(connection, table)
            async with connection.transaction(isolation="repeatable_read"):
                await copy_live(connection, table, units)
                reached = await positions(connection, consumer)
                of = await generations(connection, consumer)
            sides.append(_Side(table, consumer, reached, of, {}))
        # Most of the log is the same for both tables: it is read and decoded once.
        both = {
            partition: min(side.reached.get(partition, 1) for side in sides)
            for partition in self._partitions()
        }
        wanted = None if units is None else frozenset(units)
        at = dict.fromkeys(both, 1)
        async for sums, _ in folded_between(self._reader, self._decoder, at, both):
            for side in sides:
                await _add(connection, side.table, sums, wanted)
        for side in sides:
            side.at = dict(at)
            async for sums, _ in folded_between(self._reader, self._decoder, side.at, side.reached):
                await _add(connection, side.table, sums, wanted)
        found = [await self._compare(connection, side.table) for side in sides]
        events = sum(next_ - 1 for next_ in sides[0].at.values())
        repaired = repair_because is not None and any(each.differing for each in found)
        async with connection.transaction():
            if repaired:
                for side in sides:
                    await self._repair(connection, side)
            await note_rebuild(
                connection,
                by=by,
                reason=repair_because if repaired else None,
                province=province,
                events=events,
                totals=found[0].differing,
                breakdowns=found[1].differing,
            )
        log.info(
            "counters rebuilt",
            events=events,
            differing_totals=found[0].differing,
            differing_breakdowns=found[1].differing,
            repaired=repaired,
        )
        return Rebuilt(province, events, repaired, *found)

    async def _compare(self, connection: Connection, table: Table) -> RebuiltTable:
        live, rebuilt = await checksums(connection, table)
        found = await differing(connection, table)
        return RebuiltTable(live, rebuilt, found.cells, found.named)

    async def _repair(self, connection: Connection, side: _Side) -> None:
        now, of = await alone_with_positions(connection, side.consumer)
        if of != side.generations or any(now.get(each, 1) < next_ for each, next_ in side.reached.items()):
            raise PositionsSetBack(
                f"The positions of {side.consumer} were set back while the log was folded anew.",
                remedy="Wait until it has caught up, then rebuild again.",
            )
        await repair(connection, side.table)

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


async def _add(
    connection: Connection, table: Table, sums: Mapping[Boundary, int], units: frozenset[str] | None
) -> None:
    cells = totals(sums) if table is TOTAL else breakdowns(sums)
    if units is not None:
        cells = {cell: n for cell, n in cells.items() if cell[0] in units}  # type: ignore[assignment]
    async with connection.transaction():
        await add_rebuilt(connection, table, cells)
