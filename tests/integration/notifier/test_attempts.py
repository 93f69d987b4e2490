"""Activations that fail more than usual are an incident of their own, whatever the target's pace."""

from typing import Any

import msgspec
import pytest

from tests.integration.notifier.test_decisions import decided_again
from tests.support.notifier import CAMPAIGN, UNIT, Endpoint, Notifier, at, day_of, progress, target
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.state import Attempts, FailedFor, ProgressPublished

pytestmark = pytest.mark.anyio


def closing(number: int, failed: int) -> NewEvent:
    """On plan; so many attempts have failed by then because the code went to an old device."""
    event = progress(day_of(number), 100, 100 * number)
    assert isinstance(event.event, ProgressPublished)
    told = Attempts(activated=100 * number, failed=(FailedFor(reason="old_device", attempts=failed),))
    data = msgspec.structs.replace(event.event.data, attempts=told)
    return NewEvent(event.topic, msgspec.structs.replace(event.event, data=data), event.key)


async def test_a_reason_that_fails_more_often_is_told_and_tried_on_record(
    notifier: Notifier, receiver: Endpoint
) -> None:
    rules: dict[str, Any] = {"off": ["at_risk", "forecast_miss"]}
    assert (await notifier.put_policy(**rules)).status_code == 200
    await notifier.aggregator.publish(target())
    await notifier.put_destination("hook", receiver.url, rules=["activations_failing"])
    by_day = [10, 20, 30, 40, 140, 240, 340, 350, 360, 370]
    for number, failed in enumerate(by_day, 1):
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(closing(number, failed))
        await notifier.consumed()
    await notifier.settled()
    kinds = receiver.kinds()
    assert kinds == ["incident.opened", "incident.worsened", "incident.resolved"]
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["indicator"], incident["rule"], incident["opened_day"]) == (
        "attempts",
        "activations_failing",
        str(day_of(5)),
    )
    assert incident["figures"]["attempts"][0]["kind"] == "old_device"
    decisions = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"]
    assert decisions
    for stored in decisions:
        again = decided_again(stored)
        assert (again["outcome"], again["reason"]) == (stored["outcome"], stored["reason"])
    listed = await notifier.http.get("/v1/reminders", params={"campaign": CAMPAIGN})
    assert listed.status_code == 200, listed.text

    body = {"campaign": CAMPAIGN, "rules": rules | {"rhythm": {"escalate_from": "never"}}}
    answer = await notifier.http.post("/v1/backtests", json=body)
    assert answer.status_code == 200, answer.text
    found = [each for each in answer.json()["alerts"] if each["indicator"] == "attempts"]
    assert [each["kind"] for each in found] == kinds
    body["rules"] = rules | {"thresholds": {"failing_points": 98, "failing_warning_points": 99,
                                            "failing_critical_points": 100}}  # fmt: skip
    answer = await notifier.http.post("/v1/backtests", json=body)
    assert not [each for each in answer.json()["alerts"] if each["indicator"] == "attempts"]
