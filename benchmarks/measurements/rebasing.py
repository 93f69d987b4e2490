"""How long it takes to carry the five campaigns of 2023 over to the tree of 2025-07-01."""

import csv
import time
from datetime import date, datetime
from datetime import time as hour

import asyncpg

from benchmarks.parts import fresh_database
from benchmarks.result import Result, plain
from benchmarks.stack import FACTS, empty_folder
from tiendo_aggregator.rules.detail import ALL
from tiendo_aggregator.rules.plan import Campaign, Plan
from tiendo_aggregator.rules.units import Reorganisation
from tiendo_aggregator.rules.units.reorganisation import Row
from tiendo_aggregator.storage.plan import PlanDatabase
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.progress import Progress
from tiendo_aggregator.use_cases.reorganisation import UnitChanges
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import WallClock
from tiendo_common.database.pool import make_pool
from tiendo_common.eventlog.postgres import PostgresEventLog

_FIRST, _LAST = date(2023, 6, 20), date(2023, 9, 20)
_CENSUS, _REFORM = date(2025, 1, 1), date(2025, 7, 1)
_PROVINCES = ("11", "44", "62", "70", "95")
#: Quảng Bình's communes that are gone by 2025, each with one that takes it in here: made up, as a rule by hand.
_BY_HAND = {
    "18910": "18907",
    "18916": "18913",
    "19048": "19045",
    "19120": "19117",
    "19195": "19192",
    "19201": "19207",
}


async def rebasing(runs: int = 5) -> list[Result]:
    """Both reorganisations looked at and applied, and each campaign reported in full on the new tree, by residence and
    by team; then all taken back for the next run."""
    by_hand = Reorganisation(
        effective_on=_CENSUS, rows=tuple(_row(*each) for each in _BY_HAND.items()), within=("44",)
    )
    with (FACTS / "units" / "reorganisation-2025-07-01.csv").open(encoding="utf-8", newline="") as file:
        rows = tuple(Row(**each) for each in csv.DictReader(file))  # type: ignore[arg-type]
    reform = Reorganisation(effective_on=_REFORM, rows=rows, placing="all-to-kept-code")
    times = []
    with empty_folder() as data:
        async with (
            fresh_database(data, "aggregator") as urls,
            make_pool(urls["aggregator"], "aggregator") as pool,
        ):
            log = PostgresEventLog("aggregator", pool)
            origin = Origin("/vn/aggregator", WallClock())
            units = Units(pool, log, origin, FACTS)
            await units.load()
            plans = Plans(PlanDatabase(urls["aggregator"]), log, origin, units, ALL)
            progress = Progress(pool, Scopes(pool, plans, units, origin.clock, lambda: None))
            changes = UnitChanges(pool, units, plans, origin)
            cells = await _fill(pool, plans, units)
            for _ in range(runs):
                began = time.perf_counter()
                applied = []
                for asked in (by_hand, reform):
                    await changes.look_at(asked)
                    applied.append((await changes.apply(asked, "1/NQ", by="bench")).id)
                for province in _PROVINCES:
                    before = await _report(progress, province, _LAST, "residence")
                    assert before == await _report(progress, province, _REFORM, "residence")
                    assert before == await _report(progress, province, _REFORM, "collecting")
                times.append(time.perf_counter() - began)
                for id_ in applied:
                    assert id_ is not None
                    await changes.undo(id_, by="bench")
    how = f"whole country's mapping, {cells:,} counter cells; look at, apply, report on both trees"
    return [plain("rebasing", "s", times, "value <= 10", how=how)]


def _row(from_code: str, to_code: str) -> Row:
    return Row(from_code=from_code, to_code=to_code, share="whole", resolution="1/NQ")


async def _report(progress: Progress, province: str, tree: date, by: str) -> tuple[int, ...]:
    """The province's own figures, out of a report of all units."""
    report = await progress.report(
        f"of-{province}",
        as_of=_LAST,
        known_at=None,
        tree=tree,
        unit=None,
        by="residence" if by == "residence" else "collecting",
        depth=9,
    )
    return tuple(each.value for each in report.units[0].indicators.values())


async def _fill(pool: asyncpg.Pool, plans: Plans, units: Units) -> int:
    """A plan for each province, and something counted at each commune on each day; how many cells that makes."""
    for province in _PROVINCES:
        communes = units.gazetteer.as_of(_FIRST).communes(province)
        campaign = Campaign(
            id=f"of-{province}",
            name=province,
            plan_number="1",
            plan_issued_on=_FIRST,
            province=province,
            first_day=_FIRST,
            last_day=_LAST,
            day_cut_off=hour(21),
            figures=(),
        )
        eligible = dict.fromkeys(communes, 5000)
        await plans.put(Plan(campaign=campaign, targets={"intake": 100_000}, eligible=eligible), {})
        await pool.execute(
            "INSERT INTO counter (residence, collecting, day, known_day, n, indicator, level) "
            "SELECT unit, unit, day, day, 7, indicator, level FROM unnest($1::text[]) AS unit, "
            "generate_series($2::timestamp, $3::timestamp, '1 day') AS day, "
            "generate_series(0, 2) AS indicator, generate_series(1, 2) AS level",
            communes,
            datetime.combine(_FIRST, hour()),
            datetime.combine(_LAST, hour()),
        )
    await pool.execute("ANALYZE counter")
    count: int = await pool.fetchval("SELECT count(*) FROM total")
    return count
