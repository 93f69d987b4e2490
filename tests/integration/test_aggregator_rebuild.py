"""The counters folded anew from the whole log: the same as the live ones, while events keep arriving."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.aggregator import Producers, RunningAggregator
from tests.support.lives import counted, lives, reconcile, started, tallies, totals
from tests.support.postgres import Database
from tiendo_aggregator.rules.checksum import checksum

pytestmark = pytest.mark.anyio


@pytest.fixture
async def running(database: Database, tmp_path: Path) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    async with started(database, tmp_path) as each:
        yield each


async def rebuild(service: RunningAggregator, **asked: str) -> Any:
    answer = await service.client.post("/v1/rebuilds", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def tamper(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.dsn("aggregator"))
    try:
        assert await connection.execute(statement) != "UPDATE 0"
    finally:
        await connection.close()


async def test_log_live_counters_and_records_have_one_checksum_while_events_arrive(
    running: tuple[RunningAggregator, Producers],
) -> None:
    service, feed = running
    events = lives(1500)
    await feed.append(events[:600])
    begun, stop = asyncio.Event(), asyncio.Event()

    async def arrive() -> None:
        for start in range(600, len(events), 60):
            await feed.append(events[start : start + 60])
            begun.set()
            await asyncio.sleep(0)
        stop.set()

    arriving = asyncio.create_task(arrive())
    await begun.wait()
    answers = []
    while not stop.is_set():
        answers.append(await rebuild(service))
    await arriving
    assert answers
    for answer in answers:
        assert answer["equal"]
        assert answer["checksum_live"] == answer["checksum_rebuilt"]
        assert answer["differing"] == 0
    await service.drain(feed)
    last = await rebuild(service, province="62")
    assert last["events"] == len(events)
    verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
    assert verdict["clean"]
    assert (
        last["checksum_rebuilt"]
        == last["checksum_live"]
        == verdict["checksum_records"]
        == verdict["checksum_counters"]
    )


async def test_a_wrong_counter_is_named_and_put_right_only_by_order(
    running: tuple[RunningAggregator, Producers], database: Database
) -> None:
    service, feed = running
    events = lives(600)
    await feed.append(events[:700])
    await service.drain(feed)
    row = "ctid = (SELECT min(ctid) FROM counter WHERE residence = '00001' AND collecting = '23281')"
    await tamper(database, f"UPDATE counter SET n = n + 3, channel_home = channel_home + 1 WHERE {row}")
    await tamper(
        database,
        "UPDATE counter SET cohort_elderly = cohort_elderly - 1 WHERE ctid = "
        "(SELECT max(ctid) FROM counter WHERE residence = '00001' AND collecting = '23281')",
    )
    told = await rebuild(service)
    assert (told["equal"], told["repaired"]) == (False, False)
    assert told["differing"] == 2
    assert told["checksum_live"] != told["checksum_rebuilt"]
    assert {each["unit"] for each in told["named"]} == {"00001", "23281"}
    # Told, not mended; and reconciliation finds the same.
    verdict = await reconcile(service, await tallies(feed, events[:700], breakdowns=True))
    assert verdict["differing_count"] >= 2
    [proof] = [
        each
        for each in (await service.get("/v1/reconciliations", campaign="kon-tum-2023"))["units"]
        if each["unit"] == "23281"
    ]
    assert {each["day"] for each in told["named"]} == set(proof["days"])
    # Put right while more arrives: nothing that is folded meanwhile is lost.
    repairing = asyncio.create_task(rebuild(service, repair_because="counter 23281 was edited by hand"))
    await feed.append(events[700:])
    repaired = await repairing
    assert (repaired["equal"], repaired["repaired"]) == (False, True)
    await service.drain(feed)
    assert await totals(database) == counted(events)
    assert (await rebuild(service))["equal"]
    assert (await reconcile(service, await tallies(feed, events, breakdowns=True)))["clean"]
    proofs = await service.get("/v1/reconciliations", campaign="kon-tum-2023")
    assert (proofs["clean"], proofs["unchecked"]) == (True, [])
    reasons = await service.kit.pool.fetch("SELECT by, reason FROM rebuild ORDER BY id")
    assert [tuple(row) for row in reasons] == [
        ("admin", None),
        ("admin", "counter 23281 was edited by hand"),
        ("admin", None),
    ]


async def test_a_day_on_which_something_became_known_and_faults_are_rebuilt_too(
    running: tuple[RunningAggregator, Producers], database: Database
) -> None:
    service, feed = running
    await feed.append(lives(200))
    await service.drain(feed)
    await tamper(
        database,
        "UPDATE counter SET known_day = known_day + 400 WHERE ctid = (SELECT min(ctid) FROM counter)",
    )
    await tamper(database, "INSERT INTO fault VALUES ('23281', '2023-11-12', 0, 1)")
    told = await rebuild(service)
    # What was true on which day is the same; when it was known is not, and that is seen as well.
    assert told["checksum_live"] == told["checksum_rebuilt"]
    assert told["differing"] == 3
    assert (await rebuild(service, repair_because="known days"))["repaired"]
    assert (await rebuild(service))["equal"]


async def test_another_province_is_left_alone(
    running: tuple[RunningAggregator, Producers], database: Database
) -> None:
    service, feed = running
    await feed.append(lives(200))
    await service.drain(feed)
    await tamper(
        database,
        "UPDATE counter SET n = n + 1 WHERE ctid = (SELECT min(ctid) FROM counter WHERE residence = '23281')",
    )
    assert (await rebuild(service, province="01", repair_because="x"))["equal"]
    assert not (await rebuild(service, province="62"))["equal"]


async def test_rebuilding_is_for_admins_and_one_at_a_time(
    running: tuple[RunningAggregator, Producers], tmp_path: Path
) -> None:
    service, feed = running
    await feed.append(lives(300))
    await service.drain(feed)
    answers = await asyncio.gather(*(service.client.post("/v1/rebuilds", json={}) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    refused = await service.client.post("/v1/rebuilds", json={"province": "00"})
    assert (refused.status_code, refused.json()["field"]) == (422, "province")
    digest = hashlib.sha256(b"reader").hexdigest()
    keys = json.loads((tmp_path / "api-keys.json").read_text())
    keys["keys"].append({"name": "reader", "sha256": digest, "scopes": ["progress:read"]})
    (tmp_path / "api-keys.json").write_text(json.dumps(keys))
    service.kit.keys.refresh()
    reader = {"Authorization": "Bearer reader"}
    assert (await service.client.post("/v1/rebuilds", json={}, headers=reader)).status_code == 403
    path = "/v1/reconciliations?campaign=kon-tum-2023"
    # Whoever may only read can compare what he made up, and alarms nobody by it.
    made_up = {"campaign": "kon-tum-2023", "tallies": await tallies(feed, [])}
    compared = await service.client.post("/v1/reconciliations", json=made_up, headers=reader)
    assert compared.json()["clean"] is False
    proofs = await service.client.get(path, headers=reader)
    assert (proofs.json()["units"], proofs.json()["clean"]) == ([], False)


def test_a_checksum_needs_no_order_and_adds_up() -> None:
    one = {("23281", 0, date(2023, 11, 11), 0, 1): 5, ("23284", 1, date(2023, 11, 12), 2, 2): -3}
    other = {("23427", 0, date(2023, 11, 11), 1, 1): 2}
    assert checksum({**one, **other}) == checksum({**other, **dict(reversed(one.items()))})
    assert (checksum(one) + checksum(other)) % 2**64 == checksum({**one, **other})
    assert checksum(one) != checksum({**one, ("23281", 0, date(2023, 11, 11), 0, 1): 6})
