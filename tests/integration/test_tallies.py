"""The tallies: counts straight from the records, of a province or of all, whole or broken down."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest

from tests.support.directory import AWAY, GONE, HOME, NEW, PROVINCE, publish_directory
from tests.support.postgres import Database
from tests.support.services import (
    Service,
    Spawned,
    activation,
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    drained,
    intake,
    intake_line,
    spawned,
)
from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.eventlog.postgres import PostgresEventLog
from tiendo_common.events.state import UnitPublication, UnitPublished, UnitSpan
from tiendo_common.service import tallies

pytestmark = pytest.mark.anyio

#: Another province and a commune of it, which were there all the time.
ELSEWHERE, ABROAD = "01", "00001"
#: A name that JSON and PostgreSQL each write in their own way.
TEAM = 'Tổ "5" \\ lưu động'
Part = tuple[str, str, str, int, str, str, str]


async def publish_another_province(database: Database) -> None:
    pool = await asyncpg.create_pool(database.dsn("aggregator"), min_size=0, max_size=1)
    units = ((ELSEWHERE, "province", None), (ABROAD, "commune", ELSEWHERE))
    events = []
    for code, level, parent in units:
        span = UnitSpan(
            from_day=date(2004, 1, 1),
            until_day=None,
            parent=parent,
            level="province" if level == "province" else "commune",
            name=code,
        )
        event = UnitPublished(
            id=new_event_id(),
            source="/vn/aggregator",
            subject=code,
            time=datetime(2023, 11, 1, tzinfo=UTC),
            partitionkey=code,
            data=UnitPublication(code=code, spans=(span,), loaded=8),
        )
        events.append(NewEvent("units", event, key=code))
    async with pool.acquire() as connection, connection.transaction():
        await PostgresEventLog("aggregator", pool).append(connection, events)
    await pool.close()


@pytest.fixture(scope="module")
async def services(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Service, Service]]:
    """Intake and activation with some lives in two provinces."""
    await publish_directory(module_database)
    await publish_another_province(module_database)
    folder = tmp_path_factory.mktemp("services")
    async with intake(module_database, folder) as one, activation(module_database, folder) as other:
        here, there, helped_here, helped_there, moved = (citizen() for _ in range(5))
        pairs = (
            (here, HOME, HOME),
            (there, ABROAD, ABROAD),
            (helped_here, ABROAD, AWAY),
            (helped_there, GONE, ABROAD),
        )
        groups: tuple[list[str], ...] = ([], ["elderly"], ["elderly", "workers"], ["students"])
        await one.accept(
            "/v1/intakes",
            *[
                intake_line(
                    who,
                    residence_unit=residence,
                    collecting_unit=collecting,
                    cohorts=group,
                    channel=channel,
                    **({} if team is None else {"team": team}),
                )
                for (who, residence, collecting), group, channel, team in zip(
                    pairs,
                    groups,
                    ("home", "mobile", "home", "online"),
                    (None, "Tổ 1", TEAM, None),
                    strict=True,
                )
            ],
            intake_line(moved, level=1, residence_unit=HOME, collecting_unit=HOME, cohorts=["workers"]),
        )
        await one.accept("/v1/approvals", *[approval_line(who) for who in (here, there, helped_here, moved)])
        await one.accept("/v1/amendments", amendment_line(moved, "move", residence_unit=ABROAD))
        await other.accept(
            "/v1/activations",
            activation_line(here, team=TEAM),
            activation_line(helped_here),
            activation_line(moved, team=TEAM),
        )
        await drained(one, other)
        yield one, other


async def cells_of(service: Service, **params: str) -> dict[tuple[Any, ...], int]:
    """Cells without their number, and the number."""
    tally = await service.get("/v1/tally", **params)
    cells = {(*cell[:5], *cell[6:]): cell[5] for cell in tally["cells"]}
    assert len(cells) == len(tally["cells"])
    return cells


async def test_a_province_has_its_residents_and_its_work_and_nobody_else_s(
    services: tuple[Service, Service],
) -> None:
    ours = {PROVINCE, "610", HOME, AWAY, GONE, NEW}
    for service in services:
        for breakdowns in ("false", "true"):
            everything = await cells_of(service, breakdowns=breakdowns)
            of_province = await cells_of(service, breakdowns=breakdowns, province=PROVINCE)
            assert of_province == {cell: n for cell, n in everything.items() if cell[2] in ours}
            elsewhere = await cells_of(service, breakdowns=breakdowns, province=ELSEWHERE)
            assert of_province | elsewhere == everything
            assert of_province
    intakes = await cells_of(services[0], province=PROVINCE)
    # Who lives abroad and was helped here, and the other way about.
    assert ("intake", "collecting", AWAY, 2, at(12)[:10]) in intakes
    assert ("intake", "residence", GONE, 2, at(12)[:10]) in intakes
    # Who moved away is no longer here, but was.
    assert intakes["intake", "residence", HOME, 1, at(12)[:10]] == 1
    assert intakes["intake", "residence", HOME, 1, at(14)[:10]] == -1


async def test_channels_sum_to_the_totals_and_cohorts_are_each_citizen_s(
    services: tuple[Service, Service],
) -> None:
    for service in services:
        totals = Counter(await cells_of(service))
        parts = await cells_of(service, breakdowns="true")
        by_channel: Counter[tuple[Any, ...]] = Counter()
        for part, n in parts.items():
            if part[5] == "channel":
                by_channel[part[:5]] += n
        assert {cell: n for cell, n in by_channel.items() if n} == totals
    recounted: Counter[Part] = Counter()
    one = services[0]
    for (record,) in await one.kit.pool.fetch("SELECT record_id::text FROM record"):
        for each in (await one.get(f"/v1/intakes/{record}"))["segments"]:
            for bound, n in ((each["from_day"], 1), (each["until_day"], -1)):
                for attribution in ("residence", "collecting"):
                    for cohort in each["cohorts"]:
                        for indicator in ("intake", *(["approved"] if each["approved"] else [])):
                            place = indicator, attribution, each[attribution], each["level"]
                            if bound is not None:
                                recounted[*place, bound, "cohort", cohort] += n
    parts = await cells_of(one, breakdowns="true")
    assert {part: n for part, n in parts.items() if part[5] == "cohort"} == {
        part: n for part, n in recounted.items() if n
    }


async def test_work_is_a_team_s_at_the_unit_that_did_it(services: tuple[Service, Service]) -> None:
    asked = {"breakdowns": "true", "teams": "true"}
    for service in services:
        with_teams = await cells_of(service, **asked)
        of_teams = {cell: n for cell, n in with_teams.items() if cell[5:6] == ("team",)}
        assert with_teams == await cells_of(service, breakdowns="true") | of_teams
        assert {cell[1] for cell in of_teams} == {"collecting"}
        here = {cell: n for cell, n in of_teams.items() if cell[2] in (AWAY, HOME)}
        of_province = await cells_of(service, province=PROVINCE, **asked)
        assert {cell: n for cell, n in of_province.items() if cell[5:6] == ("team",)} == here
        assert here
        answer = await service.client.get(
            "/v1/tally", params={"teams": "true"}, headers={"Authorization": "Bearer nimda"}
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "teams")
    intakes, activations = [await cells_of(service, **asked) for service in services]
    taken = {(*cell[:3], *cell[5:]): n for cell, n in intakes.items() if cell[5:6] == ("team",)}
    assert taken == {
        ("intake", "collecting", AWAY, "team", TEAM): 1,
        ("approved", "collecting", AWAY, "team", TEAM): 1,
        ("intake", "collecting", ABROAD, "team", "Tổ 1"): 1,
        ("approved", "collecting", ABROAD, "team", "Tổ 1"): 1,
    }
    # Somebody moved on the way: whose work it was is the same, so nothing changes on that day.
    assert sum(n for cell, n in activations.items() if cell[5:] == ("team", TEAM)) == 2


async def test_a_tally_says_what_it_speaks_of_and_can_be_read_by_lines(
    services: tuple[Service, Service],
) -> None:
    for service in services:
        answer = await service.client.get(
            "/v1/tally", params={"province": PROVINCE}, headers={"Authorization": "Bearer nimda"}
        )
        assert answer.headers["content-type"] == "application/json"
        tally = answer.json()
        assert tally["units"] == sorted([PROVINCE, "610", HOME, AWAY, GONE, NEW])
        assert tally["breakdowns"] is False
        first, *lines, last = answer.text.splitlines()
        assert json.loads(first + "]}") == tally | {"cells": []}
        assert last == "]}"
        units = []
        for line in lines:
            cells = json.loads(f"[{line.removeprefix(',')}]")
            assert len({cell[2] for cell in cells}) == 1
            units.append(cells[0][2])
        assert units == sorted(set(units))


@pytest.mark.parametrize("province", ["99", "6", "062", "xx", "62\n", HOME])
async def test_a_province_that_is_none_is_refused(services: tuple[Service, Service], province: str) -> None:
    for service in services:
        answer = await service.client.get(
            "/v1/tally", params={"province": province}, headers={"Authorization": "Bearer nimda"}
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "province")
        assert "^" not in answer.json()["detail"]


async def test_a_count_that_takes_too_long_ends_and_is_not_asked_for_again(
    services: tuple[Service, Service], module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = await asyncpg.connect(module_database.dsn("intake"))
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE record IN ACCESS EXCLUSIVE MODE")
            with monkeypatch.context() as impatient:
                impatient.setattr(tallies, "PATIENCE", 1)
                answer = await services[0].client.get("/v1/tally", headers={"Authorization": "Bearer nimda"})
    finally:
        await holder.close()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:tiendo:problem:tally-too-long")
    assert answer.json()["retryable"] is False
    assert await cells_of(services[0])


async def test_nobody_counts_on_for_a_client_that_hung_up(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await publish_directory(database)
    async with spawned(database, "intake", tmp_path_factory.mktemp("service")) as service:
        await service.listening()
        await service.ready()
        holder, watcher = [await asyncpg.connect(database.admin_dsn) for _ in range(2)]
        try:
            async with holder.transaction():
                await holder.execute("LOCK TABLE intake.record IN ACCESS EXCLUSIVE MODE")
                writer = await ask_for_tally(service)
                await until_counting(watcher, 1)
                writer.transport.abort()
                await until_counting(watcher, 0)
        finally:
            await holder.close()
            await watcher.close()
        assert (await service.get("/v1/tally"))["cells"] == []
        assert "Traceback" not in service.log.read_text()


async def ask_for_tally(service: Spawned) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /v1/tally HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nimda\r\n\r\n")
    await writer.drain()
    return writer


async def until_counting(watcher: asyncpg.Connection, number: int) -> None:
    """Wait until so many statements wait for the records."""
    async with asyncio.timeout(60):
        while True:
            counting = await watcher.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND query LIKE '%recordset%' AND datname = current_database()"
            )
            if counting == number:
                return
            await asyncio.sleep(0.05)
