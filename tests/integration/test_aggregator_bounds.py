"""Keys that are bound to units, where the aggregator is told of units: on the tree of the day that they tell of."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import RunningAggregator, aggregator, keys_file, producers
from tests.support.postgres import Database
from tests.support.units import REFORM, reform_mapping
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST = date(2023, 11, 11)
#: A district with a commune of its own, and a commune of another.
DISTRICT, OURS, THEIRS = "608", "23284", "23427"


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=VIETNAM)


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with producers(database), aggregator(database, tmp_path) as each:
        await each.move_clock(noon(FIRST - timedelta(1)))
        await each.put_plan(declaring={"cut_off": "16:30:00", "units": [OURS, THEIRS]})
        await each.client.put(f"{CAMPAIGN}/measures/turns", json={"name": "Lượt", "decimals": 1})
        path = keys_file(tmp_path)
        document = json.loads(path.read_text())
        for unit in (DISTRICT, OURS):
            digest = hashlib.sha256(unit.encode()).hexdigest()
            scopes = ["declared:write", "measure:write"]
            document["keys"].append(
                {"name": f"of {unit}", "sha256": digest, "scopes": scopes, "units": [unit]}
            )
        path.write_text(json.dumps(document))
        each.kit.keys.refresh()
        await each.move_clock(noon(FIRST))
        yield each


async def outcome(service: RunningAggregator, method: str, path: str, document: Any, key: str) -> Any:
    """The status, and the field that is refused."""
    answer = await service.client.request(
        method, f"{CAMPAIGN}/{path}", json=document, headers={"authorization": f"Bearer {key}"}
    )
    return answer.status_code, answer.json().get("field")


def remaining(unit: str, day: date) -> tuple[str, str, Any]:
    lines = [{"reason": "abroad", "citizens": 3}]
    return "PUT", f"remaining/{unit}/intake/{day}", {"source": "Công an xã", "lines": lines}


def declared(unit: str, day: date) -> tuple[str, str, Any]:
    counts = {"intake": {"value": 3, "level_1": 1, "level_2": 2}}
    return "PUT", f"declared/{unit}/{day}", {"source": "Công an xã", "counts": counts}


def recheck(unit: str, day: date) -> tuple[str, str, Any]:
    return (
        "PUT",
        f"rechecks/once/units/{unit}",
        {"done_on": str(day), "checked_by": "Tổ 1", "corrections": []},
    )


def standings(day: date, *units: str) -> tuple[str, str, Any]:
    told = [{"unit": unit, "day": str(day), "value": 5, "source": "Báo cáo"} for unit in units]
    return "POST", "measures/turns/standings", {"standings": told}


async def test_a_district_tells_of_its_communes_and_of_no_other(service: RunningAggregator) -> None:
    round_ = {"name": "Phúc tra", "level": "commune", "first_day": str(FIRST), "last_day": str(FIRST)}
    answer = await service.client.put(f"{CAMPAIGN}/rechecks/once", json=round_ | {"units": [OURS, THEIRS]})
    assert answer.status_code == 200, answer.text
    for tell in (remaining, declared, recheck):
        assert await outcome(service, *tell(OURS, FIRST), DISTRICT) == (200, None)
        assert await outcome(service, *tell(THEIRS, FIRST), DISTRICT) == (403, "unit")
        assert await outcome(service, *tell(THEIRS, FIRST), OURS) == (403, "unit")
    assert await outcome(service, *standings(FIRST, DISTRICT, OURS), DISTRICT) == (200, None)
    # All of it, or nothing.
    mixed = standings(FIRST, OURS, THEIRS)
    assert await outcome(service, *mixed, DISTRICT) == (403, "standings.1.unit")
    assert await outcome(service, *standings(FIRST, "62"), DISTRICT) == (403, "standings.0.unit")
    told = (await service.get(f"{CAMPAIGN}/measures/turns/standings"))["standings"]
    assert sorted((each["unit"], each["revision"]) for each in told) == [(OURS, 1), (DISTRICT, 1)]


async def test_who_may_tell_of_a_day_is_said_by_that_days_tree(service: RunningAggregator) -> None:
    """A district that is gone still corrects what it told of its time, and tells nothing of the units after it."""
    await service.move_clock(noon(REFORM))
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
    assert await outcome(service, *remaining(OURS, FIRST), DISTRICT) == (200, None)
    assert await outcome(service, *remaining(OURS, REFORM), DISTRICT) == (403, "unit")
    assert await outcome(service, *remaining(OURS, REFORM), OURS) == (200, None)
