"""A notice as a letter: subject, plain text and HTML, in one language or in both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")
#: Mail programs cut a subject about here.
LONGEST_SUBJECT = 120

_DETAILS: dict[Language, str] = {"vi": "Chi tiết", "en": "Details"}
_FOOT: dict[Language, str] = {
    "vi": "Tin tự động của Tiendo. Đơn vị phụ trách hệ thống có thể đổi hoặc tắt.",
    "en": "Sent by Tiendo. Whoever runs the system can change or end it.",
}
_COLOURS = {"critical": "#b42318", "warning": "#b54708", "notice": "#175cd3"}


@dataclass(frozen=True, slots=True)
class Letter:
    """`thread`: what letters of one incident have in common; None: it stands alone."""

    subject: str
    text: str
    html: str
    thread: str | None


def letter(notice: str, language: Language | None, link: str | None) -> Letter:
    """The letter that says what a notice says; always the same for the same. `language` None: Vietnamese, then English.
    `link`: what to put before the notice's path; None: no link is given."""
    document = json.loads(notice)
    data = document["data"]
    languages = (language,) if language else LANGUAGES
    path = data.get("path")
    url = f"{link.rstrip('/')}{path}" if link and path else None
    said = [(each, _lines(document["type"], data, each)) for each in languages]
    return Letter(
        _subject(data, languages[0]),
        "\n".join(_plain(each, lines, url) for each, lines in said),
        _html(said, _COLOURS.get(data.get("severity") or "", "#344054"), url),
        data.get("incident"),
    )


def _subject(data: dict[str, Any], language: Language) -> str:
    """The same for all letters of an incident, so that they stand together."""
    clears = data.get("clears")
    if clears:
        head = f"{clears['who'][language]}: {clears['what'][language]}"
        campaign = data.get("campaign_name")
        subject = f"{head} – {campaign}" if campaign else head
    else:
        subject = data["message"][language].split("\n")[0]
    subject = " ".join(f"[Tiendo] {subject}".split())
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1] + "…"


def _lines(kind: str, data: dict[str, Any], language: Language) -> list[str]:
    """What is to be read, a thing a line."""
    clears = data.get("clears")
    if clears and kind != "incident.escalated":
        return [clears[part][language] for part in ("behind", "needed", "answers", "next")]
    lines: list[str] = data["message"][language].split("\n")
    return lines


def _plain(language: Language, lines: Sequence[str], url: str | None) -> str:
    details = [f"{_DETAILS[language]}: {url}"] if url else []
    return "\n".join([*lines, *details, "", _FOOT[language], ""])


def _html(said: Sequence[tuple[Language, Sequence[str]]], colour: str, url: str | None) -> str:
    """Nothing in it is fetched from anywhere, and its width is that of the screen."""
    parts = []
    for language, (first, *others) in said:
        rows = [f'<p style="margin:0 0 12px;font-weight:600">{escape(first)}</p>']
        rows += [f'<p style="margin:0 0 12px">{escape(line)}</p>' for line in others]
        if url:
            rows.append(f'<p style="margin:0 0 12px"><a href="{escape(url)}">{_DETAILS[language]}</a></p>')
        parts.append(
            f'<div lang="{language}" style="border-left:4px solid {colour};padding:4px 0 4px 16px;margin:0 0 24px">'
            f'{"".join(rows)}<p style="margin:0;font-size:12px;color:#475467">{escape(_FOOT[language])}</p></div>'
        )
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>'
        '<body style="margin:0 auto;max-width:600px;padding:16px;font:16px/1.5 sans-serif;color:#101828;'
        f'background:#ffffff">{"".join(parts)}</body></html>\n'
    )
