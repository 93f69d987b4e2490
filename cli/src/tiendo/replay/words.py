"""What goals are called, and how numbers and days are written: in English, or in Vietnamese."""

from datetime import date, datetime

from tiendo.replay.campaigns.campaign import Language
from tiendo_common.clock import VIETNAM

_INDICATORS: dict[str, dict[Language, str]] = {
    "intake": {"en": "intakes", "vi": "thu nhận hồ sơ"},
    "approved": {"en": "approved", "vi": "được phê duyệt"},
    "activated": {"en": "activated", "vi": "kích hoạt"},
    "target": {"en": "the target", "vi": "chỉ tiêu"},
    "eligible": {"en": "the eligible", "vi": "công dân đủ điều kiện"},
}
_COHORTS: dict[str, dict[Language, str]] = {
    "officials": {"en": "officials", "vi": "cán bộ, công chức, viên chức"},
    "employees": {"en": "employees", "vi": "người lao động"},
    "armed_forces": {"en": "armed forces", "vi": "lực lượng vũ trang"},
    "students": {"en": "students", "vi": "học sinh, sinh viên"},
    "workers": {"en": "workers", "vi": "công nhân"},
    "elderly": {"en": "the elderly", "vi": "người cao tuổi"},
    "ethnic_minorities": {"en": "ethnic minorities", "vi": "đồng bào dân tộc thiểu số"},
    "fishermen": {"en": "fishermen", "vi": "ngư dân"},
}
_LEVEL: dict[Language, str] = {"en": "level", "vi": "mức độ"}
_BY: dict[Language, str] = {"en": "by", "vi": "đến ngày"}


def indicator_words(indicator: str, language: Language) -> str:
    """An indicator, or what a figure is a share of."""
    return _INDICATORS[indicator][language]


def goal_words(goal: str, language: Language) -> str:
    """A goal by its name: `intake:level-2:officials:by-2023-11-30`."""
    indicator, *parts = goal.split(":")
    said = [indicator_words(indicator, language)]
    for part in parts:
        if part.startswith("level-"):
            said.append(f"{_LEVEL[language]} {part.removeprefix('level-')}")
        elif part.startswith("by-"):
            said.append(f"{_BY[language]} {day_words(part.removeprefix('by-'), language)}")
        else:
            said.append(_COHORTS[part][language])
    return ", ".join(said)


def number(n: int, language: Language, *, signed: bool = False) -> str:
    """293,928 is a little more than 293 to whoever reads Vietnamese: there it is 293.928."""
    text = f"{n:+,}" if signed else f"{n:,}"
    return text.replace(",", ".") if language == "vi" else text


def decimal(text: str, language: Language) -> str:
    """A number with decimals, as the services write it."""
    return text.replace(".", ",") if language == "vi" else text


def day_words(day: date | str, language: Language) -> str:
    """A day: 2023-12-07, or 07/12/2023."""
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return f"{day:%d/%m/%Y}" if language == "vi" else day.isoformat()


def instant_words(instant: str, language: Language) -> str:
    """An instant as the services write it, in UTC; in Vietnamese by the clock on the wall: 21:00 07/12/2023."""
    if language == "en":
        return instant
    return f"{datetime.fromisoformat(instant).astimezone(VIETNAM):%H:%M %d/%m/%Y}"
