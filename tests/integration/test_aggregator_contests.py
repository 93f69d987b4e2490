"""Contests between groups of units: ranked by each measure, as of a day, as known then."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import RunningAggregator, aggregator, plan_document, producers
from tests.support.counters import count_in
from tests.support.directory import REFORM
from tests.support.postgres import Database
from tests.support.units import reform_mapping
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST = date(2023, 11, 11)
BEGIN, END, TODAY = date(2023, 11, 15), date(2023, 11, 24), date(2023, 11, 28)
A, B, C, D = "23281", "23284", "23287", "23290"
ELIGIBLE = dict.fromkeys(plan_document()["eligible"], 0) | {A: 100, B: 300, C: 100, D: 100}


def contest(id_: str, measure: str, **change: Any) -> dict[str, Any]:
    groups = [
        {"id": "first", "name": "Cụm 1", "units": [A]},
        {"id": "second", "name": "Cụm 2", "units": [B]},
        {"id": "third", "name": "Cụm 3", "units": [C, D]},
    ]
    return {
        "id": id_, "name": "Thi đua", "measure": measure, "indicator": "intake", "first_day": str(BEGIN),
        "last_day": str(END), "groups": groups, **change,
    }  # fmt: skip


def plan(*contests: dict[str, Any], **change: Any) -> dict[str, Any]:
    return plan_document(**{
        "targets": [{"indicator": "intake", "value": 60}], "eligible": ELIGIBLE, "figures": [],
        "contests": list(contests), **change,
    })  # fmt: skip


THREE = [contest("a", "share"), contest("b", "per_1000"), contest("c", "finish")]


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Targets of 10, 30, 10 and 10; the last days are known, one record of the contest's last day came late."""
    async with producers(database), aggregator(database, tmp_path) as each:
        await each.move_clock(datetime(2023, 11, 11, 12, tzinfo=VIETNAM))
        answer = await each.client.put(CAMPAIGN, json=plan(*THREE))
        assert answer.status_code == 200, answer.text
        await each.move_clock(datetime(2023, 11, 28, 12, tzinfo=VIETNAM))
        await count_in(each, {
            ("intake", 1, A, FIRST - timedelta(5)): 2,
            ("intake", 2, A, BEGIN): 8,
            ("intake", 2, B, BEGIN + timedelta(1)): 23,
            ("intake", 2, C, BEGIN): 5,
            ("intake", 2, D, BEGIN + timedelta(3)): 15,
            # After the contest: no part of it.
            ("intake", 2, B, TODAY): 50,
        })  # fmt: skip
        await count_in(each, {("intake", 2, B, END): 7}, END + timedelta(1))
        yield each


async def standings(service: RunningAggregator, **asked: Any) -> dict[str, list[tuple[str, int | None]]]:
    found = await service.get(f"{CAMPAIGN}/contests", **asked)
    return {
        each["contest"]["id"]: [(group["id"], group["rank"]) for group in each["groups"]]
        for each in found["contests"]
    }


async def test_groups_are_ranked_by_what_the_contest_says(service: RunningAggregator) -> None:
    assert (await service.get(CAMPAIGN))["contests"] == THREE
    # All have met their targets in the end, to the citizen: they share the first place.
    assert await standings(service) == {
        "a": [("first", 1), ("second", 1), ("third", 1)],
        "b": [("second", 1), ("third", 1), ("first", 3)],
        "c": [("first", 1), ("third", 2), ("second", 3)],
    }
    found = (await service.get(f"{CAMPAIGN}/contests"))["contests"][1]
    assert found["day"] == str(END)
    assert found["groups"][1] == {
        "id": "third", "name": "Cụm 3", "rank": 1, "value": 20, "gained": 20, "target": 20, "eligible": 200,
        "percent": "100.0", "per_1000": "100.00", "met_on": str(BEGIN + timedelta(3)),
    }  # fmt: skip
    # As it was known when it ended: one had not finished.
    assert await standings(service, as_of=str(END), known_at=str(END)) == {
        "a": [("first", 1), ("third", 1), ("second", 3)],
        "b": [("third", 1), ("first", 2), ("second", 3)],
        "c": [("first", 1), ("third", 2), ("second", None)],
    }
    before = await standings(service, as_of=str(BEGIN - timedelta(1)))
    assert {rank for ranks in before.values() for _, rank in ranks} == {None}
    # Who is exempt is no part of the thousand.
    paper = {
        "number": "15/QĐ-UBND", "signed_by": "Chủ tịch", "from_day": str(BEGIN), "document": "Văn phòng",
        "lines": [{"unit": B, "citizens": 1, "reason": "imprisoned"}],
    }  # fmt: skip
    assert (await service.client.post(f"{CAMPAIGN}/exemptions", json=paper)).status_code == 200
    assert (await standings(service))["b"] == [("second", 1), ("third", 2), ("first", 3)]


async def test_what_is_no_contest_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    def groups(*units: list[str]) -> dict[str, Any]:
        return {"groups": [{"id": f"g{n}", "name": "Cụm", "units": each} for n, each in enumerate(units)]}

    at = "contests.0"
    faults: list[tuple[str, str, dict[str, Any]]] = [
        (f"{at}.groups.1.units.0", "in 'g0' and in 'g1'", groups([A], [A])),
        (f"{at}.groups.1.units.0", "in 'g0' and in 'g1'", groups([A], ["608"])),
        (f"{at}.groups.0.units.1", "twice", groups([A, A], [B])),
        (f"{at}.groups.1.units.0", "no district or commune", groups([A], ["00001"])),
        (f"{at}.groups.1.units.0", "a district's or a commune's code", groups([A], ["62"])),
        (f"{at}.groups", "at least 2", groups([A])),
        (f"{at}.groups.1", "at least 1", groups([A], [])),
        (f"{at}.groups.1.units.0", "three or five digits", groups([A], ["Đăk Hà"])),
        (f"{at}.measure", "'share'", {"measure": "beauty"}),
        (f"{at}.indicator", "no target of activated", {"indicator": "activated"}),
        (f"{at}.first_day", "not days of the campaign", {"first_day": "2023-11-10"}),
        (f"{at}.last_day", "not days of the campaign", {"last_day": "2024-02-29"}),
        (f"{at}.last_day", "date", {"last_day": "2023-02-29"}),
    ]
    for field, words, change in faults:
        answer = await service.client.put(CAMPAIGN, json=plan(contest("x", **{"measure": "share", **change})))
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        assert words in answer.json()["detail"], answer.text
    twice = await service.client.put(CAMPAIGN, json=plan(contest("x", "share"), contest("x", "finish")))
    assert (twice.status_code, twice.json()["field"]) == (422, "contests.1.id"), twice.text
    ahead = await service.client.get(f"{CAMPAIGN}/contests", params={"as_of": "2023-12-01"})
    assert (ahead.status_code, ahead.json()["field"]) == (422, "as_of")
    assert len((await service.get(f"{CAMPAIGN}/versions"))["versions"]) == 1


async def test_groups_go_on_as_what_their_communes_became(service: RunningAggregator) -> None:
    became = {row["from_code"]: row["to_code"] for row in reform_mapping() if row["from_code"] in ELIGIBLE}
    there = became[A]
    parts = [code for code, to in became.items() if to == there]
    other = next(code for code, to in became.items() if code not in parts and to != there)
    others = [code for code, to in became.items() if to == became[other]]
    assert len(parts) > 1
    days = {"first_day": "2025-06-25", "last_day": "2025-07-10"}

    def named(*units: list[str]) -> dict[str, Any]:
        return {"groups": [{"id": f"g{n}", "name": "Cụm", "units": each} for n, each in enumerate(units)]}

    eligible = dict.fromkeys(ELIGIBLE, 0) | dict.fromkeys([*parts, *others], 100)
    whole = contest("whole", "per_1000", **days, **named(parts, others))
    torn = contest("torn", "per_1000", **days, **named([A], others))
    target = {"indicator": "intake", "value": 60}
    later = {"last_day": "2025-12-30", "eligible": eligible, "figures": [], "targets": [target]}
    await service.put_plan(**later, contests=[whole])
    answer = await service.client.post(
        "/v1/reorganisations",
        json={
            "effective_on": str(REFORM), "resolution": "202/2025/QH15", "placing": "all-to-kept-code",
            "rows": reform_mapping(),
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    eve, after = REFORM - timedelta(1), REFORM + timedelta(1)
    await service.move_clock(datetime(after.year, after.month, after.day, 12, tzinfo=VIETNAM))
    await count_in(service, {
        **{("intake", 2, code, eve): 3 for code in parts},
        ("intake", 2, other, eve): 1,
        ("intake", 2, there, after): 4,
    })  # fmt: skip

    async def gained(**asked: Any) -> dict[str, tuple[int, int]]:
        found = (await service.get(f"{CAMPAIGN}/contests", **asked))["contests"][0]["groups"]
        return {group["id"]: (group["gained"], group["eligible"]) for group in found}

    assert await gained(as_of=str(eve)) == {
        "g0": (3 * len(parts), 100 * len(parts)),
        "g1": (1, 100 * len(others)),
    }
    assert await gained() == {"g0": (3 * len(parts) + 4, 100 * len(parts)), "g1": (1, 100 * len(others))}

    # A part alone can be told of as long as it was one.
    await service.put_plan(**later, contests=[torn])
    assert (await gained(as_of=str(eve)))["g0"] == (3, 100)
    answer = await service.client.get(f"{CAMPAIGN}/contests")
    assert (answer.status_code, answer.json()["field"]) == (422, "as_of"), answer.text
    assert "which is not in it" in answer.json()["detail"]
