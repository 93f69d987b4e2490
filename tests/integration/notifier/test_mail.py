"""Letters, read back from a mail server that is as real as one on loopback can be."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.notifier import (
    UNIT,
    Aggregator,
    Endpoint,
    Notifier,
    eventually,
    running,
    target,
)
from tests.support.postgres import Database
from tiendo_notifier.channels.mail import Mail, MailServer
from tiendo_notifier.settings import NotifierSettings

pytestmark = pytest.mark.anyio

TO = "mailto:vanphong@example.vn"


class MailBox:
    """Takes letters; `refusals` are answered to RCPT before anything is taken."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refusals: deque[str] = deque()
        self.wait = 0.0
        self.released = threading.Event()

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        await self._hold()
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  # the library looks for these names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        await self._hold()
        if self.refusals:
            return self.refusals.popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        assert envelope.content.isascii(), "not every server takes eight bits"
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    async def _hold(self) -> None:
        if self.wait:
            await asyncio.to_thread(self.released.wait, self.wait)

    def part(self, kind: str, letter: int = -1) -> str:
        body = self.letters[letter].get_body((kind,))
        assert body is not None
        return str(body.get_content())


@pytest.fixture
def post_office(unused_port: int) -> Iterator[tuple[MailBox, int]]:
    box = MailBox()
    controller = Controller(box, hostname="127.0.0.1", port=unused_port, ready_timeout=60)
    controller.start()
    try:
        yield box, unused_port
    finally:
        box.released.set()
        controller.stop()


@pytest.fixture
def box(post_office: tuple[MailBox, int]) -> MailBox:
    return post_office[0]


@pytest.fixture
async def notifier(
    database: Database, keys_file: Path, aggregator: Aggregator, post_office: tuple[MailBox, int]
) -> AsyncIterator[Notifier]:
    async with running(
        database,
        keys_file,
        aggregator,
        smtp_host="127.0.0.1",
        smtp_port=post_office[1],
        smtp_security="none",
        mail_from="tiendo@kontum.example.vn",
        mail_link="https://tiendo.example.vn/notifier/",
    ) as notifier:
        yield notifier


async def put(notifier: Notifier, url: str = TO, name: str = "office", **more: Any) -> Any:
    return await notifier.http.put(f"/v1/destinations/{name}", json={"url": url, **more})


async def test_an_alert_comes_as_text_and_html_in_both_languages_and_stands_with_its_incident(
    notifier: Notifier, box: MailBox
) -> None:
    assert (await put(notifier)).json()["secret"] is None
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await notifier.close_day(2, 300)
    deliveries = await notifier.settled()
    assert [each["status"] for each in deliveries] == [250, 250]
    opened, resolved = box.letters
    incident = (await notifier.get("incidents", unit=UNIT))["incidents"][0]["id"]
    assert opened["Message-ID"].startswith(f"<{deliveries[-1]['message_id']}.")
    assert opened["From"] == "Tiendo <tiendo@kontum.example.vn>"
    assert opened["To"] == TO.removeprefix("mailto:")
    assert (opened["Subject"], opened["Auto-Submitted"]) == (resolved["Subject"], "auto-generated")
    assert opened["Subject"] == "[Tiendo] Xã Đăk Môn, Huyện Đăk Glei: kích hoạt – Kon Tum, 50 ngày đêm"
    assert opened["References"] == resolved["References"] == f"<incident.{incident}@kontum.example.vn>"
    text, html = box.part("plain", 0), box.part("html", 0)
    for words in (
        "Xã Đăk Môn, Huyện Đăk Glei chưa đạt chỉ tiêu kích hoạt ngày 11/11/2023: 0/100, thiếu 100.",
        "From now on it needs 100 a day for 49 more days to reach 5,000.",
        f"https://tiendo.example.vn/notifier/v1/incidents/{incident}",
    ):
        assert words in text
        assert words in html
    assert "src=" not in html


async def test_it_is_the_same_letter_in_one_language_when_it_is_sent_again(
    notifier: Notifier, box: MailBox
) -> None:
    await put(notifier, language="en")
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    (first,) = await notifier.settled()
    await notifier.http.post(f"/v1/deliveries/{first['id']}/redelivery")
    await notifier.settled()
    one, two = box.letters
    assert one["Message-ID"] == two["Message-ID"]
    assert (one["Date"], box.part("plain", 0)) == (two["Date"], box.part("plain", 1))
    assert "Chịu trách nhiệm" not in box.part("plain")


async def test_one_that_is_asked_to_come_again_comes_again(notifier: Notifier, box: MailBox) -> None:
    box.refusals.append("451 4.7.1 Greylisted, come again")
    await put(notifier)
    await notifier.http.post("/v1/destinations/office/ping")
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)
    assert box.letters[0]["Subject"].startswith("[Tiendo] Tin thử")


async def test_a_refused_recipient_is_not_tried_again_and_stops_nobody(
    notifier: Notifier, box: MailBox
) -> None:
    box.refusals.append("550 5.1.1 No such user here")
    await put(notifier)
    await notifier.http.post("/v1/destinations/office/ping")
    (delivery,) = await notifier.settled()
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("failed", 1, 550)
    assert delivery["error"] == "550 5.1.1 No such user here"
    await put(notifier, "mailto:khac@example.vn", "other")
    await notifier.http.post("/v1/destinations/other/ping")
    assert [each["state"] for each in await notifier.settled()] == ["delivered", "failed"]


@pytest.mark.parametrize("wait", [30, 0.8], ids=["at one step", "at each step"])
async def test_a_slow_server_holds_nobody_else_up(
    notifier: Notifier, box: MailBox, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch, wait: float
) -> None:
    box.wait = wait
    monkeypatch.setattr(Mail, "TIMEOUT", 1.0)
    await put(notifier)
    await put(notifier, receiver.url, "hook")
    for name in ("office", "hook"):
        await notifier.http.post(f"/v1/destinations/{name}/ping")
    await eventually(lambda: receiver.kinds() == ["ping"])

    async def given_up() -> bool:
        return bool((await notifier.get("destinations/office"))["failures"])

    await eventually(given_up)
    [delivery] = (await notifier.get("deliveries", destination="office"))["deliveries"]
    assert delivery["error"] == "not taken within 1 s"


async def test_what_cannot_be_sent_to_is_refused(notifier: Notifier) -> None:
    for url, secret, field in ((TO, "whsec_" + "c" * 44, "secret"), ("mailto:a@b@example.vn", None, "url")):
        answer = await put(notifier, url, secret=secret)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_without_a_mail_server_no_destination_is_an_address(
    database: Database, keys_file: Path, aggregator: Aggregator
) -> None:
    async with running(database, keys_file, aggregator) as notifier:
        answer = await put(notifier)
    assert (answer.status_code, answer.json()["field"]) == (422, "url")
    assert "TIENDO_SMTP_HOST" in answer.json()["remedy"]


async def test_a_password_is_not_sent_in_the_clear(post_office: tuple[MailBox, int]) -> None:
    """A server without STARTTLS is not logged in to where STARTTLS is asked for."""
    box, port = post_office
    server = MailServer(
        host="127.0.0.1", port=port, security="starttls", user="tiendo", password="secret",
        sender="tiendo@example.vn", link=None,
    )  # fmt: skip
    notice = (
        '{"type":"ping","timestamp":"2023-12-07T21:00:00Z","data":{"message":{"vi":"Thử","en":"A test"}}}'
    )
    answer = await Mail(server).send(TO, None, "1", notice)
    assert not answer.taken
    assert not answer.lasting
    assert "STARTTLS" in str(answer.error)
    assert box.letters == []


def test_settings_that_go_together_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text("{}")
    given = {"port": 1, "database_url": "postgresql://x", "api_keys_file": tmp_path / "keys"}
    for name, value, said in (
        ("SMTP_HOST", "mail.example.vn", "TIENDO_SMTP_HOST and TIENDO_MAIL_FROM go together"),
        ("MAIL_FROM", "Tiendo <t@example.vn>", "is not one e-mail address"),
        ("SMTP_USER", "tiendo", "TIENDO_SMTP_USER and TIENDO_SMTP_PASSWORD go together"),
    ):
        monkeypatch.setenv(f"TIENDO_{name}", value)
        with pytest.raises(SystemExit, match=said):
            NotifierSettings.read(**given)
        if name == "MAIL_FROM":
            monkeypatch.setenv("TIENDO_MAIL_FROM", "t@example.vn")
