"""Actors off the tree, their assignments, and what teams did: counted from events, ranked, and nothing lost."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    plan_document,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST = date(2023, 11, 11)
DAY = FIRST + timedelta(2)
HERE, THERE = "23281", "23284"


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=VIETNAM)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum on the third day of its campaign, with three actors."""
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(noon(FIRST))
        await each.put_plan()
        await each.move_clock(noon(DAY))
        for actor, kind, name in (
            ("youth-union", "union", "Tỉnh đoàn Kon Tum"),
            ("women-union", "union", "Hội Liên hiệp Phụ nữ tỉnh"),
            ("school", "school", "Trường THPT Duy Tân"),
        ):
            document = {"kind": kind, "name": name, "answers": "Người đứng đầu"}
            answer = await each.client.put(f"{CAMPAIGN}/actors/{actor}", json=document)
            assert answer.status_code == 200, answer.text
        yield each


def document(**change: Any) -> dict[str, Any]:
    return {
        "actor": "youth-union",
        "person": "Đội trưởng đội thanh niên tình nguyện",
        "task": "Hướng dẫn cài đặt và kích hoạt",
        "indicator": "activated",
        "teams": [{"team": "Đội 1", "unit": HERE}],
        "from_day": str(FIRST),
        "to_day": "2023-11-20",
        "quota": {"citizens": 10, "every": "assignment", "people": 2},
        "result": "20 tài khoản được kích hoạt",
        "answers": "Bí thư Tỉnh đoàn",
        **change,
    }


async def put(service: RunningAggregator, name: str, **change: Any) -> Any:
    answer = await service.client.put(f"{CAMPAIGN}/assignments/{name}", json=document(**change))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_teams_do_is_counted_for_those_who_were_told_to(
    service: RunningAggregator, feed: Producers
) -> None:
    def done(
        indicator: Any, day: date, team: str | None, unit: str = HERE, level: int = 2, **more: Any
    ) -> Any:
        # Residents of another commune: who did the work is what counts here.
        return restated(
            indicator, [segment(day, THERE, collecting=unit, team=team, level=level, **more)], known=day
        )

    helped = done("activated", DAY, "Đội 1")
    await feed.append([
        done("activated", FIRST, "Đội 1"),
        helped,
        done("activated", FIRST, "Đội 1", unit=THERE),
        done("activated", DAY, "Tổ phụ nữ", unit=THERE),
        done("activated", FIRST, "Tổ phụ nữ"),
        done("activated", FIRST - timedelta(1), "Đội 1"),  # before the campaign
        done("intake", FIRST, "Đội 1"),
        done("intake", FIRST, "Đội 1", level=1),
        done("intake", DAY, None),
        done("approved", DAY, "Đoàn trường"),
        # Switched off again on the next day.
        done("activated", FIRST, "Đội 1", until=DAY),
    ])  # fmt: skip
    await service.drain(feed)
    first = await put(service, "activate")
    assert (first["version"], first["put_by"], first["known_day"]) == (1, "admin", str(DAY))
    assert await put(service, "activate") == first
    await put(service, "women", actor="women-union", teams=[{"team": "Tổ phụ nữ"}])
    await put(
        service, "daily", actor="school", indicator="intake:level-2",
        quota={"citizens": 3, "every": "day", "people": 1},
    )  # fmt: skip

    found = await service.get(f"{CAMPAIGN}/assignments", as_of=str(DAY))
    by_id = {each["assignment"]["id"]: each["standing"] for each in found["assignments"]}
    assert by_id["activate"] == {
        "indicator": "activated", "due": 20, "due_by_now": 6, "value": 2, "done": 0, "gap": 4, "percent": "10.0",
        "rank": 1,
    }  # fmt: skip
    assert (by_id["women"]["value"], by_id["women"]["rank"]) == (2, 1)
    daily = by_id["daily"]
    assert (daily["due"], daily["due_by_now"], daily["value"], daily["rank"]) == (30, 9, 1, 1)
    assert [(each["id"], [one["value"] for one in each["standings"]]) for each in found["actors"]] == [
        ("school", [1]), ("women-union", [2]), ("youth-union", [2])
    ]  # fmt: skip
    assert found["unassigned"] == [
        {"unit": HERE, "team": "Đoàn trường", "done": {"approved": 1}},
        {"unit": HERE, "team": "Đội 1", "done": {"intake": 1}},
        {"unit": THERE, "team": "Đội 1", "done": {"activated": 1}},
    ]
    assert found["without_team"] == {"intake": 1, "approved": 0, "activated": 0}
    # As of a day before, and as known then.
    before = await service.get(f"{CAMPAIGN}/assignments", as_of=str(FIRST))
    assert {each["assignment"]["id"]: each["standing"]["value"] for each in before["assignments"]} == {
        "activate": 2, "women": 1, "daily": 1
    }  # fmt: skip
    unknown = await service.get(f"{CAMPAIGN}/assignments", as_of=str(DAY), known_at=str(FIRST))
    assert (unknown["actors"], unknown["assignments"]) == ([], [])

    # A correction: it was another team. What was counted for the first goes to the other.
    [after] = helped.event.data.after
    moved = restated(
        "activated", [segment(DAY, THERE, collecting=HERE, team="Tổ phụ nữ")], [after], known=DAY
    )
    await feed.append([moved])
    await service.drain(feed)
    found = await service.get(f"{CAMPAIGN}/assignments", as_of=str(DAY))
    assert {each["assignment"]["id"]: each["standing"]["value"] for each in found["assignments"]} == {
        "activate": 1, "women": 3, "daily": 1
    }  # fmt: skip
    ranks = [(each["assignment"]["id"], each["standing"]["rank"]) for each in found["assignments"]]
    assert ranks == [("activate", 2), ("daily", 1), ("women", 1)]
    # The territorial sum has all of it, whoever did it.
    [top] = (await service.get(f"{CAMPAIGN}/progress", as_of=str(DAY), by="collecting"))["units"]
    assert top["indicators"]["activated"]["since_baseline"] == 1 + 3 + 1

    changed = await put(service, "activate", person="Phó bí thư")
    assert changed["version"] == 2
    versions = (await service.get(f"{CAMPAIGN}/assignments/activate"))["versions"]
    assert [each["assignment"]["person"] for each in versions] == [document()["person"], "Phó bí thư"]


async def test_a_hamlets_team_is_counted_where_it_works(service: RunningAggregator, feed: Producers) -> None:
    hamlet = f"{HERE}001"
    teams = [{"team": "Tổ 1", "unit": hamlet}]
    refused = await service.client.put(f"{CAMPAIGN}/assignments/hamlet", json=document(teams=teams))
    assert (refused.status_code, refused.json()["field"]) == (422, "teams.0.unit")
    listed = {"until_day": "2025-07-01", "hamlets": [{"code": hamlet, "parent_code": HERE, "name": "Thôn 1"}]}
    made = await service.client.put("/v1/units/hamlets/62/2023-11-01", json=listed)
    assert made.status_code == 200, made.text
    await put(service, "hamlet", teams=teams)
    await feed.append([
        restated("activated", [segment(DAY, THERE, collecting=unit, team="Tổ 1")], known=DAY)
        for unit in (hamlet, hamlet, HERE)
    ])  # fmt: skip
    await service.drain(feed)
    found = await service.get(f"{CAMPAIGN}/assignments", as_of=str(DAY))
    assert [each["standing"]["value"] for each in found["assignments"]] == [2]
    # A commune's team is another one, though the commune's figures have both.
    assert found["unassigned"] == [{"unit": HERE, "team": "Tổ 1", "done": {"activated": 1}}]
    assert found["without_team"]["activated"] == 0


async def test_actors_compete_by_what_their_assignments_have_due(
    service: RunningAggregator, feed: Producers
) -> None:
    begin, end = FIRST + timedelta(1), FIRST + timedelta(3)

    def done(day: date, team: str, times: int, known: date | None = None) -> list[Any]:
        credited = segment(day, THERE, collecting=HERE, team=team)
        return [restated("activated", [credited], known=known or day) for _ in range(times)]

    # Ten days: 20 in all, of which 8 are due by the end of the fourth; and 3 a day of the second to the fourth.
    await put(service, "unions", teams=[{"team": "Đội 1"}])
    women = {"actor": "women-union", "teams": [{"team": "Tổ phụ nữ"}]}
    await put(service, "women", **women, from_day=str(FIRST + timedelta(6)))
    daily = {"citizens": 3, "every": "day"}
    await put(
        service, "school", actor="school", teams=[{"team": "Đoàn trường"}], from_day=str(begin), quota=daily
    )
    await feed.append([
        *done(FIRST, "Đội 1", 2),
        *done(begin, "Đội 1", 6),
        *done(begin, "Đoàn trường", 4),
        *done(FIRST, "Đoàn trường", 9),  # before its assignment
        *done(end, "Đoàn trường", 5, known=end + timedelta(1)),
        *done(end, "Tổ phụ nữ", 7),  # before its assignment, too
        *done(end + timedelta(1), "Đội 1", 30),
    ])  # fmt: skip
    await service.drain(feed)
    contest = {
        "id": "c", "name": "Thi đua các đoàn thể", "measure": "share", "indicator": "activated",
        "first_day": str(begin), "last_day": str(end),
        "groups": [
            {"id": "unions", "name": "Đoàn thể", "actors": ["women-union", "youth-union"]},
            {"id": "schools", "name": "Trường học", "actors": ["school"]},
        ],
    }  # fmt: skip
    by_day = {**contest, "id": "d", "measure": "finish"}
    plan = await service.put_plan(contests=[contest, by_day])
    assert plan["contests"] == [contest, by_day]
    await service.move_clock(noon(end + timedelta(2)))

    async def standing(**asked: str) -> list[list[dict[str, Any]]]:
        answer = await service.get(f"{CAMPAIGN}/contests", **asked)
        return [each["groups"] for each in answer["contests"]]

    shares, finishes = await standing()
    assert shares == [
        {
            "id": "unions", "name": "Đoàn thể", "rank": 1, "value": 8, "gained": 6, "target": 8, "eligible": None,
            "percent": "100.0", "per_1000": None, "met_on": str(begin),
        },
        {
            "id": "schools", "name": "Trường học", "rank": 1, "value": 9, "gained": 9, "target": 9, "eligible": None,
            "percent": "100.0", "per_1000": None, "met_on": str(end),
        },
    ]  # fmt: skip
    assert [(each["id"], each["rank"]) for each in finishes] == [("unions", 1), ("schools", 2)]
    # The last five came to be known on the day after.
    shares, finishes = await standing(as_of=str(end), known_at=str(end))
    assert [(each["id"], each["value"], each["percent"]) for each in shares] == [
        ("unions", 8, "100.0"), ("schools", 4, "44.4")
    ]  # fmt: skip
    assert [(each["id"], each["rank"]) for each in finishes] == [("unions", 1), ("schools", None)]

    def groups(*actors: list[str]) -> dict[str, Any]:
        return {"groups": [{"id": f"g{n}", "name": "Nhóm", "actors": each} for n, each in enumerate(actors)]}

    at = "contests.0"
    one = ["school"]
    mixed = [{"id": "a", "name": "A", "actors": one}, {"id": "b", "name": "B", "units": [HERE]}]
    both = [
        {"id": "a", "name": "A", "actors": one, "units": [HERE]},
        {"id": "b", "name": "B", "units": [THERE]},
    ]
    faults: list[tuple[str, str, dict[str, Any]]] = [
        (f"{at}.groups.1.actors.0", "no actor 'nobody'", groups(one, ["nobody"])),
        (f"{at}.groups.1.actors.0", "in 'g0' and in 'g1'", groups(one, one)),
        (f"{at}.groups.0.actors.1", "in 'g0' twice", groups([*one, *one], ["youth-union"])),
        (f"{at}.groups.1.units", "another one of actors", {"groups": mixed}),
        (f"{at}.groups.0", "one of both", {"groups": both}),
        (f"{at}.measure", "no thousand", {"measure": "per_1000"}),
        (f"{at}.indicator", "by cohort", {"indicator": "activated:officials"}),
        (f"{at}.indicator", "days of its own", {"indicator": "activated:by-2023-11-30"}),
        (f"{at}.first_day", "not days of the campaign", {"first_day": "2023-11-10"}),
    ]
    for field, words, change in faults:
        answer = await service.client.put(CAMPAIGN, json=plan_document(contests=[{**contest, **change}]))
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        assert words in answer.json()["detail"], answer.text


async def test_what_cannot_be_assigned_is_refused_and_nothing_is_written(service: RunningAggregator) -> None:
    await put(service, "activate")
    faults: list[tuple[str, str, dict[str, Any]]] = [
        ("actor", "no actor 'nobody'", {"actor": "nobody"}),
        ("indicator", "by cohort", {"indicator": "activated:officials"}),
        ("indicator", "This must be an indicator", {"indicator": "cards"}),
        ("teams", "at least 1", {"teams": []}),
        ("teams.0", "counted for assignment activate", {}),
        ("teams.0.unit", "no unit of the campaign", {"teams": [{"team": "Đội 2", "unit": "00001"}]}),
        ("teams.0.team", "1 to 100 characters", {"teams": [{"team": "a\nb"}]}),
        ("teams.1", "named twice", {"teams": [{"team": "Đội 2"}, {"team": "Đội 2"}]}),
        ("from_day", "not days of the campaign", {"from_day": "2023-11-10"}),
        ("to_day", "not days of the campaign", {"to_day": "2023-11-10"}),
        ("to_day", "date", {"to_day": "2023-02-29"}),
        ("quota.citizens", "greater than or equal to 1", {"quota": {"citizens": 0, "every": "day"}}),
        ("quota.every", "'day' or 'assignment'", {"quota": {"citizens": 1, "every": "week"}}),
        ("answers", "", {"answers": ""}),
        ("persn", "Did you mean 'person'", {"persn": "x"}),
    ]
    for field, words, change in faults:
        answer = await service.client.put(f"{CAMPAIGN}/assignments/other", json=document(**change))
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (422, field), answer.text
        assert words in problem["detail"], answer.text
    for body in ({"kind": "party", "name": "x", "answers": "y"}, {"kind": "union", "name": "x"}):
        answer = await service.client.put(f"{CAMPAIGN}/actors/other", json=body)
        assert answer.status_code == 422, answer.text
    for path in ("assignments/other", "../another/assignments"):
        assert (await service.client.get(f"{CAMPAIGN}/{path}")).status_code == 404
    found = await service.get(f"{CAMPAIGN}/assignments", as_of=str(DAY))
    assert [each["assignment"]["id"] for each in found["assignments"]] == ["activate"]
    assert [each["id"] for each in found["actors"]] == ["school", "women-union", "youth-union"]
