"""Indicators beyond accounts: told by other systems, targeted and asked for like the counted ones."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.aggregator import RunningAggregator, aggregator, keys_file, kon_tum_communes, producers
from tests.support.postgres import Database
from tests.support.units import REFORM, reform_mapping
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

MEASURES = "/v1/campaigns/kon-tum-2023/measures"
FIRST = date(2023, 11, 11)
INSURANCE = {"name": "Thẻ đồng bộ với bảo hiểm y tế", "out_of": "Thẻ CCCD đã cấp", "decimals": 1}
TURNS = {"name": "Lượt tuyên truyền", "decimals": 1}


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, 30, tzinfo=VIETNAM)


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with producers(database), aggregator(database, tmp_path) as each:
        await each.move_clock(evening(FIRST))
        await each.put_plan()
        yield each


async def put(service: RunningAggregator, id_: str, document: dict[str, Any]) -> Any:
    answer = await service.client.put(f"{MEASURES}/{id_}", json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(unit: str, value: int, out_of: int | None = None, day: date = FIRST) -> dict[str, Any]:
    return {"unit": unit, "day": str(day), "value": value, "out_of": out_of, "source": "Bảo hiểm xã hội"}


async def post(service: RunningAggregator, id_: str, *standings: dict[str, Any]) -> httpx2.Response:
    return await service.client.post(f"{MEASURES}/{id_}/standings", json={"standings": list(standings)})


async def tell(service: RunningAggregator, id_: str, *standings: dict[str, Any]) -> Any:
    answer = await post(service, id_, *standings)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def top(service: RunningAggregator, **asked: str | int) -> dict[str, Any]:
    """The province (or another unit) on the only measure."""
    [measure] = (await service.get(MEASURES, **asked))["measures"]
    unit: dict[str, Any] = measure["units"][0]
    return unit


async def test_a_share_is_cut_at_its_own_decimals_and_printed_again_as_it_was_known(
    service: RunningAggregator,
) -> None:
    await put(service, "insurance", INSURANCE)
    assert (await top(service))["how"] == "not_reported"
    assert await tell(service, "insurance", told("62", 95_199, 100_000)) == {
        "told": 1, "corrected": 0, "repeated": 0,
    }  # fmt: skip
    printed = await top(service)
    assert (printed["value"], printed["out_of"], printed["percent"]) == (95_199, 100_000, "95.1")
    assert (printed["how"], printed["sources"]) == ("reported", ["Bảo hiểm xã hội"])
    await service.move_clock(evening(FIRST + timedelta(1)))
    changed = await tell(service, "insurance", told("62", 95_000, 100_000))
    assert changed == {"told": 0, "corrected": 1, "repeated": 0}
    again = await tell(service, "insurance", told("62", 95_000, 100_000))
    assert again == {"told": 0, "corrected": 0, "repeated": 1}
    assert (await top(service))["percent"] == "95.0"
    assert await top(service, known_at=str(FIRST), as_of=str(FIRST)) == printed
    history = (await service.get(f"{MEASURES}/insurance/standings", unit="62"))["standings"]
    assert [(each["revision"], each["value"], each["known_day"], each["told_by"]) for each in history] == [
        (1, 95_199, "2023-11-11", "admin"),
        (2, 95_000, "2023-11-12", "admin"),
    ]


async def test_a_later_standing_replaces_an_earlier_one_and_is_not_seen_on_days_before_it(
    service: RunningAggregator,
) -> None:
    await put(service, "turns", TURNS)
    await service.move_clock(evening(FIRST + timedelta(2)))
    await tell(service, "turns", told("62", 10_500, day=FIRST + timedelta(2)), told("62", 4_000))
    assert [(await top(service, as_of=str(FIRST + timedelta(n))))["value"] for n in range(3)] == [
        4_000, 4_000, 10_500,
    ]  # fmt: skip
    before = await top(service, as_of=str(FIRST - timedelta(1)))
    assert (before["how"], before["value"]) == ("not_reported", None)


async def test_a_target_is_versioned_and_what_is_over_it_is_shown(service: RunningAggregator) -> None:
    decision = {"number": "12/KH-UBND", "signed_by": "Chủ tịch UBND tỉnh", "from_day": "2023-11-01"}
    await put(service, "online", {**TURNS, "targets": {"62": 190_315}, "decision": decision})
    await tell(service, "online", told("62", 200_022))
    assert (await top(service))["percent_of_target"] == "105.1"
    await service.move_clock(evening(FIRST + timedelta(1)))
    changed = await put(service, "online", {**TURNS, "targets": {"62": 250_000}, "decision": decision})
    assert (changed["version"], changed["known_day"], changed["decision"]) == (2, "2023-11-12", decision)
    assert (await put(service, "online", {**TURNS, "targets": {"62": 250_000}, "decision": decision}))[
        "version"
    ] == 2
    assert (await top(service))["percent_of_target"] == "80.0"
    assert (await top(service, known_at=str(FIRST)))["percent_of_target"] == "105.1"


async def test_what_communes_told_is_summed_and_who_told_nothing_is_no_zero(
    service: RunningAggregator,
) -> None:
    await put(service, "insurance", INSURANCE)
    one, two = (code for code in kon_tum_communes() if code in ("23281", "23284"))
    await tell(service, "insurance", told(one, 30, 40), told(two, 50, 40))
    [measure] = (await service.get(MEASURES, depth=2))["measures"]
    units = {each["code"]: each for each in measure["units"]}
    province = units["62"]
    assert (province["how"], province["value"], province["out_of"]) == ("summed", 80, 80)
    assert (province["covered"], province["communes"]) == (2, 102)
    # More than the whole is shown as it was told, and marked.
    assert (units[two]["percent"], units[two]["over_100"]) == ("125.0", True)
    assert not units[one]["over_100"]
    silent = next(code for code in kon_tum_communes() if code not in (one, two))
    assert (units[silent]["how"], units[silent]["value"], units[silent]["percent"]) == (
        "not_reported", None, None,
    )  # fmt: skip
    # What the province says of itself goes before the sum.
    await tell(service, "insurance", told("62", 900, 1_000))
    province = await top(service)
    assert (province["how"], province["value"], province["covered"]) == ("reported", 900, 102)


BAD_MEASURES: list[tuple[str, dict[str, Any], str]] = [
    ("intake", TURNS, "indicator"),
    ("Turns", TURNS, "measure"),
    ("turns", {**TURNS, "targets": {"70": 1}}, "targets.70"),
    ("turns", {**TURNS, "targets": {"62": -1}}, "targets.62"),
    ("turns", {**TURNS, "targets": {"62": 1.5}}, "targets.62"),
    ("turns", {**TURNS, "targets": {"62": 10, "608": 6, "612": 5}}, "targets.62"),
    ("turns", {**TURNS, "decimals": 7}, "decimals"),
    (
        "turns",
        {**TURNS, "decision": {"number": "1", "signed_by": "A", "from_day": "2023-02-29"}},
        "decision.from_day",
    ),
    ("turns", {"nam": "x"}, "name"),
    ("turns", {**TURNS, "outof": "x"}, "outof"),
]

BAD_STANDINGS: list[tuple[dict[str, Any], str]] = [
    (told("62", 1), "standings.1.out_of"),
    (told("62", 1, 0), "standings.1.out_of"),
    (told("62", -1, 5), "standings.1.value"),
    (told("70", 1, 5), "standings.1.unit"),
    (told("99999", 1, 5), "standings.1.unit"),
    (told("6", 1, 5), "standings.1.unit"),
    (told("62", 1, 5, FIRST + timedelta(1)), "standings.1.day"),
    ({**told("62", 1, 5), "day": "2023-02-29"}, "standings.1.day"),
    (told("23281", 2, 5), "standings.1"),
    ({**told("62", 1, 5), "source": ""}, "standings.1.source"),
]


async def test_a_measure_that_makes_no_sense_is_refused_with_its_field(service: RunningAggregator) -> None:
    for id_, document, field in BAD_MEASURES:
        answer = await service.client.put(f"{MEASURES}/{id_}", json=document)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert (await service.get(MEASURES))["measures"] == []


async def test_one_bad_standing_refuses_them_all_and_is_named(service: RunningAggregator) -> None:
    await put(service, "insurance", INSURANCE)
    for line, field in BAD_STANDINGS:
        answer = await post(service, "insurance", told("23281", 1, 5), line)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert (await top(service))["how"] == "not_reported"


async def test_a_plain_value_has_no_denominator_and_does_not_become_a_share(
    service: RunningAggregator,
) -> None:
    await put(service, "turns", TURNS)
    answer = await post(service, "turns", told("62", 5, 10))
    assert (answer.status_code, answer.json()["field"]) == (422, "standings.0.out_of")
    answer = await service.client.put(f"{MEASURES}/turns", json=INSURANCE)
    assert (answer.status_code, answer.json()["field"]) == (422, "out_of")


async def test_what_is_not_there_is_said(service: RunningAggregator) -> None:
    for answer in (
        await post(service, "turns", told("62", 5)),
        await service.client.get(f"{MEASURES}/turns/standings"),
    ):
        assert (answer.status_code, answer.json()["field"]) == (404, "measure")
    answer = await service.client.put("/v1/campaigns/nowhere/measures/turns", json=TURNS)
    assert (answer.status_code, answer.json()["field"]) == (404, "campaign")


async def test_who_tells_standings_need_not_be_able_to_change_the_plan(
    service: RunningAggregator, tmp_path: Path
) -> None:
    await put(service, "turns", TURNS)
    path = keys_file(tmp_path)
    document = json.loads(path.read_text())
    digest = hashlib.sha256(b"insurer").hexdigest()
    document["keys"].append({"name": "insurer", "sha256": digest, "scopes": ["measure:write"]})
    path.write_text(json.dumps(document))
    service.kit.keys.refresh()
    service.client.headers["Authorization"] = "Bearer insurer"
    await tell(service, "turns", told("62", 5))
    answer = await service.client.put(f"{MEASURES}/turns", json=TURNS)
    assert answer.status_code == 403
    service.client.headers["Authorization"] = "Bearer nobody"
    assert (await post(service, "turns", told("62", 5))).status_code == 401


async def test_on_a_later_tree_a_merged_commune_has_what_all_its_parts_told(
    service: RunningAggregator,
) -> None:
    """23284 of 2025 is made of 23284, 23296 and 23311; the district above them is gone."""
    await put(service, "turns", {**TURNS, "targets": {"62": 100, "608": 90, "23284": 7, "23296": 8}})
    await service.move_clock(evening(date(2025, 7, 2)))
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
    await tell(service, "turns", told("23284", 1), told("23296", 2), told("608", 50))
    asked: dict[str, str] = {"as_of": str(REFORM - timedelta(1))}
    assert (await top(service, unit="608", **asked))["value"] == 50
    after = {"as_of": "2025-07-02", "unit": "23284"}
    assert (await top(service, **after))["how"] == "not_reported"  # a part for the whole it would be
    await tell(service, "turns", told("23311", 4))
    merged = await top(service, **after)
    assert (merged["value"], merged["target"]) == (7, 15)
    province = await top(service, as_of="2025-07-02")
    assert (province["code"], province["how"], province["value"], province["target"]) == (
        "51",
        "summed",
        7,
        100,
    )
    # What is told for the merged commune itself stands in place of its parts.
    await tell(service, "turns", told("23284", 9, day=REFORM))
    assert (await top(service, **after))["value"] == 9
