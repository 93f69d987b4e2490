"""What a notice says in a Zalo template message, and what follows from Zalo's answers.

Zalo answers with HTTP 200 and says in the body what went wrong. Whose fault it is decides what follows:

| whose | codes | what follows |
|---|---|---|
| nobody's | 0 | delivered |
| the recipient's: no such number or account | -108, -118, -119 | destination disabled |
| the recipient's wish to get nothing of the kind | -139, -141 | destination disabled |
| this message's: unfit | -111 to -113, -1121 to -1124, -1131, -121, -122, -130, -132, -153 | failed |
| a quota of the month | -1441, -1471 | failed: it comes back too late |
| the clock's: night | -133 | again after 06:00 |
| a quota of the day | -126, -144, -147 | again on the next day, after 06:00 |
| the purse's | -115, -137 | again in an hour |
| too many at once | -32 | again in a minute |
| anybody else's: the token, the app, the account, the template; and codes that are not known | all others | again |

What is tried again is tried for about a day: whoever runs the account can put it right meanwhile.
"""

import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

#: The access token is not, or no longer, a good one; the older interfaces have words of their own for it.
TOKEN_REFUSED = frozenset({-124, -216, -220})
_RECIPIENT = frozenset({-108, -118, -119, -139, -141})
_MESSAGE = frozenset({-111, -112, -113, -1121, -1122, -1123, -1124, -1131, -121, -122, -130, -132, -153})
_MONTH = frozenset({-1441, -1471})
_NIGHT = -133
_DAY = frozenset({-126, -144, -147})
_PURSE = frozenset({-115, -137})
_RATE = -32
#: From this hour on Zalo sends what it holds back at night.
_MORNING = time(6)

#: Characters that a parameter may have, by the kinds under which they are registered.
_STATUS, _TIME, _TEXT = 30, 20, 200
_STATUSES = {
    "incident.opened": "Mới",
    "incident.worsened": "Nặng hơn",
    "incident.escalated": "Chuyển cấp trên",
    "incident.resolved": "Đã khắc phục",
    "incident.withdrawn": "Rút lại",
    "target.reached_early": "Đạt trước hạn",
    "together.formed": "Nhiều đơn vị",
    "together.worsened": "Nhiều đơn vị, nặng hơn",
    "together.ended": "Không còn nhiều đơn vị",
    "operations.lag": "Số liệu chậm",
    "operations.lag_over": "Số liệu đã đủ",
    "digest": "Tổng hợp",
    "ping": "Tin thử",
}
#: Zalo refuses a message that lacks a parameter.
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a code means for the delivery. `gone`: the recipient takes nothing more; `failed`: this message is not
    taken; `again`, after `wait` seconds at the earliest (None: as usual)."""

    state: Literal["gone", "failed", "again"]
    wait: float | None = None


def outcome(code: int, local: datetime) -> Outcome:
    """What follows from an error code; `local`: the time in Vietnam."""
    if code in _RECIPIENT:
        return Outcome("gone")
    if code in _MESSAGE or code in _MONTH:
        return Outcome("failed")
    if code == _NIGHT:
        return Outcome("again", _until_morning(local, tomorrow=local.time() >= _MORNING))
    if code in _DAY:
        return Outcome("again", _until_morning(local, tomorrow=True))
    if code in _PURSE:
        return Outcome("again", 3600.0)
    return Outcome("again", 60.0 if code == _RATE else None)


def _until_morning(local: datetime, *, tomorrow: bool) -> float:
    day = local.date() + timedelta(days=tomorrow)
    return (datetime.combine(day, _MORNING, local.tzinfo) - local).total_seconds()


def template_data(notice: str, local: datetime) -> dict[str, str]:
    """The template's parameters, in Vietnamese; always all of them, and always the same for the same. `local`: the
    notice's time in Vietnam."""
    document = json.loads(notice)
    data = document["data"]
    clears = data.get("clears")
    said = data["message"]["vi"]
    if clears and document["type"] != "incident.escalated":
        said = clears["behind"]["vi"]
    who = clears["who"]["vi"] if clears else data.get("campaign_name", "Tiendo")
    work = clears["what"]["vi"] if clears else _NOTHING
    campaign = data.get("campaign_name")
    return {
        "trang_thai": _fit(_STATUSES[document["type"]], _STATUS),
        "don_vi": _fit(who, _TEXT),
        "chi_tieu": _fit(f"{work} ({campaign})" if clears and campaign else work, _TEXT),
        "tinh_hinh": _fit(said, _TEXT),
        "can_them": _fit(clears["needed"]["vi"] if clears else _NOTHING, _TEXT),
        "phu_trach": _fit(clears["answers"]["vi"] if clears else _NOTHING, _TEXT),
        "viec_can_lam": _fit(clears["next"]["vi"] if clears else _NOTHING, _TEXT),
        "thoi_gian": _fit(f"{local:%H:%M %d/%m/%Y}", _TIME),
        "lien_ket": _fit((data.get("path") or "/v1/incidents").lstrip("/"), _TEXT),
    }


def _fit(text: str, most: int) -> str:
    """On one line, cut where it is too long."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
