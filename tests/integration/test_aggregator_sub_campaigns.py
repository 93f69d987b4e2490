"""Sub-campaigns: parts of a campaign that are campaigns themselves, over the same counters."""

import asyncio
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
)
from tests.support.counters import count_in
from tests.support.directory import REFORM
from tests.support.postgres import Database
from tests.support.units import country, reform_mapping
from tiendo_common.clock import VIETNAM
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import CampaignPublished, ProgressPublished

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

WHOLE, PART = "/v1/campaigns/kon-tum-2023", "/v1/campaigns/town"
FIRST, BEGIN, TODAY = date(2023, 11, 11), date(2023, 11, 20), date(2023, 11, 28)
#: The town, and one commune of another district beside it.
TOWN, OTHER_DISTRICT, BESIDE, ELSEWHERE = "608", "612", "23427", "23428"
COMMUNES = [*country().as_of(FIRST).communes(TOWN), BESIDE]
A, B = COMMUNES[:2]


def part(**change: Any) -> dict[str, Any]:
    return plan_document(**{
        "name": "Chiến dịch thành phần: thành phố", "parent": "kon-tum-2023", "units": [TOWN, BESIDE],
        "first_day": str(BEGIN), "last_day": "2023-12-10", "figures": [],
        "eligible": dict.fromkeys(COMMUNES, 100), "targets": [{"indicator": "intake", "value": 220}], **change,
    })  # fmt: skip


async def put(service: RunningAggregator, path: str, document: dict[str, Any]) -> Any:
    answer = await service.client.put(path, json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Ten of the town before the part began, twenty since; five beside it, and fifty who are in no part."""
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(datetime(2023, 11, 11, 12, tzinfo=VIETNAM))
        await each.put_plan()
        await put(each, PART, part())
        await each.move_clock(datetime(2023, 11, 28, 12, tzinfo=VIETNAM))
        await count_in(each, {
            ("intake", 2, A, FIRST): 10,
            ("intake", 2, A, BEGIN): 12,
            ("intake", 1, B, BEGIN + timedelta(1)): 8,
            ("intake", 2, BESIDE, BEGIN): 5,
            ("intake", 2, ELSEWHERE, BEGIN): 50,
        })  # fmt: skip
        yield each


async def intakes(
    service: RunningAggregator, path: str, **asked: Any
) -> dict[str, tuple[int, int, int | None]]:
    """Value, baseline and target of each unit that is told of and has any."""
    found = (await service.get(f"{path}/progress", depth=3, **asked))["units"]
    standings = {unit["code"]: unit["indicators"]["intake"] for unit in found}
    return {
        code: (each["value"], each["baseline"], each["target"])
        for code, each in standings.items()
        if each["value"]
    }


async def test_a_part_is_told_of_as_any_campaign_of_its_units_alone(
    service: RunningAggregator, feed: Producers
) -> None:
    listed = (await service.get(WHOLE))["sub_campaigns"]
    assert listed == [
        {
            "id": "town", "name": "Chiến dịch thành phần: thành phố", "first_day": str(BEGIN),
            "last_day": "2023-12-10", "units": [TOWN, BESIDE],
        }
    ]  # fmt: skip
    own = await service.get(PART)
    assert (own["parent"], own["units"], own["sub_campaigns"]) == ("kon-tum-2023", [TOWN, BESIDE], [])
    lines = (await service.get("/v1/campaigns"))["campaigns"]
    assert [(line["id"], line["parent"]) for line in lines] == [
        ("kon-tum-2023", None),
        ("town", "kon-tum-2023"),
    ]

    share = 220 // len(COMMUNES)
    assert await intakes(service, PART) == {
        "62": (35, 10, 220),
        TOWN: (30, 10, 220 - share),
        A: (22, 10, share),
        B: (8, 0, share),
        OTHER_DISTRICT: (5, 0, share),
        BESIDE: (5, 0, share),
    }
    whole = await intakes(service, WHOLE)
    assert {code: each[:2] for code, each in whole.items()} == {
        "62": (85, 0), TOWN: (30, 0), A: (22, 0), B: (8, 0),
        OTHER_DISTRICT: (55, 0), BESIDE: (5, 0), ELSEWHERE: (50, 0),
    }  # fmt: skip
    outside = await service.client.get(f"{PART}/progress", params={"unit": ELSEWHERE})
    assert (outside.status_code, outside.json()["field"]) == (422, "unit")

    pace = (await service.get(f"{PART}/pace"))["units"][0]["indicators"]["intake"]
    assert (pace["value"], pace["target"]) == (35, 220)
    ranks = await service.get(f"{PART}/ranks", indicator="intake")
    assert ranks["indicators"]["intake"]["best"][0] == A
    assert {unit["code"] for unit in ranks["indicators"]["intake"]["units"]} == set(COMMUNES)
    forecast = await service.get(f"{PART}/forecast", indicator="intake")
    assert forecast["indicators"]["intake"]["value"] == 35
    funnel = (await service.get(f"{PART}/funnel"))["units"][0]
    assert funnel["communes"] == len(COMMUNES)

    # Others hear the same.
    campaigns = EventDecoder([CampaignPublished])
    rows = await service.kit.pool.fetch("SELECT body FROM log_campaigns ORDER BY seq")
    published = {each.data.campaign: each.data for each in (campaigns.decode(row["body"]) for row in rows)}
    assert published["town"].parent == "kon-tum-2023"
    assert not published["kon-tum-2023"].parent

    now = datetime(2023, 11, 28, 22, tzinfo=VIETNAM)
    await feed.complete_to(now)
    await service.move_clock(now)

    async def closed() -> bool:
        return bool((await service.get(PART))["closed_through"] == str(TODAY))

    await eventually(closed)
    progress = EventDecoder([ProgressPublished])
    rows = await service.kit.pool.fetch(
        "SELECT body FROM log_progress WHERE key LIKE 'town/%/2023-11-28' ORDER BY key"
    )
    found = {
        each.data.unit: each.data.intake.value for each in (progress.decode(row["body"]) for row in rows)
    }
    assert found.keys() == {"62", TOWN, OTHER_DISTRICT, *COMMUNES}
    assert (found["62"], found[TOWN], found[OTHER_DISTRICT]) == (35, 30, 5)


async def test_what_is_kept_of_a_campaign_is_kept_of_its_units(service: RunningAggregator) -> None:
    groups = [
        {"id": "town", "name": "TP", "units": [TOWN]},
        {"id": "beside", "name": "X", "units": [OTHER_DISTRICT]},
    ]
    contest = {
        "id": "c", "name": "Thi đua", "measure": "per_1000", "indicator": "intake", "first_day": str(BEGIN),
        "last_day": "2023-12-01", "groups": groups,
    }  # fmt: skip
    phase = {"id": "sprint", "name": "Nước rút", "first_day": "2023-11-25", "last_day": "2023-12-01"}
    declaring = {"cut_off": "16:30:00", "units": [A]}
    await put(service, PART, part(contests=[contest], phases=[phase], declaring=declaring))
    standing = (await service.get(f"{PART}/contests"))["contests"][0]["groups"]
    # Of the other district only the commune that takes part.
    assert [(each["id"], each["value"], each["eligible"]) for each in standing] == [
        ("beside", 5, 100),
        ("town", 30, 100 * (len(COMMUNES) - 1)),
    ]
    assert (await intakes(service, PART, phase="sprint"))["62"][:2] == (35, 35)

    async def refused(method: str, path: str, field: str, document: dict[str, Any]) -> None:
        answer = await service.client.request(method, path, json=document)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text

    stranger = {**contest, "groups": [groups[0], {**groups[1], "units": [ELSEWHERE]}]}
    await refused("PUT", PART, "contests.0.groups.1.units.0", part(contests=[stranger]))
    await refused("PUT", PART, "declaring.units.0", part(declaring={**declaring, "units": [ELSEWHERE]}))
    paper = {
        "number": "15/QĐ", "signed_by": "Chủ tịch", "from_day": str(BEGIN), "document": "Văn phòng",
        "lines": [{"unit": ELSEWHERE, "citizens": 1, "reason": "abroad"}],
    }  # fmt: skip
    await refused("POST", f"{PART}/exemptions", "lines.0.unit", paper)
    paper["lines"] = [{"unit": BESIDE, "citizens": 40, "reason": "abroad"}]
    assert (await service.client.post(f"{PART}/exemptions", json=paper)).status_code == 200
    units = (await service.get(f"{PART}/progress"))["units"]
    assert units[0]["indicators"]["intake"]["exempt"] == 40
    # The parent counts its eligible by its own decisions.
    assert (await service.get(f"{WHOLE}/progress"))["units"][0]["indicators"]["intake"]["exempt"] == 0

    measure = {"name": "Ký số", "targets": {"62": 60}, "decimals": 0}
    await put(service, f"{PART}/measures/signatures", measure)
    told = {"standings": [{"unit": "62", "day": str(TODAY), "value": 30, "source": "Sở TT&TT"}]}
    answer = await service.client.post(f"{PART}/measures/signatures/standings", json=told)
    assert answer.status_code == 200, answer.text
    measured = (await service.get(f"{PART}/measures"))["measures"][0]["units"][0]
    assert (measured["value"], measured["percent_of_target"], measured["communes"]) == (
        30,
        "50",
        len(COMMUNES),
    )
    round_ = {"name": "Rà soát", "level": "commune", "first_day": str(BEGIN), "last_day": "2023-12-01"}
    await refused("PUT", f"{PART}/rechecks/r", "units.0", {**round_, "units": [ELSEWHERE]})
    await put(service, f"{PART}/rechecks/r", {**round_, "units": [BESIDE]})

    # A decision stands on one of its units: the plan may not leave that out.
    without = part(units=[TOWN], eligible=dict.fromkeys(COMMUNES[:-1], 100), targets=[])
    answer = await service.client.put(PART, json=without)
    assert answer.status_code == 409, answer.text


async def test_what_is_no_part_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    faults: list[tuple[int, str, str, dict[str, Any]]] = [
        (422, "parent", "part of itself", {"parent": "town"}),
        (422, "parent", "no campaign 'hue'", {"parent": "hue"}),
        (422, "parent", "small letters", {"parent": "Kon Tum"}),
        (422, "units.0", "no district or commune", {"units": ["00001"]}),
        (422, "units.0", "three or five digits", {"units": ["62"]}),
        (422, "units.1", "is there twice", {"units": [TOWN, TOWN]}),
        (422, "units.1", "is in 608 and in", {"units": [TOWN, A]}),
        (422, "last_day", "works to 2023-12-30", {"last_day": "2023-12-31"}),
        (422, "last_day", "date", {"last_day": "2023-02-29"}),
        (422, "first_day", "before kon-tum-2023 does", {"first_day": "2023-11-10"}),
        (422, "eligible.23428", "no communes of the campaign", {"eligible": {ELSEWHERE: 1}}),
        (422, "set_targets.intake.23428", "of the campaign", {"set_targets": {"intake": {ELSEWHERE: 1}}}),
    ]
    for status, field, words, change in faults:
        answer = await service.client.put(PART, json=part(**change))
        assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
        assert words in answer.json()["detail"] + str(answer.json()), answer.text
    for field, change in (
        ("last_day", {"last_day": "2023-12-09"}),
        ("first_day", {"first_day": "2023-11-21"}),
        ("parent", {"parent": "town"}),
    ):
        answer = await service.client.put(WHOLE, json=plan_document(**change))
        assert answer.json()["field"] == field, answer.text
        assert answer.status_code == (422 if field == "parent" else 409)
        assert "town" in answer.json()["detail"]
    for path in (WHOLE, PART):
        assert len((await service.get(f"{path}/versions"))["versions"]) == 1

    # Nor can two writers at once make campaigns parts of each other.
    paths = [f"/v1/campaigns/{name}" for name in ("one", "other")]
    for path in paths:
        await put(service, path, part(parent=None))
    answers = await asyncio.gather(
        service.client.put(paths[0], json=part(parent="other")),
        service.client.put(paths[1], json=part(parent="one")),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    [refused] = [answer for answer in answers if answer.status_code == 422]
    assert "in a ring" in refused.json()["detail"]


async def test_a_part_goes_on_as_what_its_units_became(service: RunningAggregator) -> None:
    became = {row["from_code"]: row["to_code"] for row in reform_mapping()}
    there = became[A]
    together = [code for code in kon_tum_communes() if became.get(code) == there]
    later = {"last_day": "2025-12-30"}
    await service.put_plan(**later)
    own = {"units": together, "eligible": dict.fromkeys(together, 100), "parent": "kon-tum-2023"}
    await put(service, "/v1/campaigns/group", part(**{**later, **own}))
    await put(service, "/v1/campaigns/torn", part(**{**later, **own, "units": [A], "eligible": {A: 500}}))
    mapping = {
        "effective_on": str(REFORM), "resolution": "202/2025/QH15", "placing": "all-to-kept-code",
        "rows": reform_mapping(),
    }  # fmt: skip
    answer = await service.client.post("/v1/reorganisations", json=mapping)
    assert answer.status_code == 200, answer.text
    sides = {each["campaign"]: each for each in answer.json()["campaigns"]}
    assert sides["group"]["before"]["indicators"] == sides["group"]["after"]["indicators"]
    after = REFORM + timedelta(1)
    await service.move_clock(datetime(after.year, after.month, after.day, 12, tzinfo=VIETNAM))
    await count_in(service, {("intake", 2, there, after): 4})
    assert await intakes(service, "/v1/campaigns/group") == {"51": (26, 10, 220), there: (26, 10, 220)}
    # A part of what became one unit can be told of as long as it was one.
    assert (await intakes(service, "/v1/campaigns/torn", as_of="2025-06-30"))[A][0] == 22
    answer = await service.client.get("/v1/campaigns/torn/progress")
    assert (answer.status_code, answer.json()["field"]) == (422, "as_of"), answer.text
