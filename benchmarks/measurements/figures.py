"""What a question about a whole province costs at the aggregator's interface, now and as known in the past."""

import time
from collections.abc import Sequence
from datetime import date, timedelta

import asyncpg
import httpx2

from benchmarks.campaign import campaign, register
from benchmarks.result import Result
from benchmarks.stack import fresh_stack
from tiendo_aggregator.rules.counting import PARTS, Boundary, Counts
from tiendo_aggregator.storage.counting import add_counts

_JANUARY = "2024-01-15T20:00:00+07:00"
#: Everything below the province.
_DEPTH = 2


async def figures(runs: int = 100) -> list[Result]:
    """All communes on all days and indicators, one question after the other over HTTP, the p99 of each kind.

    Each third cell has a part that became known three days later. Questions about the live state and about a past one
    (`known_at` in the middle of the campaign, of the last day: what is skipped is still read) take turns.
    """
    subject = campaign()
    async with fresh_stack() as instance:
        await register(instance, subject)
        connection = await asyncpg.connect(instance.database_url("aggregator"))
        try:
            cells = cells_of(list(subject.communes), subject.first_day, subject.last_day)
            async with connection.transaction():
                await add_counts(connection, cells)
            await connection.execute("VACUUM ANALYZE counter")
        finally:
            await connection.close()
        async with httpx2.AsyncClient(headers=instance.headers, base_url=instance.url("aggregator")) as http:
            (await http.post("/v1/clock", json={"now": _JANUARY})).raise_for_status()
            path = f"/v1/campaigns/{subject.id}"
            middle = str(subject.first_day + timedelta(days=25))
            how = f"{len(subject.communes)} communes, {len(cells):,} cells, one client"
            results: list[Result] = []
            kinds: list[tuple[str, str, dict[str, str | int]]] = [
                ("progress", "progress", {"depth": _DEPTH}),
                ("pace", "pace", {"depth": _DEPTH}),
                ("quotas", "quotas", {}),
                ("ranks", "ranks", {}),
                ("forecast", "forecast", {}),
                ("backtest", "forecast/backtest", {}),
                ("revisions", "revisions", {}),
            ]
            for name, asked, params in kinds:
                live: list[float] = []
                past: list[float] = []
                as_of: dict[str, str | int] = {"as_of": str(subject.last_day)}
                past_of: dict[str, str | int] = {"known_at": middle}
                for number in range(runs + 5):
                    for extra, into in ((as_of, live), (as_of | past_of, past)):
                        began = time.perf_counter()
                        answer = await http.get(f"{path}/{asked}", params=params | extra)
                        took = time.perf_counter() - began
                        answer.raise_for_status()
                        if number >= 5:
                            into.append(1000 * took)
                goal = "< 50 ms" if name in ("progress", "pace") else "no goal"
                results.append(Result(f"{name}_p99", p99(live), "ms", None, None, goal, runs, how))
                results.append(
                    Result(
                        f"{name}_known_at_p99",
                        p99(past),
                        "ms",
                        p99(live),
                        p99(past) / p99(live),
                        "ratio <= 3",
                        runs,
                        f"baseline: live; known at {middle}",
                    )
                )
            return results


def cells_of(communes: Sequence[str], first: date, last: date) -> dict[Boundary, Counts]:
    """Every commune on every day with each indicator and level; a third of them have a part that was known later."""
    cells: dict[Boundary, Counts] = {}
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    place = 0
    no_parts = [0] * len(PARTS)
    for commune in communes:
        for day in days:
            for indicator in range(3):
                for level in (1, 2):
                    place += 1
                    cells[day, day, indicator, level, commune, commune] = 10 + place % 7, *no_parts
                    if place % 3 == 0:
                        late = day + timedelta(days=3)
                        cells[day, late, indicator, level, commune, commune] = 1, *no_parts
    return cells


def p99(values: Sequence[float]) -> float:
    """Of a hundred values the second largest."""
    return sorted(values)[len(values) * 99 // 100]
