"""Judging, thresholds, webhooks: each through the interface of a running notifier."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import httpx2
import pytest
import structlog.testing
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.notifier import (
    CAMPAIGN,
    FIRST,
    LAST,
    SHARP,
    SIBLING,
    UNIT,
    Aggregator,
    Endpoint,
    Notifier,
    at,
    campaign,
    day_of,
    eventually,
    progress,
    receiving,
    running,
    target,
)
from tests.support.postgres import Database
from tiendo_common.clock import DrivenClock
from tiendo_common.database.pool import make_pool
from tiendo_notifier.channels.webhooks import Webhooks
from tiendo_notifier.rules.table import RULES
from tiendo_notifier.storage import tables
from tiendo_notifier.use_cases.judge import Judge
from tiendo_notifier.use_cases.reference import Reference

pytestmark = pytest.mark.anyio


async def test_each_transition_reaches_the_webhook_and_the_log_once(
    notifier: Notifier, receiver: Endpoint
) -> None:
    secret = await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    with structlog.testing.capture_logs() as lines:
        for number, done in enumerate((100, 80, 40, 45, 120), 1):
            await notifier.close_day(number, done)
            await notifier.settled()
    told = receiver.verified(secret)
    assert [each["type"] for each in told] == ["incident.opened", "incident.worsened", "incident.resolved"]
    assert len(set(receiver.ids())) == 3
    worst = told[1]["data"]
    assert (worst["unit"], worst["unit_name"]) == (UNIT, "Xã Đăk Môn, Huyện Đăk Glei")
    assert (worst["rule"], worst["severity"], worst["day"]) == (
        "quota_missed",
        "warning",
        "2023-11-14",
    )
    assert (worst["figures"]["quota"], worst["figures"]["shortfall"]) == (100, 55)
    assert worst["figures"]["needed_per_day"] == 100
    assert worst["message"]["vi"].startswith(
        "Xã Đăk Môn, Huyện Đăk Glei chưa đạt chỉ tiêu kích hoạt ngày 14/11/2023: 45/100, thiếu 55. Từ nay cần 100"
    )
    assert worst["clears"]["answers"]["vi"].endswith("; cấp trên: Huyện Đăk Glei.")
    alerts = [line for line in lines if line["event"] == "alert"]
    assert [line["kind"] for line in alerts] == receiver.kinds()
    assert [line["message_id"] for line in alerts] == receiver.ids()


async def test_a_forged_or_changed_notice_does_not_verify(notifier: Notifier, receiver: Endpoint) -> None:
    secret = await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await notifier.settled()
    ((headers, body),) = receiver.received
    Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"100", b"200"), headers)


async def test_the_lists_tell_the_whole_story(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    for number, done in enumerate((80, 85, 100, 98), 1):
        await notifier.close_day(number, done)
    closed, opened = sorted(
        (await notifier.get("incidents", unit=UNIT))["incidents"], key=lambda each: each["opened_day"]
    )
    assert (closed["state"], closed["opened_day"], closed["resolved_day"]) == (
        "resolved", "2023-11-11", "2023-11-13",
    )  # fmt: skip
    assert [step["step"] for step in closed["steps"]] == ["opened", "resolved"]
    assert (opened["state"], opened["last_day"], opened["needed_per_day"]) == ("notified", "2023-11-14", 100)
    assert opened["unit_name"] == "Xã Đăk Môn, Huyện Đăk Glei"
    found = (await notifier.get("incidents", unresolved=True, campaign=CAMPAIGN))["incidents"]
    assert [each["id"] for each in found] == [opened["id"]]
    assert (await notifier.get("incidents", state="notified"))["incidents"] == found
    assert not (await notifier.get("incidents", rule="behind_pace"))["incidents"]

    (held,) = (await notifier.get("decisions", unit=UNIT, day="2023-11-12"))["decisions"]
    assert (held["outcome"], held["message"], held["incident"]) == ("held", None, closed["id"])
    assert held["reason"] == "quota_missed no worse than it was: 85 done of the day's quota of 100"
    assert held["inputs"]["before"] == {
        "rules": {"quota_missed": {"run": 1, "firing": True}}, "peak": 1, "told": 1, "reached_early": False,
        "openings": [1],
    }  # fmt: skip
    assert held["inputs"]["figures"]["done"] == 85
    assert [(each["rule"], each["run"], each["severity"]) for each in held["findings"]] == [
        ("quota_missed", 2, "notice")
    ]
    assert (held["policy"]["thresholds"]["quota_percent"], held["policy"]["versions"]) == (99, {"": 1})


async def test_lists_are_read_page_by_page(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    for number, done in enumerate((80, 100, 80, 100, 80), 1):
        await notifier.close_day(number, done)
    for path in ("incidents", "decisions", "deliveries"):
        whole = (await notifier.get(path))[path]
        paged, cursor = [], None
        while True:
            page = await notifier.get(path, limit=2, **({"cursor": cursor} if cursor else {}))
            paged += page[path]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert paged == whole
        assert len(whole) >= 3


async def test_behind_pace_opens_on_the_third_closing_and_closes_when_caught_up(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_policy(thresholds={"start_percent": 0})
    await notifier.put_destination("pace", receiver.url, rules=["behind_pace"])
    await notifier.aggregator.publish(target())
    for number, value in enumerate((40, 80, 120, 372, 480), 1):
        await notifier.close_day(number, 100, value)
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened", "incident.resolved"]
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert [step["day"] for step in incident["steps"]] == ["2023-11-13", "2023-11-15"]


async def test_figures_before_the_cut_off_are_not_judged(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    day = day_of(1)
    await notifier.move_clock(at(day))
    await notifier.aggregator.publish(progress(day, 0, complete_to=at(day) - timedelta(seconds=1)))
    await notifier.consumed()
    assert not (await notifier.get("decisions"))["decisions"]
    await notifier.aggregator.publish(progress(day, 0, complete_to=at(day)))
    await notifier.consumed()
    assert [each["outcome"] for each in (await notifier.get("decisions"))["decisions"]] == ["opened"]


async def test_a_day_that_ends_after_midnight_is_judged_then_and_is_late_from_then_on(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_destination("operations", receiver.url, rules=["lag"])
    await notifier.aggregator.publish(target(), campaign(known=at(day_of(1), 6), night=time(2)))
    day, ends = day_of(1), at(day_of(2), 2)
    await notifier.move_clock(ends)
    await notifier.aggregator.publish(progress(day, 0, complete_to=ends - timedelta(seconds=1)))
    await notifier.consumed()
    await notifier.move_clock(ends + timedelta(minutes=14))
    assert not (await notifier.get("decisions"))["decisions"]
    await notifier.settled()
    assert receiver.kinds() == []
    await notifier.move_clock(ends + timedelta(minutes=15))
    await notifier.settled()
    assert receiver.kinds() == ["operations.lag"]
    await notifier.aggregator.publish(progress(day, 0, complete_to=ends))
    await notifier.consumed()
    assert [each["outcome"] for each in (await notifier.get("decisions"))["decisions"]] == ["opened"]


async def test_days_outside_the_campaign_and_units_without_a_target_are_not_judged(
    notifier: Notifier,
) -> None:
    await notifier.aggregator.publish(target())
    await notifier.move_clock(at(LAST))
    await notifier.aggregator.publish(
        progress(FIRST - timedelta(days=1), 0), progress(FIRST, 0, code=SIBLING)
    )
    await notifier.consumed()
    await notifier.aggregator.publish(progress(LAST + timedelta(days=1), 0))
    await notifier.consumed()
    assert not (await notifier.get("decisions"))["decisions"]


async def test_a_target_published_with_the_figures_is_known_when_they_are_judged(notifier: Notifier) -> None:
    await notifier.move_clock(at(FIRST))
    await notifier.aggregator.publish(target(), progress(FIRST, 0))
    await notifier.consumed()
    assert len((await notifier.get("incidents"))["incidents"]) == 1


async def test_repeated_figures_a_restart_and_a_replay_of_the_topic_change_nothing(
    database: Database, keys_file: Path, aggregator: Aggregator, receiver: Endpoint
) -> None:
    await aggregator.publish(target())
    async with running(database, keys_file, aggregator) as notifier:
        await notifier.put_destination("province", receiver.url)
        for number, done in enumerate((80, 40, 90), 1):
            await notifier.close_day(number, done)
        await notifier.settled()
        before = await notifier.state()
        await aggregator.publish(progress(day_of(3), 95), progress(day_of(2), 100, code=SIBLING))
        await aggregator.publish(progress(day_of(2), 100))
        await notifier.consumed()
        assert await notifier.state() == before
    async with running(database, keys_file, aggregator) as notifier:
        assert await notifier.state() == before
        assert (await notifier.get("clock"))["today"] == "2023-11-13"
    async with asyncpg.create_pool(database.dsn("notifier"), min_size=1) as pool:
        await pool.execute("UPDATE consumer_position SET next = 1")
    async with running(database, keys_file, aggregator) as notifier:
        await notifier.consumed()
        assert await notifier.state() == before
    assert receiver.kinds() == ["incident.opened", "incident.worsened"]


async def test_what_is_long_gone_is_recorded_and_told_to_nobody(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.move_clock(at(day_of(30)))
    for number, done in enumerate((80, 40, 100), 1):
        await notifier.aggregator.publish(progress(day_of(number), done))
        await notifier.consumed()
    found = (await notifier.get("decisions"))["decisions"]
    assert [each["outcome"] for each in found] == ["resolved", "held", "opened"]
    assert all(each["historical"] and not each["message"] for each in found)
    assert not (await notifier.get("deliveries"))["deliveries"]
    await notifier.aggregator.publish(progress(day_of(28), 0))
    await notifier.consumed()
    assert len(await notifier.settled()) == 1


async def test_days_whose_figures_are_gone_are_put_on_record_not_guessed(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 50)
    await notifier.close_day(5, 50)
    found = (await notifier.get("decisions", day="2023-11-13"))["decisions"]
    assert {(each["outcome"], each["from_day"], each["day"]) for each in found} == {
        ("not_judged", "2023-11-12", "2023-11-14")
    }
    (held,) = (await notifier.get("decisions", day="2023-11-15"))["decisions"]
    assert (held["outcome"], held["findings"][0]["run"]) == ("held", 2)


async def test_garbage_is_dead_lettered_and_what_follows_is_judged(notifier: Notifier) -> None:
    empty = b'{"type": "vn.tiendo.aggregator.progress-published.v1"}'
    garbage = [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"type": "somebody.else"}', empty]
    for body in garbage:
        await notifier.aggregator.put_garbage(body)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    assert len((await notifier.get("incidents"))["incidents"]) == 1
    letters = await notifier.pool.fetch("SELECT consumer, topic, body FROM dead_letter ORDER BY seq")
    assert [tuple(letter) for letter in letters] == [("progress", "progress", body) for body in garbage]


async def test_figures_of_an_unknown_kind_stop_the_judge_instead_of_being_skipped(notifier: Notifier) -> None:
    await notifier.aggregator.put_garbage(
        b'{"type": "vn.tiendo.aggregator.progress-published.v9", "id": "x"}'
    )

    async def unready() -> bool:
        return "progress-published.v9" in (await notifier.http.get("/readyz")).text

    await eventually(unready)


async def test_a_receiver_that_fails_is_tried_again_under_the_same_id(
    notifier: Notifier, receiver: Endpoint
) -> None:
    receiver.will(500)
    secret = await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("delivered", 2, 204)
    assert receiver.ids() == [delivery["message_id"]] * 2
    first, second = receiver.verified(secret)
    assert first == second


async def test_the_notices_of_an_incident_arrive_in_order_even_when_one_is_tried_again(
    notifier: Notifier, receiver: Endpoint
) -> None:
    receiver.will(500)
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.move_clock(at(day_of(3)))
    days = [progress(day_of(number), done) for number, done in enumerate((80, 40, 100), 1)]
    for closing in days:
        await notifier.aggregator.publish(closing)
        await notifier.consumed()
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened", "incident.opened", "incident.resolved"]


async def test_a_receiver_that_is_gone_is_disabled_until_it_is_put_again(
    notifier: Notifier, receiver: Endpoint
) -> None:
    receiver.will(410)
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("failed", 1, 410)
    disabled = (await notifier.get("destinations/province"))["disabled"]
    assert disabled == "the receiver answered 410"
    await notifier.close_day(2, 100)
    await notifier.settled()
    assert len(receiver.received) == 1
    answer = await notifier.http.put("/v1/destinations/province", json={"url": receiver.url})
    assert (answer.status_code, answer.json()["disabled"], answer.json()["secret"]) == (200, None, None)
    await notifier.close_day(3, 0)
    await notifier.settled()
    assert receiver.kinds() == ["incident.opened", "incident.opened"]


async def test_a_receiver_that_asks_for_patience_is_left_alone_for_so_long(
    notifier: Notifier, receiver: Endpoint
) -> None:
    receiver.will(429, retry_after="120")
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await eventually(lambda: receiver.received)

    async def recorded() -> bool:
        found = (await notifier.get("deliveries", destination="province"))["deliveries"]
        return bool(found and found[0]["status"])

    await eventually(recorded)
    wait = await notifier.pool.fetchval(
        "SELECT extract(epoch FROM due - now()) FROM delivery WHERE destination = 'province'"
    )
    assert 30 < wait <= 120  # far from the few seconds that it would be by itself


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for it before the notifier, which makes its client with it."""
    monkeypatch.setattr(Webhooks, "TIMEOUT", 3600.0)


@pytest.mark.usefixtures("endless_patience")
async def test_a_slow_receiver_holds_up_nobody_else(notifier: Notifier, receiver: Endpoint) -> None:
    receiver.will(200, wait=3600)
    await notifier.put_destination("slow", receiver.url)
    with receiving() as other:
        await notifier.put_destination("swift", other.url)
        await notifier.aggregator.publish(target())
        await notifier.close_day(1, 0)
        await eventually(lambda: receiver.received and other.received)
        (slow,) = (await notifier.get("deliveries", destination="slow"))["deliveries"]
        assert (slow["state"], slow["error"]) == ("pending", None)
        receiver.released.set()
        await notifier.settled()


async def test_a_slow_receiver_is_cut_off_and_tried_again(
    notifier: Notifier, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Webhooks, "TIMEOUT", 0.5)
    receiver.will(200, wait=3600)
    await notifier.put_destination("slow", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)

    async def cut_off() -> bool:
        found = (await notifier.get("deliveries", destination="slow"))["deliveries"]
        return bool(found and found[0]["error"] == "no answer within 0.5 s")

    await eventually(cut_off)
    monkeypatch.setattr(Webhooks, "TIMEOUT", 60.0)
    (slow,) = await notifier.settled()
    assert slow["state"] == "delivered"
    assert slow["attempts"] > 1


async def test_a_redirect_is_not_followed(notifier: Notifier, receiver: Endpoint) -> None:
    with receiving() as other:
        receiver.will(307, location=other.url)
        await notifier.put_destination("province", receiver.url)
        await notifier.aggregator.publish(target())
        await notifier.close_day(1, 0)
        (delivery,) = await notifier.settled()
        assert (delivery["attempts"], len(receiver.received), other.received) == (2, 2, [])


async def test_nobody_listening_is_a_try_that_failed(notifier: Notifier, unused_port: int) -> None:
    await notifier.put_destination("nobody", f"http://127.0.0.1:{unused_port}/")
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)

    async def failed() -> bool:
        found = (await notifier.get("deliveries", destination="nobody"))["deliveries"]
        return bool(found and str(found[0]["error"]).startswith("ConnectError"))

    await eventually(failed)


async def test_destinations_get_what_they_asked_for(notifier: Notifier, receiver: Endpoint) -> None:
    with receiving() as elsewhere, receiving() as pace:
        await notifier.put_destination("district", receiver.url, units=["610"])
        await notifier.put_destination("sibling", elsewhere.url, units=[SIBLING])
        await notifier.put_destination("pace", pace.url, rules=["behind_pace"])
        await notifier.aggregator.publish(target())
        await notifier.close_day(1, 0)
        assert [each["destination"] for each in await notifier.settled()] == ["district"]
        assert (receiver.kinds(), elsewhere.kinds(), pace.kinds()) == (["incident.opened"], [], [])


async def test_a_secret_is_shown_once_and_kept(notifier: Notifier, receiver: Endpoint) -> None:
    secret = await notifier.put_destination("province", receiver.url)
    assert secret.startswith("whsec_")
    for path in ("destinations", "destinations/province"):
        assert secret not in (await notifier.http.get(f"/v1/{path}")).text
    own = "whsec_" + "b" * 44
    answer = await notifier.http.put("/v1/destinations/province", json={"url": receiver.url, "secret": own})
    assert (answer.status_code, answer.json()["secret"]) == (200, None)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await notifier.settled()
    assert len(receiver.verified(own)) == 1


async def test_a_deleted_destination_gets_nothing_more_and_its_log_stays(
    notifier: Notifier, receiver: Endpoint
) -> None:
    receiver.will(429, retry_after="600")
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await eventually(lambda: receiver.received)
    assert (await notifier.http.delete("/v1/destinations/province")).status_code == 204
    assert (await notifier.http.delete("/v1/destinations/province")).status_code == 404
    assert (await notifier.http.get("/v1/destinations/province")).status_code == 404
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["error"], delivery["due"]) == ("failed", "destination deleted", None)


async def test_a_destination_that_cannot_be_is_refused(notifier: Notifier) -> None:
    fine = {"url": "http://127.0.0.1/"}
    for name, document, status, at_fault in (
        ("log", fine, 409, "name"),
        ("Upper", fine, 422, "name"),
        ("x", {"url": "gopher://127.0.0.1/"}, 422, "url"),
        ("x", {"url": "http://nowhere.invalid/"}, 422, "url"),
        ("x", fine | {"secret": "short"}, 422, "secret"),
        ("x", fine | {"units": ["99999"]}, 422, "units"),
        ("x", fine | {"units": []}, 422, "units"),
        ("x", fine | {"rules": ["nonsense"]}, 422, "rules.0"),
        ("x", fine | {"more": 1}, 422, "more"),
        ("x", {}, 422, "url"),
    ):
        answer = await notifier.http.put(f"/v1/destinations/{name}", json=document)
        assert (answer.status_code, answer.json()["field"]) == (status, at_fault)
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await notifier.http.delete("/v1/destinations/log")).status_code == 409


async def test_private_addresses_are_refused_when_put_and_checked_again_when_sending(
    database: Database, keys_file: Path, aggregator: Aggregator, receiver: Endpoint
) -> None:
    async with running(database, keys_file, aggregator) as notifier:
        await notifier.put_destination("inside", receiver.url)
    async with running(database, keys_file, aggregator, allow=()) as notifier:
        answer = await notifier.http.put("/v1/destinations/inside", json={"url": receiver.url})
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:tiendo:problem:refused-address"
        assert "TIENDO_WEBHOOK_ALLOW" in answer.json()["remedy"]
        await aggregator.publish(target())
        await notifier.close_day(1, 0)

        async def refused() -> bool:
            found = (await notifier.get("deliveries", destination="inside"))["deliveries"]
            return bool(found and "not a public one" in str(found[0]["error"]))

        await eventually(refused)
    assert receiver.received == []


async def test_each_route_asks_for_its_scope(notifier: Notifier) -> None:
    async def status(path: str, key: str | None) -> int:
        headers = {"authorization": f"Bearer {key}" if key else ""}
        return (await notifier.http.get(f"/v1/{path}", headers=headers)).status_code

    for path in ("incidents", "decisions"):
        assert [await status(path, key) for key in (None, "sender", "reader", "admin")] == [
            401,
            403,
            200,
            200,
        ]
    for path in ("destinations", "deliveries"):
        assert [await status(path, key) for key in (None, "reader", "admin")] == [401, 403, 200]


async def test_a_question_that_makes_no_sense_is_a_problem_of_the_asker(notifier: Notifier) -> None:
    for query in (
        "incidents?limit=0", "incidents?limit=501", "incidents?state=ajar", "incidents?unresolved=perhaps",
        "incidents?rule=none",
        "incidents?cursor=x", "incidents?campaign=%00", "decisions?day=today", "decisions?unit=%00",
        "deliveries?cursor=99999999999999999999", "deliveries?state=lost",
    ):  # fmt: skip
        assert (await notifier.http.get(f"/v1/{query}")).status_code == 422, query


async def test_thresholds_are_inherited_versioned_and_kept_with_what_was_decided_by_them(
    notifier: Notifier,
) -> None:
    await notifier.aggregator.publish(target(), target(SIBLING))
    assert (await notifier.put_policy("610", thresholds={"quota_percent": 70})).status_code == 200
    answer = await notifier.put_policy(SIBLING, thresholds={"quota_percent": 30}, off=["stalled"])
    assert answer.status_code == 200, answer.text
    held = await notifier.get(f"policies/{CAMPAIGN}", unit=SIBLING)
    assert (held["thresholds"]["quota_percent"], held["thresholds"]["start_percent"]) == (30, 0)
    assert held["off"] == ["stalled"]
    assert [(each["unit"], each["version"], each["author"]) for each in held["sources"]] == [
        (None, 1, "admin"), ("610", 1, "admin"), (SIBLING, 1, "admin"),
    ]  # fmt: skip
    await notifier.move_clock(at(day_of(1)))
    await notifier.aggregator.publish(progress(day_of(1), 50), progress(day_of(1), 50, code=SIBLING))
    await notifier.consumed()
    (decided,) = (await notifier.get("decisions"))["decisions"]
    assert (decided["unit"], decided["policy"]["versions"]) == (UNIT, {"": 1, "610": 1})
    # An empty document takes back what was set there.
    assert (await notifier.put_policy(SIBLING)).status_code == 200
    again = await notifier.get(f"policies/{CAMPAIGN}", unit=SIBLING)
    assert (again["thresholds"]["quota_percent"], again["off"]) == (70, [])
    versions = (await notifier.get(f"policies/{CAMPAIGN}/versions"))["versions"]
    assert [(each["unit"], each["version"]) for each in versions] == [
        (None, 1), ("610", 1), (SIBLING, 1), (SIBLING, 2),
    ]  # fmt: skip


async def test_thresholds_that_make_no_sense_are_refused_by_name(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target(value=40))
    await notifier.close_day(1, 40)  # what is judged is known
    for thresholds, at_fault, says in (
        ({"behind_percent": 0}, "behind_percent", "could never fire"),
        ({"risk_percent": 100}, "risk_percent", "exactly as needed would be at risk"),
        ({"stalled_gaps": 0}, "stalled_gaps", "fire at every closing"),
        ({"behind_percent": 96}, "behind_percent", "bad and clear at once"),
        ({"behind_critical_percent": 80}, "behind_critical_percent", "no warning would be left"),
        ({"least_gap": 41}, "least_gap", "under a target of 40"),
        ({"behind_closings": 51}, "behind_closings", "do not fit into 50 days"),
        ({"behind_closing": 3}, "behind_closing", "There is no threshold"),
    ):
        answer = await notifier.put_policy(UNIT, thresholds=thresholds)
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (422, f"thresholds.{at_fault}"), problem
        assert says in problem["detail"]
        assert problem["remedy"]
    for code, document, status, at_fault in (
        ("79", {}, 404, "unit"),
        (None, {"off": ["nonsense"]}, 422, "off.0"),
        (None, {"off": list(RULES)}, 422, "off"),
        (None, {"thresholds": {"behind_percent": "much"}}, 422, "thresholds.behind_percent"),
        (None, {"reason": ""}, 422, "reason"),
        (None, {"treshold": {}}, 422, "treshold"),
    ):
        answer = await notifier.put_policy(code, **document)
        assert (answer.status_code, answer.json()["field"]) == (status, at_fault), answer.text
    assert (await notifier.http.get("/v1/policies/nowhere")).status_code == 404
    held = await notifier.get(f"policies/{CAMPAIGN}", unit=UNIT)
    assert [each["version"] for each in held["sources"]] == [1]


async def test_what_is_set_above_must_make_sense_below(notifier: Notifier) -> None:
    assert (await notifier.put_policy(UNIT, thresholds={"behind_percent": 80})).status_code == 200
    answer = await notifier.put_policy("610", thresholds={"behind_clear_percent": 80, "behind_percent": 79})
    assert (answer.status_code, answer.json()["field"]) == (422, "thresholds.behind_percent")
    assert UNIT in answer.json()["detail"]


async def test_a_rule_that_is_off_says_nothing(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    await notifier.put_policy(thresholds=SHARP, off=["quota_missed"])
    await notifier.close_day(1, 0)
    assert not (await notifier.get("decisions"))["decisions"]


async def test_a_day_without_work_is_not_held_against_a_unit(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target(), campaign(weights=(1, 0, *(1 for _ in range(48)))))
    await notifier.close_day(1, 0)
    await notifier.close_day(2, 0)
    (rested,) = (await notifier.get("decisions", day="2023-11-12"))["decisions"]
    assert (rested["outcome"], rested["findings"][0]["condition"]) == ("held", "silent")
    assert len((await notifier.get("incidents", unresolved=True))["incidents"]) == 1


async def test_a_target_reached_early_is_good_news_told_once(notifier: Notifier, receiver: Endpoint) -> None:
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target(value=300))
    await notifier.close_day(1, 300, 300)
    await notifier.close_day(2, 0, 300)
    await notifier.settled()
    assert receiver.kinds() == ["target.reached_early"]


async def test_the_tables_are_what_the_lists_believe(notifier: Notifier) -> None:
    for table in tables.Table.metadata.sorted_tables:
        rows = await notifier.pool.fetch(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = 'notifier' AND table_name = $1",
            table.name,
        )
        assert {row[0] for row in rows} == set(table.columns.keys())


async def test_a_province_is_judged_in_a_few_statements_and_two_more_for_each_fifty_units(
    notifier: Notifier,
) -> None:
    reference = Reference()
    codes = [f"{number:05}" for number in range(230)]
    for event in (campaign(), *(target(code) for code in codes)):
        put = reference.put_campaign if event.topic == "campaigns" else reference.put_target
        put(event.event)  # type: ignore[arg-type]
    judge = Judge(reference, lambda: asyncio.sleep(0), DrivenClock(at(day_of(3))))
    statements: list[str] = []
    async with notifier.pool.acquire() as connection, connection.transaction():
        connection.add_query_logger(lambda query: statements.append(query.query))
        for number in (1, 2, 3):
            closings = [progress(day_of(number), 0, 0, code=code).event for code in codes]
            await judge(connection, [each.data for each in closings])  # type: ignore[attr-defined]
    assert await notifier.pool.fetchval("SELECT count(*) FROM incident WHERE state = 'notified'") == 230
    ours = [statement for statement in statements if "typeinfo" not in statement]  # the driver looks up types
    assert len(ours) <= 3 * (13 + 2 * 5)


@dataclass
class Process:
    """The notifier as its own process."""

    process: asyncio.subprocess.Process
    url: str

    def ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/readyz", timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


async def start_process(database: Database, keys_file: Path, port: int) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tiendo_notifier",
        env=os.environ | {
            "TIENDO_PORT": str(port), "TIENDO_DATABASE_URL": database.dsn("notifier"),
            "TIENDO_API_KEYS_FILE": str(keys_file), "TIENDO_WEBHOOK_ALLOW": "127.0.0.0/8",
            "TIENDO_CLOCK": "driven",
        },
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    started = Process(process, f"http://127.0.0.1:{port}")
    await eventually(lambda: asyncio.to_thread(started.ready))
    return started


async def test_killed_between_sending_and_recording_it_sends_again_under_the_same_id(
    database: Database, keys_file: Path, aggregator: Aggregator, receiver: Endpoint, unused_port: int
) -> None:
    receiver.will(200, wait=60)
    await aggregator.publish(target())
    first = await start_process(database, keys_file, unused_port)
    async with httpx2.AsyncClient(base_url=first.url, headers={"authorization": "Bearer admin"}) as http:
        answer = await http.put("/v1/destinations/province", json={"url": receiver.url})
        await http.post("/v1/clock", json={"now": at(FIRST).isoformat()})
        await http.put(f"/v1/policies/{CAMPAIGN}", json={"thresholds": SHARP, "reason": "a test"})
    await aggregator.publish(progress(FIRST, 0))
    await eventually(lambda: receiver.received)
    first.process.kill()
    await first.process.wait()
    async with make_pool(database.dsn("notifier"), "tests") as pool:
        # What passes here is the time until the dead process's claim runs out.
        await pool.execute("UPDATE delivery SET due = now() WHERE destination = 'province'")
        second = await start_process(database, keys_file, unused_port)
        await eventually(lambda: len(receiver.received) == 2)
        sent_twice = "SELECT count(*) FROM delivery WHERE state = 'delivered' AND attempts = 2"

        async def recorded() -> bool:
            return bool(await pool.fetchval(sent_twice))

        await eventually(recorded)
        assert len(set(receiver.ids())) == 1
        assert len(receiver.verified(answer.json()["secret"])) == 2
        assert await pool.fetchval("SELECT count(*) FROM decision") == 1
    second.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(second.process.wait(), 60)
