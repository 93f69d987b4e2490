"""Activations that fail more than usual, and dossiers that are faulty, are incidents of their own, whatever the pace
of a target."""

from typing import Any

import msgspec
import pytest

from tests.integration.notifier.test_decisions import again_of
from tests.support.notifier import CAMPAIGN, UNIT, Endpoint, Notifier, at, day_of, progress, target
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.state import Attempts, FailedFor, ProgressPublished, Records

pytestmark = pytest.mark.anyio


def closing(number: int, failed: int, voided: int) -> NewEvent:
    """On plan; so many attempts have failed by then because the code went to an old device, and so many dossiers were
    voided."""
    event = progress(day_of(number), 100, 100 * number)
    assert isinstance(event.event, ProgressPublished)
    told = Attempts(activated=100 * number, failed=(FailedFor(reason="old_device", attempts=failed),))
    records = Records(taken=100 * number, voided=voided, corrected=0, rejected=0)
    data = msgspec.structs.replace(event.event.data, attempts=told, records=records)
    return NewEvent(event.topic, msgspec.structs.replace(event.event, data=data), event.key)


async def test_a_reason_that_fails_more_often_is_told_and_tried_on_record(
    notifier: Notifier, receiver: Endpoint
) -> None:
    rules: dict[str, Any] = {"off": ["at_risk", "forecast_miss"]}
    assert (await notifier.put_policy(**rules)).status_code == 200
    await notifier.aggregator.publish(target())
    await notifier.put_destination("hook", receiver.url, rules=["activations_failing"])
    by_day = [
        (10, 0),
        (20, 0),
        (30, 0),
        (40, 0),
        (140, 15),
        (240, 40),
        (340, 40),
        (350, 40),
        (360, 40),
        (370, 40),
    ]
    for number, (failed, voided) in enumerate(by_day, 1):
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(closing(number, failed, voided))
        await notifier.consumed()
    await notifier.settled()
    kinds = receiver.kinds()
    assert kinds == ["incident.opened", "incident.worsened", "incident.resolved"]
    of = {each["indicator"]: each for each in (await notifier.get("incidents"))["incidents"]}
    assert of.keys() == {"attempts", "records"}
    faulty, incident = of["records"], of["attempts"]
    assert (faulty["rule"], faulty["severity"], faulty["opened_day"], faulty["resolved_day"]) == (
        "data_quality", "warning", str(day_of(5)), str(day_of(9))
    )  # fmt: skip
    assert (incident["indicator"], incident["rule"], incident["opened_day"]) == (
        "attempts",
        "activations_failing",
        str(day_of(5)),
    )
    assert incident["figures"]["attempts"][0]["kind"] == "old_device"
    decisions = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"]
    assert decisions
    for stored in decisions:
        again = again_of(stored)
        assert (again["outcome"], again["reason"]) == (stored["outcome"], stored["reason"])
    listed = await notifier.http.get("/v1/reminders", params={"campaign": CAMPAIGN})
    assert listed.status_code == 200, listed.text

    body = {"campaign": CAMPAIGN, "rules": rules | {"rhythm": {"escalate_from": "never"}}}
    answer = await notifier.http.post("/v1/backtests", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()["alerts"]
    assert [each["kind"] for each in found if each["indicator"] == "attempts"] == kinds
    assert [each["kind"] for each in found if each["indicator"] == "records"] == kinds
    body["rules"] = rules | {"thresholds": {"failing_points": 98, "failing_warning_points": 99,
                                            "failing_critical_points": 100}}  # fmt: skip
    answer = await notifier.http.post("/v1/backtests", json=body)
    assert not [each for each in answer.json()["alerts"] if each["indicator"] == "attempts"]
