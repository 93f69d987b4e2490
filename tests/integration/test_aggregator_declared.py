"""Counts that communes declare: who owes them, in which state they are, beside the records and never among them."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    plan_document,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST = date(2023, 11, 11)
#: Two communes of Kon Tum city's neighbourhood and one of another district.
ONE, TWO, OTHER = "23281", "23284", "23427"
DECLARING: dict[str, Any] = {"cut_off": "16:30:00", "units": [ONE, TWO, OTHER]}


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=VIETNAM)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(at(FIRST - timedelta(1), 21, 30))
        await each.put_plan(declaring=DECLARING)
        yield each


async def log_of(service: RunningAggregator, topic: str) -> list[dict[str, Any]]:
    """The documents on a state topic, in the order of the log."""
    rows = await service.kit.pool.fetch(f"SELECT body FROM log_{topic} ORDER BY seq")
    return [msgspec.json.decode(row["body"]) for row in rows]


async def test_the_plan_says_who_declares_and_readers_are_told(service: RunningAggregator) -> None:
    assert (await service.get(CAMPAIGN))["declaring"] == DECLARING
    [campaign] = await log_of(service, "campaigns")
    assert campaign["data"]["daily_declarations"] == DECLARING
    await service.put_plan()
    assert (await service.get(CAMPAIGN))["declaring"] is None
    [campaign] = await log_of(service, "campaigns")
    assert "daily_declarations" not in campaign["data"]


async def test_a_plan_with_others_than_its_communes_is_refused(service: RunningAggregator) -> None:
    for declaring, field in (
        ({"cut_off": "16:30:00", "units": [ONE, "00001"]}, "declaring.units.0"),
        ({"cut_off": "16:30:00+07:00", "units": [ONE]}, "declaring.cut_off"),
        ({"cut_off": "16:30:00", "unit": [ONE]}, "declaring.units"),
    ):
        answer = await service.client.put(CAMPAIGN, json=plan_document(declaring=declaring))
        assert answer.status_code == 422
        assert answer.json()["field"] == field


def said(value: int, level_1: int | None = None, level_2: int | None = None) -> dict[str, int | None]:
    return {"value": value, "level_1": level_1, "level_2": level_2}


def report(source: str = "Báo cáo nhanh", **counts: dict[str, int | None]) -> dict[str, Any]:
    return {"source": source, "counts": counts}


async def declare(service: RunningAggregator, unit: str, day: date, document: dict[str, Any]) -> Any:
    answer = await service.client.put(f"{CAMPAIGN}/declared/{unit}/{day}", json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def beside(service: RunningAggregator, day: date = FIRST, **asked: str | int) -> Any:
    return await service.get(f"{CAMPAIGN}/declared", as_of=str(day), **asked)


async def closed(service: RunningAggregator, day: date) -> dict[str, Any]:
    """The closing of a day, once it is published."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = [
            each["data"]
            for each in await log_of(service, "declared")
            if "not_reported" in each["data"] and each["data"]["day"] == str(day)
        ]
        return bool(found)

    await eventually(there)
    [each] = found
    return each


def codes(answers: list[dict[str, Any]]) -> list[str]:
    return [each["code"] for each in answers]


async def test_not_reported_is_a_state_and_late_is_another(service: RunningAggregator) -> None:
    await service.move_clock(at(FIRST, 16, 29))
    await declare(service, ONE, FIRST, report(intake=said(0)))
    before = await beside(service, depth=2)
    assert {unit["code"]: unit["state"] for unit in before["units"] if unit["state"]} == {
        ONE: "reported",
        TWO: "awaited",
        OTHER: "awaited",
    }
    assert (before["late"], before["not_reported"]) == ([], [])
    await service.move_clock(at(FIRST, 16, 30))
    day = await closed(service, FIRST)
    assert (day["expected"], day["not_reported"]) == ([ONE, TWO, OTHER], [TWO, OTHER])
    assert day["cut_off"] == "2023-11-11T09:30:00Z"
    late = await declare(service, TWO, FIRST, report(intake=said(7, 2, 5)))
    assert late["late"]
    after = await beside(service)
    assert codes(after["late"]) == [TWO]
    assert codes(after["not_reported"]) == [OTHER]
    [province] = after["units"]
    assert province["states"] == {"reported": 1, "late": 1, "not_reported": 1, "awaited": 0}
    # Zero was said by one, and by the one that said nothing not even that.
    assert province["indicators"]["intake"]["communes"] == 2
    assert province["indicators"]["intake"]["declared"] == said(7)
    published = [each["data"] for each in await log_of(service, "declared") if "unit" in each["data"]]
    assert [(each["unit"], each["late"]) for each in published] == [(ONE, False), (TWO, True)]


async def test_declared_counts_lie_beside_the_records_and_never_among_them(
    service: RunningAggregator, feed: Producers
) -> None:
    await service.move_clock(at(FIRST, 12))
    await feed.append(
        [
            *(restated("intake", [segment(FIRST, ONE, level=1)], known=FIRST) for _ in range(3)),
            restated("intake", [segment(FIRST, ONE)], known=FIRST),
            # Of a commune that has not reported: in neither of the two figures.
            restated("intake", [segment(FIRST, OTHER)], known=FIRST),
        ]
    )
    await service.drain(feed)
    await declare(service, ONE, FIRST, report(intake=said(10, 4, 6), activated=said(2)))
    await declare(service, TWO, FIRST, report(intake=said(5)))
    answer = await beside(service, depth=2)
    units = {unit["code"]: unit for unit in answer["units"]}
    assert units[ONE]["indicators"]["intake"] == {
        "communes": 1,
        "of_divided": 0,
        "declared": said(10, 4, 6),
        "records": said(4, 3, 1),
        "difference": said(6, 1, 5),
    }
    province = answer["units"][0]["indicators"]
    assert province["intake"]["declared"] == said(15)
    assert province["intake"]["records"] == said(4, 3, 1)
    assert province["intake"]["difference"] == said(11)
    assert province["activated"]["communes"] == 1
    assert "approved" not in province
    progress = await service.get(f"{CAMPAIGN}/progress", as_of=str(FIRST))
    assert progress["units"][0]["indicators"]["intake"]["value"] == 5


async def test_a_correction_is_a_revision_and_what_was_known_before_stays(
    service: RunningAggregator,
) -> None:
    await service.move_clock(at(FIRST, 10))
    first = await declare(service, ONE, FIRST, report(intake=said(10)))
    assert await declare(service, ONE, FIRST, report(intake=said(10))) == first
    next_day = FIRST + timedelta(1)
    await service.move_clock(at(next_day, 10))
    corrected = await declare(service, ONE, FIRST, report("Rà soát lại", intake=said(12)))
    assert (first["revision"], corrected["revision"]) == (1, 2)
    assert not corrected["late"]  # the first one was in time
    history = await service.get(f"{CAMPAIGN}/declared/{ONE}/{FIRST}")
    assert [each["counts"]["intake"]["value"] for each in history["revisions"]] == [10, 12]

    async def value(**asked: str) -> int | None:
        units = {unit["code"]: unit for unit in (await beside(service, FIRST, depth=2, **asked))["units"]}
        figures = units[ONE]["indicators"]
        return figures["intake"]["declared"]["value"] if figures else None

    assert await value() == 12
    assert await value(known_at=str(FIRST)) == 10
    assert await value(known_at=str(FIRST - timedelta(1))) is None
    early = await beside(service, known_at=str(FIRST - timedelta(1)))
    assert early["units"][0]["states"]["awaited"] == 3
    assert [
        each["data"]["revision"] for each in await log_of(service, "declared") if "unit" in each["data"]
    ] == [2]


async def test_nobody_owes_a_report_of_a_day_off_nor_of_one_before_it_was_asked_for(
    service: RunningAggregator,
) -> None:
    off, second, third = FIRST, FIRST + timedelta(1), FIRST + timedelta(2)
    calendar = {"holidays": [{"day": str(off), "name": "Nghỉ bù", "weight": 0}]}
    await service.put_plan(calendar=calendar)
    await service.move_clock(at(second, 17))
    await service.put_plan(calendar=calendar, declaring=DECLARING)
    await service.move_clock(at(third, 17))
    await closed(service, third)
    days = {each["data"]["day"] for each in await log_of(service, "declared")}
    assert days == {str(third)}
    for day in (off, second):
        answer = await beside(service, day)
        assert (answer["due"], answer["not_reported"]) == (None, [])
    assert codes((await beside(service, third))["not_reported"]) == [ONE, TWO, OTHER]
    # Who works on a day off and says so is heard, and not late.
    assert not (await declare(service, ONE, off, report(intake=said(1))))["late"]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (f"{ONE}/2023-11-12", report(intake=said(1)), "day"),  # still to come
    (f"{ONE}/2023-11-10", report(intake=said(1)), "day"),  # before the campaign
    ("23293/2023-11-11", report(intake=said(1)), "unit"),  # sends records
    ("62/2023-11-11", report(intake=said(1)), "unit"),
    (f"{ONE}/2023-02-29", report(intake=said(1)), "day"),
    (f"{ONE}/2023-11-11", report(), "counts"),
    (f"{ONE}/2023-11-11", report(intake=said(-1)), "counts.intake.value"),
    (f"{ONE}/2023-11-11", report(intake=said(3, 1, 1)), "counts.intake.value"),
    (f"{ONE}/2023-11-11", report(intake=said(3, 3)), "counts.intake.level_2"),
    (f"{ONE}/2023-11-11", report(cards=said(3)), "counts.cards"),
    (f"{ONE}/2023-11-11", report("", intake=said(3)), "source"),
]


async def test_what_cannot_be_declared_is_refused_by_its_field(service: RunningAggregator) -> None:
    await service.move_clock(at(FIRST, 10))
    for path, document, field in REFUSED:
        answer = await service.client.put(f"{CAMPAIGN}/declared/{path}", json=document)
        assert answer.status_code == 422, (path, document, answer.text)
        assert answer.json()["field"].startswith(field), (path, document, answer.text)
    assert not await log_of(service, "declared")


async def test_nobody_declares_where_the_plan_names_nobody(service: RunningAggregator) -> None:
    await service.put_plan()
    await service.move_clock(at(FIRST, 10))
    answer = await service.client.put(f"{CAMPAIGN}/declared/{ONE}/{FIRST}", json=report(intake=said(1)))
    assert (answer.status_code, answer.json()["field"]) == (422, "campaign")
    assert (await service.client.get("/v1/campaigns/none/declared")).status_code == 404
