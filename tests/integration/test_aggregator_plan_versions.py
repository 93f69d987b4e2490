"""Plans are versioned: never overwritten, and known when they were."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    plan_document,
    producers,
)
from tests.support.counters import count_in
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST, LAST = date(2023, 11, 11), date(2023, 12, 30)


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, 30, tzinfo=VIETNAM)


def targets(intake: int) -> list[dict[str, object]]:
    return [{"indicator": "intake", "value": intake}, {"indicator": "activated", "value": 335_512}]


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(evening(FIRST - timedelta(1)))
        await each.put_plan()
        yield each


async def test_a_figure_is_printed_again_against_the_plan_that_held_then(service: RunningAggregator) -> None:
    review = date(2023, 12, 7)
    await count_in(service, {("intake", 2, "23281", FIRST): 293_928})
    await service.move_clock(evening(review))
    printed = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), depth=2)
    pace = await service.get(f"{CAMPAIGN}/pace", as_of=str(review), depth=2)
    await service.move_clock(evening(review + timedelta(1)))
    await service.put_plan(
        targets=targets(450_000),
        plan_number="4000/KH-UBND",
        last_day="2024-01-31",
        calendar={"weekday_weights": [1, 1, 1, 1, 1, 0, 0]},
    )
    now = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), depth=2)
    again = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), known_at=str(review), depth=2)
    assert again["units"] == printed["units"]
    assert [each["units"][0]["figures"][0]["percent"] for each in (printed, now)] == ["69.8", "65.3"]
    paced = await service.get(f"{CAMPAIGN}/pace", as_of=str(review), known_at=str(review), depth=2)
    assert paced["units"] == pace["units"]
    # Before anything was put there is but the first plan to go by.
    early = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), known_at="2023-11-01")
    assert early["units"][0]["indicators"]["intake"]["target"] == 421_100
    versions = (await service.get(f"{CAMPAIGN}/versions"))["versions"]
    assert [(each["version"], each["known_day"], each["plan_number"]) for each in versions] == [
        (1, "2023-11-10", "3903/KH-UBND"),
        (2, "2023-12-08", "4000/KH-UBND"),
    ]
    assert [each["targets"]["intake"] for each in versions] == [421_100, 450_000]


async def test_a_change_is_refused_when_it_was_made_from_an_older_plan(service: RunningAggregator) -> None:
    async def put(intake: int, **headers: str) -> tuple[int, str | None]:
        answer = await service.client.put(
            CAMPAIGN, json=plan_document(targets=targets(intake)), headers=headers
        )
        return answer.status_code, answer.headers.get("ETag")

    read = (await service.client.get(CAMPAIGN)).headers["ETag"]
    assert read == '"1"'
    assert await put(421_100, **{"If-Match": read}) == (200, '"1"')  # the same plan is no version
    assert await put(421_101, **{"If-Match": read}) == (200, '"2"')
    answer = await service.client.put(
        CAMPAIGN, json=plan_document(targets=targets(421_102)), headers={"If-Match": read}
    )
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (412, "If-Match")
    assert "version 2" in problem["detail"]
    assert problem["remedy"]
    assert (await service.get(CAMPAIGN))["targets"][0]["value"] == 421_101
    assert await put(421_103, **{"If-Match": '"1", "2"'}) == (200, '"3"')
    assert await put(421_104, **{"If-Match": "*"}) == (200, '"4"')
    assert await put(421_105) == (200, '"5"')
    answer = await service.client.put(
        "/v1/campaigns/another", json=plan_document(), headers={"If-Match": "*"}
    )
    assert (answer.status_code, answer.json()["field"]) == (412, "If-Match")
    assert (await service.client.get("/v1/campaigns/another/versions")).status_code == 404


async def test_a_plan_of_a_build_that_kept_no_versions_becomes_the_first(service: RunningAggregator) -> None:
    await service.kit.pool.execute("DELETE FROM plan_version")
    before = await service.get(f"{CAMPAIGN}/versions")
    assert [(each["version"], each["known_day"]) for each in before["versions"]] == [(1, "2023-11-10")]
    await service.move_clock(evening(FIRST))
    await service.put_plan(targets=targets(421_101))
    after = (await service.get(f"{CAMPAIGN}/versions"))["versions"]
    assert after[0] == before["versions"][0]
    assert (after[1]["version"], after[1]["targets"]["intake"]) == (2, 421_101)
    was = await service.get(f"{CAMPAIGN}/progress", as_of=str(FIRST), known_at=str(FIRST - timedelta(1)))
    assert was["units"][0]["indicators"]["intake"]["target"] == 421_100


async def test_targets_of_a_campaign_that_is_over_cannot_be_changed(
    service: RunningAggregator, feed: Producers
) -> None:
    await feed.complete_to(evening(LAST))
    await service.move_clock(evening(LAST))

    async def closed() -> bool:
        return bool((await service.get(CAMPAIGN))["closed_through"] == str(LAST))

    await eventually(closed)
    answer = await service.client.put(CAMPAIGN, json=plan_document(targets=targets(300_000)))
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (409, "targets")
    assert "2023-12-30" in problem["detail"]
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1
    # What is not a target can be corrected, and more time opens the period again.
    await service.put_plan(plan_number="3904/KH-UBND")
    await service.put_plan(targets=targets(450_000), last_day="2024-01-31")
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 3


async def test_targets_set_by_hand_are_kept_stored_and_the_rest_is_spread(service: RunningAggregator) -> None:
    by_hand = {"intake": {"612": 30_000, "23281": 2_500}}
    answer = await service.put_plan(set_targets=by_hand)
    assert answer["set_targets"] == by_hand == (await service.get(CAMPAIGN))["set_targets"]
    units = {
        unit["code"]: unit["indicators"]["intake"]["target"]
        for unit in (await service.get(f"{CAMPAIGN}/progress", as_of=str(FIRST), depth=2))["units"]
    }
    assert (units["62"], units["612"], units["23281"]) == (421_100, 30_000, 2_500)
    for length in (3, 5):
        assert sum(value for code, value in units.items() if len(code) == length) == 421_100
    head = (await service.get("/v1/log"))["topics"]["targets"]["next"]
    await service.put_plan(set_targets=by_hand)
    assert (await service.get("/v1/log"))["topics"]["targets"]["next"] == head


async def test_targets_set_by_hand_that_do_not_fit_are_refused_and_nothing_is_written(
    service: RunningAggregator,
) -> None:
    eligible = plan_document()["eligible"]
    faults: list[tuple[str, dict[str, dict[str, int]]]] = [
        ("set_targets.intake.23281", {"intake": {"23281": -1}}),
        ("set_targets.intake.23281", {"intake": {"23281": eligible["23281"] + 1}}),
        ("set_targets.intake.00001", {"intake": {"00001": 1}}),
        ("set_targets.approved", {"approved": {"612": 1}}),
        ("set_targets.intake", {"intake": {"612": 10, "23427": 11}}),
        ("set_targets.intake", {"intake": dict.fromkeys(eligible, 1)}),
    ]
    for field, by_hand in faults:
        answer = await service.client.put(CAMPAIGN, json=plan_document(set_targets=by_hand))
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (422, field), answer.text
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1
    assert (await service.get(CAMPAIGN))["set_targets"] == {}


async def test_another_replica_answers_by_the_plan_and_the_decisions_of_this_one(
    service: RunningAggregator, database: Database, tmp_path: Path
) -> None:
    async with aggregator(database, tmp_path) as other:

        async def said() -> tuple[int, int]:
            top = (await other.get(f"{CAMPAIGN}/progress"))["units"][0]["indicators"]["intake"]
            return top["target"], top["exempt"]

        assert await said() == (421_100, 0)
        await service.put_plan(targets=targets(400_000))
        assert await said() == (400_000, 0)
        paper = {
            "number": "1/QĐ", "signed_by": "Chủ tịch", "from_day": str(FIRST), "document": "Văn phòng",
            "lines": [{"unit": "23281", "citizens": 7, "reason": "abroad"}],
        }  # fmt: skip
        assert (await service.client.post(f"{CAMPAIGN}/exemptions", json=paper)).status_code == 200
        await service.move_clock(evening(FIRST))
        await other.move_clock(evening(FIRST))
        assert await said() == (400_000, 7)
