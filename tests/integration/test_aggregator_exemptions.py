"""Those who are exempt by a signed decision, and those who remain with a reason and stay among the eligible."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import Producers, RunningAggregator, aggregator, plan_document, producers
from tests.support.counters import count_in
from tests.support.postgres import Database
from tests.support.units import REFORM, reform_mapping
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST, DAY, LAST = date(2023, 11, 11), date(2023, 12, 7), date(2023, 12, 30)
#: A commune, with a neighbour that becomes a part of the same one on 2025-07-01.
COMMUNE = "23281"
ELIGIBLE: dict[str, int] = dict(plan_document()["eligible"])
WHOLE = sum(ELIGIBLE.values())
REACHED = ELIGIBLE[COMMUNE] - 100


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=VIETNAM)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum on 7 December; in one commune 100 of the eligible have no account yet, and nobody has one elsewhere."""
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(noon(date(2023, 11, 10)))
        await each.put_plan(
            figures=[{"id": "coverage", "indicator": "intake", "over": "eligible", "decimals": 2}]
        )
        await count_in(each, {("intake", 2, COMMUNE, FIRST): REACHED})
        await each.move_clock(noon(DAY))
        yield each


def decision(**change: Any) -> dict[str, Any]:
    return {
        "number": "15/QĐ-UBND",
        "signed_by": "Chủ tịch UBND tỉnh",
        "from_day": "2023-12-01",
        "document": "Văn phòng UBND",
        "lines": [{"unit": COMMUNE, "citizens": 40, "reason": "imprisoned"}],
        **change,
    }


def withdrawal(**change: Any) -> dict[str, Any]:
    body = decision(number="16/QĐ-UBND", from_day="2023-12-05", withdraws="15/QĐ-UBND", **change)
    del body["lines"]
    return body


async def send(service: RunningAggregator, method: str, path: str, body: dict[str, Any]) -> Any:
    answer = await service.client.request(method, f"{CAMPAIGN}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def exempt(service: RunningAggregator, as_of: str = str(DAY), **asked: str) -> tuple[int, int, int]:
    """Eligible, exempt and planned of the commune; the province has the same exempt."""
    units = (await service.get(f"{CAMPAIGN}/progress", as_of=as_of, depth=9, **asked))["units"]
    standing = next(each for each in units if each["code"] == COMMUNE)["indicators"]["intake"]
    top = units[0]["indicators"]["intake"]
    assert (top["eligible"], top["exempt"], top["planned"]) == (
        WHOLE - standing["exempt"],
        standing["exempt"],
        WHOLE,
    )
    return standing["eligible"], standing["exempt"], standing["planned"]


async def remaining(service: RunningAggregator, **asked: Any) -> dict[str, Any]:
    """Every unit's answer, by code."""
    question: dict[str, Any] = {"as_of": str(DAY), "depth": 9} | asked
    answer = await service.get(f"{CAMPAIGN}/remaining", **question)
    return {each["code"]: each for each in answer["units"]}


# --- decisions ---------------------------------------------------------------------------------------------------


async def test_a_decision_exempts_from_its_day_on_and_from_when_it_was_known(
    service: RunningAggregator,
) -> None:
    planned = ELIGIBLE[COMMUNE]
    entered = await send(service, "POST", "exemptions", decision())
    assert (entered["entered_by"], entered["known_day"]) == ("admin", str(DAY))
    assert await send(service, "POST", "exemptions", decision()) == entered
    assert await exempt(service) == (planned - 40, 40, planned)
    assert await exempt(service, as_of="2023-12-01") == (planned - 40, 40, planned)
    assert await exempt(service, as_of="2023-11-30") == (planned, 0, planned)
    assert await exempt(service, known_at="2023-12-06") == (planned, 0, planned)

    # Withdrawn by a later paper: what held until then, and what was known before, stays.
    await service.move_clock(noon(DAY + timedelta(1)))
    await send(service, "POST", "exemptions/withdrawals", withdrawal())
    assert await exempt(service) == (planned, 0, planned)
    assert await exempt(service, as_of="2023-12-04") == (planned - 40, 40, planned)
    assert await exempt(service, known_at=str(DAY)) == (planned - 40, 40, planned)

    listed = (await service.get(f"{CAMPAIGN}/exemptions", as_of=str(DAY)))["decisions"]
    assert [(each["decision"]["number"], each["in_force"], each["withdrawn_by"]) for each in listed] == [
        ("15/QĐ-UBND", False, "16/QĐ-UBND"),
        ("16/QĐ-UBND", False, None),
    ]
    before = await service.get(f"{CAMPAIGN}/exemptions", as_of=str(DAY), known_at=str(DAY))
    assert [(each["in_force"], each["withdrawn_by"]) for each in before["decisions"]] == [(True, None)]


async def test_coverage_over_the_whole_is_shown_and_flagged(service: RunningAggregator) -> None:
    async def coverage() -> tuple[str, bool, bool]:
        [unit] = (await service.get(f"{CAMPAIGN}/progress", as_of=str(DAY), unit=COMMUNE))["units"]
        [figure] = unit["figures"]
        return figure["percent"], figure["over_100"], unit["indicators"]["intake"]["over_eligible"]

    percent, *flags = await coverage()
    assert float(percent) < 100
    assert flags == [False, False]
    line = {"unit": COMMUNE, "citizens": 101, "reason": "registered_elsewhere"}
    await send(service, "POST", "exemptions", decision(lines=[line]))
    percent, *flags = await coverage()
    assert float(percent) > 100
    assert flags == [True, True]
    [unit] = (await remaining(service, unit=COMMUNE)).values()
    assert unit["indicators"]["intake"]["remaining"] == -1
    assert unit["indicators"]["intake"]["over_eligible"] is True


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"lines": [{"unit": COMMUNE, "citizens": ELIGIBLE[COMMUNE] + 1, "reason": "abroad"}]}, "lines"),
    ({"lines": [{"unit": "62", "citizens": 1, "reason": "abroad"}]}, "lines.0.unit"),
    ({"lines": [{"unit": "00001", "citizens": 1, "reason": "abroad"}]}, "lines.0.unit"),
    ({"lines": [{"unit": COMMUNE, "citizens": 0, "reason": "abroad"}]}, "lines.0.citizens"),
    ({"lines": [{"unit": COMMUNE, "citizens": 1, "reason": "tired"}]}, "lines.0.reason"),
    ({"lines": [{"unit": COMMUNE, "citizens": 1, "reason": "other"}]}, "lines.0.words"),
    ({"lines": [{"unit": COMMUNE, "citizens": 1, "reason": "abroad", "words": "x"}]}, "lines.0.words"),
    ({"lines": [{"unit": COMMUNE, "citizens": 1, "reason": "abroad"}] * 2}, "lines.1"),
    ({"lines": []}, "lines"),
    ({"from_day": "2023-11-10"}, "from_day"),
    ({"from_day": "2023-12-31"}, "from_day"),
    ({"from_day": "2023-02-29"}, "from_day"),
    ({"number": ""}, "number"),
]


async def test_what_cannot_be_decided_is_refused_by_its_field_and_nothing_is_written(
    service: RunningAggregator,
) -> None:
    for change, field in REFUSED:
        answer = await service.client.post(f"{CAMPAIGN}/exemptions", json=decision(**change))
        assert answer.status_code == 422, (change, answer.text)
        assert answer.json()["field"] == field, (change, answer.text)
    assert (await service.get(f"{CAMPAIGN}/exemptions"))["decisions"] == []
    assert (await exempt(service))[1] == 0


async def test_decisions_add_up_and_none_is_overwritten_or_withdrawn_twice(
    service: RunningAggregator,
) -> None:
    citizens = ELIGIBLE[COMMUNE] - 40
    most = {"unit": COMMUNE, "citizens": citizens, "reason": "abroad"}
    later = decision(number="20/QĐ-UBND", from_day="2023-12-20")
    await send(service, "POST", "exemptions", later)
    # It would be too many together only from the later one's day on.
    over = decision(lines=[{**most, "citizens": citizens + 1}])
    answer = await service.client.post(f"{CAMPAIGN}/exemptions", json=over)
    assert answer.status_code == 422
    assert "would be exempt on 2023-12-20" in answer.json()["detail"]
    await send(service, "POST", "exemptions", decision(lines=[most]))

    another = await service.client.post(f"{CAMPAIGN}/exemptions", json=decision())
    assert (another.status_code, another.json()["field"]) == (409, "number")
    path = f"{CAMPAIGN}/exemptions/withdrawals"
    for body, field in (
        (withdrawal() | {"withdraws": "9/QĐ-UBND"}, "withdraws"),
        (withdrawal() | {"from_day": "2023-11-30"}, "from_day"),
    ):
        answer = await service.client.post(path, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    await send(service, "POST", "exemptions/withdrawals", withdrawal())
    for number, withdraws in (("17/QĐ-UBND", "15/QĐ-UBND"), ("18/QĐ-UBND", "16/QĐ-UBND")):
        answer = await service.client.post(
            path, json=withdrawal() | {"number": number, "withdraws": withdraws}
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "withdraws"), answer.text


async def test_a_plan_cannot_count_fewer_eligible_than_are_exempt(service: RunningAggregator) -> None:
    await send(service, "POST", "exemptions", decision())
    # Once 39 are eligible, 40 cannot be exempt.
    for change, field in (
        ({"eligible": ELIGIBLE | {COMMUNE: 39}}, "eligible"),
        ({"first_day": "2023-12-02"}, "first_day"),
    ):
        answer = await service.client.put(CAMPAIGN, json=plan_document(**change))
        assert (answer.status_code, answer.json()["field"]) == (409, field), answer.text
    await service.put_plan(eligible=ELIGIBLE | {COMMUNE: 40})
    [unit] = (await service.get(f"{CAMPAIGN}/progress", as_of=str(DAY), unit=COMMUNE))["units"]
    assert unit["indicators"]["intake"]["eligible"] == 0


# --- those who remain --------------------------------------------------------------------------------------------

LINES = [
    {"reason": "abroad", "citizens": 60},
    {"reason": "other", "words": "đi biển dài ngày", "citizens": 5},
]


def said(*lines: dict[str, Any]) -> dict[str, Any]:
    return {"source": "Công an xã", "lines": list(lines)}


async def test_those_who_remain_stay_among_the_eligible(service: RunningAggregator) -> None:
    nothing = (await remaining(service))[COMMUNE]["indicators"]["intake"]
    assert (nothing["explained"], nothing["reported"], nothing["unexplained"]) == (None, 0, 100)
    await send(service, "PUT", f"remaining/{COMMUNE}/intake/2023-12-05", said(*LINES))
    units = await remaining(service)
    commune, province = units[COMMUNE], units["62"]
    assert (commune["eligible"], commune["exempt"]) == (ELIGIBLE[COMMUNE], 0)
    intake = commune["indicators"]["intake"]
    assert (intake["reached"], intake["remaining"]) == (REACHED, 100)
    assert intake["by_reason"] == {"abroad": 60, "other": 5}
    assert intake["other"] == [{"words": "đi biển dài ngày", "citizens": 5}]
    assert (intake["explained"], intake["unexplained"], intake["over_explained"]) == (65, 35, False)
    # Of another indicator nothing was said.
    assert commune["indicators"]["activated"]["explained"] is None
    above = province["indicators"]["intake"]
    assert (above["explained"], above["reported"], above["communes"]) == (65, 1, len(ELIGIBLE))
    assert above["remaining"] == WHOLE - REACHED
    assert above["unexplained"] == WHOLE - REACHED - 65
    # It stands from its day until the next one.
    early = (await remaining(service, as_of="2023-12-04"))[COMMUNE]["indicators"]["intake"]
    assert early["explained"] is None
    # More explained than remain is flagged and not clipped.
    await send(
        service,
        "PUT",
        f"remaining/{COMMUNE}/intake/{DAY}",
        said({"reason": "seriously_ill", "citizens": 130}),
    )
    intake = (await remaining(service))[COMMUNE]["indicators"]["intake"]
    assert (intake["remaining"], intake["unexplained"], intake["over_explained"]) == (100, -30, True)


async def test_a_correction_is_a_revision_and_what_was_known_stays(service: RunningAggregator) -> None:
    path = f"remaining/{COMMUNE}/intake/{DAY}"
    first = await send(service, "PUT", path, said(*LINES))
    assert await send(service, "PUT", path, said(*LINES)) == first
    await service.move_clock(noon(DAY + timedelta(2)))
    second = await send(service, "PUT", path, said())
    assert (first["revision"], second["revision"]) == (1, 2)

    async def explained(**asked: str) -> Any:
        return (await remaining(service, **asked))[COMMUNE]["indicators"]["intake"]["explained"]

    assert await explained() == 0
    assert await explained(known_at=str(DAY)) == 65
    assert (await service.get(f"{CAMPAIGN}/{path}"))["revisions"] == [first, second]


async def test_what_cannot_remain_is_refused_by_its_field(service: RunningAggregator) -> None:
    fine = {"reason": "abroad", "citizens": 1}
    for path, body, field in (
        (f"62/intake/{DAY}", said(fine), "unit"),
        (f"00001/intake/{DAY}", said(fine), "unit"),
        (f"{COMMUNE}/intake/2023-12-08", said(fine), "day"),
        (f"{COMMUNE}/intake/2023-11-10", said(fine), "day"),
        (f"{COMMUNE}/eaten/{DAY}", said(fine), "indicator"),
        (f"{COMMUNE}/intake/{DAY}", said(fine, fine), "lines.1"),
        (f"{COMMUNE}/intake/{DAY}", said({"reason": "other", "citizens": 1}), "lines.0.words"),
        (f"{COMMUNE}/intake/{DAY}", said({"reason": "abroad", "citizens": -1}), "lines.0.citizens"),
        (f"{COMMUNE}/intake/{DAY}", {"lines": [fine]}, "source"),
    ):
        answer = await service.client.put(f"{CAMPAIGN}/remaining/{path}", json=body)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["field"] == field, (path, answer.text)
    assert (await remaining(service))["62"]["indicators"]["intake"]["reported"] == 0


# --- on a later tree ---------------------------------------------------------------------------------------------


async def test_on_a_later_tree_they_are_as_many_as_before(service: RunningAggregator) -> None:
    became = {row["from_code"]: row["to_code"] for row in reform_mapping() if row["from_code"] in ELIGIBLE}
    there = became[COMMUNE]
    parts = [code for code, to in became.items() if to == there]
    assert len(parts) > 1
    for place, code in enumerate(parts):
        line = {"unit": code, "citizens": 10 + place, "reason": "imprisoned"}
        await send(service, "POST", "exemptions", decision(number=f"{place}/QĐ", lines=[line]))
        told = said({"reason": "abroad", "citizens": 20 + place})
        await send(service, "PUT", f"remaining/{code}/intake/{DAY}", told)
    # The campaign goes on, so that there are days of it on the new tree.
    await service.put_plan(last_day="2025-12-30")
    answer = await service.client.post(
        "/v1/reorganisations",
        json={
            "effective_on": str(REFORM),
            "resolution": "202/2025/QH15",
            "placing": "all-to-kept-code",
            "rows": reform_mapping(),
        },
    )
    assert answer.status_code == 200, answer.text
    before, after = await remaining(service), await remaining(service, tree=str(REFORM))
    for name in ("eligible", "exempt", "planned"):
        assert before["62"][name] == after["51"][name]
        assert after[there][name] == sum(before[code][name] for code in parts)
    for name in ("reached", "remaining", "explained", "unexplained", "by_reason"):
        assert before["62"]["indicators"]["intake"][name] == after["51"]["indicators"]["intake"][name]
    assert after[there]["indicators"]["intake"]["explained"] == sum(20 + n for n in range(len(parts)))
    assert after[there]["indicators"]["intake"]["reported"] == 1

    # What is said of the merged commune stands in place of what its parts said; decisions add up.
    later = REFORM + timedelta(days=1)
    await service.move_clock(noon(later))
    await send(service, "PUT", f"remaining/{there}/intake/{later}", said({"reason": "abroad", "citizens": 7}))
    old_code = next(code for code in parts if code != there)
    wrong = decision(from_day=str(later), lines=[{"unit": old_code, "citizens": 1, "reason": "abroad"}])
    answer = await service.client.post(f"{CAMPAIGN}/exemptions", json=wrong)
    assert (answer.status_code, answer.json()["field"]) == (422, "lines.0.unit"), answer.text
    line = {"unit": there, "citizens": 3, "reason": "abroad"}
    await send(service, "POST", "exemptions", decision(number="a", from_day=str(later), lines=[line]))
    now = await remaining(service, as_of=str(later))
    assert now[there]["indicators"]["intake"]["explained"] == 7
    assert now[there]["exempt"] == after[there]["exempt"] + 3
    assert (await remaining(service))["62"] == before["62"]
