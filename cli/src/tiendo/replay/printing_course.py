"""How phases, contests and the funnel are printed: in English, or in Vietnamese."""

from rich.console import Console
from rich.table import Table

from tiendo.replay.campaigns.campaign import Language
from tiendo.replay.course import LONG, ContestTold, Course, FunnelTold, GroupTold, PhaseTold, WaitingTold
from tiendo.replay.words import goal_words, indicator_words

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
    console.print(f"{_TEXTS['funnel'][language]}:")
    for line in _funnel(course.funnel, language):
        console.print(f"  {line}")


def _phase(phase: PhaseTold, language: Language) -> str:
    counted = "; ".join(
        f"{indicator_words(each.indicator, language)} {each.value:,} "
        f"({each.gained:+,} {_TEXTS['gained'][language]})"
        + ("" if each.target is None else f" / {each.target:,} {_TEXTS['target'][language]}")
        for each in phase.counted
    )
    state = f"{phase.said(language)}, {phase.first_day} – {phase.last_day}, {_TEXTS[phase.state][language]}"
    return f"{state}: {counted}" if counted else state


def _print_contest(console: Console, contest: ContestTold, language: Language) -> None:
    def say(key: str) -> str:
        return _TEXTS[key][language]

    console.print(
        f"{say('contest')}: {contest.name} ({goal_words(contest.goal, language)}, {say(contest.measure)}), "
        f"{say('as_of')} {contest.day}"
    )
    headings = ("rank", "group", "value", "gained_in_contest", "measured")
    table = Table(*(say(heading) for heading in headings), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for group in contest.groups:
        table.add_row(
            "-" if group.rank is None else str(group.rank),
            group.name,
            f"{group.value:,}",
            f"{group.gained:+,}",
            _measured(contest, group, say("not_finished")),
        )
    console.print(table)


def _measured(contest: ContestTold, group: GroupTold, not_finished: str) -> str:
    if contest.measure == "finish":
        return group.met_on or not_finished
    if contest.measure == "per_1000":
        return group.per_1000 or "-"
    return "-" if group.percent is None else f"{group.percent}%"


def _funnel(funnel: FunnelTold, language: Language) -> list[str]:
    def say(key: str) -> str:
        return _TEXTS[key][language]

    lines = []
    if funnel.eligible is not None:
        lines.append(f"{say('eligible')}: {funnel.eligible:,}")
    if funnel.with_card is not None:
        backlog = (
            "" if funnel.card_no_account is None else f"; {funnel.card_no_account:,} {say('card_no_account')}"
        )
        lines.append(f"{say('with_card')}: {funnel.with_card:,}{backlog}")
    lines += [
        f"{say('taken')}: {funnel.taken:,}; {_waiting(funnel.undecided, 'undecided', language)}; "
        f"{funnel.rejected:,} {say('rejected')}",
        f"{say('approved')}: {funnel.approved:,}; {_waiting(funnel.not_activated, 'not_activated', language)}",
        f"{say('activated')}: {funnel.activated:,}; {funnel.in_time:,} {say('in_time')}, {funnel.late:,} {say('late')}",
    ]
    if funnel.failures:
        each = ", ".join(
            f"{say(failed.reason)} {failed.attempts:,} ({failed.came_right:,} {say('came_right')})"
            for failed in funnel.failures
        )
        lines.append(f"{say('failures')}: {each}")
    return lines


def _waiting(waiting: WaitingTold, whom: str, language: Language) -> str:
    text = f"{waiting.citizens:,} {_TEXTS[whom][language]}"
    if not waiting.long or waiting.oldest_days is None:
        return text
    long = _TEXTS["long"][language].format(n=f"{waiting.long:,}", days=LONG, oldest=waiting.oldest_days)
    return f"{text} ({long})"
