"""Assignments: what is due by when, who is ahead, what is refused."""

from datetime import date
from typing import Any

import msgspec
import pytest

from tests.support.campaigns import campaign
from tiendo_aggregator.rules.assignments import (
    Actor,
    Actual,
    Assignment,
    NamedTeam,
    Quota,
    actor_standings,
    check_assignment,
    schedule_of,
    standings,
)
from tiendo_aggregator.rules.calendar import Calendar
from tiendo_common.errors import Invalid

#: 2023-11-11 is a Saturday; nobody works on Sundays.
CAMPAIGN = campaign(
    calendar=Calendar(weekday_weights=(1, 1, 1, 1, 1, 1, 0)),
)
SCHOOL = Assignment(
    id="school",
    actor="youth",
    person="Tổ trưởng",
    task="Hướng dẫn kích hoạt",
    goal="activated",
    teams=(NamedTeam(team="Đoàn trường", unit="23281"),),
    from_day=date(2023, 11, 11),
    to_day=date(2023, 11, 20),
    quota=Quota(citizens=10, every="assignment", people=12),
    result="120 tài khoản",
    answers="Bí thư",
)


def like(**change: Any) -> Assignment:
    return msgspec.structs.replace(SCHOOL, **change)


def test_a_quota_of_each_person_is_spread_over_working_days_or_due_on_each_of_them() -> None:
    schedule = schedule_of(SCHOOL, CAMPAIGN)
    days = [date(2023, 11, day) for day in range(10, 22)]
    worked = [0, 1, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8]
    assert [SCHOOL.due(schedule, day) for day in days] == [15 * n for n in worked]
    daily = like(quota=Quota(citizens=2, every="day", people=12))
    assert [daily.due(schedule, day) for day in days] == [24 * n for n in worked]
    odd = like(quota=Quota(citizens=7, every="assignment"))
    assert [odd.due(schedule, day) for day in days] == [7 * n // 8 for n in worked]


def test_ranks_are_by_exact_share_and_equal_ones_share_a_rank() -> None:
    third = like(id="third", actor="women", quota=Quota(citizens=90, every="assignment"))
    later = like(id="later", actor="women", from_day=date(2023, 11, 18))
    other = like(id="other", goal="intake")
    done = {"school": Actual(40, 4), "third": Actual(30, 3), "later": Actual(0, 0), "other": Actual(1, 1)}
    day = date(2023, 11, 14)
    found, of_actors = standings([SCHOOL, third, later, other], done, CAMPAIGN, day)
    assert {key: each.rank for key, each in found.items()} == {
        "school": 1,
        "third": 1,
        "later": None,
        "other": 1,
    }
    assert (found["school"].percent, found["school"].gap) == ("33.3", 5)
    actors = [Actor(id=each, kind="union", name=each, answers="x") for each in ("women", "youth", "idle")]
    told = actor_standings(actors, of_actors)
    assert [[(each.goal, each.due, each.value, each.rank) for each in one.standings] for one in told] == [
        [("activated", 210, 30, 2)],
        [("intake", 120, 1, 1), ("activated", 120, 40, 1)],
        [],
    ]


@pytest.mark.parametrize(
    ("field", "words", "change"),
    [
        ("indicator", "by cohort", {"goal": "activated:officials"}),
        ("indicator", "days of its own", {"goal": "activated:by-2023-11-20"}),
        ("from_day", "not days of the campaign", {"from_day": date(2023, 11, 10)}),
        ("to_day", "not days of the campaign", {"to_day": date(2023, 12, 31)}),
        ("to_day", "not days of the campaign", {"to_day": date(2023, 11, 10)}),
        ("to_day", "any work", {"from_day": date(2023, 11, 12), "to_day": date(2023, 11, 12)}),
        ("teams.0.unit", "no unit of the campaign", {"teams": (NamedTeam(team="x", unit="00001"),)}),
        ("teams.1", "named twice", {"teams": (NamedTeam(team="x"), NamedTeam(team="x", unit="23281"))}),
        ("teams.0", "counted for assignment school", {"teams": (NamedTeam(team="Đoàn trường"),)}),
    ],
)
def test_what_cannot_be_assigned_is_named(field: str, words: str, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        check_assignment(like(id="other", **change), CAMPAIGN, {"62", "23281"}, [SCHOOL])
    assert refused.value.field == field
    assert refused.value.remedy


@pytest.mark.parametrize(
    "change",
    [
        {"id": "school"},
        {"goal": "activated:level-2"},
        {"from_day": date(2023, 11, 21), "to_day": date(2023, 11, 30)},
        {"teams": (NamedTeam(team="Đoàn trường", unit="62"),)},
    ],
)
def test_what_is_counted_nowhere_else_can_be_assigned(change: dict[str, Any]) -> None:
    check_assignment(like(**{"id": "other", **change}), CAMPAIGN, {"62", "23281"}, [SCHOOL])
