"""What was said of days is withdrawn when late records show that it was not so."""

from datetime import date
from typing import Any

import msgspec
import pytest

from tests.integration.notifier.test_decisions import again_of
from tests.support.notifier import (
    CAMPAIGN,
    LAST,
    UNIT,
    Endpoint,
    Notifier,
    at,
    day_of,
    progress,
    target,
)
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.state import Goal, ProgressPublished, RevisedDay

pytestmark = pytest.mark.anyio


def closing(
    number: int, value: int, revised: tuple[tuple[date, int, int], ...] = (), *, done: int = 100
) -> NewEvent:
    """A day's closing, and what it says of earlier days: value and work done."""
    event = progress(day_of(number), done, value)
    assert isinstance(event.event, ProgressPublished)
    days = tuple(
        RevisedDay(goal=Goal("activated"), day=day, value=reached, baseline=0, done=work)
        for day, reached, work in revised
    )
    data = msgspec.structs.replace(event.event.data, revised=days or msgspec.UNSET)
    key = f"{CAMPAIGN}/{UNIT}/{data.day}"
    return NewEvent(event.topic, msgspec.structs.replace(event.event, data=data), key)


async def publish(notifier: Notifier, *closings: tuple[int, NewEvent]) -> None:
    for number, event in closings:
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(event)
        await notifier.consumed()


async def test_a_missed_target_is_withdrawn_once_when_late_records_reach_it(
    notifier: Notifier, receiver: Endpoint
) -> None:
    only: dict[str, Any] = {"off": ["behind_pace", "at_risk", "quota_missed", "stalled"]}
    assert (await notifier.put_policy(**only)).status_code == 200
    await notifier.aggregator.publish(target())
    await notifier.put_destination("hook", receiver.url)
    late = ((LAST, 5000, 300),)
    await publish(
        notifier,
        (49, closing(49, 4700)),
        (50, closing(50, 4800)),
        (51, closing(51, 4950, ((LAST, 4850, 150),))),
        (52, closing(52, 5100, late)),
        (53, closing(53, 5100, late)),
        (53, closing(52, 5100, late)),
    )
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened", "incident.withdrawn"]
    assert "late records show" in receiver.documents()[1]["data"]["message"]["en"]
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["state"], incident["resolved_day"]) == ("resolved", str(day_of(52)))
    assert [step["step"] for step in incident["steps"]] == ["opened", "withdrawn"]
    decisions = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"]
    judged = [each for each in decisions if each["outcome"] != "not_judged"]
    assert [(each["outcome"], each["day"]) for each in reversed(judged)] == [
        ("opened", str(LAST)),
        ("held", str(day_of(51))),
        ("withdrawn", str(day_of(52))),
    ]
    for stored in judged:
        again = again_of(stored)
        assert (again["outcome"], again["reason"]) == (stored["outcome"], stored["reason"])
    (figures,) = (await notifier.get("rules", campaign=CAMPAIGN))["rules"]
    assert (figures["rule"], figures["fired"], figures["withdrawn"]) == ("target_missed", 1, 1)

    # Rules are tried on what was known when.
    body = {"campaign": CAMPAIGN, "rules": only | {"rhythm": {"escalate_from": "never"}}}
    answer = await notifier.http.post("/v1/backtests", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [(each["kind"], each["day"]) for each in found["alerts"]] == [
        ("incident.opened", str(LAST)),
        ("incident.withdrawn", str(day_of(52))),
    ]
    assert not found["misses"]


async def test_missed_quotas_that_were_met_leave_no_run_behind(notifier: Notifier) -> None:
    only: dict[str, Any] = {"off": ["behind_pace", "at_risk", "target_missed", "stalled"]}
    limits = {"quota_percent": 50, "quota_clear_percent": 90, "quota_closings": 3, "start_percent": 0}
    assert (await notifier.put_policy(**only, thresholds=limits)).status_code == 200
    await notifier.aggregator.publish(target())
    await publish(
        notifier,
        (1, closing(1, 20, done=20)),
        (2, closing(2, 40, done=20)),
        (3, closing(3, 60, done=20)),
        # The team of the second day was offline until now.
        (4, closing(4, 200, ((day_of(2), 120, 100), (day_of(3), 140, 20)), done=60)),
    )
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert [step["step"] for step in incident["steps"]] == ["opened", "withdrawn"]
    decision = (await notifier.get("decisions", campaign=CAMPAIGN, unit=UNIT))["decisions"][0]
    assert decision["inputs"]["revised"]["rules"]["quota_missed"] == {"run": 1, "firing": False}
    assert [each["withdrawn"] for each in decision["findings"]] == [True]
