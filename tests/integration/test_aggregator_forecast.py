"""Forecasts, their back-test and ranks over HTTP."""

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
)
from tests.support.counters import count_in
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM
from tiendo_common.events.state import Indicator

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

FIRST, LAST = date(2023, 11, 11), date(2023, 12, 30)
CAMPAIGN = "/v1/campaigns/kon-tum-2023"


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Each commune takes 30 dossiers a day and more the higher its code, 20 fewer on Sundays; 30 were there before."""
    cells: dict[tuple[Indicator, int, str, date], int] = {}
    for place, commune in enumerate(kon_tum_communes()):
        cells["intake", 1, commune, FIRST - timedelta(9)] = 30
        for number in range(50):
            day = FIRST + timedelta(number)
            cells["intake", 2, commune, day] = 30 + place // 2 - 20 * (day.weekday() == 6)
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(datetime(2024, 1, 15, 20, tzinfo=VIETNAM))
        await each.put_plan()
        await count_in(each, cells)
        yield each


async def test_the_final_figure_and_the_day_are_forecast_from_the_days_seen(
    service: RunningAggregator,
) -> None:
    answer = await service.get(f"{CAMPAIGN}/forecast", as_of="2023-12-07")
    assert (answer["unit"], answer["last_day"]) == ("62", "2023-12-30")
    intake = answer["indicators"]["intake"]
    a_day = sum(30 + place // 2 for place in range(102))
    actual = 102 * 30 + 50 * a_day - 7 * 20 * 102
    seen = intake["forecast"]
    assert intake["value"] == 102 * 30 + 27 * a_day - 4 * 20 * 102
    assert abs(seen["final"] - actual) < actual // 100
    assert seen["low"] <= actual <= seen["high"]
    assert min(seen["weekday_percents"]) == seen["weekday_percents"][6] < 95
    assert seen["days_seen"] == 27
    [nothing] = [answer["indicators"]["activated"]["forecast"]]
    assert (nothing["final"], nothing["target_met"]["expected"]) == (0, None)
    # Told in December from what was known then, it is told again from the same.
    await count_in(service, {("intake", 2, kon_tum_communes()[0], FIRST): 5_000}, known=date(2023, 12, 20))
    again = await service.get(f"{CAMPAIGN}/forecast", as_of="2023-12-07", known_at="2023-12-07")
    assert again["indicators"] == answer["indicators"]
    now = await service.get(f"{CAMPAIGN}/forecast", as_of="2023-12-07")
    assert now["indicators"]["intake"]["value"] == intake["value"] + 5_000


async def test_without_days_there_is_no_forecast_and_the_answer_says_why(service: RunningAggregator) -> None:
    for as_of, why in [
        ("2023-11-14", "A forecast needs 5 days of the campaign."),
        ("2023-11-01", "A forecast needs 5 days of the campaign."),
        ("2023-12-30", "No day of the campaign is left."),
        ("2024-01-15", "No day of the campaign is left."),
    ]:
        intake = (await service.get(f"{CAMPAIGN}/forecast", as_of=as_of))["indicators"]["intake"]
        assert (intake["forecast"], intake["why_none"]) == (None, why)
    assert (await service.get(f"{CAMPAIGN}/forecast/backtest", as_of="2023-11-01"))["indicators"] == {
        "intake": [],
        "activated": [],
    }


async def test_the_backtest_tells_from_what_was_known_and_beside_two_naive_ways(
    service: RunningAggregator,
) -> None:
    # Known only on day 21: it was not there to be seen on the days before.
    late = kon_tum_communes()[0]
    await count_in(service, {("intake", 2, late, FIRST): 900}, known=FIRST + timedelta(20))
    answer = await service.get(f"{CAMPAIGN}/forecast/backtest", indicator="intake")
    assert answer["through"] == "2023-12-30"
    found = {origin["number"]: origin for origin in answer["indicators"]["intake"]}
    assert list(found) == [10, 20, 30, 40]
    a_day = sum(30 + place // 2 for place in range(102))
    actual = 102 * 30 + 50 * a_day - 7 * 20 * 102 + 900
    tenth = found[10]
    assert (tenth["day"], tenth["days_ahead"], tenth["actual"]) == ("2023-11-20", 40, actual)
    at_tenth = 102 * 30 + 10 * a_day - 2 * 20 * 102
    assert tenth["told"]["straight_line"] == at_tenth + 4 * (at_tenth - 102 * 30)
    owed = 421_100 - 102 * 30
    assert tenth["told"]["planned_pace"] == at_tenth + owed - owed * 10 // 50
    for origin in found.values():
        assert origin["communes"] == 102
        for way in ("forecast", "planned_pace", "straight_line"):
            assert origin[way]["error"] == origin["told"][way] - actual
        assert origin["interval_holds"] == (origin["told"]["low"] <= actual <= origin["told"]["high"])
        assert abs(origin["forecast"]["error"]) < abs(origin["planned_pace"]["error"])
    assert [origin["communes_inside"] for origin in found.values()] == [101, 101, 102, 102]
    assert found[10]["coverage_percent"] == "99.0"
    commune = await service.get(f"{CAMPAIGN}/forecast/backtest", unit=late, as_of="2023-12-07")
    assert [origin["days_ahead"] for origin in commune["indicators"]["intake"]] == [17, 7]
    assert not commune["indicators"]["intake"][0]["interval_holds"]


async def test_communes_and_districts_are_ranked(service: RunningAggregator) -> None:
    answer = await service.get(f"{CAMPAIGN}/ranks", as_of="2023-12-07", shown=3)
    ranks = answer["indicators"]["intake"]
    assert (answer["level"], len(ranks["units"])) == ("commune", 102)
    shares = [unit["value"] / unit["target"] for unit in ranks["units"]]
    assert shares == sorted(shares, reverse=True)
    assert [unit["rank"] for unit in ranks["units"][:3]] == [1, 2, 3]
    assert ranks["best"] == [unit["code"] for unit in ranks["units"][:3]]
    assert ranks["low"] == [unit["code"] for unit in ranks["units"][:-4:-1]]
    assert ranks["finish"] == []
    # Nobody has activated anything: all share the first place, and it is the last one, too.
    idle = answer["indicators"]["activated"]
    assert {unit["rank"] for unit in idle["units"]} == {1}
    assert len(idle["best"]) == len(idle["low"]) == 102
    # One commune reaches its target at a stroke, on a day that was over when it became known.
    last = ranks["units"][-1]
    await count_in(
        service,
        {("intake", 2, last["code"], date(2023, 12, 7)): last["target"] - last["value"]},
        known=date(2023, 12, 9),
    )
    after = (await service.get(f"{CAMPAIGN}/ranks", as_of="2023-12-07"))["indicators"]["intake"]
    winner = after["units"][0]
    assert (winner["code"], winner["percent"], winner["met_on"]) == (last["code"], "100.0", "2023-12-07")
    assert (winner["finished"], after["finish"]) == (1, [last["code"]])
    assert winner["since_yesterday"] == 101
    assert {unit["since_yesterday"] for unit in after["units"][1:]} == {-1}
    then = await service.get(f"{CAMPAIGN}/ranks", as_of="2023-12-07", known_at="2023-12-07", shown=3)
    assert then["indicators"] == answer["indicators"]
    districts = await service.get(f"{CAMPAIGN}/ranks", as_of="2023-12-07", level="district")
    assert len(districts["indicators"]["intake"]["units"]) == 10
    below = await service.get(f"{CAMPAIGN}/ranks", as_of="2023-12-07", unit="612")
    assert {unit["code"] for unit in below["indicators"]["intake"]["units"]} < set(kon_tum_communes())


async def test_what_cannot_be_answered_is_refused_with_field_and_remedy(service: RunningAggregator) -> None:
    faults: list[tuple[str, dict[str, Any]]] = [
        ("as_of", {"as_of": "2024-01-16"}),
        ("as_of", {"as_of": "2023-02-29"}),
        ("known_at", {"known_at": "2024-01-16"}),
        ("indicator", {"indicator": "approved"}),
        ("indicator", {"indicator": "cards"}),
        ("unit", {"unit": "00001"}),
    ]
    for path in ("forecast", "forecast/backtest", "ranks"):
        for field, params in faults:
            answer = await service.client.get(f"{CAMPAIGN}/{path}", params=params)
            problem = answer.json()
            assert (answer.status_code, problem["field"]) == (422, field), answer.text
    for field, params in [("as_of", {"as_of": "2023-11-09"}), ("level", {"level": "province"})]:
        answer = await service.client.get(f"{CAMPAIGN}/ranks", params=params)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    eve = await service.get(f"{CAMPAIGN}/ranks", as_of="2023-11-10")
    assert {unit["value"] for unit in eve["indicators"]["intake"]["units"]} == {30}


async def test_campaigns_are_set_against_each_other_by_the_day_of_each(service: RunningAggregator) -> None:
    document = plan_document(name="Chiến dịch sau Tết", first_day="2024-01-10", last_day="2024-02-28")
    answer = await service.client.put("/v1/campaigns/kon-tum-2024", json=document)
    assert answer.status_code == 200, answer.text
    commune = kon_tum_communes()[0]
    await count_in(service, {("intake", 2, commune, date(2024, 1, 11)): 7}, known=date(2024, 1, 14))
    asked: dict[str, Any] = {"campaign": ["kon-tum-2023", "kon-tum-2024"], "indicator": "intake"}
    report = await service.get("/v1/side-by-side", **asked)
    before, after = report["campaigns"]
    assert (before["campaign"], before["unit"], before["target"]) == ("kon-tum-2023", "62", 421_100)
    # The second begins with all that the first brought.
    a_day = sum(30 + place // 2 for place in range(102))
    brought = 50 * a_day - 7 * 20 * 102
    assert (before["baseline"], after["baseline"]) == (102 * 30, 102 * 30 + brought)
    days = report["days"]
    assert [day["number"] for day in days] == list(range(1, 51))
    first, second = days[1]["standings"]
    assert (first["day"], first["gained"]) == ("2023-11-12", 2 * a_day - 20 * 102)
    assert (second["day"], second["gained"], second["value"]) == ("2024-01-11", 7, 102 * 30 + brought + 7)
    share = (102 * 30 + brought + 7) * 1000 // 421_100
    assert second["percent_of_target"] == f"{share // 10}.{share % 10}"
    # On 15 January six days of the second have begun; what comes is not zero but not there.
    assert [day["standings"][1] is None for day in days] == [False] * 6 + [True] * 44
    # What was known on the 13th did not hold the seven yet; a campaign is counted on after its last day.
    known = await service.get("/v1/side-by-side", **asked, days=60, known_at="2024-01-13")
    assert known["days"][1]["standings"][1]["gained"] == 0
    assert known["days"][59]["standings"][0]["day"] == "2024-01-09"
    assert known["days"][59]["standings"][0]["gained"] == brought


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"campaign": ["kon-tum-2023"], "indicator": "intake"}, 422, "campaign"),
        ({"campaign": ["kon-tum-2023", "kon-tum-2023"], "indicator": "intake"}, 422, "campaign"),
        ({"campaign": ["kon-tum-2023", "no-such"], "indicator": "intake"}, 404, None),
        ({"campaign": ["kon-tum-2023", "x"], "indicator": "smiles"}, 422, "indicator"),
        ({"campaign": ["kon-tum-2023", "x"], "indicator": "intake", "days": 801}, 422, "days"),
    ],
)
async def test_campaigns_that_cannot_be_compared_are_refused(
    service: RunningAggregator, asked: dict[str, Any], status: int, field: str | None
) -> None:
    answer = await service.client.get("/v1/side-by-side", params=asked)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in answer.text
