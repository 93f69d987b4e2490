"""Phases over HTTP: named in the plan, asked for by name, as known then."""

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
FIRST, LAST = date(2023, 11, 11), date(2023, 12, 30)
SPRINT, REST = date(2023, 11, 20), date(2023, 11, 21)
HERE, THERE = "23281", "23284"
PHASES = [
    {"id": "sprint", "name": "Giai đoạn 1", "name_en": "Sprint", "first_day": str(FIRST), "last_day": str(SPRINT)},
    {"id": "rest", "name": "Giai đoạn 2", "name_en": None, "first_day": str(REST), "last_day": str(LAST)},
]  # fmt: skip


def with_phases(**change: Any) -> dict[str, Any]:
    due = {"indicator": "intake", "due": str(SPRINT), "value": 2_000}
    return {"targets": [*plan_document()["targets"], due], "phases": PHASES, **change}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum on the fifth day of its second phase; two communes, two citizens a day each from the first day on."""
    async with producers(database), aggregator(database, tmp_path) as each:
        today = REST + timedelta(4)
        await each.move_clock(datetime(today.year, today.month, today.day, 12, tzinfo=VIETNAM))
        await each.put_plan(**with_phases())
        days = [FIRST + timedelta(n) for n in range((today - FIRST).days + 1)]
        await count_in(each, {("intake", 2, unit, day): 2 for unit in (HERE, THERE) for day in days})
        await count_in(each, {("intake", 1, HERE, FIRST - timedelta(9)): 10})
        # Came to be known when the sprint was over.
        await count_in(each, {("intake", 1, THERE, SPRINT): 1}, REST)
        yield each


async def test_a_phase_is_told_of_as_a_campaign_of_its_own_days(service: RunningAggregator) -> None:
    assert (await service.get(CAMPAIGN))["phases"] == PHASES
    listed = (await service.get(f"{CAMPAIGN}/phases"))["phases"]
    assert [(each["id"], each["state"]) for each in listed] == [("sprint", "over"), ("rest", "running")]
    assert [[(one["indicator"], one["value"]) for one in each["targets"]] for each in listed] == [
        [("intake", 2_000)], [("intake", 421_100), ("activated", 335_512)]
    ]  # fmt: skip

    # Once it is over, at its end; late records count as anywhere, and not as known then.
    sprint = await service.get(f"{CAMPAIGN}/progress", phase="sprint")
    assert (sprint["as_of"], sprint["phase"]) == (str(SPRINT), "sprint")
    intake = sprint["units"][0]["indicators"]["intake"]
    assert (intake["baseline"], intake["since_baseline"], intake["target"]) == (10, 41, 2_000)
    then = await service.get(f"{CAMPAIGN}/progress", phase="sprint", known_at=str(SPRINT))
    assert then["units"][0]["indicators"]["intake"]["since_baseline"] == 40
    assert (await service.get(f"{CAMPAIGN}/progress"))["phase"] is None

    rest = await service.get(f"{CAMPAIGN}/pace", phase="rest", depth=0)
    assert rest["as_of"] == str(REST + timedelta(4))
    [unit] = rest["units"]
    pace = unit["indicators"]["intake"]
    assert (pace["baseline"], pace["actual"], pace["days_left"]) == (51, 20, 35)
    assert pace["owed"] == 421_100 - 51
    assert pace["planned"] == pace["owed"] * 5 // 40
    quotas = (await service.get(f"{CAMPAIGN}/quotas", phase="rest"))["indicators"]["intake"]
    assert len(quotas["days"]) == 40
    assert sum(day["quota"] for day in quotas["days"]) == pace["owed"]
    # The same target, from the campaign's first day on, is another question.
    [whole] = (await service.get(f"{CAMPAIGN}/pace"))["units"]
    assert whole["indicators"]["intake:by-2023-11-20"]["target"] == 2_000
    assert whole["indicators"]["intake"]["owed"] == 421_090

    ranks = await service.get(f"{CAMPAIGN}/ranks", phase="sprint", shown=1, as_of=str(SPRINT))
    best = ranks["indicators"]["intake"]["units"][0]
    assert (ranks["phase"], best["code"], best["value"]) == ("sprint", HERE, 30)
    told = (await service.get(f"{CAMPAIGN}/forecast", phase="rest"))["indicators"]["intake"]
    assert (told["due"], told["forecast"]["final"], told["forecast"]["days_seen"]) == (
        str(LAST),
        51 + 40 * 4,
        5,
    )


async def test_what_is_no_phase_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    def and_one(**phase: Any) -> dict[str, Any]:
        return {
            "phases": [
                *PHASES,
                {"id": "x", "name": "Giai đoạn 3", "first_day": str(FIRST), "last_day": str(FIRST), **phase},
            ]
        }

    faults: list[tuple[str, str, dict[str, Any]]] = [
        ("phases.2.first_day", "2023-11-11 is in both", and_one()),
        ("phases.2.id", "small letters", and_one(id="Giai đoạn")),
        ("phases.2.id", "Two phases", and_one(id="sprint")),
        ("phases.2.first_day", "date", and_one(first_day="2023-02-29")),
        ("phases.2.first_day", "not days of the campaign", and_one(first_day="2023-11-10")),
        ("phases.2.last_day", "not days of the campaign", and_one(last_day="2024-01-01")),
        ("phases.2.nam", "Did you mean 'name'", and_one(nam="x")),
        # Fewer days than a phase needs.
        ("phases.1.last_day", "not days of the campaign", {"last_day": "2023-12-29"}),
    ]  # fmt: skip
    for field, words, change in faults:
        document = plan_document(**with_phases(**change))
        answer = await service.client.put(CAMPAIGN, json=document)
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (422, field), answer.text
        assert words in problem["detail"], answer.text
    questions: list[tuple[str, str, dict[str, str]]] = [
        ("phase", "no phase 'second'", {"phase": "second"}),
        ("phase", "small letters", {"phase": "Sprint!"}),
        ("as_of", "outside it", {"phase": "sprint", "as_of": str(REST)}),
        ("as_of", "outside it", {"phase": "rest", "as_of": str(FIRST)}),
    ]
    for question in ("progress", "pace", "quotas", "forecast", "ranks"):
        for field, words, asked in questions:
            answer = await service.client.get(f"{CAMPAIGN}/{question}", params=asked)
            assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
            assert words in answer.json()["detail"], answer.text
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1

    # Another plan, other phases: as known before, the earlier ones stand.
    stale = await service.client.put(
        CAMPAIGN, json=plan_document(**with_phases(phases=[])), headers={"If-Match": '"7"'}
    )
    assert stale.status_code == 412
    await service.put_plan(**with_phases(phases=PHASES[:1]))
    assert [each["id"] for each in (await service.get(f"{CAMPAIGN}/phases"))["phases"]] == ["sprint"]
