"""Targets of narrowed goals: judged from the closings that name them, each by its own last day."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from tests.support.notifier import CAMPAIGN, FIRST, LAST, UNIT, Notifier, at, day_of, progress, target
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.state import Goal, NarrowedProgress, ProgressPublished

pytestmark = pytest.mark.anyio

OFFICIALS = Goal("activated", 2, "officials", date(2023, 11, 14))
PACE = {"behind_closings": 1, "start_percent": 0, "least_gap": 1, "least_gap_percent": 0}


def closing(number: int, value: int, officials: int) -> NewEvent:
    """The unit is on plan as a whole; so many officials of the 40 that are due on the fourth day are reached."""
    event = progress(day_of(number), 100, value)
    assert isinstance(event.event, ProgressPublished)
    told = NarrowedProgress(goal=OFFICIALS, target=40, value=officials, baseline=0, done=1)
    data = msgspec.structs.replace(event.event.data, narrowed=(told,))
    return NewEvent(event.topic, msgspec.structs.replace(event.event, data=data), event.key)


async def test_a_narrowed_target_has_its_own_incident_until_its_own_day(notifier: Notifier) -> None:
    rules: dict[str, Any] = {"thresholds": PACE, "off": ["quota_missed", "at_risk"]}
    assert (await notifier.put_policy(**rules)).status_code == 200
    await notifier.aggregator.publish(target())
    for number, officials in ((1, 2), (2, 20), (3, 24), (4, 24), (5, 40)):
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(closing(number, 100 * number, officials))
        await notifier.consumed()
    incidents = (await notifier.get("incidents"))["incidents"]
    assert {each["indicator"] for each in incidents} == {OFFICIALS.name}
    late, early = incidents
    assert (early["state"], early["opened_day"], early["resolved_day"]) == (
        "resolved", str(FIRST), str(day_of(2))
    )  # fmt: skip
    # Its campaign is four days long: on the fourth it is missed, and the fifth is none of its.
    assert (late["opened_day"], late["last_day"], late["rule"]) == (
        str(day_of(3)),
        str(day_of(4)),
        "target_missed",
    )
    assert (late["figures"]["days"], late["figures"]["value"], late["figures"]["target"]) == (4, 24, 40)
    said = [row["notice"] for row in await notifier.pool.fetch("SELECT notice FROM message ORDER BY id")]
    words = msgspec.json.decode(said[0])["data"]["message"]
    assert "kích hoạt mức độ 2 cho cán bộ, công chức, viên chức (hạn ngày 14/11/2023)" in words["vi"]
    assert "level 2 activation of officials and public employees (due 14 November 2023)" in words["en"]
    decisions = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"]
    assert {each["indicator"] for each in decisions} == {OFFICIALS.name}

    # Rules are tried on it as on any other target.
    body = {"campaign": CAMPAIGN, "rules": rules | {"rhythm": {"escalate_from": "never"}}}
    answer = await notifier.http.post("/v1/backtests", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [(each["indicator"], each["reached"], each["of"]) for each in found["misses"]] == [
        (OFFICIALS.name, 24, 40)
    ]
    kinds = await notifier.pool.fetch("SELECT kind FROM message ORDER BY id")
    assert [each["kind"] for each in found["alerts"]] == [row["kind"] for row in kinds]


async def test_days_after_the_last_one_are_judged_by_what_they_are_to_bring(notifier: Notifier) -> None:
    """Four weeks of ten a working day, none on Sundays, from what stood on the last day of the campaign."""
    rules: dict[str, Any] = {"thresholds": PACE | {"quota_percent": 50}, "off": ["at_risk", "stalled"]}
    assert (await notifier.put_policy(**rules)).status_code == 200
    await notifier.aggregator.publish(target())
    first, due = LAST + timedelta(days=1), LAST + timedelta(days=28)
    goal = Goal("activated", due=due)
    #: 31 December 2023 is a Sunday.
    weights = (0, 1, 1, 1, 1, 1, 1) * 4

    async def close(day: date, gained: int, done: int) -> None:
        event = progress(day, done, 5000 + gained)
        assert isinstance(event.event, ProgressPublished)
        told = NarrowedProgress(
            goal=goal, target=5240, value=5000 + gained, baseline=5000, done=done, from_day=first, day_weights=weights
        )  # fmt: skip
        data = msgspec.structs.replace(event.event.data, narrowed=(told,))
        await notifier.move_clock(at(day))
        await notifier.aggregator.publish(
            NewEvent(event.topic, msgspec.structs.replace(event.event, data=data), event.key)
        )
        await notifier.consumed()

    await close(first, 0, 0)
    assert not (await notifier.get("incidents"))["incidents"]  # nothing was asked on the Sunday
    await close(first + timedelta(days=1), 2, 2)
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["indicator"], incident["state"], incident["rule"]) == (
        goal.name,
        "notified",
        "behind_pace",
    )
    figures = incident["figures"]
    assert [figures[name] for name in ("day_number", "days", "quota", "planned", "actual")] == [
        2,
        28,
        10,
        10,
        2,
    ]
    await close(first + timedelta(days=2), 20, 18)
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["state"], incident["resolved_day"]) == ("resolved", str(first + timedelta(days=2)))
    await close(due, 230, 0)
    missed = (await notifier.get("incidents"))["incidents"][0]
    assert (missed["rule"], missed["figures"]["target"], missed["figures"]["value"]) == (
        "target_missed",
        5240,
        5230,
    )

    # Rules are tried on the campaign's own days.
    answer = await notifier.http.post("/v1/backtests", json={"campaign": CAMPAIGN, "rules": rules})
    assert (answer.status_code, answer.json()["field"]) == (409, "campaign"), answer.text
