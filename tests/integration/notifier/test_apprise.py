"""Services of vendors, through the real Apprise; the vendor is a double on this machine."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apprise.plugins.telegram import NotifyTelegram

from tests.support.notifier import UNIT, Endpoint, Notifier, eventually, receiving, target
from tiendo_notifier.channels import vendors

pytestmark = pytest.mark.anyio

TOKEN, CHAT = "123456789:abcdefg_hijklmnop", "-1001234567890"
URL = f"apprise:tgram://{TOKEN}/{CHAT}"


@pytest.fixture
def telegram(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Where the plugin's one address leads to in these tests: no URL that is sent to us could do that."""
    with receiving() as double:
        monkeypatch.setattr(NotifyTelegram, "notify_url", double.url.replace("/hook", "/bot"))
        yield double


async def put(notifier: Notifier, url: str = URL, **more: Any) -> Any:
    return await notifier.http.put("/v1/destinations/chat", json={"url": url, **more})


async def test_a_chat_is_told_in_plain_words_and_its_token_is_shown_to_nobody(
    notifier: Notifier, telegram: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    for status in (200, 200):
        telegram.will(status)
    made = await put(notifier, language="vi")
    assert (made.status_code, made.json()["secret"], made.json()["url"]) == (201, None, "apprise:tgram://…")
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    [(_, body)] = telegram.received
    said = json.loads(body)
    assert said["chat_id"] == int(CHAT)
    assert "chưa đạt chỉ tiêu kích hoạt ngày 11/11/2023: 0/100, thiếu 100." in said["text"]
    assert UNIT not in said["text"]  # people know it by its name
    shown = json.dumps(await notifier.get("destinations")) + "".join(capfd.readouterr())
    assert "abcdefg" not in shown


async def test_a_vendor_that_refuses_is_tried_again_and_says_why_without_the_token(
    notifier: Notifier, telegram: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    telegram.will(403)
    telegram.will(200)
    assert (await put(notifier)).status_code == 201
    await notifier.http.post("/v1/destinations/chat/ping")

    async def refused() -> bool:
        [newest, *_] = (await notifier.get("deliveries", destination="chat"))["deliveries"]
        return newest["error"] is not None or newest["state"] == "delivered"

    await eventually(refused)
    (tried,) = (await notifier.get("deliveries", destination="chat"))["deliveries"]
    if tried["state"] == "pending":
        assert "abcdefg" not in tried["error"]
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)
    assert "abcdefg" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(("url", "word"), [
    ("apprise:json://127.0.0.1:8401/", "that the URL names"),
    ("apprise:syslog://", "no URL of a service"),
    (f"{URL}?verify=no", "options"),
    ("apprise:tgram://nothing", "cannot read"),
    ("apprise:tgram://…", "no URL of a service"),
])  # fmt: skip
async def test_what_may_not_be_called_is_refused_by_name(notifier: Notifier, url: str, word: str) -> None:
    answer = await put(notifier, url)
    assert (answer.status_code, answer.json()["field"]) == (422, "url")
    assert word in answer.json()["detail"]
    assert answer.json()["remedy"]


async def test_only_webhooks_have_secrets(notifier: Notifier) -> None:
    answer = await put(notifier, secret="whsec_" + "A" * 44)
    assert (answer.status_code, answer.json()["field"]) == (422, "secret")


async def test_without_the_extra_it_is_said_how_to_install_it(
    notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendors, "INSTALLED", False)
    answer = await put(notifier)
    assert (answer.status_code, answer.json()["field"]) == (422, "url")
    assert "tiendo-notifier[apprise]" in answer.json()["remedy"]
