"""How phases, contests and the funnel are printed: in English, or in Vietnamese."""

from rich.console import Console
from rich.table import Table

from tiendo.replay.campaigns.campaign import Language
from tiendo.replay.course import LONG, ContestTold, Course, FunnelTold, GroupTold, PhaseTold, WaitingTold
from tiendo.replay.words import day_words, decimal, goal_words, indicator_words, number

_TEXTS: dict[str, dict[Language, str]] = {
    "phases": {"en": "Phases", "vi": "Giai đoạn"},
    "to_come": {"en": "to come", "vi": "chưa bắt đầu"},
    "running": {"en": "under way", "vi": "đang thực hiện"},
    "over": {"en": "over", "vi": "đã kết thúc"},
    "gained": {"en": "in the phase", "vi": "trong giai đoạn"},
    "target": {"en": "target", "vi": "chỉ tiêu"},
    "contest": {"en": "Contest", "vi": "Thi đua"},
    "as_of": {"en": "as of", "vi": "tính đến ngày"},
    "share": {"en": "share of the target", "vi": "tỷ lệ so với chỉ tiêu"},
    "per_1000": {"en": "gained per 1,000 eligible", "vi": "tăng thêm trên 1.000 công dân đủ điều kiện"},
    "finish": {"en": "order of finish", "vi": "thứ tự về đích"},
    "rank": {"en": "Rank", "vi": "Hạng"},
    "group": {"en": "Group", "vi": "Nhóm"},
    "value": {"en": "Counted", "vi": "Đếm được"},
    "gained_in_contest": {"en": "Gained", "vi": "Tăng thêm"},
    "measured": {"en": "Measured", "vi": "Kết quả"},
    "not_finished": {"en": "not yet", "vi": "chưa đạt"},
    "eligible": {"en": "Eligible", "vi": "Công dân đủ điều kiện"},
    "with_card": {"en": "Hold a chip card", "vi": "Có CCCD gắn chip"},
    "taken": {"en": "Dossiers taken", "vi": "Đã thu nhận hồ sơ"},
    "approved": {"en": "Approved", "vi": "Được phê duyệt"},
    "activated": {"en": "Activated", "vi": "Đã kích hoạt"},
    "card_no_account": {"en": "have a card and no account", "vi": "có thẻ chưa có tài khoản"},
    "undecided": {"en": "wait for a decision", "vi": "chờ phê duyệt"},
    "rejected": {"en": "rejected", "vi": "bị từ chối"},
    "not_activated": {"en": "have an account that is not activated", "vi": "có tài khoản chưa kích hoạt"},
    "long": {
        "en": "{n} of them for {days} days or longer, the longest for {oldest}",
        "vi": "trong đó {n} từ {days} ngày trở lên, lâu nhất {oldest} ngày",
    },
    "in_time": {"en": "within 7 days of the approval", "vi": "trong 7 ngày từ khi được phê duyệt"},
    "late": {"en": "later", "vi": "muộn hơn"},
    "funnel": {"en": "From eligible to activated", "vi": "Từ đủ điều kiện đến kích hoạt"},
    "no_funnel": {
        "en": "Who waits where is not counted here: this instance counts totals alone.",
        "vi": "Hệ thống này chỉ đếm tổng số: không đếm ai đang chờ ở bước nào.",
    },
    "failures": {"en": "Activations that failed", "vi": "Kích hoạt không thành công"},
    "came_right": {"en": "came right", "vi": "sau đó thành công"},
    "old_device": {"en": "code sent to an old device", "vi": "mã gửi về thiết bị cũ"},
    "no_smartphone": {"en": "no smartphone", "vi": "không có điện thoại thông minh"},
    "phone_not_owned": {"en": "phone number of somebody else", "vi": "SIM không chính chủ"},
    "network": {"en": "network", "vi": "mạng yếu"},
    "other": {"en": "other", "vi": "khác"},
}


def print_course(console: Console, course: Course, language: Language) -> None:
    """Phases and contests, where the plan has some, and the funnel."""
    if course.phases:
        console.print(f"{_TEXTS['phases'][language]}:")
        for phase in course.phases:
            console.print(f"  {_phase(phase, language)}")
    for contest in course.contests:
        _print_contest(console, contest, language)
    if course.funnel is None:
        console.print(_TEXTS["no_funnel"][language])
        return
    console.print(f"{_TEXTS['funnel'][language]}:")
    for line in _funnel(course.funnel, language):
        console.print(f"  {line}")


def _phase(phase: PhaseTold, language: Language) -> str:
    counted = "; ".join(
        f"{indicator_words(each.indicator, language)} {number(each.value, language)} "
        f"({number(each.gained, language, signed=True)} {_TEXTS['gained'][language]})"
        + ("" if each.target is None else f" / {number(each.target, language)} {_TEXTS['target'][language]}")
        for each in phase.counted
    )
    days = " – ".join(day_words(day, language) for day in (phase.first_day, phase.last_day))
    state = f"{phase.said(language)}, {days}, {_TEXTS[phase.state][language]}"
    return f"{state}: {counted}" if counted else state


def _print_contest(console: Console, contest: ContestTold, language: Language) -> None:
    def say(key: str) -> str:
        return _TEXTS[key][language]

    console.print(
        f"{say('contest')}: {contest.name} ({goal_words(contest.goal, language)}, {say(contest.measure)}), "
        f"{say('as_of')} {day_words(contest.day, language)}"
    )
    headings = ("rank", "group", "value", "gained_in_contest", "measured")
    table = Table(*(say(heading) for heading in headings), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for group in contest.groups:
        table.add_row(
            "-" if group.rank is None else str(group.rank),
            group.name,
            number(group.value, language),
            number(group.gained, language, signed=True),
            _measured(contest, group, language),
        )
    console.print(table)


def _measured(contest: ContestTold, group: GroupTold, language: Language) -> str:
    if contest.measure == "finish":
        return day_words(group.met_on, language) if group.met_on else _TEXTS["not_finished"][language]
    if contest.measure == "per_1000":
        return decimal(group.per_1000 or "-", language)
    return "-" if group.percent is None else f"{decimal(group.percent, language)}%"


def _funnel(funnel: FunnelTold, language: Language) -> list[str]:
    def say(key: str) -> str:
        return _TEXTS[key][language]

    lines = []
    if funnel.eligible is not None:
        lines.append(f"{say('eligible')}: {number(funnel.eligible, language)}")
    if funnel.with_card is not None:
        backlog = (
            ""
            if funnel.card_no_account is None
            else f"; {number(funnel.card_no_account, language)} {say('card_no_account')}"
        )
        lines.append(f"{say('with_card')}: {number(funnel.with_card, language)}{backlog}")
    lines += [
        f"{say('taken')}: {number(funnel.taken, language)}; {_waiting(funnel.undecided, 'undecided', language)}; "
        f"{number(funnel.rejected, language)} {say('rejected')}",
        f"{say('approved')}: {number(funnel.approved, language)}; "
        f"{_waiting(funnel.not_activated, 'not_activated', language)}",
        f"{say('activated')}: {number(funnel.activated, language)}; {number(funnel.in_time, language)} "
        f"{say('in_time')}, {number(funnel.late, language)} {say('late')}",
    ]
    if funnel.failures:
        each = ", ".join(
            f"{say(failed.reason)} {number(failed.attempts, language)} "
            f"({number(failed.came_right, language)} {say('came_right')})"
            for failed in funnel.failures
        )
        lines.append(f"{say('failures')}: {each}")
    return lines


def _waiting(waiting: WaitingTold, whom: str, language: Language) -> str:
    text = f"{number(waiting.citizens, language)} {_TEXTS[whom][language]}"
    if not waiting.long or waiting.oldest_days is None:
        return text
    long = _TEXTS["long"][language].format(
        n=number(waiting.long, language), days=LONG, oldest=waiting.oldest_days
    )
    return f"{text} ({long})"
