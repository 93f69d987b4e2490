"""The ministry's figures: beside the records, chosen from by name, with claims that need not reconcile."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import Producers, RunningAggregator, aggregator, producers
from tests.support.counters import count_in
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
DAY = date(2023, 12, 7)
COMMUNE = "23281"


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=VIETNAM)


def said(value: int, level_1: int | None = None, level_2: int | None = None) -> dict[str, int | None]:
    return {"value": value, "level_1": level_1, "level_2": level_2}


def document(**change: Any) -> dict[str, Any]:
    return {
        "source": "C06, 7/12/2023",
        "figures": {
            "62": {"intake": said(110, 30, 80), "activated": said(50)},
            COMMUNE: {"intake": said(90, 30, 60)},
        },
        **change,
    }


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum with 100 intakes (25 at level 1) and 60 activations, all in one commune."""
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(noon(date(2023, 11, 10)))
        await each.put_plan()
        await count_in(
            each,
            {
                ("intake", 1, COMMUNE, DAY): 25,
                ("intake", 2, COMMUNE, DAY): 75,
                ("activated", 2, COMMUNE, DAY): 60,
            },
        )
        await each.move_clock(noon(DAY))
        yield each


async def put(service: RunningAggregator, body: dict[str, Any], path: str = f"{DAY}") -> Any:
    answer = await service.client.put(f"{CAMPAIGN}/ministry/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def report(service: RunningAggregator, **asked: str) -> Any:
    return await service.get(f"{CAMPAIGN}/ministry", as_of=str(DAY), **asked)


async def test_the_difference_is_told_per_unit_and_level(service: RunningAggregator) -> None:
    assert (await report(service))["imported"] is None
    await put(service, document())
    answer = await report(service)
    assert [unit["code"] for unit in answer["units"]] == ["62", COMMUNE]
    province, commune = (unit["indicators"] for unit in answer["units"])
    assert province["intake"]["records"] == said(100, 25, 75)
    assert province["intake"]["difference"] == said(10, 5, 5)
    assert province["activated"]["difference"] == said(-10)
    assert commune["intake"]["difference"] == said(-10, 5, -15)
    assert "activated" not in commune
    # Nothing was mended by it.
    progress = await service.get(f"{CAMPAIGN}/progress", as_of=str(DAY))
    assert progress["units"][0]["indicators"]["intake"]["value"] == 100


async def test_who_chose_the_figure_of_the_signed_report_stays_known(service: RunningAggregator) -> None:
    await put(service, document())
    assert (await report(service))["units"][0]["indicators"]["intake"]["used"] == "records"
    path = f"{DAY}/choices/62/intake"
    chosen = await put(service, {"use": "ministry", "reason": "Thống nhất với C06"}, path)
    assert (chosen["revision"], chosen["chosen_by"]) == (1, "admin")
    assert await put(service, {"use": "ministry", "reason": "Thống nhất với C06"}, path) == chosen
    await service.move_clock(noon(DAY + timedelta(1)))
    again = await put(service, {"use": "records", "reason": "Đã rà soát"}, path)
    assert again["revision"] == 2

    async def used(**asked: str) -> str:
        found = (await report(service, **asked))["units"][0]["indicators"]["intake"]
        assert found["choice"]["use"] == found["used"]
        return str(found["used"])

    assert await used() == "records"
    assert await used(known_at=str(DAY)) == "ministry"


async def test_a_claim_that_does_not_reconcile_is_kept_as_such(service: RunningAggregator) -> None:
    claim = {"unit": "62", "says": "hơn 70%", "indicator": "activated", "over": "intake"}
    await put(
        service,
        document(
            figures={"62": {"intake": said(100), "activated": said(75)}},
            claims=[
                {**claim, "at_least": "70"},
                {**claim, "says": "60%", "at_least": "60", "at_most": "80"},
                {**claim, "over": "approved", "at_least": "1"},
            ],
        ),
    )
    over_70, within, unknown = (await report(service))["claims"]
    assert over_70["claim"]["says"] == "hơn 70%"
    assert (over_70["records"], over_70["ministry"], over_70["reconciles"]) == ("60.00", "75.00", False)
    assert within["reconciles"] is True
    assert (unknown["records"], unknown["ministry"], unknown["reconciles"]) == (None, None, None)


async def test_an_import_is_a_revision_and_what_was_known_before_stays(service: RunningAggregator) -> None:
    first = await put(service, document())
    assert await put(service, document()) == first
    await service.move_clock(noon(DAY + timedelta(2)))
    second = await put(service, document(figures={"62": {"intake": said(101)}}))
    assert (first["revision"], second["revision"]) == (1, 2)
    assert [unit["code"] for unit in (await report(service))["units"]] == ["62"]
    assert [unit["code"] for unit in (await report(service, known_at=str(DAY)))["units"]] == ["62", COMMUNE]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (f"{DAY}", document(figures={"01": {"intake": said(1)}}), "figures.01"),
    (f"{DAY}", document(figures={"62": {"intake": said(5, 1, 1)}}), "figures.62.intake.value"),
    (f"{DAY}", document(figures={"62": {"intake": said(-5)}}), "figures.62.intake.value"),
    (f"{DAY}", document(figures={}), "figures"),
    (f"{DAY}", document(figures={"six": {}}), "figures.six"),
    ("2023-12-08", document(), "as_of"),
    (
        f"{DAY}",
        document(claims=[{"unit": "62", "says": "much", "indicator": "intake", "over": "target"}]),
        "claims.0.at_least",
    ),
    (f"{DAY}/choices/62/approved", {"use": "ministry", "reason": "x"}, "indicator"),
    (f"{DAY}/choices/62/intake", {"use": "mine", "reason": "x"}, "use"),
]


async def test_what_cannot_be_is_refused_by_its_field(service: RunningAggregator) -> None:
    for path, body, field in REFUSED:
        answer = await service.client.put(f"{CAMPAIGN}/ministry/{path}", json=body)
        assert answer.status_code == 422, (path, body, answer.text)
        assert answer.json()["field"].startswith(field), (path, body, answer.text)
    assert (await report(service))["imported"] is None
