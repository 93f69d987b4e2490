"""The list of what is to be urged on (danh sách đôn đốc): open incidents by the unit above, as a document to issue."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from tiendo_notifier.rules.messages import work
from tiendo_notifier.rules.table import Severity

Language = Literal["vi", "en"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One open incident. `behind` citizens; `needed_per_day` None: no day is left."""

    parent: str
    unit: str
    indicator: str
    severity: Severity
    behind: int
    needed_per_day: int | None
    since: date
    taken_on_by: str | None


_HEADS: dict[Language, tuple[str, ...]] = {
    "vi": ("Đơn vị", "Công việc", "Mức độ", "Chậm", "Cần mỗi ngày", "Từ ngày", "Đã tiếp nhận"),
    "en": ("Unit", "Work", "Severity", "Behind", "Needed a day", "Since", "Taken on by"),
}
_SEVERITIES: dict[Language, dict[Severity, str]] = {
    "vi": {Severity.NOTICE: "lưu ý", Severity.WARNING: "chậm", Severity.CRITICAL: "rất chậm"},
    "en": {severity: severity.name.lower() for severity in Severity},
}


def document(campaign: str, scope: str, now: datetime, entries: Sequence[Entry], language: Language) -> str:
    """The list in Markdown: the worst first, below the unit that has to urge them on. `now` is local."""
    vietnamese = language == "vi"
    title = f"Danh sách đôn đốc: {campaign}" if vietnamese else f"To be urged on: {campaign}"
    made = f"{now:%d/%m/%Y %H:%M}" if vietnamese else f"{now:%Y-%m-%d %H:%M}"
    count = len(entries)
    said = (
        f"{scope}. Lập lúc {made}. Số chỉ tiêu cần đôn đốc: {count}."
        if vietnamese
        else f"{scope}. As of {made}. Targets to be urged on: {count}."
    )
    lines = [f"# {title}", "", said]
    below: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        below[entry.parent].append(entry)
    for parent, of_parent in sorted(below.items()):
        lines += ["", f"## {parent}", "", _row(_HEADS[language]), _row(["---"] * len(_HEADS[language]))]
        of_parent.sort(key=lambda each: (-each.severity, -each.behind, each.unit))
        lines += [_row(_cells(entry, language)) for entry in of_parent]
    return "\n".join(lines) + "\n"


def _cells(entry: Entry, language: Language) -> tuple[str, ...]:
    vietnamese = language == "vi"
    return (
        entry.unit,
        work(entry.indicator)[0 if vietnamese else 1],
        _SEVERITIES[language][entry.severity],
        _number(max(0, entry.behind), language),
        "–" if entry.needed_per_day is None else _number(entry.needed_per_day, language),
        f"{entry.since:%d/%m/%Y}" if vietnamese else entry.since.isoformat(),
        entry.taken_on_by or "–",
    )


def _number(number: int, language: Language) -> str:
    return f"{number:,}".replace(",", ".") if language == "vi" else f"{number:,}"


def _row(cells: Sequence[str]) -> str:
    # A bar in a name would end its cell.
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
