"""A commune is divided and its records are parted by share: exact quotas, counted like any move, undone whole."""

import asyncio
import contextlib
import hashlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn

from tests.integration.test_aggregator_funnel import CAMPAIGN, World, whole_world
from tests.support.aggregator import eventually
from tests.support.command import run_command
from tests.support.directory import AWAY, HOME
from tests.support.postgres import Database
from tests.support.services import (
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    drained,
    intake_line,
)
from tests.support.units import country, tree_document
from tiendo.folders import DataFolder
from tiendo_aggregator.rules.units import FIRST_DAY

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

#: The part that is new, and the first day of both parts.
PART, DAY = "23339", "2023-11-18"
EVE, TODAY = "2023-11-17", "2023-11-20"


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Kon Tum on 20 November; since the 18th there is a further commune."""
    async with whole_world(database, tmp_path) as each:
        units = tree_document(country(), FIRST_DAY)
        [home] = [unit for unit in units if unit["code"] == HOME]
        units.append({**home, "code": PART, "name": "Xã mới"})
        answer = await each.aggregator.client.put(f"/v1/units/editions/{DAY}", json={"units": units})
        assert answer.status_code == 200, answer.text
        yield each


async def live(world: World) -> list[str]:
    """Ten who live in the commune on the eve, six of them activated; one moves away before, one comes after."""
    stayed, gone, came = [citizen() for _ in range(10)], citizen(), citizen()
    await world.intake.accept(
        "/v1/intakes",
        *(intake_line(who, occurred_at=at(12)) for who in (*stayed, gone)), intake_line(came, occurred_at=at(19)),
    )  # fmt: skip
    await world.intake.accept(
        "/v1/approvals", *(approval_line(who, occurred_at=at(13)) for who in stayed[:8])
    )
    await world.intake.accept(
        "/v1/amendments", amendment_line(gone, "move", occurred_at=at(16), residence_unit=AWAY)
    )
    await world.activation.accept(
        "/v1/activations", *(activation_line(who, occurred_at=at(15)) for who in stayed[:6])
    )
    await world.settle()
    return stayed


async def apply(world: World, shares: dict[str, int]) -> int:
    """Put the reorganisation in force; its id."""
    row = {"from_code": HOME, "resolution": "1/NQ"}
    answer = await world.aggregator.client.post(
        "/v1/reorganisations",
        json={
            "effective_on": DAY,
            "resolution": "1/NQ",
            "within": ["62"],
            "placing": "by-share",
            "shares": {HOME: shares},
            "rows": [
                {**row, "to_code": HOME, "share": "part-main"},
                {**row, "to_code": PART, "share": "part"},
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    id_: int = answer.json()["id"]
    return id_


async def ask(world: World, method: str, id_: int, document: Any = None, unit: str = HOME) -> tuple[int, Any]:
    answer = await world.intake.client.request(
        method, f"/v1/placements/{id_}/{unit}", json=document, headers={"Authorization": "Bearer nimda"}
    )
    return answer.status_code, answer.json()


def division(**change: Any) -> dict[str, Any]:
    return {"day": DAY, "stays": HOME, "shares": {HOME: 3, PART: 1}, **change}


async def export(world: World) -> str:
    """All that is said of the campaign, and the counters themselves."""
    said: list[Any] = []
    for as_of in (EVE, TODAY):
        for path in ("progress", "funnel"):
            answer = await world.aggregator.get(f"{CAMPAIGN}/{path}", as_of=as_of, depth=9)
            said.append({**answer, "complete_to": None})
    for table, key in (
        ("total", "unit, attribution, day, indicator, level"),
        ("passage", "unit, day, what, since"),
    ):
        rows = await world.aggregator.kit.pool.fetch(
            f"SELECT {key}, sum(n) FROM {table} GROUP BY {key} HAVING sum(n) <> 0 ORDER BY {key}"
        )
        said.append([str(tuple(row)) for row in rows])
    return json.dumps(said)


async def standing(world: World, as_of: str = TODAY) -> dict[str, dict[str, Any]]:
    answer = await world.aggregator.get(f"{CAMPAIGN}/progress", as_of=as_of, depth=9)
    return {each["code"]: each["indicators"] for each in answer["units"]}


@contextlib.asynccontextmanager
async def command_line(world: World, folder: Path) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """The command beside the services, which are served on ports of their own and leave word as `tiendo up` does."""
    path = folder / "aggregator" / "api-keys.json"
    keys = json.loads(path.read_text())
    keys["keys"].append({"name": "up", "sha256": hashlib.sha256(b"nimda").hexdigest(), "scopes": ["admin"]})
    path.write_text(json.dumps(keys))
    world.aggregator.kit.keys.refresh()
    servers, urls = [], {}
    for name, app in (("intake", world.intake.app), ("aggregator", world.aggregator.app)):
        assert app is not None
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        urls[name] = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        servers.append((server, asyncio.create_task(server.serve(sockets=[listening]))))
    data = DataFolder(folder / "data")
    data.make()
    data.admin_key_file.write_text("nimda\n")
    data.write_json(
        data.instance_file,
        {
            "pid": os.getpid(),
            "born": psutil.Process().create_time(),
            "clock": "driven",
            "services": urls,
            "postgres": {"kind": "outside", "url": "postgresql://elsewhere/tiendo", "pgdata": None},
        },
    )

    async def run(*arguments: str, status: int = 0) -> str:
        ended = await asyncio.to_thread(run_command, *arguments, "--data", data.root)
        assert ended.status == status, ended.out + ended.err
        return ended.out or ended.err

    try:
        yield run
    finally:
        for server, serving in servers:
            server.should_exit = True
            await serving


async def test_records_are_parted_at_exact_quotas_and_it_is_undone_to_the_byte(
    world: World, tmp_path: Path
) -> None:
    stayed = await live(world)
    untouched, before = await export(world), await standing(world)
    id_ = await apply(world, {HOME: 3, PART: 1})
    [applied] = (await world.aggregator.get("/v1/reorganisations"))["reorganisations"]
    assert (applied["shares"], applied["stays"]) == ({HOME: {HOME: 3, PART: 1}}, {HOME: HOME})
    status, placed = await ask(world, "PUT", id_, division())
    # Seven and a half to two and a half: of equal remainders the lower code gets the whole one.
    assert (status, placed["placed"]) == (200, {HOME: 7, PART: 3})
    assert await ask(world, "PUT", id_, division()) == (200, placed)
    await world.settle()
    parted = await standing(world)
    intake = {code: parted[code]["intake"]["value"] for code in (HOME, PART, AWAY, "62")}
    assert intake == {HOME: 8, PART: 3, AWAY: 1, "62": 12}
    for indicator in ("intake", "approved", "activated"):
        for name in ("value", "level_2", "planned", "target"):
            assert parted["62"][indicator][name] == before["62"][indicator][name]
            assert (parted[HOME][indicator][name] or 0) + (parted[PART][indicator][name] or 0) == (
                before[HOME][indicator][name] or 0
            ), (indicator, name)
    whole = before[HOME]["intake"]["planned"]
    assert abs(parted[PART]["intake"]["planned"] - whole / 4) <= 0.5
    # On the eve they lived where they lived; a figure of that day knows no parts.
    assert (await standing(world, EVE))[HOME]["intake"]["value"] == 10
    verdict = await world.reconcile()
    assert verdict["clean"], verdict["differing"]
    assert (await world.rebuild())["equal"]

    status, undone = await ask(world, "DELETE", id_)
    assert (status, undone["undone_by"]) == (200, "admin")
    assert await ask(world, "DELETE", id_) == (200, undone)
    await world.settle()
    answer = await world.aggregator.client.delete(f"/v1/reorganisations/{id_}")
    assert answer.status_code == 200
    assert await export(world) == untouched
    assert (await world.reconcile())["clean"]

    # Anew: the same citizens go to the same parts. What comes later of them is counted there; who is told late of the
    # days before stays with the part that keeps the code.
    again = await apply(world, {HOME: 3, PART: 1})
    async with command_line(world, tmp_path) as command:
        said = json.loads(await command("place", str(again), "--json"))
        assert [each["placed"] for each in said["placements"]] == [{HOME: 7, PART: 3}]
        assert await command("place", str(again)) == f"{HOME}: {PART} 3, {HOME} 7\n"
        assert await command("place", str(again), "--undo") == f"{HOME}: taken back\n"
        assert await command("place", str(again)) == f"{HOME}: {PART} 3, {HOME} 7\n"
        assert "There is no reorganisation 99." in await command("place", "99", status=1)
        assert "was taken back" in await command("place", str(id_), status=1)
    await world.intake.accept("/v1/intakes", intake_line(citizen(), occurred_at=at(14)))
    await world.intake.accept(
        "/v1/approvals", *(approval_line(who, occurred_at=at(19)) for who in stayed[8:])
    )
    await world.activation.accept(
        "/v1/activations", *(activation_line(who, occurred_at=at(20)) for who in stayed[6:])
    )
    await world.settle()
    later = await standing(world)
    assert {code: later[code]["intake"]["value"] for code in (HOME, PART)} == {HOME: 9, PART: 3}
    assert {code: later[code]["activated"]["value"] for code in (HOME, PART)} == {HOME: 7, PART: 3}
    verdict = await world.reconcile()
    assert verdict["clean"], verdict["differing"]


async def test_what_cannot_be_parted_is_refused_by_field(world: World) -> None:
    await live(world)
    untouched = await export(world)
    id_ = await apply(world, {HOME: 3, PART: 1})

    async def known() -> bool:
        # Intake hears of the new commune in its own time.
        _, problem = await ask(world, "PUT", id_, division(shares={PART: 1, AWAY: 1}))
        return bool(problem["field"] == "stays")

    await eventually(known)
    for document, field in (
        (division(shares={HOME: 1}), "shares"),
        (division(shares={HOME: 0, PART: 0}), "shares"),
        (division(shares={HOME: -1, PART: 2}), f"shares.{HOME}"),
        (division(shares={HOME: 1, "00000": 1}), "shares.00000"),
        (division(stays="1"), "stays"),
        (division(day="2023-11-21"), "day"),
        (division(day="2023-11-17"), f"shares.{PART}"),
        ({"day": DAY, "stays": HOME}, "shares"),
        (division(share={}), "share"),
    ):
        status, problem = await ask(world, "PUT", id_, document)
        assert (status, problem["field"]) == (422, field), problem
    status, problem = await ask(
        world, "PUT", id_, division(stays=PART, shares={PART: 1, AWAY: 1}), unit="00009"
    )
    assert (status, problem["field"]) == (422, "unit")
    assert (await ask(world, "DELETE", id_))[0] == 404
    answer = await world.intake.client.put(
        f"/v1/placements/{id_}/{HOME}", json=division(), headers={"Authorization": "Bearer ecnivorp"}
    )
    assert answer.status_code == 403
    assert (await ask(world, "PUT", id_, division()))[0] == 200
    status, problem = await ask(world, "PUT", id_, division(shares={HOME: 1, PART: 1}))
    assert (status, problem["type"]) == (409, "urn:tiendo:problem:placed-otherwise")
    await ask(world, "DELETE", id_)
    await world.settle()
    await drained(world.intake, world.activation)
    await world.aggregator.client.delete(f"/v1/reorganisations/{id_}")
    assert await export(world) == untouched
