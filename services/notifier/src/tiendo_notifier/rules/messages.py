"""The words of an alert, in Vietnamese and English: who, what, how far behind, what is needed from now on."""

from dataclasses import dataclass
from datetime import date

from tiendo_notifier.rules.life import Transition
from tiendo_notifier.rules.plan import Figures
from tiendo_notifier.rules.table import RuleName

WORK = {
    "intake": ("thu nhận hồ sơ", "intake"),
    "approved": ("phê duyệt", "approval"),
    "activated": ("kích hoạt", "activation"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """The same in two languages."""

    vi: str
    en: str


def write(
    rule: RuleName, transition: Transition, unit_name: str, indicator: str, day: date, run: int, seen: Figures
) -> Message:
    """The message of a transition, from the closing figures of `day`."""
    write_one = _quota if rule == "daily_quota_missed" else _pace
    what = write_one(transition, unit_name, indicator, day, seen)
    again = Message("", "")
    if transition == "worsened" and run > 1:
        again = Message(f" Lần thứ {run} liên tiếp.", f" {run} times in a row.")
    need = _need(seen)
    return Message(f"{what.vi}{again.vi} {need.vi}", f"{what.en}{again.en} {need.en}")


def _quota(transition: Transition, unit: str, indicator: str, day: date, seen: Figures) -> Message:
    work_vi, work_en = WORK[indicator]
    vi_day, en_day = f"{day:%d/%m/%Y}", f"{day.day} {day:%B %Y}"
    if transition == "closed" and seen.reached:
        return Message(
            f"{unit} đã đạt chỉ tiêu {work_vi} của cả đợt.", f"{unit} has reached its {work_en} target."
        )
    vi = f"{_vi(seen.done)}/{_vi(seen.quota)}"
    en = f"{_en(seen.done)} of {_en(seen.quota)}"
    if transition == "closed":
        return Message(
            f"{unit} đã đạt chỉ tiêu {work_vi} ngày {vi_day}: {vi}.",
            f"{unit} met its {work_en} quota of {en_day}: {en}.",
        )
    return Message(
        f"{unit} chưa đạt chỉ tiêu {work_vi} ngày {vi_day}: {vi}, thiếu {_vi(seen.shortfall)}.",
        f"{unit} missed its {work_en} quota of {en_day}: {en}, {_en(seen.shortfall)} short.",
    )


def _pace(transition: Transition, unit: str, indicator: str, day: date, seen: Figures) -> Message:
    work_vi, work_en = WORK[indicator]
    vi = f"đến hết ngày {day:%d/%m/%Y} được {_vi(seen.actual)}, kế hoạch {_vi(seen.planned)}"
    en = f"{_en(seen.actual)} of the {_en(seen.planned)} planned by {day.day} {day:%B %Y}"
    if transition == "closed":
        return Message(
            f"{unit} đã kịp tiến độ {work_vi}: {vi}.", f"{unit} is back on pace with {work_en}: {en}."
        )
    return Message(
        f"{unit} chậm tiến độ {work_vi}: {vi}, chậm {_vi(seen.gap)}.",
        f"{unit} is behind pace with {work_en}: {en}, {_en(seen.gap)} behind.",
    )


def _need(seen: Figures) -> Message:
    target_vi, target_en = _vi(seen.target), _en(seen.target)
    if seen.reached:
        return Message(
            f"Hiện có {_vi(seen.value)}, chỉ tiêu {target_vi}.",
            f"It has {_en(seen.value)}; the target is {target_en}.",
        )
    if seen.needed_per_day is None:
        missing = seen.target - seen.value
        return Message(
            f"Đã hết thời gian, còn thiếu {_vi(missing)} so với chỉ tiêu {target_vi}.",
            f"No day is left; {_en(missing)} are missing to the target of {target_en}.",
        )
    return Message(
        f"Từ nay cần {_vi(seen.needed_per_day)} mỗi ngày trong {_vi(seen.days_left)} ngày còn lại "
        f"để đạt {target_vi}.",
        f"From now on it needs {_en(seen.needed_per_day)} a day for {_en(seen.days_left)} more "
        f"{'day' if seen.days_left == 1 else 'days'} to reach {target_en}.",
    )


def _en(number: int) -> str:
    return f"{number:,}"


def _vi(number: int) -> str:
    return f"{number:,}".replace(",", ".")
