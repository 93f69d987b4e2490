"""Hamlets over the three services as they are: brought, named by lines, counted, proven."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.integration.test_aggregator_funnel import CAMPAIGN, World, whole_world
from tests.support.aggregator import aggregator, eventually, plan_document, producers
from tests.support.directory import AWAY, GONE, HOME
from tests.support.postgres import Database
from tests.support.services import (
    Service,
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    intake_line,
)
from tests.support.units import country, tree_document
from tiendo_aggregator.rules.units import FIRST_DAY
from tiendo_aggregator.storage.units import raise_units_revision
from tiendo_common.eventlog.port import Connection

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

FROM, TODAY = "2023-01-01", "2023-11-20"
LISTS = "/v1/units/hamlets/62"
#: Two hamlets of one commune and one of another.
ONE, TWO, THREE = f"{HOME}001", f"{HOME}002", "99003"


def hamlets(codes: Iterable[str] = (ONE, TWO, THREE), **change: Any) -> dict[str, Any]:
    """The list as the province sends it."""
    rows = [
        {"code": code, "parent_code": AWAY if code == THREE else code[:5], "name": f"Thôn Đăk {code[-3:]}"}
        for code in codes
    ]
    return {"hamlets": rows, **change}


async def put(world: World, document: dict[str, Any], day: str = FROM, **asked: bool) -> tuple[int, Any]:
    answer = await world.aggregator.client.put(f"{LISTS}/{day}", json=document, params=asked)
    return answer.status_code, answer.json()


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(database, tmp_path) as each:
        yield each


async def accept_at_last(service: Service, path: str, line: dict[str, Any]) -> None:
    """Send a line until the service has heard of the hamlet that it names."""

    async def accepted() -> bool:
        [answer] = await service.bulk(path, [line])
        return bool(answer["status"] == "accepted")

    await eventually(accepted)


async def progress(world: World, **asked: str | int) -> dict[str, dict[str, Any]]:
    answer = await world.aggregator.get(f"{CAMPAIGN}/progress", **{"as_of": TODAY, "depth": 9, **asked})
    return {each["code"]: each for each in answer["units"]}


async def live(world: World) -> list[str]:
    """Ten citizens of HOME: four in one hamlet, three in another, three in none; two of AWAY's hamlet. One of the first
    moves next door on the 16th; two are switched on, by a team of a hamlet of AWAY."""
    who = [citizen() for _ in range(12)]
    homes = [ONE] * 4 + [TWO] * 3 + [HOME] * 3 + [THREE] * 2
    lines = [
        intake_line(each, occurred_at=at(12), residence_unit=home, collecting_unit=home)
        for each, home in zip(who, homes, strict=True)
    ]
    await accept_at_last(world.intake, "/v1/intakes", lines[0])
    await world.intake.accept("/v1/intakes", *lines[1:])
    await world.intake.accept("/v1/approvals", *(approval_line(each) for each in (*who[:3], who[10])))
    await world.intake.accept(
        "/v1/amendments", amendment_line(who[0], "move", occurred_at=at(16), residence_unit=TWO)
    )
    await accept_at_last(world.activation, "/v1/activations", activation_line(who[0], collecting_unit=THREE))
    await world.activation.accept("/v1/activations", activation_line(who[10], collecting_unit=THREE))
    await world.settle()
    return who


def intakes(units: dict[str, dict[str, Any]], *codes: str) -> list[int]:
    return [units[code]["indicators"]["intake"]["value"] for code in codes]


async def test_lines_name_hamlets_and_are_counted_there_and_at_the_commune(world: World) -> None:
    looked = await put(world, hamlets(), dry_run=True)
    assert looked[0] == 200, looked
    assert looked[1]["counts"] == {"added": 3, "gone": 0, "renamed": 0, "moved": 0}
    assert (await world.aggregator.get("/v1/units", as_of=TODAY, parent=HOME))["units"] == []
    assert await put(world, hamlets()) == (200, {**looked[1], "dry_run": False})
    found = (await world.aggregator.get("/v1/units", as_of=TODAY, search="thon dak 00"))["units"]
    assert [(each["code"], each["level"], each["parent"]) for each in found] == [
        (ONE, "hamlet", HOME),
        (TWO, "hamlet", HOME),
        (THREE, "hamlet", AWAY),
    ]
    await live(world)

    units = await progress(world)
    assert intakes(units, ONE, TWO, HOME, THREE, AWAY, "62") == [3, 4, 10, 2, 2, 12]
    assert [units[ONE][key] for key in ("level", "parent")] == ["hamlet", HOME]
    standing = units[ONE]["indicators"]["intake"]
    assert [standing[key] for key in ("target", "eligible", "exempt", "planned")] == [None] * 4
    # What was so before the move, and what was known before it was told.
    assert intakes(await progress(world, as_of="2023-11-15"), ONE, TWO, HOME) == [4, 3, 10]
    activated = {code: each["indicators"]["activated"]["value"] for code, each in units.items()}
    assert [activated[code] for code in (ONE, TWO, HOME, THREE, AWAY, "62")] == [0, 1, 1, 1, 1, 2]
    work = await progress(world, by="collecting")
    assert [work[code]["indicators"]["activated"]["value"] for code in (THREE, AWAY, HOME)] == [2, 2, 0]
    only = await world.aggregator.get(f"{CAMPAIGN}/progress", as_of=TODAY, unit=TWO, depth=3)
    assert only["units"] == [units[TWO]]
    # Of the two who could be switched on longer than a week after their approval, one lives in this hamlet.
    funnel = await world.funnel()
    assert [funnel[code]["not_activated"]["citizens"] for code in (ONE, HOME, THREE, "62")] == [2, 2, 0, 2]
    assert [funnel[code]["taken"] for code in (ONE, TWO, HOME)] == [3, 4, 10]

    # Ranks, and whatever else has a target, know the commune only; it has all of them.
    ranks = await world.aggregator.get(f"{CAMPAIGN}/ranks", as_of=TODAY, level="commune", shown=200)
    assert ONE not in str(ranks)
    pace = await world.aggregator.get(f"{CAMPAIGN}/pace", as_of=TODAY, unit=HOME, depth=9)
    assert [(each["code"], each["indicators"]["intake"]["value"]) for each in pace["units"]] == [(HOME, 10)]
    answer = await world.aggregator.client.get(f"{CAMPAIGN}/pace", params={"as_of": TODAY, "unit": ONE})
    assert (answer.status_code, answer.json()["field"]) == (422, "unit")
    assert f"Ask for its commune, {HOME}." in answer.json()["remedy"]

    verdict = await world.reconcile()
    assert verdict["clean"], verdict["differing"]
    assert (await world.rebuild())["equal"]
    # What is published of progress is of units with targets: as many documents as without hamlets.
    await world.move_clock(1)

    async def closed() -> bool:
        return bool(
            await world.aggregator.kit.pool.fetchval(
                "SELECT count(*) FROM log_progress WHERE key = $1", f"kon-tum-2023/{HOME}/{TODAY}"
            )
        )

    await eventually(closed)
    keys = {
        row["key"]
        for row in await world.aggregator.kit.pool.fetch(
            "SELECT key FROM log_progress WHERE key LIKE $1", f"%/{TODAY}"
        )
    }
    assert len(keys) == 1 + 10 + 102
    assert not any(each in key for each in (ONE, TWO, THREE) for key in keys)


async def test_a_hamlet_is_no_place_for_a_plan_and_no_unit_of_the_country(world: World) -> None:
    untouched = await world.aggregator.kit.pool.fetch("SELECT key, seq FROM log_units ORDER BY seq")
    for document, field, words in (
        (hamlets([ONE, f"{GONE}001"]), "hamlets.1.parent_code", "1 hamlets would outlive their communes"),
        (hamlets([ONE, ONE]), "hamlets.1.code", "both would be valid on the same days"),
        (hamlets(["610001"]), "hamlets.0.parent_code", "no unit"),
        ({"hamlets": [{"code": ONE, "parent_code": "610", "name": "Thôn"}]}, "hamlets.0.parent_code", "district"),
        ({"hamlets": [{"code": AWAY, "parent_code": HOME, "name": "Thôn"}]}, "hamlets.0.code", "is that of"),
        ({"hamlets": [{"code": ONE, "parent_code": ONE, "name": "Thôn"}]}, "hamlets.0.parent_code", "hamlet"),
        ({"hamlets": [{"code": "x", "parent_code": HOME, "name": "Thôn"}]}, "hamlets.0.code", "two to ten"),
        ({"hamlets": [{"code": ONE, "parent_code": HOME}]}, "hamlets.0.name", "required"),
        (hamlets(until_day=FROM), "until_day", "before it begins"),
    ):  # fmt: skip
        status, problem = await put(world, document)
        assert (status, problem["field"]) == (422, field), problem
        assert words in problem["detail"], problem
    assert await world.aggregator.kit.pool.fetchval("SELECT count(*) FROM hamlet_list") == 0
    assert await world.aggregator.kit.pool.fetch("SELECT key, seq FROM log_units ORDER BY seq") == untouched
    status, _ = await put(world, hamlets())
    assert status == 200
    # Only the communes that have them are published anew; the same list again, none.
    fresh = "SELECT seq, key FROM log_units WHERE seq > $1 ORDER BY key"
    said = await world.aggregator.kit.pool.fetch(fresh, untouched[-1]["seq"])
    assert [row["key"] for row in said] == [HOME, AWAY]
    assert (await put(world, hamlets()))[0] == 200
    assert await world.aggregator.kit.pool.fetch(fresh, untouched[-1]["seq"]) == said
    status, problem = await put(world, hamlets([ONE]))
    assert (status, problem["field"]) == (422, "hamlets")

    [line] = await world.intake.bulk(
        "/v1/intakes", [intake_line(citizen(), occurred_at=at(12), residence_unit="610")]
    )
    assert line["problem"]["field"] == "residence_unit"
    # A hamlet's code may look like a commune's; it has no numbers of a plan all the same.
    plan = plan_document()
    for change, field in (
        ({"eligible": {**plan["eligible"], THREE: 10}}, f"eligible.{THREE}"),
        ({"set_targets": {"intake": {THREE: 10}}}, f"set_targets.intake.{THREE}"),
        ({"units": [THREE]}, "units.0"),
    ):
        answer = await world.aggregator.client.put(CAMPAIGN, json={**plan, **change})
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


# --- divided by hamlet ---------------------------------------------------------------------------------------------

#: The part that is new, and the first day of both parts.
PART, DAY = "23339", "2023-11-18"
EVE = "2023-11-17"


def hamlets_after(home_of_one: str) -> dict[str, Any]:
    """The list of the divided tree, which ends with its communes."""
    document = hamlets(until_day="2025-01-01")
    document["hamlets"][0]["parent_code"] = home_of_one
    return document


async def divide_tree(world: World, home_of_one: str = PART) -> None:
    """The tree from the 18th on has a further commune; the list of that day has the first hamlet in it."""
    units = tree_document(country(), FIRST_DAY)
    [home] = [unit for unit in units if unit["code"] == HOME]
    units.append({**home, "code": PART, "name": "Xã mới"})
    answer = await world.aggregator.client.put(f"/v1/units/editions/{DAY}", json={"units": units})
    assert answer.status_code == 200, answer.text
    status, answered = await put(world, hamlets_after(home_of_one), DAY)
    assert status == 200, answered
    assert answered["difference"]["moved"] == [ONE]


async def divide(world: World, *, dry_run: bool = False, **change: Any) -> tuple[int, Any]:
    row = {"from_code": HOME, "resolution": "1/NQ"}
    document = {
        "effective_on": DAY,
        "resolution": "1/NQ",
        "within": ["62"],
        "by_hamlet": {HOME: {HOME: 3, PART: 1}},
        "rows": [
            {**row, "to_code": HOME, "share": "part-main"},
            {**row, "to_code": PART, "share": "part"},
        ],
        **change,
    }
    answer = await world.aggregator.client.post(
        "/v1/reorganisations", json=document, params={"dry_run": dry_run}
    )
    return answer.status_code, answer.json()


async def export(world: World) -> str:
    """All that is said of the campaign before and after, and the counters themselves."""
    said: list[Any] = []
    for as_of in (EVE, TODAY):
        for path in ("progress", "funnel"):
            answer = await world.aggregator.client.get(
                f"{CAMPAIGN}/{path}", params={"as_of": as_of, "depth": 9}
            )
            document = answer.json()
            said.append(document.get("detail") or {**document, "complete_to": None})
    rows = await world.aggregator.kit.pool.fetch(
        "SELECT unit, attribution, day, indicator, level, sum(n) FROM total GROUP BY 1, 2, 3, 4, 5 "
        "HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5"
    )
    return json.dumps([said, [str(tuple(row)) for row in rows]])


async def test_a_commune_divided_by_hamlet_keeps_its_totals_and_is_undone_to_the_byte(world: World) -> None:
    assert (await put(world, hamlets()))[0] == 200
    who = await live(world)
    before = await progress(world)
    await divide_tree(world)
    # Its hamlet is elsewhere, and nobody said yet why: no figure of the new tree is guessed.
    answer = await world.aggregator.client.get(f"{CAMPAIGN}/progress", params={"as_of": TODAY})
    assert (answer.status_code, answer.json()["field"]) == (422, "as_of")
    assert f"Thôn Đăk 001 ({ONE})" in answer.json()["detail"]
    untouched = await export(world)

    looked = await divide(world, dry_run=True)
    assert (looked[0], looked[1]["applicable"]) == (200, True), looked
    [divided] = looked[1]["by_hamlet"]
    assert {part["unit"]["code"]: part["citizens"] for part in divided["parts"]} == {HOME: 4, PART: 3}
    assert [each["code"] for each in divided["parts"][1]["hamlets"]] == [ONE]
    assert (divided["without_hamlet"], divided["stays"]["code"]) == (3, HOME)
    [campaign] = looked[1]["campaigns"]
    assert campaign["before"]["indicators"] == campaign["after"]["indicators"]
    assert await export(world) == untouched

    status, applied = await divide(world)
    assert status == 200, applied
    [listed] = (await world.aggregator.get("/v1/reorganisations"))["reorganisations"]
    assert (listed["by_hamlet"], listed["stays"], listed["shares"]) == (
        {HOME: {HOME: 3, PART: 1}},
        {HOME: HOME},
        {},
    )
    after = await progress(world)
    assert intakes(after, HOME, ONE, TWO, PART, AWAY, "62") == [7, 3, 4, 3, 2, 12]
    assert after[ONE]["parent"] == PART
    for indicator in ("intake", "approved", "activated"):
        for name in ("value", "level_2", "baseline", "planned", "target"):
            was = before[HOME]["indicators"][indicator][name] or 0
            parts = [after[code]["indicators"][indicator][name] or 0 for code in (HOME, PART)]
            assert sum(parts) == was, (indicator, name)
            assert before["62"]["indicators"][indicator][name] == after["62"]["indicators"][indicator][name]
    whole = before[HOME]["indicators"]["intake"]["planned"]
    assert abs(after[PART]["indicators"]["intake"]["planned"] - whole / 4) <= 0.5
    assert intakes(await progress(world, as_of=EVE), HOME, ONE, TWO) == [10, 3, 4]

    undone = await world.aggregator.client.delete(f"/v1/reorganisations/{applied['id']}")
    assert undone.status_code == 200
    assert await export(world) == untouched

    # Anew. What comes later of who lives there is counted there, whatever day it is of; the proof sees nothing else.
    assert (await divide(world))[0] == 200
    assert await progress(world) == after
    await world.intake.accept(
        "/v1/approvals", *(approval_line(each, occurred_at=at(19)) for each in (who[3], who[9]))
    )
    await world.intake.accept("/v1/amendments", amendment_line(who[1], "void", occurred_at=at(14)))
    await world.settle()
    later = await progress(world)
    assert intakes(later, HOME, PART, ONE) == [7, 2, 2]
    assert [later[code]["indicators"]["approved"]["value"] for code in (HOME, PART)] == [2, 2]
    verdict = await world.reconcile()
    assert verdict["clean"], verdict["differing"]
    assert (await world.rebuild())["equal"]

    # Days are closed on the trees that they have, with the parts' targets; hamlets have no document.
    await world.move_clock(1)
    closed = "SELECT key FROM log_progress WHERE key LIKE '%/' || $1::text"

    async def documents(day: str) -> set[str]:
        rows = await world.aggregator.kit.pool.fetch(closed, day)
        return {row["key"].split("/")[1] for row in rows}

    async def is_closed() -> bool:
        return bool(await documents(TODAY))

    await eventually(is_closed)
    units = await documents(TODAY)
    assert PART in units
    assert len(units) == 1 + 10 + 102 + 1
    assert not {ONE, TWO, THREE} & units


async def test_a_division_that_loses_a_hamlet_or_has_none_is_refused_by_field(world: World) -> None:
    assert (await put(world, hamlets()))[0] == 200
    await divide_tree(world, AWAY)
    for change, field, words in (
        ({}, "rows", f"1 hamlets are in other communes on {DAY} than their own become: Thôn Đăk 001 ({ONE})"),
        ({"by_hamlet": {}, "placing": "by-hamlet"}, "placing", "divided and have no rule"),
        ({"by_hamlet": {HOME: {HOME: 1}}}, f"by_hamlet.{HOME}", "has the parts"),
        ({"by_hamlet": {AWAY: {AWAY: 1, HOME: 1}}}, f"by_hamlet.{AWAY}", "not divided"),
        ({"by_hamlet": {}, "shares": {HOME: {HOME: 1, PART: 1}}}, f"shares.{HOME}", "2 hamlets"),
        ({"by_hamlet": {HOME: {HOME: -1, PART: 1}}}, f"by_hamlet.{HOME}.{HOME}", "0"),
    ):  # fmt: skip
        status, problem = await divide(world, **change)
        assert (status, problem["field"]) == (422, field), problem
        assert words in problem["detail"], problem
    assert (await world.aggregator.get("/v1/reorganisations"))["reorganisations"] == []
    # The list corrected, it fits; then no list may take a hamlet of the division away.
    assert (await put(world, hamlets_after(PART), DAY))[0] == 200
    assert (await divide(world))[0] == 200
    status, problem = await put(world, hamlets([TWO, THREE]), DAY)
    assert (status, problem["type"], problem["field"]) == (
        409,
        "urn:tiendo:problem:edition-contradicted",
        "hamlets",
    )
    assert f"1 units would be lost: Thôn Đăk 001 ({ONE})" in problem["detail"]


async def test_a_change_may_think_for_longer_than_other_sessions_may_do_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pool = asyncpg.create_pool

    def impatient(*args: Any, **settings: Any) -> asyncpg.Pool:
        settings["server_settings"] = settings.get("server_settings", {}) | {
            "idle_in_transaction_session_timeout": "500"
        }
        return make_pool(*args, **settings)

    async def slow(connection: Connection) -> None:
        await asyncio.sleep(1)
        await raise_units_revision(connection)

    monkeypatch.setattr(asyncpg, "create_pool", impatient)
    monkeypatch.setattr("tiendo_aggregator.use_cases.units.raise_units_revision", slow)
    async with producers(database), aggregator(database, tmp_path) as service:
        answer = await service.client.put(f"{LISTS}/{FROM}", json=hamlets([ONE, TWO]))
        assert answer.status_code == 200, answer.text
