"""Notices as letters."""

import json
from typing import Any

import pytest

from tiendo_common.errors import Invalid
from tiendo_notifier.channels.mail import Mail, MailServer
from tiendo_notifier.rules.letters import LONGEST_SUBJECT, letter

WORDS = {"vi": "Chậm 5 hồ sơ.", "en": "5 dossiers behind."}
CLEARS = dict.fromkeys(("who", "what", "behind", "needed", "answers", "next"), WORDS)


def notice(kind: str = "incident.opened", **data: Any) -> str:
    return json.dumps({"type": kind, "timestamp": "2023-12-07T21:00:00Z", "data": {"message": WORDS, **data}})


def test_names_cannot_break_out_of_the_subject_or_the_html() -> None:
    name = 'Xã <b onclick="x">A</b>\r\nBcc: someone@example.vn'
    words = {"vi": name, "en": name}
    written = letter(notice(clears=CLEARS | {"who": words, "behind": words}), "vi", None)
    assert "\n" not in written.subject
    assert "\r" not in written.subject
    assert "<b " not in written.html
    assert "&lt;b onclick=&quot;x&quot;&gt;A&lt;/b&gt;" in written.html


def test_a_long_subject_is_cut() -> None:
    words = {"vi": "x" * 300, "en": "x" * 300}
    written = letter(notice(clears=CLEARS | {"who": words}), None, None)
    assert len(written.subject) == LONGEST_SUBJECT
    assert written.subject.endswith("…")


def test_a_digest_has_a_line_for_each_alert_and_stands_alone() -> None:
    words = {"vi": "Tổng hợp 2 cảnh báo.\nMột.\nHai.", "en": "2 alerts in all.\nOne.\nTwo."}
    written = letter(notice("digest", message=words, entries=[]), None, "https://tiendo.example.vn")
    assert (written.subject, written.thread) == ("[Tiendo] Tổng hợp 2 cảnh báo.", None)
    assert written.text.splitlines()[:3] == ["Tổng hợp 2 cảnh báo.", "Một.", "Hai."]
    assert "Two." in written.text
    assert "https://" not in written.text


def test_what_was_escalated_is_said_as_such_and_links_to_its_incident() -> None:
    said = {
        "vi": "Kính gửi huyện: chưa có ai tiếp nhận.",
        "en": "To the district: nobody has acknowledged it.",
    }
    written = letter(
        notice("incident.escalated", message=said, clears=CLEARS, incident="7", path="/v1/incidents/7"),
        "en",
        "https://tiendo.example.vn/",
    )
    assert written.text.startswith(said["en"])
    assert "Details: https://tiendo.example.vn/v1/incidents/7" in written.text
    assert '<a href="https://tiendo.example.vn/v1/incidents/7">Details</a>' in written.html
    assert "Kính gửi" not in written.text
    assert written.thread == "7"


@pytest.mark.parametrize(
    "url",
    [
        "mailto:",
        "mailto:nobody",
        "mailto:a@b@example.vn",
        "mailto:a@example.vn,b@example.vn",
        "mailto:a@example.vn?bcc=b@example.vn",
        "mailto:a@example.vn%0d%0aBcc:b@example.vn",
        'mailto:"a b"@example.vn',
        "mailto:Ông A <a@example.vn>",
    ],
)
def test_what_is_no_single_address_is_refused(url: str) -> None:
    server = MailServer(
        host="mail", port=25, security="none", user=None, password=None, sender="t@example.vn", link=None
    )
    with pytest.raises(Invalid) as refused:
        Mail(server).check(url)
    assert refused.value.field == "url"
