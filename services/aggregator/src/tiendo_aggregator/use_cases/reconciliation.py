"""The proof: counters against the records they were folded from, without stopping anything."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

import asyncpg
import msgspec
from prometheus_client import Gauge

from tiendo_aggregator.rules.checksum import MODULUS, checksum
from tiendo_aggregator.rules.counting import (
    ATTRIBUTIONS,
    INDICATORS,
    KINDS,
    Attribution,
    Kind,
)
from tiendo_aggregator.rules.detail import Fold
from tiendo_aggregator.rules.reconciliation import (
    Difference,
    Happened,
    Part,
    Whole,
    beside_totals,
    citizens,
    differences,
    take_back,
    totals_of,
    without_teams,
)
from tiendo_aggregator.storage.counting import all_breakdowns, all_totals, positions
from tiendo_aggregator.storage.passages import all_passages
from tiendo_aggregator.storage.proof import Proof, note_proof, proof_state, proofs
from tiendo_aggregator.storage.teams import all_team_work
from tiendo_aggregator.use_cases.log_between import folded_between
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.database.pool import PASSING_FAULTS, let_think
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection, LogReader, Partition
from tiendo_common.events.catalogue import TOPICS
from tiendo_common.events.state import Indicator

#: Sums of what happened since a tally was taken that are kept (len of Happened).
_MOST_KEPT = 30_000
#: Events that are folded in one go: others ask this service, too.
_AT_ONCE = 2000
#: Seconds that a snapshot waits for the next piece.
_PATIENCE = 5.0
#: Snapshots at a time: that of the comparison which never ends, and one of whoever asks beside it. With one, they would
#: take it from each other at each piece, and each fold anew all that happened since its own tallies.
_SNAPSHOTS = 2
_INDICATOR = {indicator: number for number, indicator in enumerate(INDICATORS)}
_ATTRIBUTION = {attribution: number for number, attribution in enumerate(ATTRIBUTIONS)}
_KIND = {kind: number for number, kind in enumerate(KINDS)}

UNPROVEN_UNITS = Gauge(
    "tiendo_reconciliation_differing_units", "Units whose counters differ from the records"
)
UNPROVEN_CELLS = Gauge("tiendo_reconciliation_differing_cells", "Cells of them that do")
PROOF_AGE = Gauge("tiendo_reconciliation_age_seconds", "Since the unit compared longest ago was compared")

#: Totals; and, of breakdowns, passages and work by team, what each comes to.
_Cells = tuple[defaultdict[Whole, int], defaultdict[Part, int]]

#: The next sequence of a partition; they begin at 1, and no log gets near the bound.
Head = Annotated[int, msgspec.Meta(ge=1, lt=2**62)]


class TallyCell(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Net change on a day; of a breakdown also by what; of work the team; of a passage, of whatever level (0), since
    when."""

    indicator: Indicator
    attribution: Attribution
    unit: str
    level: Literal[0, 1, 2]
    day: date
    n: int
    dimension: Kind | None = None
    value: str | None = None


class Tally(msgspec.Struct, frozen=True):
    """What a producer's records say: net changes per day, and its log's heads in the same snapshot.

    `units`: those that were counted; None: all. `breakdowns`: cells are by channel and by cohort, not totals; and
    passages are among them. `teams`: so is work by team, which a producer of a build before doesn't count.
    """

    heads: dict[str, list[Head]]
    cells: list[TallyCell]
    units: list[str] | None = None
    breakdowns: bool = False
    teams: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Units from a code on, up to before another, in the order of codes as text; None: to the end."""

    first: str = ""
    before: str | None = None

    def __contains__(self, code: str) -> bool:
        return self.first <= code and (self.before is None or code < self.before)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether counters and records agree, cell by cell. `breakdowns`, `teams`: whether these were compared, too; they
    never are where totals alone are counted. The checksums are of the totals and, if they were compared, of the
    passages and the work by team (rules.checksum): equal if nothing differs."""

    campaign: str
    compared: int
    breakdowns: bool
    teams: bool
    totals: Mapping[Indicator, int]
    differing: Sequence[Difference]
    checksum_records: int
    checksum_counters: int

    @property
    def clean(self) -> bool:
        return not self.differing


@dataclass(slots=True)
class _Snapshot:
    """The counters as they stood when the first piece of some tallies came, at the positions `reached`, and what
    `happened` to the counters of `province` between the tallies' `heads` and these (None: not folded yet).

    It is held while the pieces come. Were each compared with the counters of its own moment, the log since the tallies
    would grow from piece to piece: beside many events, faster than it can be folded.
    """

    heads: Mapping[Partition, int]
    province: frozenset[str]
    reached: Mapping[Partition, int]
    connection: Connection
    held: AsyncExitStack
    used: float
    happened: Happened | None = None


class Reconciliation:
    """Compares the counters with tallies of the producers' records. `consumer` is the name of who folds them."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        reader: LogReader,
        plans: Plans,
        units: Units,
        topics: Sequence[str],
        fold: Fold,
        *,
        consumer: str,
    ) -> None:
        self._pool = pool
        self._reader = reader
        self._plans = plans
        self._units = units
        self._topics = topics
        self._consumer = consumer
        self._fold = fold
        # The reader is for one at a time, and so is the memory.
        self._turn = asyncio.Lock()
        # The one that was used last stands last.
        self._snapshots: list[_Snapshot] = []

    async def compare(
        self, campaign: str, tallies: Sequence[Tally], span: Span = Span(), *, remember: bool = False
    ) -> Verdict:
        """Compare every cell of every unit of `span` that was ever in the campaign's province.

        Counters and positions are read in one snapshot, for all pieces of the same tallies; the log between the
        tallies' heads and them is folded out, or in where the counters are behind, so both sides speak of exactly the
        same events.

        `remember`: note it as the units' last comparison. Only for tallies from whoever can take them: what somebody
        made up must not alarm anybody.

        Raises UnknownCampaign, Invalid for tallies that don't cover the units or the topics, LogUnreadable.
        """
        plan = await self._plans.get(campaign)
        below = self._units.gazetteer.ever_below(plan.campaign.province)
        units = [code for code in below if code in span]
        heads = self._heads(tallies)
        # Tallies of breakdowns say all totals, too: what is not counted here is not compared.
        with_breakdowns = self._covers(tallies, units) and self._fold.all
        with_teams = with_breakdowns and all(tally.teams for tally in tallies)
        province, wanted = frozenset(below), frozenset(units)
        # In threads, what takes some tenths of a second for a large commune: the loop answers others meanwhile.
        said = await asyncio.to_thread(_said, tallies, wanted)
        async with self._turn:
            snapshot = await self._snapshot_of(heads, province)
            try:
                counters = await all_totals(snapshot.connection, units)
                counter_parts = defaultdict[Part, int](int)
                if with_breakdowns:
                    counter_parts = await all_breakdowns(snapshot.connection, units)
                    counter_parts.update(await all_passages(snapshot.connection, units))
                    counter_parts.update(await all_team_work(snapshot.connection, units))
                happened = await self._happened(snapshot, wanted)
                since = await asyncio.to_thread(happened.cells, wanted)
            except BaseException:
                await self._let_go(snapshot)
                raise
            snapshot.used = time.monotonic()
            if span.before is None:
                await self._let_go(snapshot)
        counted = counters, counter_parts
        verdict = await asyncio.to_thread(
            _judge, campaign, said, counted, since, breakdowns=with_breakdowns, teams=with_teams
        )
        if remember:
            async with self._pool.acquire() as connection, connection.transaction():
                await note_proof(connection, units, verdict.differing)
        return verdict

    async def proven(self, campaign: str) -> tuple[list[str], list[Proof]]:
        """The units that are in the campaign's province and were never compared, and the last comparison of those that
        ever were in it. Raises UnknownCampaign."""
        plan = await self._plans.get(campaign)
        province, first_day = plan.campaign.province, plan.campaign.first_day
        async with self._pool.acquire() as connection:
            found = await proofs(connection, list(self._units.gazetteer.ever_below(province)))
        compared = {each.unit for each in found}
        tree = self._units.gazetteer.as_of(first_day)
        return [unit for unit in tree.below(province) if unit not in compared], found

    async def measure(self) -> None:
        """Bring the gauges up to date."""
        state = await proof_state(self._pool)
        UNPROVEN_UNITS.set(state.differing_units)
        UNPROVEN_CELLS.set(state.differing_cells)
        if state.age is not None:
            PROOF_AGE.set(state.age)

    async def keep(self) -> None:
        """Let snapshots go whose next piece doesn't come; until cancelled."""
        try:
            while True:
                await asyncio.sleep(1)
                if self._turn.locked():
                    continue  # its next piece may have come, and be waiting
                async with self._turn:
                    for snapshot in list(self._snapshots):
                        if time.monotonic() - snapshot.used > _PATIENCE:
                            await self._let_go(snapshot)
        finally:
            for snapshot in list(self._snapshots):
                await self._let_go(snapshot)

    async def _snapshot_of(self, heads: Mapping[Partition, int], province: frozenset[str]) -> _Snapshot:
        """That of the last piece of the same tallies, or a new one."""
        for held in self._snapshots:
            if (held.heads, held.province) == (heads, province):
                self._snapshots.remove(held)
                self._snapshots.append(held)
                return held
        while len(self._snapshots) >= _SNAPSHOTS:
            await self._let_go(self._snapshots[0])
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._pool.acquire())
            await stack.enter_async_context(
                connection.transaction(isolation="repeatable_read", readonly=True)
            )
            await let_think(connection)  # its session does nothing while the log is folded
            reached = await positions(connection, self._consumer)
            snapshot = _Snapshot(heads, province, reached, connection, stack.pop_all(), time.monotonic())
        self._snapshots.append(snapshot)
        return snapshot

    async def _happened(self, snapshot: _Snapshot, wanted: frozenset[str]) -> Happened:
        """What happened between the tallies and the snapshot: to the whole province, or, where that is too much to be
        kept, to the `wanted` units and as many of those that come next as there is room for. With the wanted ones
        alone, all of it would be folded anew for each piece."""
        if snapshot.happened is not None and snapshot.happened.units >= wanted:
            return snapshot.happened
        snapshot.happened = None
        happened = Happened(snapshot.province)
        async for sums, sign in folded_between(
            self._reader, self._fold, snapshot.heads, snapshot.reached, at_once=_AT_ONCE
        ):
            happened.add(sums, sign)
            while len(happened) > _MOST_KEPT and happened.units != wanted:
                happened.narrow(wanted)
        snapshot.happened = happened
        return happened

    async def _let_go(self, snapshot: _Snapshot) -> None:
        self._snapshots.remove(snapshot)
        with contextlib.suppress(*PASSING_FAULTS):
            await snapshot.held.aclose()

    def _covers(self, tallies: Sequence[Tally], units: Sequence[str]) -> bool:
        """Whether the tallies are of breakdowns. Raises Invalid unless they speak of all these units."""
        for tally in tallies:
            missing = [] if tally.units is None else sorted(set(units) - set(tally.units))
            if missing:
                # A producer that has not heard of a unit yet would leave out what is counted there.
                raise Invalid(
                    f"A tally does not speak of {len(missing)} units of the province: {', '.join(missing[:5])}.",
                    field="tallies.units",
                    remedy="Take the tallies again, of the campaign's province.",
                )
        kinds = {tally.breakdowns for tally in tallies}
        if len(kinds) > 1:
            raise Invalid(
                "One tally is of totals, another of breakdowns.",
                field="tallies.breakdowns",
                remedy="Take both in the same way.",
            )
        return True in kinds

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


def _said(tallies: Sequence[Tally], units: Container[str]) -> _Cells:
    """What the tallies say of these units."""
    cells: defaultdict[Whole, int] = defaultdict(int)
    parts: defaultdict[Part, int] = defaultdict(int)
    for tally in tallies:
        for said in tally.cells:
            if said.unit not in units:
                continue
            cell = said.unit, _ATTRIBUTION[said.attribution], said.day, _INDICATOR[said.indicator], said.level
            if tally.breakdowns != (said.dimension is not None and said.value is not None):
                raise Invalid(
                    "A tally of totals has cells of breakdowns, or the other way about.",
                    field="tallies.cells",
                )
            if said.dimension is None or said.value is None:
                cells[cell] += said.n
            else:
                parts[*cell, _KIND[said.dimension], said.value] += said.n
    return cells, parts


def _judge(
    campaign: str,
    said: _Cells,
    counted: _Cells,
    since: tuple[Mapping[Whole, int], Mapping[Part, int]],
    *,
    breakdowns: bool,
    teams: bool,
) -> Verdict:
    """What the records say against what is counted, without what happened since."""
    records, record_parts = said
    counters, counter_parts = counted
    take_back(counters, since[0])
    if record_parts:
        records = totals_of(record_parts)
    if breakdowns:
        take_back(counter_parts, since[1])
        if not teams:
            record_parts, counter_parts = without_teams(record_parts), without_teams(counter_parts)
    compared, differing = differences(records, counters)
    checksums = [checksum(records), checksum(counters)]
    if breakdowns:
        for place, side in enumerate((record_parts, counter_parts)):
            checksums[place] = (checksums[place] + checksum(beside_totals(side))) % MODULUS
        compared_parts, differing_parts = differences(record_parts, counter_parts)
        compared, differing = compared + compared_parts, [*differing, *differing_parts]
    return Verdict(campaign, compared, breakdowns, teams, citizens(records), differing, *checksums)
