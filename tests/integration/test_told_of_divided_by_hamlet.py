"""A commune that is divided by hamlet: what was told of it, its days, and what late records do to them."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_told_of_divided import (
    CAMPAIGN,
    DAY,
    EVE,
    PART,
    TODAY,
    apply,
    count,
    declare,
    measured,
    noon,
    said,
    send,
    tell,
)
from tests.support.aggregator import RunningAggregator, aggregator, eventually, producers
from tests.support.counters import count_in
from tests.support.directory import AWAY, HOME
from tests.support.postgres import Database
from tests.support.units import country, tree_document
from tiendo_aggregator.rules.units import FIRST_DAY

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

ONE, TWO = f"{HOME}001", f"{HOME}002"
BASELINE, EARLY, LATER = date(2023, 11, 1), date(2023, 11, 12), date(2023, 11, 19)
ON = date.fromisoformat(DAY)


def hamlets(home_of_one: str, **change: Any) -> dict[str, Any]:
    homes = {ONE: home_of_one, TWO: HOME}
    rows = [{"code": code, "parent_code": home, "name": f"Thôn {code[-1:]}"} for code, home in homes.items()]
    return {"hamlets": rows, **change}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum on 20 November; since the 18th the first hamlet of a commune is one of its own."""
    async with producers(database) as feed, aggregator(database, tmp_path) as each:
        await each.move_clock(noon(date(2023, 11, 10)))
        await each.put_plan(declaring={"cut_off": "16:30:00", "units": [HOME, AWAY]})
        await send(each, "PUT", "/v1/units/hamlets/62/2023-01-01", hamlets(HOME))
        await send(
            each,
            "PUT",
            f"{CAMPAIGN}/measures/cards",
            {"name": "Thẻ", "out_of": "những gì có", "targets": {HOME: 80}},
        )
        await each.move_clock(noon(TODAY))
        units = tree_document(country(), FIRST_DAY)
        [home] = [unit for unit in units if unit["code"] == HOME]
        units.append({**home, "code": PART, "name": "Xã mới"})
        await send(each, "PUT", f"/v1/units/editions/{DAY}", {"units": units})
        await send(each, "PUT", f"/v1/units/hamlets/62/{DAY}", hamlets(PART, until_day="2025-01-01"))
        # Ten before it: four in the hamlet that goes, three in the one that stays, three in none.
        await count_in(
            each,
            {
                ("intake", 2, ONE, BASELINE): 1,
                ("intake", 2, ONE, EARLY): 3,
                ("intake", 2, TWO, EARLY): 3,
                ("intake", 2, HOME, EARLY): 3,
                ("intake", 2, ONE, ON): 2,
            },
        )
        # Known two days after the day that they are of.
        late = EARLY + timedelta(days=2)
        await count_in(each, {("intake", 2, ONE, EARLY): 5, ("intake", 2, HOME, EARLY): -1}, late)
        await tell(each, "cards", HOME, EVE, 95, 100)
        await declare(each, HOME, EVE, count(9, 3, 6))
        await feed.complete_to(noon(TODAY))
        yield each


async def divide(service: RunningAggregator) -> int:
    return await apply(service, by_hamlet={HOME: {HOME: 3, PART: 1}}, shares={}, placing=None)


async def revised(service: RunningAggregator, unit: str, **asked: str) -> dict[str, Any]:
    """Revisions, with the days by date."""
    answer: dict[str, Any] = await service.get(f"{CAMPAIGN}/revisions", unit=unit, **asked)
    return {**answer, "days": {each["day"]: each for each in answer["days"]}}


def intake(answer: dict[str, Any], day: str, which: str) -> int:
    value: int = answer["days"][day]["indicators"]["intake"][which]["value"]
    return value


async def closed(service: RunningAggregator, day: date) -> None:
    async def is_closed() -> bool:
        return bool((await service.get(CAMPAIGN))["closed_through"] == str(day))

    await eventually(is_closed)


async def test_measures_and_declared_counts_are_parted_by_the_weights_and_records_by_hamlet(
    service: RunningAggregator,
) -> None:
    await divide(service)
    on_day: dict[str, str] = {"as_of": EVE, "tree": DAY}
    cards = await measured(service, "cards", **on_day)
    parts = [(cards[code]["value"], cards[code]["out_of"], cards[code]["target"]) for code in (HOME, PART)]
    assert parts == [(71, 75, 60), (24, 25, 20)]
    assert (cards["62"]["value"], cards["62"]["out_of"], cards["62"]["of_divided"]) == (95, 100, 2)

    declared = await said(service, "declared", **on_day)
    beside = {code: declared[code]["indicators"]["intake"] for code in (HOME, PART, "62")}
    told = [(each["declared"]["level_1"], each["declared"]["level_2"]) for each in beside.values()]
    assert told == [(2, 4), (1, 2), (3, 6)]
    # Nobody guesses at records: each is where its hamlet is.
    assert [each["records"]["value"] for each in beside.values()] == [5, 9, 14]

    # Since then each part speaks for itself.
    now = {"as_of": str(TODAY)}
    await tell(service, "cards", PART, DAY, 25, 25)
    cards = await measured(service, "cards", **now)
    assert [(cards[code]["value"], cards[code]["of_divided"]) for code in (HOME, PART, "62")] == [
        (71, 1),
        (25, 0),
        (96, 1),
    ]
    await declare(service, PART, DAY, count(11, 1, 10))
    declared = await said(service, "declared", as_of=DAY)
    assert [declared[code]["state"] for code in (HOME, PART, AWAY)] == [
        "not_reported",
        "late",
        "not_reported",
    ]
    beside = declared[PART]["indicators"]["intake"]
    assert (beside["declared"]["value"], beside["records"]["value"]) == (11, 11)


async def test_late_records_of_a_hamlet_revise_the_days_of_the_part_that_it_is_in(
    service: RunningAggregator,
) -> None:
    # No later day is closed while nothing says what became of the hamlet.
    await closed(service, ON - timedelta(days=1))
    whole = await revised(service, HOME, as_of=EVE)
    assert [intake(whole, str(EARLY), which) for which in ("then", "now", "change")] == [10, 14, 4]
    province = await revised(service, "62", as_of=EVE)
    id_ = await divide(service)
    await closed(service, TODAY - timedelta(days=1))

    stays, new = await revised(service, HOME), await revised(service, PART)
    assert [intake(stays, str(EARLY), which) for which in ("then", "now", "change")] == [6, 5, -1]
    assert [intake(new, str(EARLY), which) for which in ("then", "now", "change")] == [4, 9, 5]
    [late] = new["days"][str(EARLY)]["late"]
    assert (late["known_day"], late["change"]["value"]) == (str(EARLY + timedelta(days=2)), 5)
    assert intake(new, "2023-11-10", "now") == 1  # the baseline
    assert [intake(new, DAY, which) for which in ("then", "now")] == [11, 11]
    assert (stays["divided_on"], new["divided_on"]) == (None, None)
    # On each day both are what the whole was; and nothing of the province is another.
    for day in whole["days"]:
        for which in ("then", "now", "change"):
            assert intake(stays, day, which) + intake(new, day, which) == intake(whole, day, which)
    after = (await revised(service, "62"))["days"]
    assert {day: after[day] for day in province["days"]} == province["days"]

    assert (await service.client.delete(f"/v1/reorganisations/{id_}")).status_code == 200
    assert (await revised(service, HOME, as_of=EVE))["days"] == whole["days"]


async def test_curves_and_paces_of_the_parts_have_the_past_of_their_hamlets(
    service: RunningAggregator,
) -> None:
    await divide(service)
    pace = await said(service, "pace", as_of=str(TODAY), unit=PART)
    numbers = pace[PART]["indicators"]["intake"]
    assert (numbers["baseline"], numbers["value"], numbers["actual"]) == (1, 11, 10)
    assert numbers["last_7_days"] == 2
    ranks = await service.get(f"{CAMPAIGN}/ranks", as_of=str(TODAY), level="commune", shown=200)
    assert PART in str(ranks)
