"""A campaign past its last day that goes on: told, closed, forecast, stopped."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import RunningAggregator, aggregator, plan_document, producers
from tests.support.counters import count_in
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST, LAST, TODAY = date(2023, 11, 11), date(2023, 12, 30), date(2024, 2, 29)
HERE = "23281"
ELIGIBLE = dict.fromkeys(plan_document()["eligible"], 0) | {HERE: 100}
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

    assert (await service.get(CAMPAIGN))["going_on"] == {"indicator": "intake", "stop": None}
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


async def test_what_cannot_go_on_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    faults: list[tuple[str, str, Any]] = [
        ("going_on.stop.last_day", "lasts to 2023-12-30 anyway", {"stop": STOP | {"last_day": str(LAST)}}),
        ("going_on.stop.last_day", "date", {"stop": STOP | {"last_day": "2023-02-29"}}),
        ("going_on.stop.signed_by", "", {"stop": {"number": "1", "last_day": "2024-03-01"}}),
        ("going_on.indicator", "'intake'", {"indicator": "cards"}),
    ]
    for field, words, change in faults:
        answer = await put(service, going_on={"indicator": "intake", **change})
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        assert words in answer.json()["detail"], answer.text
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1
