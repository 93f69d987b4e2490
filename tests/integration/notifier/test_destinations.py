"""Where news goes: secrets that change, tests, what is sent again, who is left alone, who wants what."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from tests.support.notifier import (
    LOOPBACK,
    SIBLING,
    UNIT,
    Endpoint,
    Notifier,
    at,
    day_of,
    eventually,
    progress,
    receiving,
    target,
)
from tests.support.postgres import Database
from tiendo_common.clock import WallClock
from tiendo_common.database.pool import make_pool
from tiendo_notifier.channels.mail import Mail
from tiendo_notifier.channels.vendors import Vendors
from tiendo_notifier.channels.ways import Ways
from tiendo_notifier.channels.webhooks import Webhooks, generate_secret
from tiendo_notifier.channels.zalo import Zalo
from tiendo_notifier.settings import NotifierSettings
from tiendo_notifier.use_cases.deliver import Sender

pytestmark = pytest.mark.anyio


async def post(notifier: Notifier, path: str, **document: Any) -> Any:
    return await notifier.http.post(f"/v1/{path}", json=document or None)


async def test_while_a_secret_changes_both_verify_and_then_the_new_one_only(
    notifier: Notifier, receiver: Endpoint
) -> None:
    old = await notifier.put_destination("province", receiver.url)
    answer = await post(notifier, "destinations/province/secret", keep_hours=1)
    new = answer.json()["secret"]
    assert (answer.status_code, new != old, answer.json()["old_until"] is None) == (200, True, False)
    await post(notifier, "destinations/province/ping")
    await notifier.settled()
    for secret in (old, new):
        assert receiver.verified(secret)[0]["type"] == "ping"
    given = "whsec_" + "c" * 44
    answer = await post(notifier, "destinations/province/secret", secret=given, keep_hours=0)
    assert (answer.status_code, answer.json()["secret"]) == (200, None)
    receiver.received.clear()
    await post(notifier, "destinations/province/ping")
    await notifier.settled()
    assert len(receiver.verified(given)) == 1
    for secret in (old, new):
        with pytest.raises(WebhookVerificationError):
            receiver.verified(secret)


async def test_a_secret_is_not_changed_where_there_is_none_or_to_none(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_destination("province", receiver.url)
    for name, document, status, at_fault in (
        ("nowhere", {"keep_hours": 1}, 404, None),
        ("log", {"keep_hours": 1}, 409, "name"),
        ("province", {"secret": "short"}, 422, "secret"),
        ("province", {"keep_hours": 721}, 422, "keep_hours"),
    ):
        answer = await post(notifier, f"destinations/{name}/secret", **document)
        assert (answer.status_code, answer.json().get("field")) == (status, at_fault), answer.text


async def test_a_test_message_goes_there_whatever_is_subscribed_to(
    notifier: Notifier, receiver: Endpoint
) -> None:
    secret = await notifier.put_destination("province", receiver.url, rules=["stalled"], units=["610"])
    answer = await post(notifier, "destinations/province/ping")
    assert answer.status_code == 202
    await notifier.settled()
    assert receiver.ids() == [answer.json()["message_id"]]
    assert receiver.verified(secret)[0]["data"]["destination"] == "province"
    assert (await post(notifier, "destinations/nowhere/ping")).status_code == 404
    receiver.will(410)
    await post(notifier, "destinations/province/ping")
    await notifier.settled()
    assert (await post(notifier, "destinations/province/ping")).status_code == 409


async def test_what_is_sent_again_by_hand_has_the_same_id_and_body(
    notifier: Notifier, receiver: Endpoint
) -> None:
    await notifier.put_destination("province", receiver.url)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    (first,) = await notifier.settled()
    answer = await post(notifier, f"deliveries/{first['id']}/redelivery")
    assert answer.status_code == 202
    second, _ = await notifier.settled()
    assert (second["id"], second["message_id"], second["state"]) == (
        answer.json()["delivery"], first["message_id"], "delivered",
    )  # fmt: skip
    assert receiver.received[0][1] == receiver.received[1][1]
    assert len(set(receiver.ids())) == 1
    assert (await post(notifier, "deliveries/999999/redelivery")).status_code == 404
    await notifier.http.delete("/v1/destinations/province")
    assert (await post(notifier, f"deliveries/{first['id']}/redelivery")).status_code == 404


async def test_who_asks_for_patience_is_left_alone_with_everything(
    notifier: Notifier, receiver: Endpoint
) -> None:
    receiver.will(429, retry_after="600")
    await notifier.put_destination("province", receiver.url)
    await post(notifier, "destinations/province/ping")

    async def paused() -> bool:
        return bool((await notifier.get("destinations/province"))["paused_until"])

    await eventually(paused)
    await post(notifier, "destinations/province/ping")
    with receiving() as other:
        await notifier.put_destination("other", other.url)
        await post(notifier, "destinations/other/ping")
        await eventually(lambda: other.received)
    assert len(receiver.received) == 1
    assert (await notifier.get("destinations/province"))["failures"] == 1
    # Whoever mends it puts it again, and does not have to wait.
    await notifier.http.put("/v1/destinations/province", json={"url": receiver.url})
    await eventually(lambda: len(receiver.received) == 2)


async def test_one_that_is_well_again_is_forgiven(notifier: Notifier, receiver: Endpoint) -> None:
    receiver.will(500)
    await notifier.put_destination("province", receiver.url)
    await post(notifier, "destinations/province/ping")
    await notifier.settled()
    found = await notifier.get("destinations/province")
    assert (found["failures"], found["paused_until"], len(receiver.received)) == (0, None, 2)


async def test_tries_that_fail_side_by_side_are_one_failure(notifier: Notifier, unused_port: int) -> None:
    together, mended, came = asyncio.Barrier(Sender.LANES), asyncio.Event(), 0

    async def refuse_those_that_come_first(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal came
        came += 1
        await reader.readuntil(b"\r\n\r\n")
        if came <= Sender.LANES:
            await together.wait()
            writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            await mended.wait()
            writer.write(b"HTTP/1.1 204 Taken\r\nconnection: close\r\n\r\n")
        writer.close()

    async def all_noted() -> bool:
        found = (await notifier.get("deliveries", destination="busy"))["deliveries"]
        return [each["status"] for each in found] == [503] * Sender.LANES

    async with await asyncio.start_server(refuse_those_that_come_first, "127.0.0.1", unused_port):
        await notifier.put_destination("busy", f"http://127.0.0.1:{unused_port}/")
        for _ in range(Sender.LANES):
            await post(notifier, "destinations/busy/ping")
        await eventually(all_noted)
        assert (await notifier.get("destinations/busy"))["failures"] == 1
        mended.set()
        assert {each["state"] for each in await notifier.settled()} == {"delivered"}


async def test_an_answer_of_garbage_counts_by_its_status(notifier: Notifier, unused_port: int) -> None:
    async def garbage(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\x00\xff" + b"x" * 100_000)
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", unused_port):
        await notifier.put_destination("garbage", f"http://127.0.0.1:{unused_port}/")
        await post(notifier, "destinations/garbage/ping")
        (delivery,) = await notifier.settled()
        assert (delivery["state"], delivery["status"]) == ("delivered", 200)


async def test_everybody_gets_what_they_want_in_their_language(notifier: Notifier) -> None:
    await notifier.put_policy(
        thresholds={"behind_closings": 1, "start_percent": 0, "least_gap": 1, "least_gap_percent": 0},
        off=["quota_missed"],
        rhythm={"escalate_from": "critical"},
    )
    await notifier.aggregator.publish(target(), target(SIBLING))
    with receiving() as mild, receiving() as severe, receiving() as vietnamese, receiving() as own:
        await notifier.put_destination("mild", mild.url)
        await notifier.put_destination("severe", severe.url, least="critical")
        await notifier.put_destination("vietnamese", vietnamese.url, language="vi", units=[SIBLING])
        await notifier.put_destination("district", own.url, units=["610"], addressed=True)
        await notifier.move_clock(at(day_of(1)))
        await notifier.aggregator.publish(progress(day_of(1), 100, 80), progress(day_of(1), 100, 20, SIBLING))
        await notifier.consumed()
        await notifier.settled()
        assert [each["data"]["unit"] for each in severe.documents()] == [SIBLING]
        assert {each["data"]["unit"] for each in mild.documents()} == {UNIT, SIBLING}
        (document,) = vietnamese.documents()
        assert document["data"]["message"].keys() == {"vi"}
        assert document["data"]["clears"]["who"] == {"vi": "Xã Xốp, Huyện Đăk Glei"}
        # The district hears what is escalated to it, and not each commune's news.
        assert own.received == []
        await notifier.move_clock(at(day_of(2), 20))
        await notifier.settled()
        assert own.kinds() == ["incident.escalated"]
    answer = await notifier.http.put(
        "/v1/destinations/mute", json={"url": "http://127.0.0.1/", "addressed": True}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "addressed")


class Names:
    """A name service whose answers change."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return [self.addresses.pop(0)]


@pytest.mark.parametrize(
    "inside", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1"]
)
async def test_a_name_that_points_inside_later_is_refused_when_it_is_called(
    inside: str, receiver: Endpoint
) -> None:
    url = receiver.url.replace("127.0.0.1", "rebinding.example")
    names = Names("8.8.8.8", inside)
    async with Webhooks(WallClock(), look_up=names) as webhooks:
        await webhooks.check(url)
        answer = await webhooks.send(url, [generate_secret()], "1", "{}")
    assert f"has the address {inside}, which is not a public one" in str(answer.error)
    assert (receiver.received, len(names.asked)) == ([], 2)


async def test_the_address_that_was_checked_is_the_one_that_is_called(receiver: Endpoint) -> None:
    url = receiver.url.replace("127.0.0.1", "named.example")
    names = Names("127.0.0.1", "10.0.0.1")
    async with Webhooks(WallClock(), allowed=LOOPBACK, look_up=names) as webhooks:
        answer = await webhooks.send(url, [generate_secret()], "1", "{}")
    assert (answer.taken, names.asked) == (True, ["named.example"])
    assert receiver.received[0][0]["host"] == url.removeprefix("http://").partition("/")[0]


def test_networks_are_read_from_the_settings_and_a_slip_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("{}")
    given = {"port": 1, "database_url": "postgresql://x", "api_keys_file": tmp_path / "keys"}
    monkeypatch.setenv("TIENDO_WEBHOOK_ALLOW", "10.1.2.0/24, fd00::/8")
    assert [str(each) for each in NotifierSettings.read(**given).webhook_allow] == ["10.1.2.0/24", "fd00::/8"]
    monkeypatch.setenv("TIENDO_WEBHOOK_ALLOW", "10.1.2.3/24")
    with pytest.raises(SystemExit, match=r"TIENDO_WEBHOOK_ALLOW: .*has host bits set"):
        NotifierSettings.read(**given)


async def test_a_sender_stops_at_whatever_moment_it_is_told_to(
    notifier: Notifier, database: Database
) -> None:
    async with make_pool(database.dsn("notifier"), "tests") as pool:
        for ticks in range(6):
            ways = Ways(Webhooks(WallClock()), Mail(None), Zalo(None, None, WallClock()), Vendors(None))
            sender = Sender(pool, ways)
            sender.POLL = 60
            sending = asyncio.create_task(sender.run())
            while not sender._freed._waiters:  # noqa: ASYNC110 - it has claimed, found nothing, and waits
                await asyncio.sleep(0.01)
            sender._freed.set()
            for _ in range(ticks):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending], timeout=60)
            stopped = sending.done()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            assert stopped, f"told to stop {ticks} steps after a lane was free, it went on"
