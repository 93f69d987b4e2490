"""Rounds in which population data are re-checked: done by whom and when, corrected why, never overwritten."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import (
    RunningAggregator,
    aggregator,
    keys_file,
    kon_tum_communes,
    producers,
)
from tests.support.postgres import Database
from tests.support.units import REFORM, reform_mapping
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

ROUNDS = "/v1/campaigns/kon-tum-2023/rechecks"
FIRST, DAY = date(2023, 11, 11), date(2023, 11, 20)
DISTRICT = "610"
COMMUNES = kon_tum_communes()
#: A commune, with a neighbour that becomes a part of the same one on 2025-07-01; another one.
ONE, OTHER = "23281", "23341"


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=VIETNAM)


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum on 20 November, with a round of its communes by the districts."""
    async with producers(database), aggregator(database, tmp_path) as each:
        await each.move_clock(noon(FIRST))
        await each.put_plan()
        await each.move_clock(noon(DAY))
        answer = await each.client.put(f"{ROUNDS}/districts", json=round_document())
        assert answer.status_code == 200, answer.text
        yield each


def round_document(**change: Any) -> dict[str, Any]:
    return {
        "name": "Phúc tra dữ liệu dân cư, cấp huyện",
        "level": "district",
        "first_day": str(FIRST),
        "last_day": "2023-11-18",
        "units": list(COMMUNES),
        **change,
    }


def checked(*corrections: dict[str, Any], on: str | None = "2023-11-17", **change: Any) -> dict[str, Any]:
    return {"done_on": on, "checked_by": "Công an huyện, tổ 2", "corrections": list(corrections), **change}


async def put(service: RunningAggregator, unit: str, body: dict[str, Any]) -> Any:
    answer = await service.client.put(f"{ROUNDS}/districts/units/{unit}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def progress(service: RunningAggregator, **asked: Any) -> dict[str, dict[str, Any]]:
    """Every unit's answer of the only round, by code."""
    [round_] = (await service.get(ROUNDS, **{"as_of": str(DAY), "depth": 9, **asked}))["rounds"]
    return {each["code"]: each for each in round_["units"]}


async def test_a_commune_is_done_from_its_day_on_and_every_revision_stays(service: RunningAggregator) -> None:
    wrong, missing = {"why": "wrong", "entries": 12}, {"why": "missing", "entries": 5}
    words = {"why": "other", "entries": 2, "words": "sai địa bàn thôn"}
    first = await put(service, ONE, checked(wrong, missing))
    assert (first["revision"], first["reported_by"], first["known_day"]) == (1, "admin", str(DAY))
    assert await put(service, ONE, checked(wrong, missing)) == first
    await put(service, OTHER, checked(words, on="2023-11-19"))

    units = await progress(service)
    province = units["62"]
    assert (province["printed"], province["late"]) == (f"2/{len(COMMUNES)}", 1)
    assert (province["corrected"], province["by_why"]) == (19, {"wrong": 12, "missing": 5, "other": 2})
    assert province["other"] == [{"words": "sai địa bàn thôn", "entries": 2}]
    named = {each["code"]: each["name"] for each in province["outstanding"]}
    assert set(named) == set(COMMUNES) - {ONE, OTHER}
    assert named["23344"] == "Xã Đắk Blô"
    assert (units[ONE]["printed"], units[ONE]["outstanding"]) == ("1/1", [])
    assert units[DISTRICT]["done"] == 1
    earlier = await progress(service, as_of="2023-11-18")
    assert (earlier["62"]["done"], earlier["62"]["corrected"]) == (1, 17)
    assert (await progress(service, as_of="2023-11-16"))["62"]["done"] == 0

    # Corrected a day later, and another one taken back: what was known before stays as it was.
    await service.move_clock(noon(DAY + timedelta(1)))
    second = await put(service, ONE, checked(wrong | {"entries": 13}, missing))
    assert second["revision"] == 2
    await put(service, OTHER, checked(on=None))
    now, then = (await progress(service))["62"], (await progress(service, known_at=str(DAY)))["62"]
    assert then == province
    assert (now["done"], now["corrected"], now["by_why"]) == (1, 18, {"wrong": 13, "missing": 5})
    told = await service.get(f"{ROUNDS}/districts/units/{ONE}")
    assert told["revisions"] == [first, second]
    assert (await service.get(f"{ROUNDS}/districts/units/23344"))["revisions"] == []

    # Rounds have versions of their own.
    answer = await service.client.put(f"{ROUNDS}/districts", json=round_document(units=[ONE, OTHER]))
    assert (answer.json()["version"], answer.json()["known_day"]) == (2, str(DAY + timedelta(1)))
    again = await service.client.put(f"{ROUNDS}/districts", json=round_document(units=[ONE, OTHER]))
    assert again.json() == answer.json()
    assert (await progress(service))["62"]["printed"] == "1/2"
    assert (await progress(service, known_at=str(DAY)))["62"] == province
    assert (await service.get(ROUNDS, known_at=str(FIRST)))["rounds"] == []


async def test_a_merged_commune_is_done_once_all_its_parts_are(service: RunningAggregator) -> None:
    became = {row["from_code"]: row["to_code"] for row in reform_mapping() if row["from_code"] in COMMUNES}
    there = became[ONE]
    parts = [code for code, to in became.items() if to == there]
    assert len(parts) > 1
    for code in parts[:-1]:
        await put(service, code, checked({"why": "double", "entries": 1}))
    reform = {"effective_on": str(REFORM), "resolution": "202/2025/QH15", "placing": "all-to-kept-code"}
    answer = await service.client.post("/v1/reorganisations", json={**reform, "rows": reform_mapping()})
    assert answer.status_code == 200, answer.text
    merged = (await progress(service, tree=str(REFORM)))[there]
    assert (merged["printed"], merged["corrected"]) == ("0/1", len(parts) - 1)
    await put(service, parts[-1], checked())
    units = await progress(service, tree=str(REFORM))
    assert units[there]["printed"] == "1/1"
    assert units["51"]["printed"] == f"1/{len(set(became.values()))}"
    assert (await progress(service))["62"]["printed"] == f"{len(parts)}/{len(COMMUNES)}"


async def test_what_cannot_be_is_refused_by_field_and_nothing_is_kept(
    service: RunningAggregator, tmp_path: Path
) -> None:
    double = {"why": "double", "entries": 1}

    async def refused(path: str, body: dict[str, Any], field: str, status: int = 422) -> None:
        answer = await service.client.put(f"{ROUNDS}/{path}", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (status, field), answer.text

    for change, field in (
        ({"last_day": "2023-11-10"}, "last_day"),
        ({"first_day": "2023-11-01"}, "first_day"),
        ({"first_day": "2024-02-30"}, "first_day"),
        ({"level": "hamlet"}, "level"),
        ({"units": []}, "units"),
        ({"units": ["00001"]}, "units.0"),
        ({"units": [ONE, ONE]}, "units.1"),
        ({"units": [DISTRICT]}, "units.0"),
        ({"unit": [ONE]}, "unit"),
        ({"name": ""}, "name"),
    ):
        await refused("districts", round_document(**change), field)
    await refused("A round", round_document(), "round")
    for body, field in (
        (checked(on="2023-11-21"), "done_on"),
        (checked(on="2023-11-10"), "done_on"),
        (checked(double, on=None), "corrections"),
        (checked(double, double), "corrections.1"),
        (checked({"why": "other", "entries": 1}), "corrections.0.words"),
        (checked(double | {"words": "hai lần"}), "corrections.0.words"),
        (checked(double | {"entries": 0}), "corrections.0.entries"),
        (checked(double | {"why": "lost"}), "corrections.0.why"),
        ({"done_on": "2023-11-17"}, "checked_by"),
    ):
        await refused(f"districts/units/{ONE}", body, field)
    await refused("districts/units/00001", checked(), "unit")
    await refused("no_such/units/23281", checked(), "round", status=404)
    assert (await service.client.get(f"{ROUNDS}/no_such/units/{ONE}")).status_code == 404
    assert (await service.client.get("/v1/campaigns/no-such/rechecks")).status_code == 404
    assert (await service.client.get(ROUNDS, params={"known_at": "2030-01-01"})).status_code == 422
    assert (await progress(service))["62"]["done"] == 0
    assert (await service.get(f"{ROUNDS}/districts/units/{ONE}"))["revisions"] == []

    # Communes report; they make no rounds.
    path = keys_file(tmp_path)
    keys = json.loads(path.read_text())
    digest = hashlib.sha256(b"commune").hexdigest()
    keys["keys"].append({"name": "commune", "sha256": digest, "scopes": ["declared:write"]})
    path.write_text(json.dumps(keys))
    service.kit.keys.refresh()
    service.client.headers["Authorization"] = "Bearer commune"
    assert (await put(service, ONE, checked()))["reported_by"] == "commune"
    answer = await service.client.put(f"{ROUNDS}/districts", json=round_document())
    assert answer.status_code == 403
