"""The life of an incident after it was told: taken on, gone up, kept back, told together, summed up."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.notifier import (
    CAMPAIGN,
    SIBLING,
    UNIT,
    Endpoint,
    Notifier,
    at,
    campaign,
    day_of,
    eventually,
    progress,
    receiving,
    target,
    unit,
)

pytestmark = pytest.mark.anyio

#: Behind pace at once, with all three severities in reach.
PACE = {"behind_closings": 1, "start_percent": 0, "least_gap": 1, "least_gap_percent": 0}


async def pace(notifier: Notifier, **rhythm: Any) -> None:
    answer = await notifier.put_policy(
        thresholds=PACE, off=["quota_missed", "at_risk"], rhythm={"escalate_from": "notice"} | rhythm
    )
    assert answer.status_code == 200, answer.text


async def the_incident(notifier: Notifier) -> dict[str, Any]:
    (incident,) = (await notifier.get("incidents"))["incidents"]
    return dict(incident)


def texts(receiver: Endpoint) -> list[str]:
    return [each["data"]["message"]["en"] for each in receiver.documents()]


async def test_what_nobody_takes_on_goes_up_a_level_each_working_day(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier)
    await notifier.put_destination("district", receiver.url, units=["610"])
    with receiving() as province, receiving() as commune:
        await notifier.put_destination("province", province.url, units=["62"])
        await notifier.put_destination("commune", commune.url, units=[UNIT])
        await notifier.aggregator.publish(target(), campaign(weights=(1, 0, *(1 for _ in range(48)))))
        await notifier.close_day(1, 80, 80)
        assert (await the_incident(notifier))["next_step"] == "2023-11-13T13:00:00Z"  # the 12th is a rest day
        await notifier.move_clock(at(day_of(3), 19))
        assert (await the_incident(notifier))["state"] == "notified"
        await notifier.move_clock(at(day_of(3), 20))
        up = await the_incident(notifier)
        assert (up["state"], up["addressee"]) == ("escalated", "610")
        await notifier.settled()
        assert receiver.kinds() == ["incident.opened", "incident.escalated"]
        assert commune.kinds() == ["incident.opened"]
        assert texts(receiver)[1].startswith(
            "To Huyện Đăk Glei: nobody has acknowledged the alert about Xã Đăk Môn"
        )
        await notifier.move_clock(at(day_of(4), 20))
        await notifier.move_clock(at(day_of(5), 20))
        last = await the_incident(notifier)
        assert (last["addressee"], last["next_step"]) == ("62", None)  # nobody is above the province
        await notifier.settled()
        assert province.kinds() == ["incident.opened", "incident.escalated", "incident.escalated"]


async def test_live_units_go_up_after_half_an_hour_of_working_time(notifier: Notifier) -> None:
    await pace(notifier, reports="live")
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 80, 80)
    await notifier.move_clock(at(day_of(2), 7) + timedelta(minutes=29))
    assert (await the_incident(notifier))["state"] == "notified"
    await notifier.move_clock(at(day_of(2), 7) + timedelta(minutes=30))
    assert (await the_incident(notifier))["state"] == "escalated"


async def test_what_somebody_takes_on_does_not_go_up_until_it_worsens(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier)
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 80, 80)
    path = f"/v1/incidents/{(await the_incident(notifier))['id']}"
    answer = await notifier.http.post(f"{path}/acknowledgement", json={"note": "two teams on their way"})
    taken = answer.json()
    assert (answer.status_code, taken["state"], taken["next_step"]) == (200, "acknowledged", None)
    assert (taken["acknowledged"]["author"], taken["acknowledged"]["note"]) == (
        "admin",
        "two teams on their way",
    )
    assert (await notifier.http.post(f"{path}/acknowledgement", json={})).status_code == 200
    other = await notifier.http.post(
        f"{path}/acknowledgement", json={}, headers={"authorization": "Bearer officer"}
    )
    assert (other.status_code, "admin has taken it on" in other.json()["detail"]) == (409, True)
    await notifier.close_day(2, 80, 160)
    assert (await the_incident(notifier))["state"] == "acknowledged"
    await notifier.close_day(3, 20, 180)
    worse = await the_incident(notifier)
    assert (worse["state"], worse["severity"], worse["acknowledged"]) == ("notified", "warning", None)
    assert worse["next_step"] is not None
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened", "incident.worsened"]
    await notifier.close_day(4, 400, 500)
    over = await notifier.http.post(f"{path}/acknowledgement", json={})
    assert (over.status_code, over.json()["field"]) == (409, "id")


async def test_taking_on_asks_for_the_scope_and_the_incident(notifier: Notifier) -> None:
    path = "/v1/incidents/0193b2a0-0000-7000-8000-000000000000"
    for key, status in (("reader", 403), ("officer", 404)):
        answer = await notifier.http.post(
            f"{path}/acknowledgement", json={}, headers={"authorization": f"Bearer {key}"}
        )
        assert answer.status_code == status
    assert (await notifier.http.get(path)).status_code == 404
    assert (await notifier.http.get("/v1/incidents/none")).status_code == 422


async def test_a_silence_keeps_back_and_what_is_still_bad_after_it_is_told(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier)
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.move_clock(at(day_of(1), 8))
    answer = await notifier.http.post(
        "/v1/silences",
        json={
            "unit": "610", "reason": "floods", "kind": "maintenance",
            "from": at(day_of(1), 9).isoformat(), "until": at(day_of(3), 9).isoformat(),
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    silence = answer.json()
    assert (silence["author"], silence["from"]) == ("admin", "2023-11-11T02:00:00Z")
    assert [each["id"] for each in (await notifier.get("silences"))["silences"]] == [silence["id"]]
    await notifier.close_day(1, 80, 80)
    (kept,) = (await notifier.get("decisions"))["decisions"]
    assert kept["kept_back"].startswith(
        f"maintenance {silence['id']} by admin until 2023-11-13 09:00: floods"
    )
    assert (await the_incident(notifier))["state"] == "open"
    await notifier.close_day(2, 80, 160)
    assert await notifier.settled() == []
    await notifier.close_day(3, 80, 240)
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened"]
    assert (await notifier.get("silences"))["silences"] == []
    assert len((await notifier.get("silences", all=True))["silences"]) == 1


async def test_a_silence_can_be_ended_once(notifier: Notifier) -> None:
    await notifier.move_clock(at(day_of(1), 8))
    answer = await notifier.http.post(
        "/v1/silences", json={"reason": "a test", "until": at(day_of(2)).isoformat(), "rules": ["stalled"]}
    )
    path = f"/v1/silences/{answer.json()['id']}"
    assert (await notifier.http.delete(path)).status_code == 204
    assert (await notifier.http.delete(path)).status_code == 409
    (ended,) = (await notifier.get("silences", all=True))["silences"]
    assert (ended["ended_by"], ended["rules"]) == ("admin", ["stalled"])
    assert (
        await notifier.http.delete("/v1/silences/0193b2a0-0000-7000-8000-000000000000")
    ).status_code == 404


async def test_a_silence_without_end_reason_or_sense_is_refused(notifier: Notifier) -> None:
    await notifier.move_clock(at(day_of(1), 8))
    fine = {"reason": "a test", "until": at(day_of(2)).isoformat()}
    for document, at_fault in (
        ({"reason": "a test"}, "until"),
        ({"until": fine["until"]}, "reason"),
        (fine | {"until": at(day_of(1), 7).isoformat()}, "until"),
        (fine | {"until": "2023-11-12T21:00:00"}, "until"),
        (fine | {"until": at(day_of(1) + timedelta(91)).isoformat()}, "until"),
        (fine | {"unit": "99999"}, "unit"),
        (fine | {"campaign": "nowhere"}, "campaign"),
        (fine | {"rules": ["lag"]}, "rules.0"),
        (fine | {"kind": "nap"}, "kind"),
    ):
        answer = await notifier.http.post("/v1/silences", json=document)
        assert (answer.status_code, answer.json()["field"]) == (422, at_fault), answer.text


async def test_a_third_of_the_children_make_one_message_to_the_parent(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier)
    others = ["23347", "23350", "23353", "23356"]
    communes = [UNIT, SIBLING, *others]
    await notifier.aggregator.publish(
        *(unit(code, "610", "commune", f"Xã {code}") for code in others), *(target(code) for code in communes)
    )
    await notifier.put_destination("province", receiver.url)

    async def close(number: int, values: list[int]) -> None:
        await notifier.move_clock(at(day_of(number)))
        await notifier.aggregator.publish(
            *(
                progress(day_of(number), 100, value, code)
                for code, value in zip(communes, values, strict=True)
            )
        )
        await notifier.consumed()
        await notifier.settled()

    await close(1, [80, 60, 70, 100, 100, 100])
    assert receiver.kinds() == ["together.formed"]
    formed = receiver.documents()[0]["data"]
    assert (formed["unit"], formed["children"], formed["severity"]) == ("610", 6, "warning")
    assert [each["unit"] for each in formed["members"]] == [SIBLING, others[0], UNIT]
    assert formed["message"]["vi"].startswith(
        "Huyện Đăk Glei: 3/6 đơn vị chậm kích hoạt đến hết ngày 11/11/2023: Xã Xốp, Huyện Đăk Glei, Xã 23347"
    )
    kept = (await notifier.get("decisions", unit=UNIT))["decisions"][0]
    assert (kept["message"], "about 610" in kept["kept_back"]) == (None, True)
    assert kept["inputs"]["around"] == {"silence": None, "parent": "610"}
    await close(2, [160, 120, 200, 200, 200, 200])  # two of six, a quarter at least: still together
    assert receiver.kinds() == ["together.formed"]
    await close(3, [240, 300, 300, 300, 300, 300])  # one is left, and told of by itself
    kinds = receiver.kinds()  # of the last two, which are of two units, either may come first
    assert (kinds[0], sorted(kinds[1:])) == ("together.formed", ["incident.opened", "together.ended"])
    assert receiver.documents()[kinds.index("incident.opened")]["data"]["unit"] == UNIT


async def test_a_target_that_flaps_is_held_until_it_settles(notifier: Notifier, receiver: Endpoint) -> None:
    await pace(notifier, escalate_from="never")
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    for number, percent in enumerate((80, 100, 80, 100, 80, 80, 80, 80, 80), 1):
        await notifier.close_day(number, 100, percent * number)
        await notifier.settled()  # what is told of one day arrives before the next day's
    assert receiver.kinds() == [
        "incident.opened", "incident.resolved", "incident.opened", "incident.resolved", "incident.opened",
    ]  # fmt: skip
    found = (await notifier.get("decisions", limit=9))["decisions"]
    assert ["flaps" in (each["kept_back"] or "") for each in reversed(found)] == [False] * 4 + [True] * 3 + [
        False
    ] * 2
    assert receiver.documents()[-1]["data"]["day"] == day_of(8).isoformat()


async def test_a_digest_sums_up_at_its_times_and_critical_does_not_wait(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier, escalate_from="never")
    await notifier.put_destination("chief", receiver.url, digest=True)
    await notifier.aggregator.publish(target(), target(SIBLING))
    await notifier.move_clock(at(day_of(1)))
    await notifier.aggregator.publish(progress(day_of(1), 100, 80), progress(day_of(1), 100, 70, SIBLING))
    await notifier.consumed()
    await notifier.move_clock(at(day_of(2), 7))
    assert await notifier.settled() == []
    await notifier.move_clock(at(day_of(2), 7) + timedelta(minutes=30))
    await notifier.settled()
    assert receiver.kinds() == ["digest"]
    (digest,) = receiver.documents()
    assert [each["unit"] for each in digest["data"]["entries"]] == [UNIT, SIBLING]
    assert digest["data"]["message"]["vi"].startswith("Tổng hợp 2 cảnh báo.\n– Xã Đăk Môn")
    await notifier.move_clock(at(day_of(2), 20))
    await notifier.close_day(2, 0, 80)  # critical
    await notifier.settled()
    assert receiver.kinds() == ["digest", "incident.worsened"]


async def test_in_quiet_hours_even_critical_waits_for_the_morning(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier, escalate_from="never", quiet="20:30-06:30")
    await notifier.put_destination("chief", receiver.url, digest=True)
    with receiving() as machine:
        await notifier.put_destination("machine", machine.url)
        await notifier.aggregator.publish(target())
        await notifier.close_day(1, 0, 10)
        await notifier.settled()
        assert (receiver.kinds(), machine.kinds()) == ([], ["incident.opened"])
        await notifier.move_clock(at(day_of(2), 8))
        await notifier.settled()
        assert receiver.kinds() == ["digest"]


async def test_operations_hear_once_that_a_day_is_late_and_once_that_it_came(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_destination("operations", receiver.url, rules=["lag"])
    with receiving() as chief:
        await notifier.put_destination("chief", chief.url, units=["62"])
        await notifier.aggregator.publish(target(), campaign(known=at(day_of(1), 6)))
        await notifier.close_day(1, 100, 100)
        await notifier.move_clock(at(day_of(2)) + timedelta(minutes=14))
        assert await notifier.settled() == []
        await notifier.move_clock(at(day_of(2)) + timedelta(minutes=15))
        await notifier.move_clock(at(day_of(3)))
        await notifier.settled()
        assert receiver.kinds() == ["operations.lag"]
        assert texts(receiver)[0].startswith(
            "Kon Tum, 50 ngày đêm: the figures of 12 November 2023 are not complete"
        )
        await notifier.aggregator.publish(progress(day_of(2), 100), progress(day_of(3), 100))
        await notifier.consumed()

        async def over() -> bool:
            return receiver.kinds() == ["operations.lag", "operations.lag_over"]

        await eventually(over)
        assert chief.kinds() == []


async def test_a_rhythm_that_is_none_is_refused_by_name(notifier: Notifier) -> None:
    for rhythm, at_fault in (
        ({"digest": []}, "rhythm.digest"),
        ({"digests": []}, "rhythm.digests"),
        ({"quiet": "soon"}, "rhythm.quiet"),
        ({"reports": "hourly"}, "rhythm.reports"),
        ({"shifts": "07:00-20:00"}, "rhythm.shifts"),
    ):
        answer = await notifier.put_policy(rhythm=rhythm)
        assert (answer.status_code, answer.json()["field"]) == (422, at_fault), answer.text
    answer = await notifier.put_policy("610", rhythm={"digests": ["08:00"]})
    assert answer.json()["rhythm"]["digests"] == ["08:00"]
    assert (await notifier.get(f"policies/{CAMPAIGN}", unit=UNIT))["rhythm"]["quiet"] == "21:30-06:30"


async def test_an_incident_whose_unit_is_merged_away_is_over_and_says_why(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await pace(notifier)
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 80, 80)
    await notifier.aggregator.publish(unit(UNIT, "610", "commune", "Xã Đăk Môn", until=day_of(2)))

    async def over() -> bool:
        await notifier.move_clock(at(day_of(2), 8))
        return bool((await the_incident(notifier))["state"] == "resolved")

    await eventually(over)
    await notifier.move_clock(at(day_of(3)))  # when the level above would have been told
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened"]
    (last,) = (await notifier.get("decisions", day=day_of(2).isoformat()))["decisions"]
    assert (last["outcome"], "is not on the tree of 2023-11-12" in last["reason"]) == ("resolved", True)


async def test_open_incidents_make_a_list_that_can_be_issued(notifier: Notifier) -> None:
    await pace(notifier)
    await notifier.aggregator.publish(target(), target(SIBLING))
    await notifier.move_clock(at(day_of(1)))
    await notifier.aggregator.publish(progress(day_of(1), 100, 80), progress(day_of(1), 100, 20, SIBLING))
    await notifier.consumed()
    incidents = (await notifier.get("incidents", unit=UNIT))["incidents"]
    await notifier.http.post(f"/v1/incidents/{incidents[0]['id']}/acknowledgement", json={})
    answer = await notifier.http.get("/v1/reminders", params={"campaign": CAMPAIGN, "unit": "610"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/markdown; charset=utf-8")
    assert answer.text.splitlines() == [
        "# Danh sách đôn đốc: Kon Tum, 50 ngày đêm",
        "",
        "Huyện Đăk Glei. Lập lúc 11/11/2023 21:00. Số chỉ tiêu cần đôn đốc: 2.",
        "",
        "## Huyện Đăk Glei",
        "",
        "| Đơn vị | Công việc | Mức độ | Chậm | Cần mỗi ngày | Từ ngày | Đã tiếp nhận |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| Xã Xốp, Huyện Đăk Glei | kích hoạt | rất chậm | 80 | 102 | 11/11/2023 | – |",
        "| Xã Đăk Môn, Huyện Đăk Glei | kích hoạt | lưu ý | 20 | 101 | 11/11/2023 | admin |",
    ]
    other = await notifier.http.get(
        "/v1/reminders", params={"campaign": CAMPAIGN, "unit": SIBLING, "language": "en"}
    )
    assert "Targets to be urged on: 1." in other.text
    for params, status in (
        ({"campaign": "nowhere"}, 404), ({"campaign": CAMPAIGN, "unit": "99999"}, 404), ({}, 422),
    ):  # fmt: skip
        assert (await notifier.http.get("/v1/reminders", params=params)).status_code == status


async def test_an_incident_whose_rule_is_switched_off_is_over_and_still_says_which_it_was(
    notifier: Notifier,
) -> None:
    await pace(notifier)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 80, 80)
    off = ["quota_missed", "at_risk", "behind_pace"]
    assert (await notifier.put_policy(thresholds=PACE, off=off)).status_code == 200
    await notifier.close_day(2, 80, 160)
    over = await the_incident(notifier)
    assert (over["state"], over["rule"], over["rules"]) == ("resolved", "behind_pace", ["behind_pace"])
