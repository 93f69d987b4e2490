"""A plan that is changed in mid-campaign is the plan of the days from which it holds, signed by somebody."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_aggregator_plan_versions import CAMPAIGN, FIRST, evening, targets
from tests.support.aggregator import RunningAggregator, aggregator, plan_document
from tests.support.postgres import Database

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

RAISED, PUT = date(2023, 12, 1), date(2023, 12, 4)
EVE = RAISED - timedelta(1)
PHASE = {"id": "end", "name": "Cuối", "first_day": "2023-12-01", "last_day": "2023-12-30"}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """A target of before; one of the 1st, entered on the 4th; today is the 7th."""
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(evening(FIRST - timedelta(1)))
        await each.put_plan(signed_by="Chủ tịch")
        await each.move_clock(evening(PUT))
        await each.put_plan(
            targets=targets(425_000), plan_number="4000/KH-UBND", signed_by="Phó Chủ tịch", holds_from=str(RAISED),
            phases=[PHASE],
        )  # fmt: skip
        await each.move_clock(evening(date(2023, 12, 7)))
        yield each


async def target(service: RunningAggregator, as_of: date, **asked: str) -> dict[str, Any]:
    """The province's target of intakes by each question that knows one."""
    found = {}
    for path in ("progress", "pace", "quotas", "forecast"):
        answer = await service.get(f"{CAMPAIGN}/{path}", as_of=str(as_of), **asked)
        [unit] = answer.get("units", [answer])
        told = unit["indicators"]["intake"]
        found[path] = told.get("pace", told)["target"]
    return found


def all_alike(value: int) -> dict[str, int]:
    return dict.fromkeys(("progress", "pace", "quotas", "forecast"), value)


async def test_a_day_before_the_change_is_told_against_the_plan_of_that_day(
    service: RunningAggregator,
) -> None:
    assert await target(service, EVE) == all_alike(421_100)
    assert await target(service, RAISED) == all_alike(425_000)
    # Printed again as it was known before the change was entered.
    assert await target(service, RAISED, known_at=str(RAISED)) == all_alike(421_100)
    assert await target(service, RAISED, known_at=str(PUT)) == all_alike(425_000)
    assert await target(service, EVE, known_at=str(PUT)) == all_alike(421_100)
    plan = await service.get(CAMPAIGN)
    assert (plan["signed_by"], plan["holds_from"]) == ("Phó Chủ tịch", str(RAISED))
    versions = (await service.get(f"{CAMPAIGN}/versions"))["versions"]
    assert [(each["signed_by"], each["holds_from"], each["known_day"]) for each in versions] == [
        ("Chủ tịch", None, str(FIRST - timedelta(1))),
        ("Phó Chủ tịch", str(RAISED), str(PUT)),
    ]


async def test_phases_and_a_correction_of_all_days_are_those_of_the_plan_that_holds(
    service: RunningAggregator,
) -> None:
    assert (await service.get(f"{CAMPAIGN}/pace", phase="end", as_of="2023-12-07"))["phase"] == "end"
    answer = await service.client.get(f"{CAMPAIGN}/pace", params={"phase": "end", "as_of": str(EVE)})
    assert (answer.status_code, answer.json()["field"]) == (422, "phase")
    # Without a day it is the plan of those that are over, too.
    await service.put_plan(targets=targets(430_000))
    assert await target(service, EVE) == await target(service, RAISED) == all_alike(430_000)
    # A later version is that of later days; those before keep the newest that is theirs.
    await service.put_plan(targets=targets(431_000), holds_from="2023-12-06")
    assert await target(service, RAISED) == all_alike(430_000)
    assert await target(service, date(2023, 12, 6)) == all_alike(431_000)


async def test_a_plan_of_days_to_come_is_put_on_its_day(service: RunningAggregator) -> None:
    answer = await service.client.put(CAMPAIGN, json=plan_document(holds_from="2023-12-08"))
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (422, "holds_from")
    assert "on that day" in problem["remedy"]
    assert (await service.get(CAMPAIGN))["holds_from"] == str(RAISED)
