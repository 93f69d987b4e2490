"""How fast a day is judged, and how long a live receiver waits beside dead ones."""

import asyncio
import contextlib
import time
from collections import defaultdict
from datetime import date, datetime, timedelta
from datetime import time as hour
from ipaddress import ip_network
from typing import Any, Literal

import asyncpg

from benchmarks.parts import fresh_database
from benchmarks.result import Result, plain
from benchmarks.stack import empty_folder
from tiendo_common.clock import VIETNAM, DrivenClock, WallClock, new_event_id
from tiendo_common.database.pool import make_pool
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    ExpectedEnd,
    Indicator,
    IndicatorProgress,
    ProgressPublication,
    TargetPublication,
    TargetSet,
    UnitPublication,
    UnitPublished,
    UnitSpan,
)
from tiendo_notifier.channels.mail import Mail
from tiendo_notifier.channels.vendors import Vendors
from tiendo_notifier.channels.ways import Ways
from tiendo_notifier.channels.webhooks import Webhooks
from tiendo_notifier.channels.zalo import Zalo
from tiendo_notifier.use_cases.deliver import Sender
from tiendo_notifier.use_cases.judge import Judge
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.telling import compose

_FIRST, _DAYS = date(2023, 11, 11), 50
_DISTRICTS, _COMMUNES = 100, 50
_INDICATORS: tuple[Indicator, ...] = ("intake", "activated")
_DESTINATIONS, _DEAD, _NOTICES = 500, 50, 10_000


async def judging(runs: int = 5) -> list[Result]:
    """10,000 targets on the twentieth day of their campaign, half of them behind: read, judged, written, committed."""
    times = []
    with empty_folder() as data:
        async with fresh_database(data, "notifier") as urls, make_pool(urls["notifier"], "bench") as pool:
            reference, codes = _country()
            for run in range(runs):
                await pool.execute(
                    "TRUNCATE standing, told_day, told_revision, incident, decision, message, delivery, gathering "
                    "CASCADE"
                )
                for number in (18, 19, 20):
                    day = _FIRST + timedelta(days=number - 1)
                    clock = DrivenClock(datetime.combine(day, hour(21), VIETNAM))
                    judge = Judge(reference, _nothing, clock)
                    closings = [_closing(code, place, day, number) for place, code in enumerate(codes)]
                    began = time.process_time(), time.perf_counter()
                    async with pool.acquire() as connection, connection.transaction():
                        await judge(connection, closings)
                    if number == 20:
                        times.append(time.perf_counter() - began[1])
                assert await pool.fetchval("SELECT count(*) FROM standing") == 2 * len(codes), run
    how = (
        "5,000 units, two indicators, one process beside its PostgreSQL; the third day in a row, the busiest"
    )
    return [plain("judging", "s", times, "value <= 2", how=how)]


async def fan_out(runs: int = 3) -> list[Result]:
    """10,000 notices for 500 destinations, of which 50 take the connection and never answer."""
    waits, seconds = [], []
    for _ in range(runs):
        with empty_folder() as data:
            async with fresh_database(data, "notifier") as urls, make_pool(urls["notifier"], "bench") as pool:
                wait, whole = await _drain(pool)
        waits.append(wait)
        seconds.append(whole)
    how = f"{_DESTINATIONS} destinations, {_DEAD} of them dead, receivers in the same process"
    return [
        plain("fan-out longest wait of a live destination", "s", waits, "value <= 5", how=how),
        plain("fan-out to all live destinations", "s", seconds, "no goal", how=how),
    ]


async def _drain(pool: asyncpg.Pool) -> tuple[float, float]:
    """The longest time that a live destination waited for its next notice, and until all live ones had theirs."""
    arrived: defaultdict[str, list[float]] = defaultdict(list)

    async def live(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        arrived[head.split(b" ", 2)[1].decode()].append(time.perf_counter())
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    async def dead(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # the end of the measurement
            await asyncio.sleep(600)
        writer.close()

    async with (
        await asyncio.start_server(live, "127.0.0.1", 0, backlog=1000) as living,
        await asyncio.start_server(dead, "127.0.0.1", 0, backlog=1000) as dying,
    ):
        ports = [living.sockets[0].getsockname()[1], dying.sockets[0].getsockname()[1]]
        names = [f"d{number:03}" for number in range(_DESTINATIONS)]
        await pool.executemany(
            "INSERT INTO destination (name, url, secret) VALUES ($1, $2, 'whsec_' || repeat('A', 44))",
            [(name, f"http://127.0.0.1:{ports[place < _DEAD]}/{name}") for place, name in enumerate(names)],
        )
        message = compose("ping", WallClock().now(), {"message": {"vi": "x", "en": "x"}})
        await pool.copy_records_to_table("message", records=[message], columns=message._fields)
        await pool.execute(
            "INSERT INTO delivery (message, destination) SELECT $1, 'd' || lpad((n % $2)::text, 3, '0') "
            "FROM generate_series(1, $3::int) AS n",
            message.id,
            _DESTINATIONS,
            _NOTICES,
        )
        webhooks = Webhooks(WallClock(), allowed=[ip_network("127.0.0.0/8")])
        sender = Sender(pool, Ways(webhooks, Mail(None), Zalo(None, None, WallClock()), Vendors(None)))
        began = time.perf_counter()
        working = asyncio.create_task(sender.run())
        wanted = _NOTICES // _DESTINATIONS
        while sum(len(times) for times in arrived.values()) < wanted * (_DESTINATIONS - _DEAD):
            await asyncio.sleep(0.05)
            assert not working.done(), working
        whole = time.perf_counter() - began
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        longest = max(
            max(after - before for before, after in zip([began, *times], times, strict=False))
            for times in arrived.values()
        )
    return longest, whole


def _country() -> tuple[Reference, list[str]]:
    """A province with districts and communes, each commune with two targets."""
    reference = Reference()
    districts = [f"{number:03}" for number in range(_DISTRICTS)]
    codes = [f"{district}{number:02}" for district in districts for number in range(_COMMUNES)]
    parents: dict[str, str | None] = (
        {"99": None} | dict.fromkeys(districts, "99") | {code: code[:3] for code in codes}
    )
    levels: dict[int, Literal["province", "district", "commune"]] = {
        2: "province",
        3: "district",
        5: "commune",
    }
    for code, parent in parents.items():
        span = UnitSpan(
            from_day=date(2023, 1, 1),
            until_day=None,
            parent=parent,
            level=levels[len(code)],
            name=code,
        )
        data = UnitPublication(code=code, spans=(span,), loaded=len(parents))
        reference.put_unit(UnitPublished(**_attributes(code), data=data))
    last = _FIRST + timedelta(days=_DAYS - 1)
    plan = CampaignPublication(
        campaign="bench", name="bench", province="99", first_day=_FIRST, last_day=last, day_cut_off=hour(21)
    )
    reference.put_campaign(CampaignPublished(**_attributes("99"), data=plan))
    for code in codes:
        for indicator in _INDICATORS:
            target = TargetPublication(
                campaign="bench",
                unit=code,
                unit_name=code,
                indicator=indicator,
                value=5000,
            )
            reference.put_target(TargetSet(**_attributes(code), data=target))
    return reference, codes


def _attributes(subject: str) -> dict[str, Any]:
    return {
        "id": new_event_id(),
        "source": "/vn/aggregator",
        "subject": subject,
        "time": WallClock().now(),
        "partitionkey": subject,
    }


def _closing(code: str, place: int, day: date, number: int) -> ProgressPublication:
    """Every second unit is behind its plan."""
    value = 100 * number * (60 if place % 2 else 100) // 100
    progress = IndicatorProgress(
        value=value,
        baseline=0,
        done=60 if place % 2 else 100,
        expected=ExpectedEnd(final=4000, low=3800, high=4200),
    )
    return ProgressPublication(
        campaign="bench",
        unit=code,
        day=day,
        complete_to=datetime.combine(day, hour(21), VIETNAM),
        intake=progress,
        approved=progress,
        activated=progress,
    )


async def _nothing() -> None:
    """The reference is filled already."""
