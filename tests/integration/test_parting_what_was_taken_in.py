"""A commune that took in another one, and whose hamlets have ended, is divided by share: all of its people are parted,
whatever code their records were taken at."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_aggregator_funnel import World, whole_world
from tests.integration.test_parting_by_share import (
    DAY,
    EVE,
    PART,
    TODAY,
    apply,
    ask,
    command_line,
    division,
    export,
    standing,
)
from tests.support.aggregator import eventually
from tests.support.directory import HOME
from tests.support.postgres import Database
from tests.support.services import at, citizen, intake_line
from tests.support.units import country, tree_document
from tiendo_aggregator.rules.units import FIRST_DAY

pytestmark = pytest.mark.anyio

#: A commune from the 12th to the 14th, and a hamlet that ended with the 15th: both are HOME's since.
OLD, HAMLET = "39998", f"{HOME}001"


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Eight who live at the commune's own code, eight at that of one that it took in, four in a hamlet that ended."""
    async with whole_world(database, tmp_path) as each:
        units = tree_document(country(), FIRST_DAY)
        [home] = [unit for unit in units if unit["code"] == HOME]
        put = each.aggregator.client.put
        for day, further in (("2023-11-12", OLD), ("2023-11-15", None), (DAY, PART)):
            more = [] if further is None else [{**home, "code": further, "name": f"Xã {further}"}]
            answer = await put(f"/v1/units/editions/{day}", json={"units": [*units, *more]})
            assert answer.status_code == 200, answer.text
        hamlets: dict[str, Any] = {
            "hamlets": [{"code": HAMLET, "parent_code": HOME, "name": "Thôn 1"}],
            "until_day": "2023-11-16",
        }
        answer = await put("/v1/units/hamlets/62/2023-11-01", json=hamlets)
        assert answer.status_code == 200, answer.text
        row = {"resolution": "1/NQ", "share": "whole", "to_code": HOME}
        merger = {
            "effective_on": "2023-11-15",
            "resolution": "1/NQ",
            "within": ["62"],
            "rows": [{**row, "from_code": HOME}, {**row, "from_code": OLD}],
        }
        answer = await each.aggregator.client.post("/v1/reorganisations", json=merger)
        assert answer.status_code == 200, answer.text
        lines = [
            intake_line(citizen(), occurred_at=at(13), residence_unit=code)
            for code in [HOME] * 8 + [OLD] * 8 + [HAMLET] * 4
        ]

        async def accepted() -> bool:
            # Intake hears of new codes in its own time.
            answers = await each.intake.bulk("/v1/intakes", lines)
            return all(answer["status"] != "rejected" for answer in answers)

        await eventually(accepted)
        await each.settle()
        yield each


async def taken(world: World, as_of: str) -> dict[str, int]:
    units = await standing(world, as_of)
    return {code: units[code]["intake"]["value"] for code in (HOME, PART) if code in units}


async def test_who_was_taken_at_a_code_that_the_commune_took_in_is_parted_too(
    world: World, tmp_path: Path
) -> None:
    untouched = await export(world)
    id_ = await apply(world, {HOME: 3, PART: 1})
    listed = (await world.aggregator.get("/v1/reorganisations"))["reorganisations"]
    assert listed[-1]["taken_in"] == {HOME: [HAMLET, OLD]}
    async with command_line(world, tmp_path) as command:
        said = json.loads(await command("place", str(id_), "--json"))
        assert [each["placed"] for each in said["placements"]] == [{HOME: 15, PART: 5}]
        await world.settle()
        assert await taken(world, TODAY) == {HOME: 15, PART: 5}
        # The days before are told by the shares, so the division is nobody's progress.
        asked: dict[str, str | int] = {"as_of": EVE, "tree": TODAY, "depth": 9}
        answer = await world.aggregator.get("/v1/campaigns/kon-tum-2023/progress", **asked)
        before = {each["code"]: each["indicators"]["intake"]["value"] for each in answer["units"]}
        assert (before[HOME], before[PART]) == (15, 5)
        verdict = await world.reconcile()
        assert verdict["clean"], verdict["differing"]
        assert await command("place", str(id_), "--undo") == f"{HOME}: taken back\n"
    await world.settle()
    answer = await world.aggregator.client.delete(f"/v1/reorganisations/{id_}")
    assert answer.status_code == 200
    assert (answer.json()["taken_in"], await export(world)) == ({HOME: [HAMLET, OLD]}, untouched)


async def test_a_code_that_was_not_taken_in_is_refused_by_name(world: World) -> None:
    id_ = await apply(world, {HOME: 3, PART: 1})

    async def known() -> bool:
        status, _ = await ask(world, "PUT", id_, division(taken_in=[OLD, HAMLET]))
        return status == 200

    await eventually(known)
    assert (await ask(world, "DELETE", id_))[0] == 200
    for code, words in (
        ("00000", "No unit has the code 00000."),
        (PART, "had not ended by 2023-11-18"),
        (HOME, "had not ended by 2023-11-18"),
    ):
        status, problem = await ask(world, "PUT", id_, division(taken_in=[OLD, code]))
        assert (status, problem["field"]) == (422, "taken_in"), problem
        assert words in problem["detail"]
