"""A plan that says how many live in which hamlet: targets, progress, ranks and pace of hamlets, over all services."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_aggregator_funnel import CAMPAIGN, World, whole_world
from tests.integration.test_hamlets import (
    EVE,
    ONE,
    PART,
    THREE,
    TODAY,
    TWO,
    divide,
    divide_tree,
    hamlets,
    intakes,
    live,
    progress,
    put,
)
from tests.support.aggregator import eventually, plan_document
from tests.support.directory import AWAY, HOME
from tests.support.postgres import Database

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

#: HOME has so many eligible by the plan of tests.
ELIGIBLE = plan_document()["eligible"][HOME]
IN_HAMLETS = {ONE: 1000, TWO: 500, THREE: 2000}


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Kon Tum on 20 November, with two hamlets in one commune and one in another."""
    async with whole_world(database, tmp_path) as each:
        assert (await put(each, hamlets()))[0] == 200
        yield each


async def put_plan(world: World, **change: Any) -> tuple[int, Any]:
    document = plan_document(**{"eligible_in_hamlets": IN_HAMLETS, **change})
    answer = await world.aggregator.client.put(CAMPAIGN, json=document)
    return answer.status_code, answer.json()


async def ask(world: World, path: str, **asked: str | int) -> tuple[int, Any]:
    answer = await world.aggregator.client.get(f"{CAMPAIGN}/{path}", params={"as_of": TODAY, **asked})
    return answer.status_code, answer.json()


def targets(units: dict[str, dict[str, Any]], *codes: str) -> list[Any]:
    return [units[code]["indicators"]["intake"]["target"] for code in codes]


async def documents(world: World) -> list[Any]:
    pool = world.aggregator.kit.pool
    return [
        await pool.fetch(f"SELECT key, seq FROM log_{topic} ORDER BY key, seq")
        for topic in ("targets", "campaigns")
    ]


async def test_a_plan_of_hamlets_is_shown_ranked_and_paced_and_published_by_commune(world: World) -> None:
    plain = await progress(world)
    published = await documents(world)
    by_hand = {"intake": {TWO: 400}}
    status, stored = await put_plan(world, set_targets=by_hand)
    assert status == 200, stored
    assert (stored["eligible_in_hamlets"], stored["set_targets"]) == (IN_HAMLETS, by_hand)
    assert await world.aggregator.get(CAMPAIGN) == stored
    # Nothing that is published knows of it; the same plan again is the same version.
    assert await documents(world) == published
    assert (await put_plan(world, set_targets=by_hand))[0] == 200
    assert len((await world.aggregator.get(f"{CAMPAIGN}/versions"))["versions"]) == 2
    await live(world)

    units = await progress(world)
    [whole] = targets(units, HOME)
    assert targets(units, HOME, AWAY, "62") == targets(plain, HOME, AWAY, "62")
    # What the one set by hand leaves is shared by the other and by those who live in none, by their eligible.
    of_one = (whole - 400) * 1000 / (ELIGIBLE - 500)
    assert targets(units, TWO) == [400]
    assert abs(targets(units, ONE)[0] - of_one) < 1
    standing = units[ONE]["indicators"]["intake"]
    assert [standing[name] for name in ("planned", "eligible", "exempt", "value")] == [1000, 1000, None, 3]
    [figure] = [each for each in units[ONE]["figures"] if each["id"] == "intake_of_target"]
    assert (figure["numerator"], figure["denominator"]) == (3, standing["target"])
    assert figure["percent"] == "0.3"
    home = units[HOME]["indicators"]["intake"]
    assert [home[name] for name in ("planned", "eligible", "exempt")] == [ELIGIBLE, ELIGIBLE, 0]
    assert (await progress(world, unit=ONE))[ONE] == units[ONE]

    status, ranks = await ask(world, "ranks", unit=HOME, level="hamlet", indicator="intake")
    assert status == 200, ranks
    ranking = ranks["indicators"]["intake"]
    # 4 of 400, and 3 of more.
    assert [(each["code"], each["rank"], each["value"]) for each in ranking["units"]] == [
        (TWO, 1, 4),
        (ONE, 2, 3),
    ]
    assert (ranking["best"], ranking["low"], ranking["unranked"]) == ([TWO, ONE], [ONE, TWO], [])
    status, ranks = await ask(world, "ranks", level="hamlet", shown=1)
    assert {each["code"] for each in ranks["indicators"]["activated"]["units"]} == {ONE, TWO, THREE}
    # Both of the 15th: one of the first moved to the second only on the 16th.
    status, ranks = await ask(
        world, "ranks", unit=HOME, level="hamlet", indicator="intake", as_of="2023-11-15"
    )
    assert [each["value"] for each in ranks["indicators"]["intake"]["units"]] == [3, 4]

    status, pace = await ask(world, "pace", unit=ONE, depth=3)
    assert status == 200, pace
    [unit] = pace["units"]
    assert (unit["code"], unit["level"]) == (ONE, "hamlet")
    assert [unit["indicators"]["intake"][name] for name in ("target", "value")] == [standing["target"], 3]
    status, quotas = await ask(world, "quotas", unit=ONE, indicator="intake")
    assert status == 200, quotas
    days = quotas["indicators"]["intake"]["days"]
    assert sum(each["quota"] for each in days) == standing["target"]
    assert sum(each["needed"] or 0 for each in days) == standing["target"] - 3
    status, forecast = await ask(world, "forecast", unit=ONE, indicator="intake")
    assert forecast["indicators"]["intake"]["target"] == standing["target"]
    # A commune's answers are as they were: no hamlet is judged.
    status, pace = await ask(world, "pace", unit=HOME, depth=9)
    assert [each["code"] for each in pace["units"]] == [HOME]
    for path in ("forecast/backtest", "revisions"):
        status, problem = await ask(world, path, unit=ONE)
        assert (status, problem["field"]) == (422, "unit"), problem
        assert "told of communes and what is above them only" in problem["detail"]
    verdict = await world.reconcile()
    assert verdict["clean"], verdict["differing"]


async def test_what_is_said_of_hamlets_is_checked_by_field_and_held_against_their_lists(world: World) -> None:
    for change, field, words in (
        ({"eligible_in_hamlets": {f"{HOME}009": 1}}, f"eligible_in_hamlets.{HOME}009", "is no hamlet of a commune"),
        ({"eligible_in_hamlets": {ONE: -1}}, f"eligible_in_hamlets.{ONE}", "0"),
        ({"eligible_in_hamlets": {ONE: ELIGIBLE, TWO: 1}}, f"eligible_in_hamlets.{ONE}", "who are in all"),
        ({"set_targets": {"intake": {ONE: 1001}}}, f"set_targets.intake.{ONE}", "above the 1,000"),
    ):  # fmt: skip
        status, problem = await put_plan(world, **change)
        assert (status, problem["field"]) == (422, field), problem
        assert words in problem["detail"], problem
    status, problem = await ask(world, "ranks", unit=HOME, level="hamlet")
    assert (status, problem["field"]) == (422, "level")
    assert (await put_plan(world))[0] == 200
    moved = hamlets()
    moved["hamlets"][0]["parent_code"] = AWAY
    status, problem = await put(world, moved)
    assert (status, problem["type"], problem["field"]) == (
        409,
        "urn:tiendo:problem:edition-contradicted",
        "hamlets",
    )
    assert f"of kon-tum-2023 says how many are eligible there: {ONE}" in problem["detail"]
    # One of which the plan says nothing is counted, and has no pace.
    status, stored = await put_plan(world, eligible_in_hamlets={TWO: 500})
    assert (status, stored["eligible_in_hamlets"]) == (200, {TWO: 500})
    status, problem = await ask(world, "pace", unit=ONE)
    assert (status, problem["field"]) == (422, "unit")
    assert "how many are eligible there" in problem["detail"]


async def test_a_version_before_is_told_of_as_it_was_and_what_is_over_stays(world: World) -> None:
    early = [
        {"indicator": "intake", "value": 421_100},
        {"indicator": "intake", "value": 100_000, "due": "2023-11-21"},
    ]
    activated = [{"indicator": "activated", "value": 335_512}]
    assert (await put_plan(world, targets=early + activated))[0] == 200
    before = await progress(world)
    goal = "intake:by-2023-11-21"
    asked = {"unit": HOME, "level": "hamlet", "indicator": goal}
    _, ranks = await ask(world, "ranks", **asked)
    assigned = {each["code"]: each["target"] for each in ranks["indicators"][goal]["units"]}
    assert assigned.keys() == {ONE, TWO}
    await world.move_clock(2)

    async def is_closed() -> bool:
        stored = await world.aggregator.get(CAMPAIGN)
        return bool(stored["closed_through"] == "2023-11-21")

    await eventually(is_closed, deadline=60)
    status, stored = await put_plan(world, targets=early + activated, eligible_in_hamlets={ONE: 10, TWO: 500})
    assert status == 200, stored
    now = await progress(world)
    assert targets(now, ONE)[0] < targets(before, ONE)[0]
    assert targets(await progress(world, known_at=TODAY), ONE, TWO) == targets(before, ONE, TWO)
    # What was due yesterday was asked for with the numbers of before, and nobody sets it otherwise now.
    _, ranks = await ask(world, "ranks", **asked)
    assert {each["code"]: each["target"] for each in ranks["indicators"][goal]["units"]} == assigned
    status, problem = await put_plan(world, targets=early + activated, set_targets={goal: {ONE: 1}})
    assert (status, problem["field"]) == (409, "targets"), problem


async def test_a_division_by_hamlet_needs_no_weights_where_the_plan_knows_the_hamlets(world: World) -> None:
    # That of the new tree has the first one in the new part.
    await divide_tree(world)
    status, problem = await divide(world, by_hamlet={HOME: {}})
    assert (status, problem["field"]) == (422, f"by_hamlet.{HOME}")
    assert "no plan says how many are eligible" in problem["detail"]
    assert (await put_plan(world))[0] == 200
    before = await progress(world, as_of=EVE)
    status, looked = await divide(world, by_hamlet={HOME: {}}, dry_run=True)
    assert status == 200, looked
    [divided] = looked["by_hamlet"]
    weights = {HOME: ELIGIBLE - IN_HAMLETS[ONE], PART: IN_HAMLETS[ONE]}
    assert {part["unit"]["code"]: part["weight"] for part in divided["parts"]} == weights
    status, applied = await divide(world, by_hamlet={HOME: {}})
    assert status == 200, applied
    [listed] = (await world.aggregator.get("/v1/reorganisations"))["reorganisations"]
    assert listed["by_hamlet"] == {HOME: weights}
    after = await progress(world)
    planned = {code: after[code]["indicators"]["intake"]["planned"] for code in (HOME, PART, ONE, TWO)}
    assert planned == {**weights, ONE: IN_HAMLETS[ONE], TWO: IN_HAMLETS[TWO]}
    assert sum(targets(after, HOME, PART)) == targets(before, HOME)[0]
    # All who are eligible in the new part live in its one hamlet, which has at most its target.
    assert targets(after, ONE)[0] <= targets(after, PART)[0] <= targets(after, ONE)[0] + 1
    undone = await world.aggregator.client.delete(f"/v1/reorganisations/{applied['id']}")
    assert undone.status_code == 200
    # What is given wins.
    assert (await divide(world))[0] == 200
    assert (await world.aggregator.get("/v1/reorganisations"))["reorganisations"][-1]["by_hamlet"] == {
        HOME: {HOME: 3, PART: 1}
    }


async def test_phases_and_the_days_after_the_last_one_tell_of_hamlets_too(world: World) -> None:
    going_on = {"indicator": "intake", "daily": [{"indicator": "intake", "citizens": 1000}]}
    phase = {"id": "first", "name": "Giai đoạn 1", "first_day": "2023-11-11", "last_day": "2023-11-15"}
    early = [
        {"indicator": "intake", "value": 421_100},
        {"indicator": "intake", "value": 100_000, "due": "2023-11-15"},
        {"indicator": "activated", "value": 335_512},
    ]
    status, stored = await put_plan(
        world, targets=early, last_day="2023-11-18", going_on=going_on, phases=[phase]
    )
    assert status == 200, stored
    await live(world)
    first = await progress(world, phase="first", as_of="2023-11-15")
    whole, *parts = targets(first, HOME, ONE, TWO)
    assert abs(parts[0] - whole * 1000 / ELIGIBLE) < 1
    assert intakes(first, ONE, TWO) == [4, 3]
    # 28 days are to bring 28,000 of all; of a hamlet, its share of that beyond who was there on the 18th.
    after = await progress(world, phase="going-on-1")
    whole, *parts = targets(after, HOME, ONE, TWO)
    assert intakes(after, ONE, TWO) == [3, 4]
    assert abs(parts[0] - 3 - (whole - 10) * 1000 / ELIGIBLE) < 1
    status, pace = await ask(world, "pace", unit=ONE, phase="going-on-1", indicator="intake")
    assert status == 200, pace
    assert pace["units"][0]["indicators"]["intake"]["target"] == parts[0]
