"""Units through time over HTTP: trees brought, reorganisations looked at, applied, taken back."""

import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    keys_file,
    plan_document,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tests.support.units import (
    CENSUS,
    QUANG_BINH_BY_HAND,
    REFORM,
    country,
    reform_mapping,
    tree_document,
)
from tiendo_common.clock import VIETNAM
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import ProgressPublished, TargetSet, UnitPublished

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

FIRST = date(2023, 11, 11)
LAST = "2023-12-30"
EVE = datetime(2023, 11, 10, 20, tzinfo=VIETNAM)
#: Province, and what it is from 2025-07-01 on.
FIVE = {
    "binh-phuoc-2023": ("70", "75"),
    "kon-tum-2023": ("62", "51"),
    "bac-lieu-2023": ("95", "96"),
    "dien-bien-2023": ("11", "11"),
    "quang-binh-2023": ("44", "44"),
}

REFORM_DOCUMENT: dict[str, Any] = {
    "effective_on": REFORM.isoformat(),
    "resolution": "202/2025/QH15",
    "placing": "all-to-kept-code",
    "rows": reform_mapping(),
}
BY_HAND: dict[str, Any] = {
    "effective_on": CENSUS.isoformat(),
    "resolution": "by hand, for this test",
    "within": ["44"],
    "rows": [
        {"from_code": code, "to_code": there, "share": "whole"} for code, there in QUANG_BINH_BY_HAND.items()
    ],
}


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(EVE)
        await feed.complete_to(EVE)
        yield each


def communes_of(province: str) -> list[str]:
    return country().as_of(FIRST).communes(province)


def citizens(communes: Sequence[str]) -> list[NewEvent]:
    """A few citizens of each commune, the more the later its code: at both levels, from before the campaign and in
    it, with teams of the district and of the next commune at work, some approved and active."""
    tree = country().as_of(FIRST)
    events: list[NewEvent] = []
    for place, code in enumerate(communes):
        district = tree.units[code].parent
        neighbour = communes[place - 1]
        for n in range(1 + place % 4):
            day = FIRST + timedelta(days=9 * n - 4)
            team = (code, neighbour, district)[n % 3]
            one = segment(day, code, level=1 + n % 2, collecting=team)
            events.append(restated("intake", [one], known=day))
            if n % 2:
                events.append(restated("approved", [one], known=day))
                events.append(restated("activated", [one], known=day))
    return events


async def put_campaign(service: RunningAggregator, campaign: str, province: str) -> None:
    communes = communes_of(province)
    document = plan_document(
        name=campaign,
        province=province,
        eligible={code: 900 + 13 * place % 700 for place, code in enumerate(communes)},
        targets=[{"indicator": "intake", "value": 50_001}, {"indicator": "activated", "value": 30_007}],
    )
    answer = await service.client.put(f"/v1/campaigns/{campaign}", json=document)
    assert answer.status_code == 200, answer.text


async def post(service: RunningAggregator, document: dict[str, Any], *, dry_run: bool = False) -> Any:
    answer = await service.client.post("/v1/reorganisations", json=document, params={"dry_run": dry_run})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(service: RunningAggregator, method: str, path: str, document: Any, **params: str) -> Any:
    """The problem that a document is answered with."""
    answer = await service.client.request(method, path, json=document, params=params)
    assert answer.status_code in (409, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


async def export(service: RunningAggregator, campaign: str) -> bytes:
    """All that is said of a campaign, byte for byte: its plan, every unit by residence and by team, on its own tree and
    on the later ones, and the counters themselves."""
    said = []
    for tree in (LAST, CENSUS.isoformat(), REFORM.isoformat()):
        for by in ("residence", "collecting"):
            answer = await service.client.get(
                f"/v1/campaigns/{campaign}/progress",
                params={"as_of": LAST, "tree": tree, "by": by, "depth": 9},
            )
            said.append(answer.content)
    said.append((await service.client.get(f"/v1/campaigns/{campaign}")).content)
    for table in ("total", "target", "eligible"):
        rows = await service.kit.pool.fetch(f"SELECT t::text FROM {table} AS t ORDER BY 1")
        said.append("\n".join(row[0] for row in rows).encode())
    return b"\n".join(said)


NUMBERS = (
    "value",
    "level_1",
    "level_2",
    "baseline",
    "since_baseline",
    "target",
    "eligible",
    "exempt",
    "planned",
)


async def standings(
    service: RunningAggregator, campaign: str, tree: str, by: str = "residence"
) -> dict[str, dict[tuple[str, str], int]]:
    """Every number of every unit, by code; null is zero."""
    answer = await service.get(f"/v1/campaigns/{campaign}/progress", as_of=LAST, tree=tree, by=by, depth=9)
    assert answer["tree"] == tree
    return {
        unit["code"]: {
            (indicator, number): standing[number] or 0
            for indicator, standing in unit["indicators"].items()
            for number in NUMBERS
        }
        for unit in answer["units"]
    }


async def assert_carried_over(service: RunningAggregator, campaign: str, took: dict[str, str]) -> None:
    """The totals are equal, and each new commune is the sum of the old ones that it took in."""
    province, becomes = FIVE[campaign]
    for by in ("residence", "collecting"):
        before = await standings(service, campaign, LAST, by)
        after = await standings(service, campaign, REFORM.isoformat(), by)
        assert before[province] == after[becomes]
        assert before[province]["intake", "value"] > 100
        communes = communes_of(province)
        sums: defaultdict[str, defaultdict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
        for code in communes:
            for key, n in before[code].items():
                sums[took[code]][key] += n
        assert {code: after[code] for code in sums} == sums
        assert after.keys() == {becomes, *sums}


def took_in() -> dict[str, str]:
    """Where each commune of 2023 is from 2025-07-01 on; none of the five provinces has a divided one."""
    reform = {row["from_code"]: row["to_code"] for row in reform_mapping()}
    census = country().as_of(CENSUS).units
    return {
        code: reform[QUANG_BINH_BY_HAND.get(code, code)]
        for province, _ in FIVE.values()
        for code in communes_of(province)
        if code in census or code in QUANG_BINH_BY_HAND
    }


# --- the reform of 2025-07-01 ------------------------------------------------------------------------------------


async def test_kon_tum_is_the_same_in_quang_ngai_and_byte_equal_once_undone(
    service: RunningAggregator, feed: Producers
) -> None:
    await service.put_plan()
    await feed.append(citizens(communes_of("62")))
    await service.drain(feed)
    at_first = await export(service, "kon-tum-2023")

    looked = await post(service, REFORM_DOCUMENT, dry_run=True)
    assert (looked["dry_run"], looked["id"], looked["applicable"]) == (True, None, True)
    assert await export(service, "kon-tum-2023") == at_first

    applied = await post(service, REFORM_DOCUMENT)
    assert applied == looked | {"dry_run": False, "id": applied["id"]}
    await assert_carried_over(service, "kon-tum-2023", took_in())
    [campaign] = applied["campaigns"]
    assert (campaign["before"]["root"], campaign["after"]["root"]) == ("62", "51")
    assert campaign["before"]["indicators"] == campaign["after"]["indicators"]
    assert campaign["before"]["indicators"]["intake"]["value"] == 253
    assert (campaign["before"]["units"], campaign["after"]["units"]) == (113, 41)
    # As of earlier days the tree is the earlier one.
    answer = await service.get("/v1/campaigns/kon-tum-2023/progress", as_of=LAST, depth=1)
    assert [unit["name"] for unit in answer["units"]][:2] == ["Tỉnh Kon Tum", "Thành phố Kon Tum"]
    commune = await service.get(
        "/v1/campaigns/kon-tum-2023/progress", as_of=LAST, tree="2025-07-01", unit="23293"
    )
    assert [unit["name"] for unit in commune["units"]] == ["Phường Kon Tum"]
    # Pace is taken from the same sums.
    path = "/v1/campaigns/kon-tum-2023/pace"
    [before] = (await service.get(path, as_of=LAST))["units"]
    after, *communes = (await service.get(path, as_of="2025-07-01", depth=1))["units"]
    assert (before["code"], after["code"], len(communes)) == ("62", "51", 40)
    for indicator, pace in after["indicators"].items():
        for number in ("value", "target", "baseline", "owed", "remaining"):
            assert pace[number] == before["indicators"][indicator][number]
        assert pace["value"] == sum(unit["indicators"][indicator]["value"] for unit in communes)
        assert pace["target"] == sum(unit["indicators"][indicator]["target"] for unit in communes)

    undone = await service.client.delete(f"/v1/reorganisations/{applied['id']}")
    assert undone.json()["undone_by"] == "admin"
    assert await export(service, "kon-tum-2023") == at_first
    assert (await service.client.delete(f"/v1/reorganisations/{applied['id']}")).json() == undone.json()
    [line] = (await service.get("/v1/reorganisations"))["reorganisations"]
    assert (line["rows"], line["rule"], line["resolution"]) == (10_602, "all-to-kept-code", "202/2025/QH15")
    again = await post(service, REFORM_DOCUMENT)
    assert again["id"] > applied["id"]


async def test_the_five_campaigns_of_2023_are_carried_over_with_the_whole_country(
    service: RunningAggregator, feed: Producers
) -> None:
    for campaign, (province, _) in FIVE.items():
        await put_campaign(service, campaign, province)
        await feed.append(citizens(communes_of(province)))
    await service.drain(feed)
    looked = await post(service, {**BY_HAND, "rows": []}, dry_run=True)
    assert not looked["applicable"]
    assert [unit["code"] for unit in looked["unmapped"]] == sorted(QUANG_BINH_BY_HAND)
    problem = await refused(service, "POST", "/v1/reorganisations", {**BY_HAND, "rows": []})
    assert problem["field"] == "rows"
    assert "Xã Hóa Phúc (18910)" in problem["detail"]

    looked = await post(service, REFORM_DOCUMENT, dry_run=True)
    assert {each["campaign"]: each["problem"] is None for each in looked["campaigns"]} == {
        campaign: campaign != "quang-binh-2023" for campaign in FIVE
    }
    await post(service, BY_HAND)
    applied = await post(service, REFORM_DOCUMENT)
    assert applied["counts"]["divide"] == 471
    assert applied["levels_dropped"] == ["district"]
    for campaign in applied["campaigns"]:
        assert campaign["before"]["indicators"] == campaign["after"]["indicators"]
    for campaign in FIVE:
        await assert_carried_over(service, campaign, took_in())


async def test_what_happens_later_to_old_records_is_counted_where_their_commune_went(
    service: RunningAggregator, feed: Producers
) -> None:
    await service.put_plan()
    await post(service, REFORM_DOCUMENT)
    later = date(2025, 9, 1)
    # A commune whose code is gone since; the facts come late, and out of order.
    took = took_in()
    here = next(code for code in communes_of("62") if took[code] != code)
    there = took[here]
    taken = segment(FIRST, here, level=1)
    upgraded = [segment(FIRST, here, level=1, until=later), segment(later, here)]
    await feed.append(
        [
            restated("intake", upgraded, [taken], known=later, record="a"),
            restated("intake", [taken], known=FIRST, record="a"),
            restated("intake", [segment(FIRST, here)], known=FIRST, record="b"),
            restated("intake", [], [segment(FIRST, here)], known=later, record="b"),
            restated("approved", [segment(later, here)], known=later, record="a"),
            restated("intake", [segment(later, there)], known=later, record="c"),
            restated("intake", [segment(later, "51")], known=later, record="of Quang Ngai's own"),
        ]
    )
    await service.drain(feed)
    answer = await service.get("/v1/campaigns/kon-tum-2023/progress", as_of="2025-09-01", depth=9)
    assert answer["tree"] == "2025-09-01"
    for unit in answer["units"]:
        intake, approved = unit["indicators"]["intake"], unit["indicators"]["approved"]
        expected = (0, 2, 1) if unit["code"] in (there, "51") else (0, 0, 0)
        assert (intake["level_1"], intake["level_2"], approved["value"]) == expected


# --- running campaigns -------------------------------------------------------------------------------------------


async def newest_units(service: RunningAggregator, campaign: str) -> set[str]:
    """The units under which a campaign's progress was last published, by day."""
    decoder = EventDecoder([ProgressPublished])
    rows = await service.kit.pool.fetch("SELECT body FROM log_progress WHERE key LIKE $1 || '/%/%'", campaign)
    events = [decoder.decode(row["body"]).data for row in rows]
    last = max((event.day for event in events), default=None)
    return {event.unit for event in events if event.day == last}


async def published_targets(service: RunningAggregator, campaign: str, indicator: str) -> dict[str, int]:
    """The newest target of each unit."""
    decoder = EventDecoder([TargetSet])
    rows = await service.kit.pool.fetch("SELECT body FROM log_targets")
    targets = [decoder.decode(row["body"]).data for row in rows]
    return {
        each.unit: each.value for each in targets if (each.campaign, each.indicator) == (campaign, indicator)
    }


async def test_a_running_campaign_is_published_under_its_new_units_once_they_are_mapped(
    database: Database, feed: Producers, tmp_path: Path
) -> None:
    async with aggregator(database, tmp_path) as service:

        async def until(now: datetime) -> None:
            await feed.complete_to(now)
            await service.move_clock(now)

        await until(datetime(2025, 6, 29, 20, tzinfo=VIETNAM))
        for campaign, province in (("kon-tum", "62"), ("ha-noi", "01")):
            communes = country().as_of(date(2025, 6, 30)).communes(province)
            document = plan_document(
                province=province,
                first_day="2025-06-30",
                last_day="2025-07-10",
                eligible=dict.fromkeys(communes, 5000),
            )
            answer = await service.client.put(f"/v1/campaigns/{campaign}", json=document)
            assert answer.status_code == 200, answer.text

        async def closed(campaign: str, day: str) -> bool:
            return bool((await service.get(f"/v1/campaigns/{campaign}"))["closed_through"] == day)

        await until(datetime(2025, 6, 30, 22, tzinfo=VIETNAM))
        await eventually(lambda: closed("kon-tum", "2025-06-30"))
        await until(datetime(2025, 7, 1, 22, tzinfo=VIETNAM))
        # Nothing says what the communes became: the day stays open, rather than being closed with nobody in it.
        assert await closed("kon-tum", "2025-06-30")
        only_kon_tum = {
            **REFORM_DOCUMENT,
            "within": ["62"],
            "rows": [
                row
                for row in reform_mapping()
                if row["from_code"] in country().as_of(date(2025, 6, 30)).communes("62")
            ],
        }
        await post(service, only_kon_tum)
        await until(datetime(2025, 7, 2, 22, tzinfo=VIETNAM))
        await eventually(lambda: closed("kon-tum", "2025-07-02"))
        assert await closed("ha-noi", "2025-06-30")
        units = await newest_units(service, "kon-tum")
        took = took_in()
        assert units == {"51", *(took[code] for code in communes_of("62"))}
        # Whoever judges these figures knows what the new units must reach, to the same sum.
        goals = await published_targets(service, "kon-tum", "intake")
        at_first = (await service.get("/v1/campaigns/kon-tum/progress", as_of="2025-06-30", depth=9))["units"]
        sums: defaultdict[str, int] = defaultdict(int)
        for unit in at_first:
            if unit["level"] == "commune":
                sums[took[unit["code"]]] += unit["indicators"]["intake"]["target"]
        assert goals["51"] == sum(sums.values()) == 421_100
        assert {code: goals[code] for code in sums} == sums


async def test_another_replica_hears_of_it(database: Database, feed: Producers, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with aggregator(database, tmp_path) as one, aggregator(database, tmp_path / "other") as other:
        await one.put_plan()
        path = "/v1/campaigns/kon-tum-2023/progress"
        params = {"as_of": LAST, "tree": "2025-07-01"}
        assert (await other.client.get(path, params=params)).status_code == 422
        applied = await post(one, REFORM_DOCUMENT)
        assert (await one.client.get(path, params=params)).status_code == 200

        async def heard(status: int) -> bool:
            return bool((await other.client.get(path, params=params)).status_code == status)

        await eventually(lambda: heard(200))
        await other.client.delete(f"/v1/reorganisations/{applied['id']}")
        assert await heard(422)


# --- bad input ---------------------------------------------------------------------------------------------------


async def test_a_bad_mapping_is_refused_before_anything_is_written(service: RunningAggregator) -> None:
    await service.put_plan()
    rows = list(reform_mapping())
    divided = next(row["from_code"] for row in rows if row["share"] == "part")
    faults: list[tuple[str, str, dict[str, Any]]] = [
        ("rows.0.from_code", "no unit '99999'", {"rows": [rows[0] | {"from_code": "99999"}, *rows[1:]]}),
        ("rows.0.to_code", "no unit '99999'", {"rows": [rows[0] | {"to_code": "99999"}, *rows[1:]]}),
        ("rows.1.to_code", "stands already", {"rows": [rows[0], *rows]}),
        ("rows", "1 units would be lost: Phường Phúc Xá (00001)", {"rows": rows[1:]}),
        ("placing", "divided and have no rule", {"placing": None}),
        ("placing", "divided and have no rule", {"placing": "by-share"}),
        (f"shares.{divided}", "has the parts", {"shares": {divided: {"00001": 1}}}),
        ("shares.00001", "not divided", {"shares": {"00001": {"00001": 1}}}),
        ("placing", "divided and have no rule", {"placing": "by-hamlet"}),
        (f"by_hamlet.{divided}", "has the parts", {"by_hamlet": {divided: {"00001": 1}}}),
        ("placements", "while their code goes on", {"placing": "all-to-main"}),
        (f"placements.{divided}", "no part of", {"placements": {divided: "00001"}}),
        ("effective_on", "that of the day before", {"effective_on": "2025-07-02"}),
        ("within.0", "no unit '63'", {"within": ["63"]}),
        ("rows.0.share", "'whole', 'part-main' or 'part'", {"rows": [rows[0] | {"share": "half"}]}),
        ("rows.0.from_code", "two to ten digits", {"rows": [rows[0] | {"from_code": "x"}]}),
        ("rows.0.shar", "no such field", {"rows": [rows[0] | {"shar": "whole"}]}),
        ("resolution", "1 to 300 characters", {"resolution": ""}),
    ]
    for field, words, change in faults:
        problem = await refused(service, "POST", "/v1/reorganisations", {**REFORM_DOCUMENT, **change})
        assert problem["field"] == field, problem
        assert words in problem["detail"], problem
    assert (await service.get("/v1/reorganisations"))["reorganisations"] == []
    assert await service.kit.pool.fetchval("SELECT count(*) FROM reorganisation_step") == 0
    await post(service, REFORM_DOCUMENT)
    problem = await refused(service, "POST", "/v1/reorganisations", REFORM_DOCUMENT)
    assert problem["type"] == "urn:tiendo:problem:already-reorganised"
    answer = await service.client.delete("/v1/reorganisations/99")
    assert (answer.status_code, answer.json()["field"]) == (404, "id")


async def test_a_tree_older_than_the_figures_is_refused(service: RunningAggregator) -> None:
    await service.put_plan()
    answer = await service.client.get(
        "/v1/campaigns/kon-tum-2023/progress", params={"as_of": LAST, "tree": "2023-12-29"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "tree")
    await post(service, REFORM_DOCUMENT)
    for unit, words in (("62", "no unit '62'"), ("21025", "none of the campaign's in 51")):
        answer = await service.client.get(
            "/v1/campaigns/kon-tum-2023/progress",
            params={"as_of": LAST, "tree": "2025-07-01", "unit": unit},
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "unit"), answer.text
        assert words in answer.json()["detail"]


async def test_who_may_only_read_changes_no_unit(service: RunningAggregator, tmp_path: Path) -> None:
    path = keys_file(tmp_path)
    document = json.loads(path.read_text())
    digest = hashlib.sha256(b"planner").hexdigest()
    document["keys"].append(
        {"name": "planner", "sha256": digest, "scopes": ["progress:read", "campaign:write"]}
    )
    path.write_text(json.dumps(document))
    service.kit.keys.refresh()
    planner = {"Authorization": "Bearer planner"}
    assert (await service.client.get("/v1/reorganisations", headers=planner)).status_code == 200
    for method, where in [
        ("POST", "/v1/reorganisations?dry_run=true"),
        ("DELETE", "/v1/reorganisations/1"),
        ("PUT", "/v1/units/editions/2026-01-01?dry_run=true"),
    ]:
        answer = await service.client.request(method, where, json={}, headers=planner)
        assert answer.status_code == 403, where


# --- trees -------------------------------------------------------------------------------------------------------

NEXT = "2026-03-01"
EDITION = f"/v1/units/editions/{NEXT}"


def next_tree() -> list[dict[str, Any]]:
    """The country after 2025-07-01, but for one commune less and another name."""
    units = [unit for unit in tree_document(country(), REFORM) if unit["code"] != "23302"]
    [kon_tum] = [unit for unit in units if unit["code"] == "23293"]
    kon_tum["name"] = "Phường Kon Tum Mới"
    return units


async def published_units(service: RunningAggregator) -> dict[str, UnitPublished]:
    decoder = EventDecoder([UnitPublished])
    rows = await service.kit.pool.fetch("SELECT key, body FROM log_units")
    return {row["key"]: decoder.decode(row["body"]) for row in rows}


async def test_a_tree_is_looked_at_then_brought_published_and_kept(
    database: Database, feed: Producers, tmp_path: Path
) -> None:
    document = {"units": next_tree()}
    async with aggregator(database, tmp_path) as service:
        before = await published_units(service)
        looked = await service.client.put(EDITION, json=document, params={"dry_run": True})
        assert looked.json() == {
            "dry_run": True,
            "from_day": NEXT,
            "until_day": None,
            "units": 3354,
            "counts": {"added": 0, "gone": 1, "renamed": 1, "moved": 0},
            "difference": {"added": [], "gone": ["23302"], "renamed": ["23293"], "moved": []},
        }
        assert await published_units(service) == before
        assert (await service.get("/v1/units", as_of=NEXT, code="23302"))["units"]

        brought = await service.client.put(EDITION, json=document)
        assert brought.json() == looked.json() | {"dry_run": False}
        after = await published_units(service)
        assert {code for code in after if after[code] != before[code]} == {"23293", "23302"}
        assert after["23302"].data.spans[-1].until_day == date(2026, 3, 1)
        assert (await service.client.put(EDITION, json=document)).status_code == 200
        assert await published_units(service) == after
    async with aggregator(database, tmp_path) as service:
        assert await published_units(service) == after
        [unit] = (await service.get("/v1/units", as_of=NEXT, search="kon tum moi"))["units"]
        assert (unit["code"], unit["from_day"]) == ("23293", NEXT)
        merged = {
            "effective_on": NEXT,
            "resolution": "1/NQ",
            "rows": [{"from_code": "23302", "to_code": "23293", "share": "whole"}],
        }
        applied = await post(service, merged)
        assert [(each["kind"], each["become"][0]["name"]) for each in applied["operations"]] == [
            ("merge", "Phường Kon Tum Mới")
        ]


async def test_a_bad_tree_is_refused_before_anything_is_written(service: RunningAggregator) -> None:
    units = next_tree()
    place = {unit["code"]: place for place, unit in enumerate(units)}

    def changed(code: str, **change: Any) -> list[dict[str, Any]]:
        return [unit | change if unit["code"] == code else unit for unit in units]

    faults: list[tuple[str, str, Any]] = [
        (f"units.{len(units)}.code", "both would be valid on the same days", [*units, units[5]]),
        (f"units.{place['23293']}.parent_code", "isn't in this tree", changed("23293", parent_code="62")),
        (f"units.{place['51']}.parent_code", "51 below 51", changed("51", parent_code="51")),
        (f"units.{place['51']}.level", "province below the province", changed("51", parent_code="52")),
        (
            f"units.{place['23293']}.level",
            "'province', 'district' or 'commune'",
            changed("23293", level="hamlet"),
        ),
        ("units", "at least 1", []),
    ]
    for field, words, tree in faults:
        problem = await refused(service, "PUT", EDITION, {"units": tree})
        assert problem["field"] == field, problem
        assert words in problem["detail"], problem
    problem = await refused(service, "PUT", "/v1/units/editions/1999-01-01", {"units": units})
    assert problem["field"] == "from_day"
    assert await service.kit.pool.fetchval("SELECT count(*) FROM unit_edition") == 0


async def test_a_tree_does_not_pull_the_ground_from_under_what_is_in_force(
    service: RunningAggregator,
) -> None:
    await service.put_plan()
    await post(service, REFORM_DOCUMENT)
    problem = await refused(service, "PUT", "/v1/units/editions/2025-07-01", {"units": next_tree()})
    assert (problem["type"], problem["field"]) == ("urn:tiendo:problem:edition-contradicted", "units")
    assert "no unit '23302'" in problem["detail"]
    problem = await refused(service, "PUT", "/v1/units/editions/2023-06-01", {"units": next_tree()})
    assert problem["type"] == "urn:tiendo:problem:edition-contradicted"
    await service.client.delete("/v1/reorganisations/1")
    problem = await refused(service, "PUT", "/v1/units/editions/2023-06-01", {"units": next_tree()})
    assert "Campaign kon-tum-2023 would have other units on its first day" in problem["detail"]
