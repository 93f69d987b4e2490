"""Units, plans and progress over HTTP."""

import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog.testing
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.aggregator import (
    DATA,
    Producers,
    RunningAggregator,
    aggregator,
    keys_file,
    plan_document,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tiendo_aggregator.storage.tables import Table
from tiendo_common.clock import VIETNAM
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import CampaignPublished, TargetSet, UnitPublished

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

D = date(2023, 11, 11)
EVE = datetime(2023, 11, 10, 20, tzinfo=VIETNAM)
CAMPAIGN = "/v1/campaigns/kon-tum-2023"


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


async def head(service: RunningAggregator, topic: str) -> int:
    """The next sequence of a state topic."""
    [head] = (await service.get("/v1/log"))["topics"][topic]["next"]
    assert isinstance(head, int)
    return head


async def published(service: RunningAggregator, topic: str, since: int = 1) -> dict[str, Any]:
    """What is on a state topic, by key."""
    decoder = EventDecoder[UnitPublished | CampaignPublished | TargetSet](
        [UnitPublished, CampaignPublished, TargetSet]
    )
    rows = await service.kit.pool.fetch(f"SELECT key, body FROM log_{topic} WHERE seq >= $1", since)
    return {row["key"]: decoder.decode(row["body"]).data for row in rows}


# --- units ---------------------------------------------------------------------------------------------------


async def test_every_unit_is_published_with_its_spans(service: RunningAggregator) -> None:
    units = await published(service, "units")
    assert {unit.loaded for unit in units.values()} == {len(units)}
    assert [(span.name, span.from_day, span.until_day) for span in units["00004"].spans] == [
        ("Phường Trúc Bạch", date(2004, 1, 1), date(2025, 7, 1)),
        ("Phường Ba Đình", date(2025, 7, 1), None),
    ]


async def test_a_restart_publishes_no_unit_again_and_changed_facts_only_what_changed(
    database: Database, tmp_path: Path
) -> None:
    facts = tmp_path / "data"
    shutil.copytree(DATA / "units", facts / "units")
    async with producers(database):
        async with aggregator(database, tmp_path, data_facts=facts) as service:
            first = await head(service, "units")
        async with aggregator(database, tmp_path, data_facts=facts) as service:
            assert await head(service, "units") == first
        file = facts / "units" / "units-2023.csv"
        file.write_text(
            file.read_text(encoding="utf-8").replace("Đắk Rơ Nga", "Đăk Rơ Nga"), encoding="utf-8"
        )
        async with aggregator(database, tmp_path, data_facts=facts) as service:
            changed = await published(service, "units", first)
            assert list(changed) == ["23427"]
            [unit] = (await service.get("/v1/units", as_of="2023-11-11", code="23427"))["units"]
            assert unit["name"] == "Xã Đăk Rơ Nga"


async def test_units_are_found_by_day_parent_and_name(service: RunningAggregator) -> None:
    found = await service.get("/v1/units", search="dak ro nga")
    assert [(unit["code"], unit["name"]) for unit in found["units"]] == [("23427", "Xã Đắk Rơ Nga")]
    districts = await service.get("/v1/units", parent="62")
    assert (districts["total"], districts["cut"]) == (10, False)
    assert {unit["level"] for unit in districts["units"]} == {"district"}
    [unit] = (await service.get("/v1/units", code="62", as_of="2025-06-30"))["units"]
    assert (unit["name"], unit["until_day"]) == ("Tỉnh Kon Tum", "2025-07-01")
    assert (await service.get("/v1/units", code="62", as_of="2025-07-01"))["units"] == []
    cut = await service.get("/v1/units", limit=5)
    assert (len(cut["units"]), cut["cut"]) == (5, True)


# --- plans ---------------------------------------------------------------------------------------------------


async def test_a_plan_comes_back_as_it_was_put(service: RunningAggregator) -> None:
    document = plan_document()
    answer = await service.put_plan()
    assert answer == await service.get(CAMPAIGN)
    assert answer.pop("id") == "kon-tum-2023"
    assert answer.pop("closed_through") is None
    assert answer == document | {
        "days_end_after_midnight": False,
        "calendar": {"weekday_weights": [1] * 7, "holidays": []},
        "set_targets": {},
        "eligible_in_hamlets": {},
        "signed_by": None,
        "holds_from": None,
        "cohorts": {},
        "declaring": None,
        "phases": [],
        "contests": [],
        "going_on": None,
        "parent": None,
        "units": [],
        "sub_campaigns": [],
    }
    [line] = (await service.get("/v1/campaigns"))["campaigns"]
    assert (line["id"], line["province"]) == ("kon-tum-2023", "62")


async def test_a_plan_is_published_with_a_target_for_every_unit(service: RunningAggregator) -> None:
    await service.put_plan()
    [campaign] = (await published(service, "campaigns")).values()
    assert (campaign.first_day, campaign.day_cut_off.hour) == (D, 21)
    targets = await published(service, "targets")
    assert len(targets) == 2 * (1 + 10 + 102)
    assert targets["kon-tum-2023/62/intake"].value == 421_100
    assert targets["kon-tum-2023/23427/activated"].unit_name == "Xã Đắk Rơ Nga"


async def test_the_same_plan_again_publishes_nothing(service: RunningAggregator) -> None:
    await service.put_plan()
    before = await head(service, "campaigns"), await head(service, "targets")
    await service.put_plan()
    assert (await head(service, "campaigns"), await head(service, "targets")) == before


async def test_a_changed_plan_publishes_what_changed(service: RunningAggregator) -> None:
    await service.put_plan()
    campaigns, targets = await head(service, "campaigns"), await head(service, "targets")
    await service.put_plan(
        targets=[{"indicator": "intake", "value": 421_101}, {"indicator": "activated", "value": 335_512}]
    )
    assert await head(service, "campaigns") == campaigns
    changed = await published(service, "targets", targets)
    assert len(changed) == 3  # the one more goes to one commune: it, its district, the province
    assert {target.indicator for target in changed.values()} == {"intake"}
    await service.put_plan(last_day="2023-12-31", plan_number="3904/KH-UBND")
    assert await head(service, "campaigns") == campaigns + 1


async def test_a_target_cannot_be_withdrawn(service: RunningAggregator) -> None:
    await service.put_plan()
    answer = await service.client.put(
        CAMPAIGN, json=plan_document(targets=[{"indicator": "intake", "value": 421_100}])
    )
    assert (answer.status_code, answer.json()["field"]) == (409, "targets")
    assert len((await service.get(CAMPAIGN))["targets"]) == 2


async def test_a_bad_plan_is_refused_and_the_field_named(service: RunningAggregator) -> None:
    eligible = plan_document()["eligible"]
    target = {"indicator": "intake", "value": 1}
    faults: list[tuple[str, dict[str, object]]] = [
        ("province", {"province": "99"}),
        ("province", {"province": "612"}),
        ("last_day", {"last_day": "2023-11-10"}),
        ("last_day", {"last_day": "9999-12-31"}),
        ("first_day", {"first_day": "2023-02-30"}),
        ("name", {"name": ""}),
        ("name", {"name": "a\x00b"}),
        ("name", {"name": "  \u00a0"}),
        ("day_cut_off", {"day_cut_off": "21:00+07:00"}),
        ("day_cut_off", {"day_cut_off": "00:00"}),
        ("day_cut_off", {"day_cut_off": "06:01", "days_end_after_midnight": True}),
        ("days_end_after_midnight", {"day_cut_off": "02:00", "days_end_after_midnight": "yes"}),
        ("targets", {"targets": [target, target]}),
        ("targets.0.indicator", {"targets": [{"indicator": "cards", "value": 1}]}),
        ("targets.0.value", {"targets": [{"indicator": "intake", "value": -1}]}),
        ("targets.0.value", {"targets": [{"indicator": "intake", "value": "1"}]}),
        ("targets.0.value", {"targets": [{"indicator": "intake", "value": 10**30}]}),
        ("targets", {"targets": [{"indicator": "intake", "value": 100_000_000}]}),
        ("eligible", {"eligible": {}}),
        ("eligible.00001", {"eligible": {**eligible, "00001": 1}}),
        ("eligible.23281", {"eligible": {**eligible, "23281": -1}}),
        ("figures.0.over", {"figures": [{"id": "a", "indicator": "intake", "over": "x", "decimals": 1}]}),
        ("figures.0.decimals", {"figures": [{"id": "a", "indicator": "intake", "over": "target", "decimals": 9}]}),
        ("traget", {"traget": []}),
    ]  # fmt: skip
    for field, change in faults:
        answer = await service.client.put(CAMPAIGN, json=plan_document(**change))
        problem = answer.json()
        assert answer.status_code == 422, (field, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["field"] == field, problem
    assert (await service.get("/v1/campaigns"))["campaigns"] == []


async def test_what_is_wrong_with_a_plan_is_said_in_words(service: RunningAggregator) -> None:
    figure = {"id": "A b", "indicator": "intake", "over": "target", "decimals": 1}
    faults: list[tuple[dict[str, object], str]] = [
        ({"traget": []}, "Did you mean 'targets'?"),
        ({"targets": [{"indicator": "intake", "valu": 1, "value": 1}]}, "Did you mean 'value'?"),
        ({"hello": 1}, "no such field"),
        ({"province": "6"}, "two digits"),
        ({"eligible": {"232": 1}}, "five digits"),
        ({"figures": [figure]}, "small letters, digits and underscores"),
        ({"name": ""}, "1 to 300 characters"),
        ({"figures": [{**figure, "id": "a"}] * 2}, "figures: a figure's id stands there twice"),
        ({"targets": [{"indicator": "{intake}", "value": 1}]}, "'intake', 'approved' or 'activated'"),
    ]
    for change, words in faults:
        problem = (await service.client.put(CAMPAIGN, json=plan_document(**change))).json()
        assert words in problem["detail"], problem
        assert "pattern" not in problem["detail"]
    answer = await service.client.put("/v1/campaigns/Kon%20Tum", json=plan_document())
    assert "small letters" in answer.json()["detail"]


async def test_a_plan_that_is_too_large_is_told_the_limit_however_it_is_sent(
    service: RunningAggregator,
) -> None:
    async def streamed() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    for content in (streamed(), b" " * 2_000_000):
        answer = await service.client.put(
            CAMPAIGN, content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
        assert "1,048,576 bytes" in answer.json()["detail"]


async def test_what_is_no_plan_at_all_is_refused(service: RunningAggregator) -> None:
    for body in (b"", b"[]", b"{", b"\xff\xfe", b"null", b'{"name": "\\ud800"}'):
        answer = await service.client.put(
            CAMPAIGN, content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422), (body, answer.text)
    answer = await service.client.put(CAMPAIGN, json=plan_document(name="x" * 2_000_000))
    assert answer.status_code == 413
    answer = await service.client.put("/v1/campaigns/Kon%00Tum", json=plan_document())
    assert answer.status_code == 422
    assert (await service.client.get("/v1/campaigns/nowhere")).status_code == 404


async def test_a_key_may_do_what_its_scopes_say(service: RunningAggregator, tmp_path: Path) -> None:
    path = keys_file(tmp_path)
    document = json.loads(path.read_text())
    digest = hashlib.sha256(b"reader").hexdigest()
    document["keys"].append({"name": "reader", "sha256": digest, "scopes": ["progress:read"]})
    path.write_text(json.dumps(document))
    service.kit.keys.refresh()
    reader = {"Authorization": "Bearer reader"}
    answer = await service.client.put(CAMPAIGN, json=plan_document(), headers=reader)
    assert answer.status_code == 403
    assert (await service.client.get("/v1/campaigns", headers=reader)).status_code == 200
    answer = await service.client.get("/v1/campaigns", headers={"Authorization": "Bearer nobody"})
    assert answer.status_code == 401


async def test_the_declared_tables_are_the_migrated_ones(
    service: RunningAggregator, database: Database
) -> None:
    declared = set(Table.metadata.tables)

    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _parents: kind != "table" or name in declared,
                "compare_type": False,
            },
        )
        differences: list[Any] = compare_metadata(context, Table.metadata)
        return differences

    engine = create_async_engine(database.dsn("aggregator").replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(compare) == []
    finally:
        await engine.dispose()


# --- progress ------------------------------------------------------------------------------------------------


async def test_progress_is_summed_up_the_tree_and_set_against_the_plan(
    service: RunningAggregator, feed: Producers
) -> None:
    await service.put_plan()
    before, first, third = D - timedelta(3), D, D + timedelta(2)
    await feed.append(
        [
            restated("intake", [segment(before, "23427", level=1)], known=before),
            restated("intake", [segment(first, "23427", collecting="23281")], known=first),
            restated("intake", [segment(third, "23281")], known=third),
            restated("intake", [segment(first, "00001", collecting="23281")], known=first),
            restated("approved", [segment(first, "23427")], known=first),
            restated("approved", [segment(first, "23427")], known=first),
            restated("approved", [segment(first, "23427")], known=first),
            restated("activated", [segment(first, "23427")], known=first),
            restated("activated", [segment(first, "23427")], known=first),
        ]
    )
    await service.drain(feed)
    await service.become_ready()
    plan = await service.get(CAMPAIGN)
    answer = await service.get(f"{CAMPAIGN}/progress", as_of="2023-11-12", unit="23427")
    assert answer.pop("complete_to") == "2023-11-10T13:00:00Z"
    [unit] = answer.pop("units")
    assert answer == {
        "campaign": "kon-tum-2023",
        "as_of": "2023-11-12",
        "tree": "2023-11-12",
        "known_at": None,
        "by": "residence",
        "phase": None,
        "going_on": None,
    }
    targets = {
        key: target.value for key, target in (await published(service, "targets")).items() if "23427" in key
    }
    eligible = plan["eligible"]["23427"]
    everybody = {"eligible": eligible, "exempt": 0, "planned": eligible, "over_eligible": False}
    target = targets["kon-tum-2023/23427/intake"]
    assert unit == {
        "code": "23427",
        "name": "Xã Đắk Rơ Nga",
        "level": "commune",
        "parent": "612",
        "indicators": {
            "intake": {
                "value": 2,
                "level_1": 1,
                "level_2": 1,
                "baseline": 1,
                "since_baseline": 1,
                "target": target,
                **everybody,
            },
            "approved": {
                "value": 3,
                "level_1": 0,
                "level_2": 3,
                "baseline": 0,
                "since_baseline": 3,
                "target": None,
                **everybody,
            },
            "activated": {
                "value": 2,
                "level_1": 0,
                "level_2": 2,
                "baseline": 0,
                "since_baseline": 2,
                "target": targets["kon-tum-2023/23427/activated"],
                **everybody,
            },
        },
        "figures": [
            {
                "id": "intake_of_target",
                "numerator": 2,
                "denominator": target,
                "percent": "0.0",
                "over_100": False,
            },
            {
                "id": "activated_of_approved",
                "numerator": 2,
                "denominator": 3,
                "percent": "66",
                "over_100": False,
            },
        ],
    }

    async def intakes(**params: str | int) -> dict[str, int]:
        units = (await service.get(f"{CAMPAIGN}/progress", **params))["units"]
        return {unit["code"]: unit["indicators"]["intake"]["value"] for unit in units}

    assert await intakes(as_of="2023-11-12") == {"62": 2}
    assert await intakes(as_of="2023-11-13") == {"62": 3}
    assert await intakes(as_of="2023-11-12", by="collecting") == {"62": 3}
    assert await intakes(as_of="2023-11-07") == {"62": 0}
    below = await intakes(as_of="2023-11-13", depth=2)
    assert len(below) == 1 + 10 + 102
    assert next(iter(below)) == "62"
    assert sum(n for code, n in below.items() if len(code) == 3) == 3
    earlier = await service.get(f"{CAMPAIGN}/progress", as_of="2023-11-01")
    assert earlier["units"][0]["indicators"]["intake"]["baseline"] == 1
    assert (await service.get(f"{CAMPAIGN}/progress"))["as_of"] == "2023-11-10"


async def test_a_question_about_a_unit_elsewhere_is_refused(service: RunningAggregator) -> None:
    await service.put_plan()
    for field, params in [
        ("unit", {"unit": "00001"}),
        ("unit", {"unit": "nowhere"}),
        ("unit", {"unit": "\x00"}),
        ("as_of", {"as_of": "2025-07-01"}),
        ("as_of", {"as_of": "yesterday"}),
        ("by", {"by": "team"}),
        ("depth", {"depth": "-1"}),
    ]:
        answer = await service.client.get(f"{CAMPAIGN}/progress", params=params)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    answer = await service.client.get("/v1/campaigns/nowhere/progress")
    assert (answer.status_code, answer.json()["field"]) == (404, "campaign")


async def test_the_interface_describes_itself(service: RunningAggregator) -> None:
    document = await service.get("/openapi.json")
    operations = [
        operation
        for path, methods in document["paths"].items()
        if path.startswith(("/v1/campaigns", "/v1/units", "/v1/reorganisations", "/v1/reconciliations"))
        for operation in methods.values()
    ]
    assert len(operations) >= 20
    for operation in operations:
        assert operation["summary"]
        assert operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert msgspec.json.encode(document).count(b"kon-tum-2023")


async def test_a_stop_before_anybody_asked_for_a_plan_is_no_fault(database: Database, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        async with aggregator(database, tmp_path):
            pass
    assert [line for line in lines if line["log_level"] == "error"] == []
