"""What a changed counter row costs in a small province and in the whole country."""

import random
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import asyncpg

from benchmarks.content import DAYS, FIRST_DAY
from benchmarks.parts import fresh_database
from benchmarks.result import Result, against
from benchmarks.stack import FACTS, empty_folder
from tiendo_aggregator.rules.counting import Counted, fold
from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.storage.counting import add_counts
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.clock import new_event_id, new_record_id
from tiendo_common.events.restatements import IntakeRestated, IntakeRestatement, Segment

#: The communes of a district, and all of Viet Nam since the reform.
FEW, ALL = 10, 3321
_REFORMED = date(2025, 7, 2)
#: A batch changes as many cells in either: all that ten communes have.
CHANGES = FEW * DAYS


async def scale_units(runs: int = 5, batches: int = 30) -> list[Result]:
    """Fold and upsert, both with the aggregator's own code, on tables that hold every cell already.

    The same number of rows a batch. In the whole country they are those of a day, in communes left to chance, as a
    campaign changes them: each lies on another page. `scattered`: the days are left to chance, too.
    """
    communes = _communes()
    costs: dict[tuple[int, bool], list[float]] = {(FEW, True): [], (ALL, True): [], (ALL, False): []}
    choice = random.Random(1)
    with empty_folder() as data:
        async with fresh_database(data, "aggregator") as urls:
            connection = await asyncpg.connect(urls["aggregator"])
            try:
                for _ in range(runs):
                    for (count, scattered), into in costs.items():
                        units = communes[:count]
                        await _fill(connection, units)
                        into.append(await _cost(connection, units, choice, batches, scattered=scattered))
            finally:
                await connection.close()
    how = f"rows already there, {2 * CHANGES} a batch; PostgreSQL durable; baseline: {FEW} communes"
    few = costs[FEW, True]
    return [
        against(
            "scale_units",
            "us/changed row",
            costs[ALL, False],
            few,
            "ratio <= 1.3",
            how=f"{ALL} communes; {how}",
        ),
        against("scale_units_scattered", "us/changed row", costs[ALL, True], few, "a harder case, no goal"),
    ]


def _communes() -> list[str]:
    tree = Gazetteer(merge_editions(read_editions(FACTS))).as_of(_REFORMED)
    provinces = [code for code in tree.units if tree.units[code].parent is None]
    communes = [commune for province in sorted(provinces) for commune in tree.communes(province)]
    assert len(communes) == ALL, len(communes)
    return communes


async def _fill(connection: asyncpg.Connection, units: Sequence[str]) -> None:
    """Every unit on every day."""
    await connection.execute("TRUNCATE counter")
    for day in range(DAYS):
        events = [_event(unit, day) for unit in units]
        async with connection.transaction():
            await add_counts(connection, fold(events).counts)
    await connection.execute("VACUUM ANALYZE counter")


async def _cost(
    connection: asyncpg.Connection,
    units: Sequence[str],
    choice: random.Random,
    batches: int,
    *,
    scattered: bool,
) -> float:
    """Microseconds a changed row: the median batch, after a few that nobody times."""
    times = []
    for number in range(batches + 3):
        if scattered:
            places = choice.sample(range(len(units) * DAYS), CHANGES)
        else:
            day = choice.randrange(DAYS)
            places = [place * DAYS + day for place in choice.sample(range(len(units)), CHANGES)]
        events = [_event(units[place // DAYS], place % DAYS) for place in places]
        began = time.perf_counter()
        changed = fold(events).counts
        async with connection.transaction():
            await add_counts(connection, changed)
        took = time.perf_counter() - began
        assert len(changed) == CHANGES
        if number >= 3:
            times.append(took / len(changed) * 1e6)
    return statistics.median(times)


def _event(unit: str, day: int) -> Counted:
    on = FIRST_DAY + timedelta(days=day)
    record = new_record_id()
    moment = datetime(on.year, on.month, on.day, 3, tzinfo=UTC)
    segment = Segment(from_day=on, until_day=None, level=2, residence=unit, collecting=unit, channel="mobile")
    return IntakeRestated(
        id=new_event_id(),
        source="/vn/intake",
        subject=unit,
        time=moment,
        partitionkey=record,
        data=IntakeRestatement(
            record_id=record,
            version=1,
            change="recorded",
            occurred_at=moment,
            known_day=on,
            before=(),
            after=(segment,),
        ),
    )
