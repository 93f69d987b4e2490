"""Hamlets over the three services as they are: brought, named by lines, counted, proven."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_aggregator_funnel import CAMPAIGN, World, whole_world
from tests.support.aggregator import eventually, plan_document
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

pytestmark = pytest.mark.anyio

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
