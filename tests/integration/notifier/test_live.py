"""A unit that reports live and falls silent is heard of within the hour, and no other is."""

from datetime import timedelta

import pytest

from tests.integration.notifier.test_decisions import again_of
from tests.support.notifier import (
    CAMPAIGN,
    SIBLING,
    UNIT,
    Endpoint,
    Notifier,
    at,
    day_of,
    progress,
    target,
)

pytestmark = pytest.mark.anyio

PROVINCE = "62"


async def goes_on(notifier: Notifier, hour: int, minute: int, **done: int) -> None:
    """The newest totals in the midst of the seventh day: of those who did something, then of the province."""
    now = at(day_of(7), hour) + timedelta(minutes=minute)
    await notifier.move_clock(now)
    totals = {"c" + UNIT: None, "c" + SIBLING: None} | done | {"c" + PROVINCE: minute}
    await notifier.aggregator.publish(
        *(
            progress(day_of(7), n, 600 + n, code[1:], complete_to=now)
            for code, n in totals.items()
            if n is not None
        )
    )
    await notifier.consumed()


async def test_who_falls_silent_in_working_time_is_told_until_something_comes(
    notifier: Notifier, receiver: Endpoint
) -> None:
    rules = {"off": ["at_risk", "behind_pace", "forecast_miss", "quota_missed"]}
    held = {"rhythm": {"reports": "live", "escalate_from": "never", "shifts": ["07:00-17:00"]}}
    assert (await notifier.put_policy(UNIT, **rules, **held)).status_code == 200
    await notifier.aggregator.publish(target(), target(SIBLING))
    await notifier.put_destination("hook", receiver.url, rules=["stalled_live"])
    for number in range(1, 7):
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(
            progress(day_of(number), 100), progress(day_of(number), 100, code=SIBLING)
        )
        await notifier.consumed()
    # Both are at work; then neither is, and only one of them reports live. One in 6 minutes is usual.
    await goes_on(notifier, 9, 0, **{"c" + UNIT: 5, "c" + SIBLING: 5})
    await goes_on(notifier, 9, 10, **{"c" + UNIT: 7})
    for minute in (20, 39):
        await goes_on(notifier, 9, minute)
    assert not (await notifier.get("incidents"))["incidents"]
    await goes_on(notifier, 9, 40)
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["unit"], incident["indicator"], incident["rule"]) == (UNIT, "live", "stalled_live")
    assert (incident["figures"]["silent_minutes"], incident["figures"]["usual_minutes"]) == (30, 6)
    for minute in (41, 42):  # each minute it is asked again, and nothing new is found
        await goes_on(notifier, 9, minute)
    await goes_on(notifier, 9, 55, **{"c" + UNIT: 8})
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened", "incident.resolved"]
    decisions = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"]
    live = [each for each in decisions if each["indicator"] == "live"]
    assert [each["outcome"] for each in live] == ["resolved", "opened"]
    for stored in live:
        again = again_of(stored)
        assert (again["outcome"], again["reason"]) == (stored["outcome"], stored["reason"])

    # It is silent once more, and reports daily from now on: nobody waits for it any more.
    await goes_on(notifier, 11, 0)
    assert [each["state"] for each in (await notifier.get("incidents"))["incidents"]] == [
        "notified",
        "resolved",
    ]
    held["rhythm"]["reports"] = "daily"
    assert (await notifier.put_policy(UNIT, **rules, **held)).status_code == 200
    other = {"rhythm": {"reports": "live", "escalate_from": "never"}}
    assert (await notifier.put_policy(SIBLING, **rules, **other)).status_code == 200
    await goes_on(notifier, 11, 2)
    assert {each["state"] for each in (await notifier.get("incidents"))["incidents"]} == {"resolved"}
    answer = await notifier.http.post("/v1/backtests", json={"campaign": CAMPAIGN})
    assert answer.status_code == 200, answer.text
