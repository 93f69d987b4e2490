"""Targets of a level, a cohort, a period, and as a share of the eligible: the whole way from the plan to the last word
on a day."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    kon_tum_communes,
    plan_document,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tests.support.units import REFORM, reform_mapping
from tiendo_common.clock import VIETNAM
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import ProgressPublished

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST, PHASE, LAST = date(2023, 11, 11), date(2023, 11, 13), date(2023, 12, 30)
COMMUNE = "23281"
ELIGIBLE: dict[str, int] = dict(plan_document()["eligible"])
WHOLE = sum(ELIGIBLE.values())
OFFICIALS = {code: 10 + place for place, code in enumerate(kon_tum_communes())}
LEVEL, PERIOD, COHORT = "intake:level-2", "intake:by-2023-11-13", "intake:level-2:officials"
decoder = EventDecoder([ProgressPublished])


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, 30, tzinfo=VIETNAM)


def narrowed(**change: Any) -> dict[str, Any]:
    """Kon Tum's plan with a target of each kind."""
    targets = [
        *plan_document()["targets"],
        {"indicator": "intake", "level": 2, "value": 300_000},
        {"indicator": "intake", "due": str(PHASE), "percent_of_eligible": "10"},
        {"indicator": "intake", "level": 2, "cohort": "officials", "percent_of_eligible": "100"},
    ]
    cohorts = {"officials": {"source": "Sở Nội vụ", "eligible": OFFICIALS}}
    return {"targets": targets, "cohorts": cohorts, **change}


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """On the eve of Kon Tum's campaign, before there is any plan."""
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(evening(FIRST - timedelta(1)))
        yield each


async def pace(service: RunningAggregator, as_of: date, **asked: Any) -> dict[str, dict[str, Any]]:
    """The paces of one unit, by goal."""
    [unit] = (await service.get(f"{CAMPAIGN}/pace", as_of=str(as_of), **asked))["units"]
    return dict(unit["indicators"])


async def put(service: RunningAggregator, **change: Any) -> Any:
    return await service.client.put(CAMPAIGN, json=plan_document(**change))


async def test_each_target_counts_its_own_citizens_by_its_own_day(
    service: RunningAggregator, feed: Producers
) -> None:
    put_back = await service.put_plan(**narrowed())
    assert put_back == await service.get(CAMPAIGN)
    assert put_back["targets"][1] == {
        "indicator": "intake",
        "due": str(PHASE),
        "value": -(-WHOLE // 10),
        "percent_of_eligible": "10",
        "eligible": WHOLE,
    }
    assert (await service.client.put(CAMPAIGN, json=plan_document(**narrowed()))).headers["ETag"] == '"1"'

    day = FIRST + timedelta(1)
    await feed.append([
        restated("intake", [segment(FIRST - timedelta(9), COMMUNE, level=1)], known=FIRST - timedelta(9)),
        restated("intake", [segment(FIRST, COMMUNE, level=2, cohorts=("officials",))], known=FIRST),
        restated("intake", [segment(day, COMMUNE, level=2)], known=day),
        restated("intake", [segment(day, COMMUNE, level=1, cohorts=("officials",))], known=day),
        # Upgraded on the day: taken before the campaign, on level 1 until then; the work is another commune's.
        restated(
            "intake",
            [
                segment(FIRST - timedelta(9), COMMUNE, level=1, until=day, cohorts=("officials",)),
                segment(day, COMMUNE, level=2, cohorts=("officials", "elderly"), collecting="23284"),
            ],
            known=day,
        ),
    ])  # fmt: skip
    for each in (FIRST, day, PHASE):
        await feed.complete_to(evening(each))
        await service.move_clock(evening(each))
    await service.drain(feed)

    found = await pace(service, day)
    assert list(found) == ["intake", PERIOD, LEVEL, COHORT, "activated"]
    assert [(each["baseline"], each["value"], each["done"]) for each in found.values()] == [
        (2, 5, 2), (2, 5, 2), (0, 3, 2), (0, 2, 1), (0, 0, 0)
    ]  # fmt: skip
    assert [each["days_left"] for each in found.values()] == [48, 1, 48, 48, 48]
    phase = found[PERIOD]
    assert phase["target"] == -(-WHOLE // 10)
    assert phase["needed_next_day"] == phase["remaining"] == phase["target"] - 5
    assert phase["planned"] == (phase["target"] - 2) * 2 // 3
    by_goal = await pace(service, day, unit=COMMUNE, indicator=COHORT)
    assert [(each["target"], each["value"], each["done"]) for each in by_goal.values()] == [
        (OFFICIALS[COMMUNE], 2, 0)
    ]
    # Once its day is over, it asks for nothing more and is measured on.
    after = (await pace(service, PHASE + timedelta(3), indicator=PERIOD))[PERIOD]
    assert (after["days_left"], after["needed_per_day"], after["planned"], after["value"]) == (
        0, None, after["owed"], 5
    )  # fmt: skip

    quotas = (await service.get(f"{CAMPAIGN}/quotas", as_of=str(day)))["indicators"]
    for goal, days in ((PERIOD, 3), (COHORT, 50)):
        assert len(quotas[goal]["days"]) == days
        assert sum(each["quota"] for each in quotas[goal]["days"]) == quotas[goal]["pace"]["owed"]
    assert [each["done"] for each in quotas[COHORT]["days"][:3]] == [1, 1, None]
    ranks = (await service.get(f"{CAMPAIGN}/ranks", as_of=str(day), indicator=COHORT))["indicators"][COHORT]
    assert [(each["code"], each["percent"]) for each in ranks["units"][:1]] == [(COMMUNE, "20.0")]
    told = (await service.get(f"{CAMPAIGN}/forecast", as_of=str(PHASE)))["indicators"]
    assert (told[PERIOD]["due"], told[PERIOD]["why_none"]) == (str(PHASE), "It was due on 2023-11-13.")
    assert told[COHORT]["due"] == str(LAST)

    async def closed() -> bool:
        return bool((await service.get(CAMPAIGN))["closed_through"] == str(PHASE))

    await eventually(closed)
    rows = await service.kit.pool.fetch(
        "SELECT body FROM log_progress WHERE key = $1", f"kon-tum-2023/62/{day}"
    )
    [closing] = [decoder.decode(row["body"]).data for row in rows]
    assert closing.narrowed
    assert [
        (each.goal.name, each.target, each.value, each.baseline, each.done) for each in closing.narrowed
    ] == [
        (goal, found[goal]["target"], found[goal]["value"], found[goal]["baseline"], found[goal]["done"])
        for goal in (PERIOD, LEVEL, COHORT)
    ]
    # Readers that know only whole indicators hear of nothing else.
    names = await service.kit.pool.fetch("SELECT DISTINCT split_part(key, '/', 3) AS name FROM log_targets")
    assert {row["name"] for row in names} == {"intake", "activated"}

    # A period that is closed keeps its target, also when only the paper of its share is new.
    late = narrowed()
    late["targets"] = [
        each | {"percent_of_eligible": "11"} if "due" in each else each for each in late["targets"]
    ]
    answer = await put(service, **late)
    assert (answer.status_code, answer.json()["field"]) == (409, "targets"), answer.text
    assert f"The targets of {PERIOD} are due on 2023-11-13" in answer.json()["detail"]
    longer = narrowed()
    longer["targets"] = [each | {"value": 300_001} if each.get("level") == 2 and "value" in each else each
                         for each in longer["targets"]]  # fmt: skip
    answer = await put(service, **longer)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    before = await pace(service, day, known_at=str(FIRST), indicator=LEVEL)
    assert before[LEVEL]["target"] == 300_000


async def test_a_share_is_of_those_who_are_not_exempt_when_it_is_set(service: RunningAggregator) -> None:
    await service.put_plan()
    paper = {
        "number": "15/QĐ-UBND", "signed_by": "Chủ tịch", "from_day": str(FIRST), "document": "Văn phòng",
        "lines": [{"unit": COMMUNE, "citizens": 40, "reason": "imprisoned"}],
    }  # fmt: skip
    answer = await service.client.post(f"{CAMPAIGN}/exemptions", json=paper)
    assert answer.status_code == 200, answer.text

    def shared(percent: str) -> dict[str, Any]:
        due = {"indicator": "intake", "due": "2023-11-30", "percent_of_eligible": percent}
        return {"targets": [*plan_document()["targets"], due]}

    async def taken(answer: Any) -> tuple[int, int]:
        [target] = [each for each in answer["targets"] if "due" in each]
        return target["eligible"], target["value"]

    first = WHOLE - 40, -(-(WHOLE - 40) * 805 // 1000)
    assert await taken(await service.put_plan(**shared("80.5"))) == first
    # Exempted later: what was assigned stays as it is, until a paper sets it anew.
    await service.client.post(f"{CAMPAIGN}/exemptions", json=paper | {"number": "16/QĐ-UBND"})
    assert await taken(await service.put_plan(**shared("80.50"), name="Kon Tum, 50 ngày đêm")) == first
    anew = await service.put_plan(**shared("80.5"), plan_number="4000/KH-UBND")
    assert (await taken(anew))[0] == WHOLE - 80
    listed = (await service.get(f"{CAMPAIGN}/versions"))["versions"]
    assert [each["targets"].get("intake:by-2023-11-30") for each in listed] == [
        None, first[1], first[1], -(-(WHOLE - 80) * 805 // 1000)
    ]  # fmt: skip


async def test_on_another_tree_each_target_keeps_its_sum(service: RunningAggregator) -> None:
    await service.put_plan(**narrowed())
    reform = {
        "effective_on": str(REFORM), "resolution": "202/2025/QH15", "placing": "all-to-kept-code",
        "rows": reform_mapping(),
    }  # fmt: skip
    answer = await service.client.post("/v1/reorganisations", json=reform)
    assert answer.status_code == 200, answer.text
    before = await pace(service, FIRST)
    there = await service.get(f"{CAMPAIGN}/pace", as_of=str(REFORM), depth=9)
    for goal, each in before.items():
        communes = [unit["indicators"][goal] for unit in there["units"] if unit["level"] == "commune"]
        assert sum(unit["target"] for unit in communes) == each["target"]
    assert {len(unit["indicators"]) for unit in there["units"]} == {5}


async def test_a_target_that_makes_no_sense_is_refused_and_nothing_is_written(
    service: RunningAggregator,
) -> None:
    await service.put_plan(**narrowed())
    cohorts = narrowed()["cohorts"]

    def and_one(**target: Any) -> dict[str, Any]:
        return narrowed(targets=[*narrowed()["targets"], {"indicator": "intake", **target}])

    last = "targets.5"
    faults: list[tuple[str, str, dict[str, Any]]] = [
        ("targets", f"{COHORT} has two targets", and_one(level=2, cohort="officials", value=1)),
        ("targets", "two targets", and_one(due=str(PHASE), value=1)),
        (f"{last}.percent_of_eligible", "100", and_one(level=1, percent_of_eligible="100.01")),
        (f"{last}.percent_of_eligible", "0", and_one(level=1, percent_of_eligible=-1)),
        (f"{last}.percent_of_eligible", "decimal", and_one(level=1, percent_of_eligible="80.555")),
        (last, "one of both", and_one(level=1, percent_of_eligible="80", value=1)),
        (last, "one of both", and_one(level=1)),
        (f"{last}.level", "1 or 2", and_one(level=3, value=1)),
        (f"{last}.cohort", "'officials'", and_one(cohort="mayors", value=1)),
        ("targets", "outside the campaign", and_one(due="2023-11-10", value=1)),
        ("targets", "outside the campaign", and_one(due="2023-12-31", value=1)),
        ("targets", "the campaign's last day", and_one(due=str(LAST), value=1)),
        (f"{last}.due", "date", and_one(due="2023-02-29", value=1)),
        ("cohorts.workers", "tells no eligible number", and_one(cohort="workers", percent_of_eligible="80")),
        (f"set_targets.{COHORT}", "more than its own", narrowed(set_targets={COHORT: OFFICIALS | {"612": 1}})),
        ("set_targets.intake:workers", "which has none", narrowed(set_targets={"intake:workers": {"612": 1}})),
        ("set_targets.intake:level-3.[key]", "This must be an indicator",
         narrowed(set_targets={"intake:level-3": {"612": 1}})),
        ("cohorts.officials.source", "", narrowed(cohorts={"officials": {"eligible": OFFICIALS}})),
        ("cohorts.officials.eligible.23281", "in all",
         narrowed(cohorts={"officials": {**cohorts["officials"], "eligible": OFFICIALS | {COMMUNE: 10**6}}})),
    ]  # fmt: skip
    for field, words, change in faults:
        answer = await put(service, **change)
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (422, field), answer.text
        assert words in problem["detail"], answer.text
    answer = await put(service)
    assert (answer.status_code, answer.json()["field"]) == (409, "targets")
    for question in ("pace", "quotas", "forecast", "ranks"):
        refused = await service.client.get(f"{CAMPAIGN}/{question}", params={"indicator": "intake:workers"})
        assert (refused.status_code, refused.json()["field"]) == (422, "indicator"), refused.text
        assert COHORT in refused.json()["remedy"]
        strange = await service.client.get(f"{CAMPAIGN}/{question}", params={"indicator": "cards"})
        assert (strange.status_code, strange.json()["field"]) == (422, "indicator"), strange.text
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1
