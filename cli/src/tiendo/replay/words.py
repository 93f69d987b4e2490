"""What goals are called: in English, or in Vietnamese."""

from tiendo.replay.campaigns.campaign import Language

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
            said.append(f"{_BY[language]} {part.removeprefix('by-')}")
        else:
            said.append(_COHORTS[part][language])
    return ", ".join(said)
