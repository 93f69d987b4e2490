"""The words of an alert, in Vietnamese and English. Each has the five clears: who, what, how far behind, what each day
needs from now on, who answers for it; and what to do next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import msgspec

from tiendo_common.events.goals import goal_of
from tiendo_common.events.restatements import Cohort
from tiendo_notifier.rules.life import News
from tiendo_notifier.rules.plan import Figures
from tiendo_notifier.rules.shares import RECENT_DAYS, USUAL_DAYS
from tiendo_notifier.rules.table import RuleName, most_over

WORK = {
    "intake": ("thu nhận hồ sơ", "intake"),
    "approved": ("phê duyệt", "approval"),
    "activated": ("kích hoạt", "activation"),
    "report": ("báo cáo", "reporting"),
    "attempts": ("thao tác kích hoạt", "activation attempts"),
    "records": ("chất lượng hồ sơ", "quality of dossiers"),
    "live": ("tiếp nhận trực tuyến", "live reporting"),
}


_COHORTS: dict[Cohort, tuple[str, str]] = {
    "officials": ("cán bộ, công chức, viên chức", "officials and public employees"),
    "employees": ("người lao động trong cơ quan", "employees"),
    "armed_forces": ("lực lượng vũ trang", "the armed forces"),
    "students": ("học sinh, sinh viên", "students"),
    "workers": ("công nhân", "workers"),
    "elderly": ("người cao tuổi", "the elderly"),
    "ethnic_minorities": ("đồng bào dân tộc thiểu số", "ethnic minorities"),
    "fishermen": ("ngư dân", "fishermen"),
}


def work(indicator: str) -> tuple[str, str]:
    """What is counted, in Vietnamese and English: of a goal its level, cohort and last day, too."""
    if indicator in WORK:
        return WORK[indicator]
    goal = goal_of(indicator)
    vi, en = WORK[goal.indicator]
    if goal.level is not None:
        vi, en = f"{vi} mức độ {goal.level}", f"level {goal.level} {en}"
    if goal.cohort is not None:
        of_vi, of_en = _COHORTS[goal.cohort]
        vi, en = f"{vi} cho {of_vi}", f"{en} of {of_en}"
    if goal.due is not None:
        vi, en = f"{vi} (hạn {_vi_day(goal.due)})", f"{en} (due {_en_day(goal.due)})"
    return vi, en


@dataclass(frozen=True, slots=True)
class Message:
    """The same in two languages."""

    vi: str
    en: str

    def __add__(self, other: "Message") -> "Message":
        return Message(f"{self.vi} {other.vi}", f"{self.en} {other.en}")


@dataclass(frozen=True, slots=True)
class Clears:
    """The five clears (5 rõ) and the next step."""

    who: Message
    what: Message
    behind: Message
    needed: Message
    answers: Message
    next: Message

    @property
    def text(self) -> Message:
        """All in one: what a person reads first."""
        return self.behind + self.needed + self.answers + self.next


def clears(
    news: News,
    rule: RuleName | None,
    unit: str,
    parent: str | None,
    indicator: str,
    day: date,
    seen: Figures,
) -> Clears:
    """What is to be said of a target, from the closing figures of `day`; `unit` and `parent` are names."""
    vi, en = work(indicator)
    behind = _withdrawn(rule, unit, indicator) if news == "withdrawn" else None
    behind = behind or _good(news, rule, unit, indicator, day, seen)
    if behind is None:
        assert rule is not None
        behind = _TROUBLE[rule](unit, indicator, day, seen)
    above_vi = f"; cấp trên: {parent}" if parent else ""
    above_en = f"; above it: {parent}" if parent else ""
    good = news in ("resolved", "withdrawn", "reached_early") or rule is None
    return Clears(
        who=Message(unit, unit),
        what=Message(vi, en),
        behind=behind,
        needed=_need(seen),
        answers=Message(f"Chịu trách nhiệm: {unit}{above_vi}.", f"{unit} answers for it{above_en}."),
        next=_NOTHING if good or rule is None else _next(rule, seen),
    )


@dataclass(frozen=True, slots=True)
class Member:
    """One of the units that are told of together."""

    unit: str
    name: str
    severity: str
    behind: int
    needed_per_day: int | None


#: What is told of a parent in place of its children.
Together = Literal["formed", "worsened", "ended"]
#: So many units are named in a message; the others are in its data.
NAMED = 12


def together(
    news: Together,
    parent: str,
    above: str | None,
    indicator: str,
    day: date,
    children: int,
    members: Sequence[Member],
) -> Clears:
    """What is said of a parent in place of its children: `members`, the worst first, of so many `children`."""
    vi, en = work(indicator)
    if news == "ended":
        behind = Message(
            f"{parent}: đến hết {_vi_day(day)} chỉ còn {_vi(len(members))}/{_vi(children)} đơn vị chậm {vi}; "
            "từ nay báo riêng từng đơn vị.",
            f"{parent}: by {_en_day(day)} only {_en(len(members))} of {_en(children)} units are in trouble with {en}; "
            "each is told of by itself again.",
        )
    else:
        names = ", ".join(member.name for member in members[:NAMED])
        more = len(members) - NAMED
        behind = Message(
            f"{parent}: {_vi(len(members))}/{_vi(children)} đơn vị chậm {vi} đến hết {_vi_day(day)}: {names}"
            + (f" và {_vi(more)} đơn vị khác." if more > 0 else "."),
            f"{parent}: {_en(len(members))} of {_en(children)} units are in trouble with {en} by {_en_day(day)}: "
            + names
            + (f" and {_en(more)} more." if more > 0 else "."),
        )
    needed = sum(member.needed_per_day or 0 for member in members)
    above_vi = f"; cấp trên: {above}" if above else ""
    above_en = f"; above it: {above}" if above else ""
    return Clears(
        who=Message(parent, parent),
        what=Message(vi, en),
        behind=behind,
        needed=Message(
            f"Các đơn vị này từ nay cần thêm tổng cộng {_vi(needed)} mỗi ngày.",
            f"Together they need {_en(needed)} a day from now on.",
        ),
        answers=Message(f"Chịu trách nhiệm: {parent}{above_vi}.", f"{parent} answers for it{above_en}."),
        next=_NOTHING
        if news == "ended"
        else Message(
            "Việc cần làm: họp giao ban, tìm nguyên nhân chung trước khi hỏi từng đơn vị.",
            "Next: look for the common cause before each unit is asked for its own.",
        ),
    )


def escalated(unit: str, addressee: str, since: date, said: Message) -> Message:
    """What the level above hears of an incident that nobody has taken on."""
    return Message(
        f"Kính gửi {addressee}: chưa có ai tiếp nhận cảnh báo về {unit} từ {_vi_day(since)}. {said.vi}",
        f"To {addressee}: nobody has acknowledged the alert about {unit} of {_en_day(since)}. {said.en}",
    )


def digest(entries: int) -> Message:
    """The head of a digest."""
    return Message(
        f"Tổng hợp {_vi(entries)} cảnh báo.",
        f"{_en(entries)} {'alert' if entries == 1 else 'alerts'} in all.",
    )


def lagging(campaign: str, day: date, *, over: bool) -> Message:
    """What operations hear when a day's figures are late, and when they have come."""
    if over:
        return Message(
            f"{campaign}: số liệu {_vi_day(day)} đã đủ, cảnh báo đơn vị tiếp tục.",
            f"{campaign}: the figures of {_en_day(day)} are complete; units are judged again.",
        )
    return Message(
        f"{campaign}: số liệu {_vi_day(day)} chưa đủ sau giờ chốt; chưa đánh giá đơn vị nào. Kiểm tra: tiendo doctor.",
        f"{campaign}: the figures of {_en_day(day)} are not complete after the cut-off; no unit is judged until they "
        "are. See: tiendo doctor.",
    )


def in_language(notice: str, language: str | None) -> str:
    """The notice with its texts in one language only; None: in both. Always the same for the same."""
    if language is None:
        return notice
    return msgspec.json.encode(_chosen(msgspec.json.decode(notice), language)).decode()


def _chosen(document: Any, language: str) -> Any:
    if isinstance(document, dict):
        if document.keys() == {"vi", "en"}:
            return {language: document[language]}
        return {name: _chosen(each, language) for name, each in document.items()}
    return [_chosen(each, language) for each in document] if isinstance(document, list) else document


def _good(
    news: News, rule: RuleName | None, unit: str, indicator: str, day: date, seen: Figures
) -> Message | None:
    vi, en = work(indicator)
    if news == "reached_early":
        return Message(
            f"{unit} đạt trước hạn chỉ tiêu {vi}: {_vi(seen.value)}/{_vi(seen.target)}, "
            f"còn {_vi(seen.days_left)} ngày.",
            f"{unit} has reached its {en} target early: {_en(seen.value)} of {_en(seen.target)}, "
            f"{_days(seen.days_left)} before the end.",
        )
    if news != "resolved":
        return None
    if seen.attempts is not None:
        return Message(
            f"{unit}: tỷ lệ kích hoạt thất bại đến hết {_vi_day(day)} đã trở lại như thường lệ.",
            f"{unit}: by {_en_day(day)} activations fail no more than they usually do.",
        )
    if seen.unreported_days is not None:
        return Message(
            f"{unit} đã báo cáo lại trước giờ chốt {_vi_day(day)}.",
            f"{unit} reports again: it had by the cut-off of {_en_day(day)}.",
        )
    if seen.silent_minutes is not None and rule is None:
        return Message(
            f"{unit}: không còn theo dõi trực tuyến.", f"{unit}: nobody waits for live figures any more."
        )
    if seen.silent_minutes is not None:
        return Message(f"{unit}: đã có số liệu trở lại.", f"{unit}: something comes again.")
    if seen.records is not None:
        return Message(
            f"{unit}: hồ sơ sai sót đến hết {_vi_day(day)} đã giảm xuống dưới ngưỡng.",
            f"{unit}: by {_en_day(day)} few dossiers are faulty any more.",
        )
    if seen.reached:
        return Message(
            f"{unit} đã đạt chỉ tiêu {vi}{_whole(indicator)}.", f"{unit} has reached its {en} target."
        )
    return Message(
        f"{unit} đã kịp tiến độ {vi}: đến hết {_vi_day(day)} được {_vi(seen.actual)}, kế hoạch {_vi(seen.planned)}.",
        f"{unit} is back on pace with {en}: {_en(seen.actual)} of the {_en(seen.planned)} planned by {_en_day(day)}.",
    )


def _withdrawn(rule: RuleName | None, unit: str, indicator: str) -> Message:
    vi, en = work(indicator)
    if rule == "target_missed":
        return Message(
            f"{unit}: số liệu đến muộn cho thấy đã đạt chỉ tiêu {vi}{_whole(indicator)}; rút lại cảnh báo không đạt.",
            f"{unit}: late records show that it reached its {en} target in time; the alert is withdrawn.",
        )
    return Message(
        f"{unit}: số liệu đến muộn cho thấy chỉ tiêu ngày về {vi} không bị hụt như đã báo; rút lại cảnh báo.",
        f"{unit}: late records show that its daily {en} quotas were not missed as was said; the alert is withdrawn.",
    )


def _pace(unit: str, indicator: str, day: date, seen: Figures) -> Message:
    vi, en = work(indicator)
    return Message(
        f"{unit} chậm tiến độ {vi}: đến hết {_vi_day(day)} được {_vi(seen.actual)}, kế hoạch {_vi(seen.planned)}, "
        f"chậm {_vi(seen.gap)}.",
        f"{unit} is behind pace with {en}: {_en(seen.actual)} of the {_en(seen.planned)} planned by {_en_day(day)}, "
        f"{_en(seen.gap)} behind.",
    )


def _risk(unit: str, indicator: str, day: date, seen: Figures) -> Message:
    vi, en = work(indicator)
    return Message(
        f"{unit} có nguy cơ không đạt chỉ tiêu {vi}: được {_vi(seen.recent or 0)} trong {_vi(seen.recent_days)} ngày "
        f"làm việc đến {_vi_day(day)}, chậm {_vi(seen.gap)} so với kế hoạch.",
        f"{unit} may miss its {en} target: {_en(seen.recent or 0)} in the {_days(seen.recent_days)} to {_en_day(day)}, "
        f"{_en(seen.gap)} behind the plan.",
    )


def _forecast(unit: str, indicator: str, day: date, seen: Figures) -> Message:
    vi, en = work(indicator)
    high = seen.expected_high or 0
    return Message(
        f"{unit} dự báo không đạt chỉ tiêu {vi}: theo đà đến {_vi_day(day)}, cao nhất được {_vi(high)}/"
        f"{_vi(seen.target)}.",
        f"{unit} is forecast to miss its {en} target: as of {_en_day(day)} it comes to {_en(high)} of "
        f"{_en(seen.target)} at best.",
    )


def _stalled(unit: str, indicator: str, day: date, seen: Figures) -> Message:
    vi, en = work(indicator)
    return Message(
        f"{unit} không có hồ sơ {vi} nào trong {_vi(seen.idle_days)} ngày làm việc đến {_vi_day(day)}; "
        f"{_vi(seen.usual_days)} ngày trước đó được {_vi(seen.usual)}.",
        f"{unit} has had no {en} for {_days(seen.idle_days)} up to {_en_day(day)}; the {_days(seen.usual_days)} "
        f"before brought {_en(seen.usual)}.",
    )


def _quota(unit: str, indicator: str, day: date, seen: Figures) -> Message:
    vi, en = work(indicator)
    return Message(
        f"{unit} chưa đạt chỉ tiêu {vi} {_vi_day(day)}: {_vi(seen.done)}/{_vi(seen.quota)}, thiếu "
        f"{_vi(seen.shortfall)}.",
        f"{unit} missed its {en} quota of {_en_day(day)}: {_en(seen.done)} of {_en(seen.quota)}, "
        f"{_en(seen.shortfall)} short.",
    )


def _missed(unit: str, indicator: str, _day: date, seen: Figures) -> Message:
    vi, en = work(indicator)
    return Message(
        f"{unit} không đạt chỉ tiêu {vi}{_whole(indicator)}: {_vi(seen.value)}/{_vi(seen.target)}.",
        f"{unit} has missed its {en} target: {_en(seen.value)} of {_en(seen.target)}.",
    )


def _unreported(unit: str, _indicator: str, day: date, seen: Figures) -> Message:
    days = seen.unreported_days or 0
    return Message(
        f"{unit} chưa báo cáo số liệu {_vi_day(day)} (không phải số không)"
        + (f", {_vi(days)} ngày liền." if days > 1 else "."),
        f"{unit} has not reported its counts of {_en_day(day)} (which is not zero)"
        + (f", {_en(days)} days in a row." if days > 1 else "."),
    )


def _failing(unit: str, _indicator: str, day: date, seen: Figures) -> Message:
    part = most_over(seen.attempts)
    assert part is not None
    vi, en = _FAILURES[part.kind]
    return Message(
        f"{unit}: kích hoạt thất bại vì {vi} tăng: {_vi(part.recent)}/{_vi(part.recent_all)} lượt trong "
        f"{RECENT_DAYS} ngày đến {_vi_day(day)}, trước đó {_vi(part.usual)}/{_vi(part.usual_all)}.",
        f"{unit}: more activations fail because {en}: {_en(part.recent)} of {_en(part.recent_all)} attempts in the "
        f"{RECENT_DAYS} days to {_en_day(day)}, {_en(part.usual)} of {_en(part.usual_all)} before.",
    )


def _stalled_live(unit: str, _indicator: str, _day: date, seen: Figures) -> Message:
    silent, usual = seen.silent_minutes or 0, seen.usual_minutes or 0
    return Message(
        f"{unit}: trong giờ làm việc đã {_vi(silent)} phút không có hồ sơ hay kích hoạt nào; thường lệ cứ "
        f"{_vi(usual)} phút có một.",
        f"{unit}: nothing has come for {_en(silent)} minutes of working time; usually something does every "
        f"{_en(usual)} minutes.",
    )


def _quality(unit: str, _indicator: str, day: date, seen: Figures) -> Message:
    parts = [part for part in seen.records or () if part.recent]
    taken = next((part.recent_all for part in parts), 0)
    vi = ", ".join(f"{_vi(part.recent)} {_FAULTS[part.kind][0]}" for part in parts)
    en = ", ".join(f"{_en(part.recent)} {_FAULTS[part.kind][1]}" for part in parts)
    return Message(
        f"{unit}: nhiều hồ sơ sai sót trong {RECENT_DAYS} ngày đến {_vi_day(day)}: {vi}; trong khi thu nhận "
        f"{_vi(taken)}.",
        f"{unit}: many dossiers were faulty in the {RECENT_DAYS} days to {_en_day(day)}: {en}; {_en(taken)} were "
        "taken.",
    )


_FAULTS: dict[str, tuple[str, str]] = {
    "voided": ("bị hủy", "voided"),
    "corrected": ("phải sửa", "corrected"),
    "rejected": ("bị từ chối", "turned down"),
}


def _next(rule: RuleName, seen: Figures) -> Message:
    part = most_over(seen.attempts) if rule == "activations_failing" else None
    return _NEXT[rule] if part is None else _NEXT_OF_FAILURES[part.kind]


#: Why an attempt failed.
_FAILURES: dict[str, tuple[str, str]] = {
    "old_device": ("mã kích hoạt gửi về máy cũ", "the code goes to an old device"),
    "no_smartphone": ("không có điện thoại thông minh", "there is no smartphone"),
    "phone_not_owned": (
        "số điện thoại không chính chủ",
        "the phone number is not in the owner's name",
    ),
    "network": ("mạng", "of the network"),
    "other": ("lý do khác", "of other reasons"),
}
_NEXT_OF_FAILURES: dict[str, Message] = {
    "old_device": Message(
        "Việc cần làm: hướng dẫn gỡ liên kết máy cũ, hẹn người dân đến điểm hỗ trợ.",
        "Next: show how the old device is unlinked, and ask people to the service desk.",
    ),
    "no_smartphone": Message(
        "Việc cần làm: lập danh sách người không có điện thoại thông minh, tách khỏi lượt kích hoạt.",
        "Next: list who has no smartphone, and stop trying with them.",
    ),
    "phone_not_owned": Message(
        "Việc cần làm: mời nhà mạng đến chuẩn hóa thuê bao cùng điểm lưu động.",
        "Next: have the carriers put numbers in their owners' names at the same desks.",
    ),
    "network": Message(
        "Việc cần làm: kiểm tra mạng tại điểm, báo nhà mạng, đổi giờ hoặc đổi điểm.",
        "Next: check the network at the desk, call the carrier, move the hour or the place.",
    ),
    "other": Message(
        "Việc cần làm: hỏi tổ hỗ trợ các lượt thất bại gần nhất và báo cấp trên.",
        "Next: ask the team about the latest failures, and tell the level above.",
    ),
}
_TROUBLE: dict[RuleName, Callable[[str, str, date, Figures], Message]] = {
    "behind_pace": _pace,
    "at_risk": _risk,
    "forecast_miss": _forecast,
    "stalled": _stalled,
    "quota_missed": _quota,
    "target_missed": _missed,
    "not_reported": _unreported,
    "activations_failing": _failing,
    "data_quality": _quality,
    "stalled_live": _stalled_live,
}
_NOTHING = Message("Không cần làm gì thêm.", "Nothing more is to be done.")
_NEXT: dict[RuleName, Message] = {
    "behind_pace": Message(
        "Việc cần làm: giao chỉ tiêu bù theo ngày cho từng tổ, tăng điểm lưu động.",
        "Next: give each team its share of the catch-up quota, and add mobile points.",
    ),
    "at_risk": Message(
        "Việc cần làm: xin chi viện tổ lưu động, rà soát người chưa làm theo từng thôn.",
        "Next: ask for mobile teams, and go through who is missing, hamlet by hamlet.",
    ),
    "forecast_miss": Message(
        "Việc cần làm: cấp trên giao thêm lực lượng, hoặc báo cáo lý do khách quan.",
        "Next: the level above assigns more teams, or the objective reasons are reported.",
    ),
    "stalled": Message(
        "Việc cần làm: gọi điểm thu nhận, hỏi máy, mạng và người trực.",
        "Next: call the desk and ask after machine, network and staff.",
    ),
    "quota_missed": Message(
        "Việc cần làm: hỏi vướng mắc trong ngày và chia lại chỉ tiêu ngày mai.",
        "Next: ask what blocked the days, and share tomorrow's quota out anew.",
    ),
    "target_missed": Message(
        "Việc cần làm: lập danh sách người còn lại kèm lý do, làm tiếp cho đến đủ.",
        "Next: list who remains, with reasons, and go on until all are reached.",
    ),
    "not_reported": Message(
        "Việc cần làm: gọi người phụ trách báo cáo, gửi bổ sung ngay hôm nay.",
        "Next: call whoever reports, and send it today.",
    ),
    "activations_failing": _NEXT_OF_FAILURES["other"],
    "stalled_live": Message(
        "Việc cần làm: gọi ngay điểm thu nhận, hỏi máy, mạng và người trực.",
        "Next: call the desk now and ask after machine, network and staff.",
    ),
    "data_quality": Message(
        "Việc cần làm: xem lý do từng hồ sơ, hướng dẫn lại tổ thu nhận, đối chiếu trước khi gửi.",
        "Next: read why, dossier by dossier, show the teams, and compare before sending.",
    ),
}


def _need(seen: Figures) -> Message:
    if seen.attempts is not None:
        return Message(
            f"Thường lệ là tỷ lệ của {USUAL_DAYS} ngày trước đó.",
            f"What is usual is taken from the {USUAL_DAYS} days before.",
        )
    if seen.silent_minutes is not None:
        return Message("Xem lại sau khi gọi.", "Look again after the call.")
    if seen.records is not None:
        return Message(
            "Mỗi công dân chỉ tính một lần, đúng, đủ, sạch, sống.",
            "Each citizen counts once: correct, complete, clean, live.",
        )
    if seen.unreported_days is not None:
        return Message("Cần một báo cáo mỗi ngày làm việc.", "One report is needed each working day.")
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


def _whole(indicator: str) -> str:
    """Said in Vietnamese of a target that is due when the campaign ends."""
    return " của cả đợt" if indicator in WORK or goal_of(indicator).due is None else ""


def _vi_day(day: date) -> str:
    return f"ngày {day:%d/%m/%Y}"


def _en_day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _days(number: int) -> str:
    return f"{_en(number)} working {'day' if number == 1 else 'days'}"


def _en(number: int) -> str:
    return f"{number:,}"


def _vi(number: int) -> str:
    return f"{number:,}".replace(",", ".")
