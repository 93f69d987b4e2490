"""An aggregator that counts totals alone: the same totals, proven and rebuilt; a refusal where more is asked for."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from rich.console import Console

from tests.support.aggregator import (
    KEY,
    Producers,
    RunningAggregator,
    eventually,
    plan_document,
    starting_aggregator,
)
from tests.support.lives import EVENING, counted, counting, lives, reconcile, started, tallies, totals
from tests.support.postgres import Database
from tests.unit.replay.support import campaign
from tiendo.replay.campaigns.campaign import Language
from tiendo.replay.course import ask_course
from tiendo.replay.printing_course import print_course
from tiendo.replay.sending import Client
from tiendo_common.database.migrate import migrate

pytestmark = pytest.mark.anyio

CAMPAIGN = "/v1/campaigns/kon-tum-2023"


@pytest.fixture
async def running(database: Database, tmp_path: Path) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    async with started(database, tmp_path, counts="totals") as each:
        yield each


async def ask(database: Database, query: str) -> list[Any]:
    connection = await asyncpg.connect(database.dsn("aggregator"))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


@pytest.mark.parametrize("number", [20, 1500], ids=["few", "many"])
async def test_totals_are_those_of_all_and_nothing_else_is_written(
    database: Database, running: tuple[RunningAggregator, Producers], number: int
) -> None:
    service, feed = running
    events = lives(number)
    await feed.append(events)
    await service.drain(feed)
    assert await totals(database) == counted(events)
    for table in ("breakdown", "waited", "team_counter", "fault"):
        assert await ask(database, f"SELECT FROM {table} LIMIT 1") == []
    answer = await service.get(f"{CAMPAIGN}/progress", as_of="2023-12-30")
    assert answer["units"][0]["indicators"]["intake"]["value"] > 0


async def test_they_are_proven_by_tallies_of_either_kind(
    database: Database, running: tuple[RunningAggregator, Producers]
) -> None:
    service, feed = running
    events = lives(300)
    await feed.append(events[:200])
    some = {
        breakdowns: await tallies(feed, events[:200], breakdowns=breakdowns) for breakdowns in (False, True)
    }
    await feed.append(events[200:])
    await service.drain(feed)
    of_totals, of_breakdowns = [await reconcile(service, some[each]) for each in (False, True)]
    for verdict in (of_totals, of_breakdowns):
        assert verdict["differing"] == []
        assert verdict["compared"] > 0
        assert (verdict["breakdowns"], verdict["teams"]) == (False, False)
        assert verdict["checksum_records"] == verdict["checksum_counters"] == of_totals["checksum_counters"]
    await ask(database, "UPDATE counter SET n = n + 1 WHERE ctid = (SELECT min(ctid) FROM counter)")
    verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
    assert {each["counters"] - each["records"] for each in verdict["differing"]} == {1}
    # And by the log itself, which puts them right.
    answer = await service.client.post("/v1/rebuilds", json={"repair_because": "a test"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["differing"], answer.json()["repaired"]) == (1, True)
    assert (await reconcile(service, await tallies(feed, events)))["differing"] == []
    assert await totals(database) == counted(events)


async def test_what_needs_more_is_refused_and_never_zero(
    running: tuple[RunningAggregator, Producers],
) -> None:
    service, _ = running
    actor = {"name": "Đoàn Thanh niên", "kind": "union", "answers": "Bí thư Tỉnh đoàn"}
    of_students = {"indicator": "intake", "cohort": "students", "value": 10}
    asked = [
        ("GET", f"{CAMPAIGN}/funnel", None),
        ("GET", f"{CAMPAIGN}/assignments", None),
        ("PUT", f"{CAMPAIGN}/actors/youth-union", actor),
        ("PUT", f"{CAMPAIGN}", plan_document(targets=[*plan_document()["targets"], of_students])),
    ]
    for method, path, document in asked:
        answer = await service.client.request(method, path, json=document)
        said = answer.json()
        assert (answer.status_code, said["type"]) == (409, "urn:tiendo:problem:not-counted"), answer.text
        assert "TIENDO_COUNTS=all" in said["remedy"]
        assert said["retryable"] is False
    unasked = await service.client.get(f"{CAMPAIGN}/funnel", headers={"Authorization": ""})
    assert unasked.status_code == 401


@pytest.mark.parametrize(
    ("language", "words"), [("en", "this instance counts totals alone"), ("vi", "chỉ đếm tổng số")]
)
async def test_a_report_does_without_the_funnel_and_says_so(
    running: tuple[RunningAggregator, Producers], language: Language, words: str
) -> None:
    service, _ = running
    client = Client(lambda _: "http://aggregator", KEY, service.client)
    course = await ask_course(client, campaign("kon-tum-2023", 1.0), EVENING.date())
    assert course.funnel is None
    console = Console(file=io.StringIO(), width=200)
    print_course(console, course, language)
    assert isinstance(console.file, io.StringIO)
    assert words in console.file.getvalue()


async def test_an_instance_counts_one_way_from_its_first_start_on(database: Database, tmp_path: Path) -> None:
    async def starts(counts: str) -> bool:
        async with starting_aggregator(database, tmp_path, counts=counts) as service:
            runtime = service.app.state.runtime

            async def settled() -> bool:
                return runtime.failed or runtime.missing is None

            await eventually(settled)
            return not runtime.failed

    assert await starts("totals")
    with structlog.testing.capture_logs() as logs:
        assert not await starts("all")
    [failure] = [entry for entry in logs if entry["event"] == "the start failed"]
    assert "Set TIENDO_COUNTS=totals" in failure["reason"]
    assert await starts("totals")


async def test_whoever_has_counted_before_has_counted_all(database: Database, tmp_path: Path) -> None:
    async with counting(database, tmp_path, lives(3)):
        pass
    await ask(database, "DROP TABLE detail")
    await ask(database, "UPDATE alembic_version SET version_num = '20261129_0121_by_hamlet'")
    await migrate(database.dsn("aggregator"), "aggregator")
    assert await ask(database, "SELECT counts FROM detail") == [("all",)]
