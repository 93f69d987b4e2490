"""What closings said is kept a row a day: a judgement reads what was said of late, whatever the campaign's length."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.integration.notifier import test_attempts, test_reports
from tests.integration.notifier.test_decisions import again_of
from tests.integration.notifier.test_revisions import closing, publish
from tests.support.notifier import CAMPAIGN, UNIT, Notifier, day_of, target
from tests.support.pasts import BEFORE_TOLD_DAYS
from tests.support.postgres import Database
from tiendo_common.database.migrate import migrate
from tiendo_notifier.rules.past import Past
from tiendo_notifier.rules.shares import Tallies
from tiendo_notifier.storage import pasts
from tiendo_notifier.storage.judging import Key

pytestmark = pytest.mark.anyio

KEY = Key(CAMPAIGN, UNIT, "activated")
ONLY_QUOTAS: dict[str, Any] = {
    "off": ["behind_pace", "at_risk", "target_missed", "stalled", "forecast_miss"],
    "thresholds": {"quota_percent": 50, "quota_clear_percent": 90, "quota_closings": 3, "start_percent": 0},
}


async def tables(notifier: Notifier) -> dict[str, list[Any]]:
    return {
        table: [
            dict(row)
            for row in await notifier.pool.fetch(f"SELECT * FROM {table} ORDER BY unit, indicator, number")
        ]
        for table in ("told_day", "told_revision")
    }


async def known(notifier: Notifier, before: int) -> Past:
    async with notifier.pool.acquire() as connection:
        past = (await pasts.lately(connection, {KEY: before}))[KEY]
    assert isinstance(past, Past)
    return past


async def test_a_day_is_added_and_those_before_are_left_as_they_are(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    await publish(notifier, (1, closing(1, 100)), (2, closing(2, 200)))

    async def rows() -> Sequence[asyncpg.Record]:
        return await notifier.pool.fetch("SELECT ctid, xmin, number, reached FROM told_day ORDER BY number")

    before = await rows()
    assert [(row["number"], row["reached"]) for row in before] == [(1, 100), (2, 200)]
    await publish(notifier, (3, closing(3, 300, ((day_of(2), 250, 150),))))
    assert (await rows())[:2] == before
    (late,) = await notifier.pool.fetch("SELECT by, number, reached, baseline, done FROM told_revision")
    assert tuple(late) == (3, 2, 250, 0, 150)


async def test_what_is_read_is_of_late_however_long_the_campaign_or_the_idling_is(notifier: Notifier) -> None:
    async with notifier.pool.acquire() as connection:
        past = Past()
        for number in range(1, 401):
            day = past.next_day(number, number, 10 if number <= 200 else 0, 0, (5, 6), 7)
            past = past.and_then(day)
        await pasts.write(connection, [pasts.Said(KEY, day) for day in past.days], [])
        busy = await known(notifier, 101)
        assert (busy.days, busy.whole) == (past.days[100 - pasts.LATELY : 100], False)
        few = await known(notifier, 11)
        assert (few.days, few.whole) == (past.days[:10], True)
        idle = await known(notifier, 400)
        assert idle.days == [
            *past.days[200 - pasts.LATELY : 200],
            *past.days[399 - pasts.LATELY : 399],
        ]
        began = await known(notifier, 211)
        assert began.days == past.days[200 - pasts.LATELY : 210]
        all_of_it = (await pasts.whole(connection, {KEY: 10_000}))[KEY]
        assert (all_of_it.days, all_of_it.whole) == (past.days, True)
        tallies = Key(CAMPAIGN, UNIT, "attempts")
        sums = Tallies()
        for number in range(1, 101):
            sums = sums.and_then(number, {"all": number})
        await pasts.write(connection, [pasts.Said(tallies, day) for day in sums.days], [])
        found = await pasts.lately(connection, {tallies: 101})
        assert found == {tallies: Tallies(sums.days[100 - pasts.LATELY :], whole=False)}


async def test_a_run_that_began_longer_ago_than_what_is_at_hand_is_as_long_as_it_is(
    notifier: Notifier,
) -> None:
    assert (await notifier.put_policy(**ONLY_QUOTAS)).status_code == 200
    await notifier.aggregator.publish(target())
    # Some of the last days were clear until it was known that those were other days' citizens.
    days = [(number, closing(number, 20 * number, done=20)) for number in range(1, 36)]
    days += [(36, closing(36, 820, done=120))]
    await publish(notifier, *days)
    await publish(notifier, (37, closing(37, 840, ((day_of(36), 720, 20),), done=20)))
    newest = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"][0]
    assert newest["inputs"]["revised"]["rules"]["quota_missed"] == {"run": 36, "firing": True}
    again = again_of(newest)
    assert (again["outcome"], again["reason"]) == (newest["outcome"], newest["reason"])
    assert "quota_missed 37 in a row" in newest["reason"]


async def test_pasts_of_builds_before_are_moved_and_go_on(notifier: Notifier, database: Database) -> None:
    await notifier.aggregator.publish(target())
    revised: tuple[tuple[date, int, int], ...] = ((day_of(2), 130, 60),)
    closings = {number: test_attempts.closing(number, 5 * number, number) for number in (1, 2, 4)} | {
        5: closing(5, 400, done=0),
        6: closing(6, 400, revised, done=-1),
        7: closing(7, 420, (*revised, (day_of(4), 450, 50)), done=0),
    }
    missing: dict[int, list[str]] = {1: [], 2: [UNIT], 3: [UNIT], 5: [UNIT]}
    for number in range(1, 8):
        if number in missing:
            await test_reports.close(notifier, number, missing[number], [UNIT])
        if number in closings:
            await publish(notifier, (number, closings[number]))
    as_they_are = await tables(notifier)
    assert {row["indicator"] for row in as_they_are["told_day"]} == {
        *("activated", "attempts", "records", "report")
    }
    done = [(row["number"], row["idle_from"]) for row in as_they_are["told_day"] if row["idle_from"]]
    assert done == [(5, 5), (6, 5), (7, 5)]
    reports = [row["done"] for row in as_they_are["told_day"] if row["indicator"] == "report"]
    assert reports == [0, 1, 2, 3]
    assert len(as_they_are["told_revision"]) == 2
    await notifier.pool.execute(BEFORE_TOLD_DAYS)
    old = {
        row["indicator"]: msgspec.json.decode(row["past"])
        for row in await notifier.pool.fetch("SELECT indicator, past::text FROM standing")
    }
    assert old["activated"]["reached"] == [100, 200, None, 400, 400, 400, 420]
    assert old["report"]["done"] == [0, 0, 0, None, 0]
    assert [each and each["all"] for each in old["attempts"]["days"]] == [105, 210, None, 420]
    await migrate(database.dsn("notifier"), "notifier")
    moved = await tables(notifier)
    assert moved == as_they_are
    await publish(notifier, (8, closing(8, 420, done=0)))
    (newest, *_) = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"]
    assert (newest["inputs"]["figures"]["idle_days"], newest["inputs"]["figures"]["recent"]) == (4, 320)
