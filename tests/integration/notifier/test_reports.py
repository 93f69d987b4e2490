"""Who had not reported by the cut-off hears of it, and who reports again is done with."""

from datetime import UTC, datetime, time

import pytest

from tests.support.notifier import (
    CAMPAIGN,
    SIBLING,
    UNIT,
    Endpoint,
    Notifier,
    at,
    day_of,
    eventually,
    unit,
)
from tiendo_common.clock import VIETNAM, new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.declarations import DeclarationsClosed, DeclarationsDue

pytestmark = pytest.mark.anyio


def closed(number: int, expected: list[str], missing: list[str]) -> NewEvent:
    day = day_of(number)
    data = DeclarationsDue(
        campaign=CAMPAIGN,
        day=day,
        cut_off=datetime.combine(day, time(16, 30), VIETNAM),
        expected=tuple(expected),
        not_reported=tuple(missing),
    )
    event = DeclarationsClosed(
        id=new_event_id(),
        source="/vn/aggregator",
        subject="62",
        time=datetime.now(UTC),
        partitionkey=CAMPAIGN,
        data=data,
    )
    return NewEvent("declared", event, f"{CAMPAIGN}/{day}")


async def close(notifier: Notifier, number: int, missing: list[str], expected: list[str]) -> None:
    await notifier.move_clock(at(day_of(number), 17))
    await notifier.aggregator.publish(closed(number, expected, missing))
    (consumer,) = (each for each in notifier.app.state.kit.consumers if each.name == "reports")
    heads = await notifier.aggregator.next_of("declared")

    async def read() -> bool:
        return bool((await consumer.positions())["declared"] == heads)

    await eventually(read)
    await notifier.settled()


async def test_a_unit_that_has_not_reported_hears_of_it_once_and_again_when_it_goes_on(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_destination("commune", receiver.url, units=[UNIT])
    both = [UNIT, SIBLING]
    await close(notifier, 1, [UNIT], both)
    await close(notifier, 2, [UNIT], both)
    await close(notifier, 3, [UNIT], both)
    await close(notifier, 4, [], both)
    assert receiver.kinds() == ["incident.opened", "incident.worsened", "incident.resolved"]
    said = [each["data"]["message"]["vi"] for each in receiver.documents()]
    assert said[0].startswith(
        "Xã Đăk Môn, Huyện Đăk Glei chưa báo cáo số liệu ngày 11/11/2023 (không phải số không)."
    )
    assert "ngày 12/11/2023 (không phải số không), 2 ngày liền." in said[1]
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["indicator"], incident["rule"], incident["state"]) == (
        "report",
        "not_reported",
        "resolved",
    )
    await close(notifier, 4, [UNIT], both)  # a day is judged once
    assert len(receiver.received) == 3


async def test_a_third_that_has_not_reported_is_one_message_to_the_parent(
    notifier: Notifier, receiver: Endpoint
) -> None:
    others = ["23347", "23350"]
    await notifier.aggregator.publish(*(unit(code, "610", "commune", f"Xã {code}") for code in others))
    await notifier.put_destination("province", receiver.url)
    await close(notifier, 1, [UNIT, *others], [UNIT, SIBLING, *others])
    assert receiver.kinds() == ["together.formed"]
    assert receiver.documents()[0]["data"]["unit"] == "610"


async def test_the_past_is_not_held_against_anybody(notifier: Notifier, receiver: Endpoint) -> None:
    await notifier.put_destination("province", receiver.url)
    await notifier.move_clock(at(day_of(9)))
    await notifier.aggregator.publish(closed(1, [UNIT], [UNIT]))

    async def decided() -> bool:
        return bool((await notifier.get("decisions"))["decisions"])

    await eventually(decided)
    (decision,) = (await notifier.get("decisions"))["decisions"]
    assert (decision["outcome"], decision["historical"], decision["message"]) == ("opened", True, None)
    assert receiver.received == []
