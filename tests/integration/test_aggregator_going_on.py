"""A campaign past its last day that goes on: told, closed, forecast, stopped."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import (
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
FIRST, LAST, TODAY = date(2023, 11, 11), date(2023, 12, 30), date(2024, 2, 29)
HERE = "23281"
ELIGIBLE = dict.fromkeys(plan_document()["eligible"], 0) | {HERE: 100}
ONE = {"indicator": "intake", "citizens": 1}
STOP = {"number": "31/QĐ-UBND", "signed_by": "Chủ tịch", "last_day": "2024-02-20"}


def plan(**change: Any) -> dict[str, Any]:
    return plan_document(**{
        "targets": [{"indicator": "intake", "value": 95}], "eligible": ELIGIBLE, "figures": [],
        "going_on": {"indicator": "intake", "stop": None}, **change,
    })  # fmt: skip


async def put(service: RunningAggregator, **change: Any) -> Any:
    return await service.client.put(CAMPAIGN, json=plan(**change))


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """One citizen a day from the first day on; the plan was put on the last day."""
    async with producers(database), aggregator(database, tmp_path) as each:
        await each.move_clock(datetime(2023, 12, 30, 12, tzinfo=VIETNAM))
        answer = await put(each)
        assert answer.status_code == 200, answer.text
        await each.move_clock(datetime(2024, 2, 29, 12, tzinfo=VIETNAM))
        days = [FIRST + timedelta(n) for n in range((TODAY - FIRST).days + 1)]
        await count_in(each, {("intake", 2, HERE, day): 1 for day in days})
        yield each


async def test_it_goes_on_until_it_is_full_or_stopped(service: RunningAggregator) -> None:
    async def told(day: date, **asked: Any) -> Any:
        return (await service.get(f"{CAMPAIGN}/progress", as_of=str(day), **asked))["going_on"]

    assert (await service.get(CAMPAIGN))["going_on"] == {"indicator": "intake", "stop": None, "daily": []}
    assert await told(LAST) is None
    going = {
        "state": "going_on", "since": "2023-12-31", "indicator": "intake", "full_since": None, "stopped_on": None,
    }  # fmt: skip
    assert await told(LAST + timedelta(1)) == going
    # A hundred days, a hundred citizens.
    full_day = FIRST + timedelta(99)
    assert await told(full_day - timedelta(1), unit=HERE) == going
    full = await told(TODAY, unit="608")
    assert (full["state"], full["full_since"]) == ("full", str(full_day))
    # Nothing of it was known then.
    assert await told(TODAY, known_at=str(full_day - timedelta(1))) == going

    day = str(LAST + timedelta(20))
    [unit] = (await service.get(f"{CAMPAIGN}/pace", as_of=day))["units"]
    pace = unit["indicators"]["intake"]
    assert (pace["value"], pace["remaining"], pace["quota"], pace["needed_per_day"]) == (70, 25, 0, None)
    forecast = (await service.get(f"{CAMPAIGN}/forecast", as_of=day))["indicators"]["intake"]
    assert (forecast["due"], forecast["through"]) == (str(LAST), str(LAST + timedelta(50)))
    assert (forecast["forecast"]["final"], forecast["why_none"]) == (100, None)
    assert forecast["forecast"]["target_met"]["expected"] == str(LAST + timedelta(45))
    # Who was exempted after the last day is no more among those who are missing: full nine days sooner.
    paper = {
        "number": "15/QĐ-UBND", "signed_by": "Chủ tịch", "from_day": "2024-01-05", "document": "Văn phòng",
        "lines": [{"unit": HERE, "citizens": 9, "reason": "imprisoned"}],
    }  # fmt: skip
    answer = await service.client.post(f"{CAMPAIGN}/exemptions", json=paper)
    assert answer.status_code == 200, answer.text
    assert (await told(TODAY))["full_since"] == str(full_day - timedelta(9))

    stopped = await put(service, going_on={"indicator": "intake", "stop": STOP})
    assert (stopped.status_code, stopped.headers["ETag"]) == (200, '"2"'), stopped.text
    assert (await told(TODAY))["stopped_on"] == STOP["last_day"]
    none = (await service.get(f"{CAMPAIGN}/forecast"))["indicators"]["intake"]
    assert (none["forecast"], none["through"]) == (None, str(LAST))
    until = (await service.get(f"{CAMPAIGN}/forecast", as_of=day))["indicators"]["intake"]
    assert until["through"] == STOP["last_day"]


async def test_days_after_the_last_one_have_quotas_where_the_plan_says_what_they_are_to_bring(
    service: RunningAggregator,
) -> None:
    tet = {"day": "2024-02-12", "name": "Tết"}
    calendar = {"weekday_weights": [2, 2, 2, 2, 2, 1, 0], "holidays": [tet]}
    daily = [{"indicator": "intake", "citizens": 2}, {"indicator": "activated", "level": 2, "citizens": 3}]
    asked = {"eligible": ELIGIBLE | {HERE: 1000}, "calendar": calendar}
    answer = await put(service, **asked, going_on={"indicator": "intake", "stop": STOP, "daily": daily})
    assert answer.status_code == 200, answer.text
    assert answer.json()["going_on"] == {"indicator": "intake", "stop": STOP, "daily": daily}
    phases = (await service.get(f"{CAMPAIGN}/phases"))["phases"]
    assert [(each["id"], each["first_day"], each["last_day"], each["state"]) for each in phases] == [
        ("going-on-1", "2023-12-31", "2024-01-27", "over"),
        ("going-on-2", "2024-01-28", "2024-02-20", "over"),
    ]
    # Twenty working days of 2 and four Saturdays of 1; then sixteen and three.
    brought = [[each["citizens"] for each in phase["brings"]] for phase in phases]
    assert (brought, phases[0]["targets"]) == ([[44, 66], [35, 52]], [])
    assert phases[0]["brings"][1] == daily[1] | {"citizens": 66}

    async def pace(day: str, **more: Any) -> Any:
        found = await service.get(f"{CAMPAIGN}/pace", as_of=day, unit=HERE, phase="going-on-1", **more)
        return found["units"][0]["indicators"]

    # A citizen came each day: fifty by the eve.
    told = await pace("2024-01-09")
    intake, activated = told["intake"], told["activated:level-2"]
    assert [intake[name] for name in ("baseline", "value", "target", "planned", "actual", "gap")] == [
        50, 60, 94, 15, 10, 5,
    ]  # fmt: skip
    assert [intake[name] for name in ("quota", "done", "days_left", "remaining")] == [2, 1, 16, 34]
    assert [activated[name] for name in ("baseline", "value", "target", "quota")] == [0, 0, 66, 3]
    quotas = await service.get(f"{CAMPAIGN}/quotas", unit=HERE, phase="going-on-1", indicator="intake")
    days = quotas["indicators"]["intake"]["days"]
    assert [day["quota"] for day in days[:8]] == [0, 2, 2, 2, 2, 2, 1, 0]
    assert (len(days), sum(day["quota"] for day in days)) == (28, 44)
    # As it was known and planned before any of it came, nothing was asked.
    before = await service.client.get(
        f"{CAMPAIGN}/pace", params={"phase": "going-on-1", "known_at": str(LAST)}
    )
    assert (before.status_code, before.json()["field"]) == (422, "phase")
    # Ranks and progress are of the stretch, too; the campaign's own pace is what it was.
    ranks = await service.get(f"{CAMPAIGN}/ranks", phase="going-on-2", indicator="intake", level="commune")
    assert ranks["as_of"] == "2024-02-20"
    progress = await service.get(f"{CAMPAIGN}/progress", phase="going-on-1", unit=HERE)
    assert progress["units"][0]["indicators"]["intake"]["target"] == 94
    whole = await service.get(f"{CAMPAIGN}/pace", as_of="2024-01-09", unit=HERE)
    assert whole["units"][0]["indicators"]["intake"]["quota"] == 0

    # Whoever was asked is not left without a word.
    withdrawn = await put(service, **asked, going_on={"indicator": "intake", "daily": daily[:1]})
    assert (withdrawn.status_code, withdrawn.json()["field"]) == (409, "going_on.daily"), withdrawn.text

    # Nobody is asked for more than are there.
    few = await put(service, **asked | {"eligible": ELIGIBLE | {HERE: 95}}, going_on={
        "indicator": "intake", "daily": [daily[0], daily[1] | {"citizens": 0}],
    })  # fmt: skip
    assert few.status_code == 200, few.text
    capped = (await pace("2024-01-09"))["intake"]
    assert (capped["target"], capped["remaining"]) == (94, 34)
    later = await service.get(f"{CAMPAIGN}/pace", phase="going-on-2", as_of="2024-02-20", unit=HERE)
    assert later["units"][0]["indicators"]["intake"]["target"] == 95


async def test_what_cannot_go_on_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    faults: list[tuple[str, str, Any]] = [
        ("going_on.stop.last_day", "lasts to 2023-12-30 anyway", {"stop": STOP | {"last_day": str(LAST)}}),
        ("going_on.stop.last_day", "date", {"stop": STOP | {"last_day": "2023-02-29"}}),
        ("going_on.stop.signed_by", "", {"stop": {"number": "1", "last_day": "2024-03-01"}}),
        ("going_on.indicator", "'intake'", {"indicator": "cards"}),
        ("going_on.daily.0.citizens", "greater than", {"daily": [ONE | {"citizens": -1}]}),
        ("going_on.daily.0.citizens", "integer", {"daily": [ONE | {"citizens": "2"}]}),
        ("going_on.daily.0.citizens", "100 are eligible in all", {"daily": [ONE | {"citizens": 101}]}),
        ("going_on.daily", "stands there twice", {"daily": [ONE, ONE]}),
        ("going_on.daily.0.due", "", {"daily": [ONE | {"due": "2024-01-31"}]}),
        ("going_on.daily.0.indicator", "'intake'", {"daily": [ONE | {"indicator": "cards"}]}),
        ("going_on.daily", "No weekday", {"daily": [ONE], "calendar": {"weekday_weights": [0] * 7, "holidays": [
            {"day": str(LAST), "name": "Ngày cuối", "weight": 1}]}}),
        ("calendar.holidays.0.day", "outside the campaign", {"daily": [ONE], "stop": STOP, "calendar": {"holidays": [
            {"day": "2024-02-21", "name": "Sau khi dừng"}]}}),
        ("phases.0.id", "days after the last one", {"daily": [ONE], "phases": [
            {"id": "going-on-1", "name": "Chặng", "first_day": str(FIRST), "last_day": str(LAST)}]}),
    ]  # fmt: skip
    for field, words, change in faults:
        of_plan = {name: change.pop(name) for name in ("calendar", "phases") if name in change}
        answer = await put(service, going_on={"indicator": "intake", **change}, **of_plan)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        assert words in answer.json()["detail"], answer.text
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1


async def test_late_records_of_a_stretch_are_told_as_those_of_the_campaign_s_days(
    database: Database, tmp_path: Path
) -> None:
    short, late, known = date(2023, 11, 20), date(2023, 11, 23), date(2023, 11, 25)
    today = datetime(2023, 11, 28, 12, tzinfo=VIETNAM)
    async with producers(database) as feed, aggregator(database, tmp_path) as each:
        await each.move_clock(datetime(2023, 11, 20, 12, tzinfo=VIETNAM))
        answer = await put(each, last_day=str(short), going_on={"indicator": "intake", "daily": [ONE]})
        assert answer.status_code == 200, answer.text
        await count_in(each, {("intake", 2, HERE, late): 3})
        await count_in(each, {("intake", 2, HERE, late): 2}, known)
        await each.move_clock(today)
        await feed.complete_to(today)

        async def closed() -> bool:
            return bool((await each.get(CAMPAIGN))["closed_through"] == "2023-11-27")

        await eventually(closed)
        answer = await each.get(f"{CAMPAIGN}/revisions", unit=HERE)
    days = {day["day"]: day for day in answer["days"]}
    assert list(days)[-1] == "2023-11-27"
    intake = days[str(late)]["indicators"]["intake"]
    assert [intake[which]["value"] for which in ("then", "now")] == [3, 5]
    assert [(one["known_day"], one["change"]["value"]) for one in days[str(late)]["late"]] == [
        (str(known), 2)
    ]
