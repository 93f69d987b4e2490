"""Quotas and pace over HTTP."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    kon_tum_communes,
    plan_document,
    producers,
    restated,
    segment,
)
from tests.support.counters import count_in
from tests.support.postgres import Database
from tiendo_aggregator.rules.plan import spread
from tiendo_common.clock import VIETNAM
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import CampaignPublished, Indicator

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

FIRST, REVIEW, LAST = date(2023, 11, 11), date(2023, 12, 7), date(2023, 12, 30)
CAMPAIGN = "/v1/campaigns/kon-tum-2023"


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(datetime(2024, 1, 15, 20, tzinfo=VIETNAM))
        yield each


async def put_in_the_review(service: RunningAggregator) -> None:
    """Kon Tum's published activations, spread over communes and the campaign's first 27 days."""
    communes = dict.fromkeys(kon_tum_communes(), 1)
    cells: dict[tuple[Indicator, int, str, date], int] = {}
    for level, published in ((1, 17_791), (2, 164_978)):
        for commune, share in spread(published, communes).items():
            for number, n in spread(share, {f"{day:02}": 1 for day in range(27)}).items():
                cells["activated", level, commune, FIRST + timedelta(int(number))] = n
    await count_in(service, cells)


async def refused(service: RunningAggregator, path: str, **params: str) -> dict[str, Any]:
    answer = await service.client.get(f"{CAMPAIGN}/{path}", params=params)
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["remedy"]
    return problem


async def test_kon_tum_needed_6641_activations_a_day(service: RunningAggregator) -> None:
    await service.put_plan()
    await put_in_the_review(service)
    answer = await service.get(f"{CAMPAIGN}/pace", as_of="2023-12-07", indicator="activated")
    [unit] = answer["units"]
    assert unit["indicators"] == {
        "activated": {
            "target": 335_512,
            "baseline": 0,
            "value": 182_769,
            "owed": 335_512,
            "actual": 182_769,
            "planned": 335_512 * 27 // 50,
            "gap": 181_176 - 182_769,
            "percent_of_plan": "100.8",
            "quota": 335_512 * 27 // 50 - 335_512 * 26 // 50,
            "done": unit["indicators"]["activated"]["done"],
            "last_7_days": unit["indicators"]["activated"]["last_7_days"],
            "remaining": 152_743,
            "days_left": 23,
            "needed_per_day": 6_641,
            "needed_next_day": 6_641,
        }
    }
    quotas = (await service.get(f"{CAMPAIGN}/quotas", as_of="2023-12-07", unit="62"))["indicators"][
        "activated"
    ]
    days = {day["day"]: day for day in quotas["days"]}
    assert len(days) == 50
    assert [days[f"2023-12-{day:02}"]["needed"] for day in range(7, 31)] == [None, *[6_641] * 23]
    assert sum(day["quota"] for day in days.values()) == 335_512 == days["2023-12-30"]["planned"]
    assert sum(day["done"] or 0 for day in days.values()) == 182_769
    assert [days[day]["done"] is None for day in ("2023-12-07", "2023-12-08")] == [False, True]
    over = await service.get(f"{CAMPAIGN}/pace", as_of="2023-12-30", indicator="activated")
    last = over["units"][0]["indicators"]["activated"]
    assert (last["days_left"], last["needed_per_day"], last["needed_next_day"]) == (0, None, None)


async def test_pace_is_by_residence_and_the_days_work_by_team(
    service: RunningAggregator, feed: Producers
) -> None:
    await service.put_plan()
    home, team = "23427", "23281"
    late = FIRST + timedelta(20)
    await feed.append(
        [
            restated("intake", [segment(FIRST - timedelta(3), home)], known=FIRST - timedelta(3)),
            restated("intake", [segment(FIRST, home, collecting=team)], known=FIRST),
            restated("intake", [segment(FIRST + timedelta(8), home, collecting=team)], known=late),
            restated("intake", [segment(FIRST + timedelta(8), home)], known=FIRST + timedelta(8)),
        ]
    )
    await service.drain(feed)
    day = FIRST + timedelta(8)

    async def read(unit: str, **params: str) -> tuple[int, ...]:
        answer = await service.get(
            f"{CAMPAIGN}/pace", as_of=str(day), unit=unit, indicator="intake", **params
        )
        pace = answer["units"][0]["indicators"]["intake"]
        assert pace["owed"] == pace["target"] - pace["baseline"]
        assert pace["gap"] == pace["planned"] - pace["actual"]
        return tuple(pace[name] for name in ("baseline", "value", "actual", "last_7_days", "done"))

    assert await read(home) == (1, 4, 3, 2, 1)
    assert await read(team) == (0, 0, 0, 0, 1)
    assert await read("62") == (1, 4, 3, 2, 2)
    assert await read(home, known_at=str(day)) == (1, 3, 2, 1, 1)
    assert await read(team, known_at=str(day)) == (0, 0, 0, 0, 0)


async def test_units_below_are_listed_each_with_the_indicators_of_which_it_has_a_target(
    service: RunningAggregator,
) -> None:
    await service.put_plan()
    answer = await service.get(f"{CAMPAIGN}/pace", as_of="2023-12-07", depth=2)
    assert len(answer["units"]) == 1 + 10 + 102
    assert {tuple(unit["indicators"]) for unit in answer["units"]} == {("intake", "activated")}
    communes = [unit for unit in answer["units"] if unit["level"] == "commune"]
    assert sum(unit["indicators"]["intake"]["target"] for unit in communes) == 421_100


async def test_a_calendar_comes_back_moves_the_work_and_is_published(service: RunningAggregator) -> None:
    calendar = {
        "weekday_weights": [2, 2, 2, 2, 2, 1, 0],
        "holidays": [{"day": "2023-12-01", "name": "a day off", "weight": 0}],
    }
    answer = await service.put_plan(calendar=calendar)
    assert answer["calendar"] == calendar == (await service.get(CAMPAIGN))["calendar"]
    quotas = (await service.get(f"{CAMPAIGN}/quotas", as_of="2023-11-10"))["indicators"]["intake"]
    days = {day["day"]: day for day in quotas["days"]}
    assert sum(day["quota"] for day in days.values()) == 421_100
    assert (days["2023-12-01"]["holiday"], days["2023-12-01"]["quota"]) == ("a day off", 0)
    assert days["2023-11-12"]["quota"] == 0  # a Sunday
    saturday, monday = days["2023-11-11"]["quota"], days["2023-11-13"]["quota"]
    assert abs(monday - 2 * saturday) <= 2
    # Before the first day the catch-up quotas are the quotas.
    assert [day["needed"] for day in days.values()] == [day["quota"] for day in days.values()]
    assert quotas["pace"]["days_left"] == 50 - 7 - 1
    decoder = EventDecoder[CampaignPublished]([CampaignPublished])
    body = await service.kit.pool.fetchval("SELECT body FROM log_campaigns")
    published = decoder.decode(body).data
    assert published.day_weights == tuple(day["weight"] for day in days.values())
    await service.put_plan()
    body = await service.kit.pool.fetchval("SELECT body FROM log_campaigns")
    assert b"day_weights" not in body


async def test_a_campaign_over_a_new_year_and_a_leap_day_is_planned_day_by_day(
    service: RunningAggregator,
) -> None:
    tet = [
        {"day": f"2024-02-{day:02}", "name": "Tết Giáp Thìn", "weight": 0}
        for day in (8, 9, 10, 11, 12, 13, 14)
    ]
    await service.put_plan(last_day="2024-03-01", calendar={"holidays": tet})
    quotas = (await service.get(f"{CAMPAIGN}/quotas", as_of="2024-01-01"))["indicators"]["activated"]
    days = {day["day"]: day for day in quotas["days"]}
    assert len(days) == 112
    assert days["2024-02-29"]["weight"] == 1
    assert sum(day["quota"] for day in days.values()) == 335_512
    assert [day["quota"] for day in days.values() if day["holiday"]] == [0] * 7
    assert quotas["pace"]["days_left"] == 60 - 7


async def test_a_bad_calendar_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    def one(**change: object) -> dict[str, object]:
        return {"holidays": [{"day": "2023-12-01", "name": "Tết"} | change]}

    faults: list[tuple[str, dict[str, object]]] = [
        ("calendar", {"weekday_weights": [0] * 7}),
        ("calendar.weekday_weights", {"weekday_weights": [1] * 6}),
        ("calendar.weekday_weights.3", {"weekday_weights": [1, 1, 1, -1, 1, 1, 1]}),
        ("calendar.weekday_weights.6", {"weekday_weights": [1, 1, 1, 1, 1, 1, 0.5]}),
        ("calendar.holidays.0.day", one(day="2023-12-31")),
        ("calendar.holidays.0.day", one(day="2023-02-29")),
        ("calendar.holidays.0.day", one(day="29/2/2024")),
        ("calendar.holidays.0.weight", one(weight=-1)),
        ("calendar.holidays.0.name", one(name="")),
        ("calendar.holiday", {"holiday": []}),
    ]
    for field, calendar in faults:
        answer = await service.client.put(CAMPAIGN, json=plan_document(calendar=calendar))
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    answer = await service.client.put(CAMPAIGN, json=plan_document(last_day="2032-12-30"))
    assert (answer.status_code, answer.json()["field"]) == (422, "last_day"), answer.text
    assert (await service.get("/v1/campaigns"))["campaigns"] == []


async def test_what_has_no_target_has_no_pace(service: RunningAggregator) -> None:
    await service.put_plan()
    for path in ("pace", "quotas"):
        assert (await refused(service, path, indicator="approved"))["field"] == "indicator"
        assert (await refused(service, path, unit="00001"))["field"] == "unit"
        assert (await refused(service, path, known_at="2024-01-16"))["field"] == "known_at"
    await service.client.put("/v1/campaigns/without-targets", json=plan_document(targets=[], figures=[]))
    answer = await service.client.get("/v1/campaigns/without-targets/pace", params={"as_of": "2023-12-07"})
    assert (answer.status_code, answer.json()["field"]) == (422, "unit")
    assert (await service.client.get("/v1/campaigns/nowhere/pace")).status_code == 404
