"""Rules are tried on what is on record, before they are trusted."""

from typing import Any

import pytest

from tests.support.notifier import (
    CAMPAIGN,
    FIRST,
    SIBLING,
    UNIT,
    Notifier,
    at,
    day_of,
    progress,
    target,
    unit,
)

pytestmark = pytest.mark.anyio

EARLY = {"behind_closings": 1, "start_percent": 0, "least_gap": 1, "least_gap_percent": 0}
OTHERS = ["23347", "23350"]


async def lived(notifier: Notifier) -> None:
    """Two weeks: one commune falls behind for good, one for a while, for some days all do."""
    codes = [UNIT, SIBLING, *OTHERS]
    await notifier.aggregator.publish(
        *(unit(code, "610", "commune", f"Xã {code}") for code in OTHERS), *(target(code) for code in codes)
    )
    for number in range(1, 15):
        on_plan = 100 * number
        values = [
            on_plan * 60 // 100,
            on_plan * (80 if number in (3, 4, 5, 9, 10) else 100) // 100,
            on_plan * (70 if number in (9, 10) else 100) // 100,
            on_plan,
        ]
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(
            *(progress(day_of(number), 100, value, code) for code, value in zip(codes, values, strict=True))
        )
        await notifier.consumed()


async def backtest(notifier: Notifier, **document: Any) -> dict[str, Any]:
    answer = await notifier.http.post("/v1/backtests", json={"campaign": CAMPAIGN} | document)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_rules_that_were_in_force_would_have_told_what_was_told(notifier: Notifier) -> None:
    rules: dict[str, Any] = {
        "thresholds": EARLY,
        "off": ["at_risk"],
        "rhythm": {"escalate_from": "never"},
    }
    await notifier.put_policy(**rules)
    await notifier.put_policy(SIBLING, thresholds={"behind_percent": 76})
    await lived(notifier)
    told = await notifier.pool.fetch("SELECT at, unit, kind FROM message ORDER BY id")
    found = await backtest(notifier, rules=rules, units={SIBLING: {"thresholds": {"behind_percent": 76}}})
    assert [(each["day"], each["unit"], each["kind"]) for each in found["alerts"]] == [
        (row["at"].date().isoformat(), row["unit"], row["kind"]) for row in told
    ]
    assert len(told) >= 3


async def test_two_sets_of_rules_are_told_apart_by_what_they_tell_and_when(notifier: Notifier) -> None:
    await lived(notifier)
    before = await notifier.state()
    early, late = (
        await backtest(notifier, rules={"thresholds": EARLY, "off": ["at_risk"]}),
        await backtest(notifier),
    )
    assert await notifier.state() == before
    assert (early["first_day"], early["last_day"], early["over"]) == (FIRST.isoformat(), "2023-11-24", False)
    (miss,) = early["misses"]
    assert (miss["unit"], miss["reached"], miss["of"]) == (UNIT, 840, 1400)
    assert (miss["first_told"], miss["lead_days"]) == ("2023-11-11", 13)
    (later,) = late["misses"]
    assert later["lead_days"] < miss["lead_days"]
    assert late["score"]["alerts"] < early["score"]["alerts"]
    assert early["score"]["missed_told"] == late["score"]["missed_told"] == 1
    assert early["score"]["told_not_missed"] > 0
    together = next(each for each in early["alerts"] if each["kind"] == "together.formed")
    assert together["members"] == [UNIT, OTHERS[0], SIBLING]


async def test_rules_that_make_no_sense_are_refused_before_they_are_tried(notifier: Notifier) -> None:
    await lived(notifier)
    for document, status, at_fault in (
        ({"rules": {"thresholds": {"behind_percent": 0}}}, 422, "thresholds.behind_percent"),
        ({"rules": {"treshold": {}}}, 422, "rules.treshold"),
        ({"units": {"79": {}}}, 404, "unit"),
        ({"units": {UNIT: {"thresholds": {"nonsense": 1}}}}, 422, "thresholds.nonsense"),
        ({"campaign": "nowhere"}, 404, "campaign"),
    ):
        answer = await notifier.http.post("/v1/backtests", json={"campaign": CAMPAIGN} | document)
        assert (answer.status_code, answer.json()["field"]) == (status, at_fault), answer.text


async def test_before_anything_is_on_record_there_is_nothing_to_try_rules_on(notifier: Notifier) -> None:
    answer = await notifier.http.post("/v1/backtests", json={"campaign": CAMPAIGN})
    assert (answer.status_code, "nothing to try rules on" in answer.json()["detail"]) == (409, True)
