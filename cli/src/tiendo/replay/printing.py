"""What a person sees of a replay, a report and a reconciliation: in English, or in Vietnamese."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tiendo.desk import wide_console
from tiendo.replay.campaigns.campaign import Campaign, Language
from tiendo.replay.driver import Outcome
from tiendo.replay.measures import Told
from tiendo.replay.printing_course import print_course
from tiendo.replay.rechecks import RecheckTold
from tiendo.replay.report import Counted, Pace, Report, Standing
from tiendo.replay.words import day_words, decimal, goal_words, indicator_words, instant_words, number

_TEXTS: dict[str, dict[Language, str]] = {
    "as_of": {"en": "as of", "vi": "tính đến ngày"},
    "complete_to": {"en": "complete to", "vi": "đủ số liệu đến"},
    "figure": {"en": "Published", "vi": "Đã công bố"},
    "counted": {"en": "Counted", "vi": "Đếm được"},
    "level": {"en": "level", "vi": "mức độ"},
    "before": {"en": "since before the campaign", "vi": "so với trước chiến dịch"},
    "best": {
        "en": "Best communes, by intakes of target",
        "vi": "Xã, phường dẫn đầu (thu nhận so với chỉ tiêu)",
    },
    "low": {"en": "Lowest communes", "vi": "Xã, phường thấp nhất"},
    "commune": {"en": "Commune", "vi": "Xã, phường, thị trấn"},
    "intake": {"en": "Intakes", "vi": "Thu nhận"},
    "activated": {"en": "Activated", "vi": "Kích hoạt"},
    "of_target": {"en": "of target", "vi": "so với chỉ tiêu"},
    "met_intake_target": {
        "en": "named communes that met the intake target",
        "vi": "đơn vị được nêu đạt chỉ tiêu thu nhận",
    },
    "lead_activation": {
        "en": "named communes that lead in activation",
        "vi": "đơn vị được nêu dẫn đầu kích hoạt",
    },
    "have_level_2": {
        "en": "named cohorts all of which have level 2",
        "vi": "nhóm được nêu có 100% tài khoản mức độ 2",
    },
    "are_low": {"en": "named communes that are the lowest", "vi": "đơn vị được nêu thấp nhất"},
    "pace": {"en": "Pace", "vi": "Tiến độ"},
    "planned": {"en": "planned by now", "vi": "kế hoạch đến nay"},
    "behind": {"en": "behind by", "vi": "chậm"},
    "ahead": {"en": "ahead by", "vi": "vượt"},
    "not_reported": {"en": "not reported", "vi": "chưa báo cáo"},
    "commune_level": {"en": "communes", "vi": "cấp xã"},
    "district_level": {"en": "districts", "vi": "cấp huyện"},
    "province_level": {"en": "province", "vi": "cấp tỉnh"},
    "without": {"en": "without", "vi": "còn"},
    "corrected_wrong": {"en": "wrong entries corrected", "vi": "sửa thông tin sai"},
    "corrected_missing": {"en": "missing ones added", "vi": "bổ sung thông tin thiếu"},
    "corrected_double": {"en": "double ones removed", "vi": "loại trùng"},
    "corrected_gone": {"en": "gone ones removed", "vi": "xóa người đã mất, chuyển đi"},
    "corrected_other": {"en": "others", "vi": "khác"},
    "of_the_target": {"en": "of the target", "vi": "chỉ tiêu"},
    "needed": {
        "en": "{remaining} missing of the target {target}: {needed} a day for the {days} days left",
        "vi": "Còn thiếu {remaining} so với chỉ tiêu {target}: mỗi ngày cần {needed} trong {days} ngày còn lại",
    },
    "too_late": {
        "en": "{remaining} missing of the target {target}, and no day is left",
        "vi": "Còn thiếu {remaining} so với chỉ tiêu {target}, không còn ngày nào",
    },
    "reached": {"en": "The target {target} is met", "vi": "Đã đạt chỉ tiêu {target}"},
    "claim": {"en": "Published, but doesn't reconcile", "vi": "Đã công bố nhưng không khớp"},
    "alerts": {"en": "Alerts", "vi": "Cảnh báo"},
    "open": {"en": "still open", "vi": "còn mở"},
    "made_up": {
        "en": "Citizens, days and communes' numbers are simulated; the figures beside ✓ are published. "
        "Assumptions: {n}, each with its reason, in {file}",
        "vi": "Công dân, ngày và số liệu cấp xã là mô phỏng; số liệu cạnh dấu ✓ là đã công bố. "
        "Giả định: {n}, kèm lý do, trong {file}",
    },
    "lines": {"en": "Lines", "vi": "Số dòng"},
    "sent": {"en": "sent", "vi": "đã gửi"},
    "accepted": {"en": "accepted", "vi": "chấp nhận"},
    "duplicate": {"en": "duplicates", "vi": "trùng"},
    "rejected": {"en": "rejected", "vi": "từ chối"},
    "unexpected": {"en": "answered otherwise than they must be", "vi": "trả lời khác dự kiến"},
    "seconds": {"en": "s", "vi": "giây"},
    "lines_a_second": {"en": "lines/s", "vi": "dòng/giây"},
    "totals_alone": {
        "en": "Totals alone were compared: nothing else is counted here",
        "vi": "Chỉ đối chiếu tổng số: hệ thống này không đếm gì khác",
    },
    "no_teams": {
        "en": "Work by team was not compared: a service of a build before counts none",
        "vi": "Chưa đối chiếu kết quả theo tổ: có dịch vụ bản cũ chưa đếm theo tổ",
    },
    "clean": {"en": "Clean: the counters equal the records", "vi": "Khớp: bộ đếm bằng hồ sơ"},
    "part": {"en": "Of these", "vi": "Trong đó"},
    "differing": {"en": "Counters that differ from the records", "vi": "Bộ đếm khác hồ sơ"},
    "unit": {"en": "Unit", "vi": "Đơn vị"},
    "day": {"en": "Day", "vi": "Ngày"},
    "indicator": {"en": "Indicator", "vi": "Chỉ số"},
    "attribution": {"en": "By", "vi": "Theo"},
    "records": {"en": "Records", "vi": "Hồ sơ"},
    "counters": {"en": "Counters", "vi": "Bộ đếm"},
}


class LineWatcher:
    """Says how it goes in plain lines on standard error, one every few days: for pipes and logs."""

    def __init__(self, every: float = 5.0) -> None:
        self._every = every
        self._total = self._sent = 0
        self._began = self._said = time.monotonic()

    def say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def begin(self, lines: int) -> None:
        self._total = lines
        self._began = self._said = time.monotonic()
        self.say(f"{lines:,} lines to send")

    def day(self, day: date) -> None:
        now = time.monotonic()
        if self._sent and now - self._said >= self._every:
            rate = self._sent / (now - self._began)
            self.say(f"{day}  {self._sent:,} of {self._total:,} lines, {rate:,.0f} lines/s")
            self._said = now

    def sent(self, lines: int) -> None:
        self._sent += lines


class BarWatcher:
    """A progress bar on standard error."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._sent = 0
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        self._progress.console.print(Text(text))

    def begin(self, lines: int) -> None:
        self._began = time.monotonic()
        self._task = self._progress.add_task("", total=lines, rate="")

    def day(self, day: date) -> None:
        if self._task is not None:
            self._progress.update(self._task, description=day.isoformat())

    def sent(self, lines: int) -> None:
        self._sent += lines
        if self._task is not None:
            rate = self._sent / max(0.001, time.monotonic() - self._began)
            self._progress.update(self._task, advance=lines, rate=f"{rate:,.0f} lines/s")


@contextmanager
def watching() -> "Iterator[LineWatcher | BarWatcher]":
    """A bar where standard error is a terminal, else plain lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineWatcher()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield BarWatcher(progress)


@contextmanager
def telling() -> "Iterator[Callable[[str], None]]":
    """Says on standard error what is waited for: where that is a terminal, in a line that goes away in the end."""
    console = Console(stderr=True)
    if not console.is_terminal:
        began = time.monotonic()

        def say(text: str) -> None:
            sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {text}\n")
            sys.stderr.flush()

        yield say
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(text))


def print_report(report: Report, language: Language) -> None:
    """Each published figure beside what was counted, the communes, and what is assumed."""
    console = wide_console()
    say = _speaker(language)
    campaign = report.campaign
    to = ""
    if report.complete_to:
        to = f" ({say('complete_to')} {instant_words(report.complete_to, language)})"
    console.print(
        Text(f"{campaign.name}, {say('as_of')} {day_words(report.as_of, language)}{to}", style="bold")
    )
    table = Table("", say("figure"), say("counted"), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for counted in report.figures:
        table.add_row(_mark(counted.matches), counted.figure.said(language), _counted(counted, language))
    for told in report.measures:
        table.add_row(_mark(told.matches), told.measure.said(language), _told(told, language))
    for rechecked in report.rechecks:
        table.add_row(
            _mark(rechecked.matches), rechecked.recheck.said(language), _rechecked(rechecked, language)
        )
    for statement in report.statements:
        table.add_row(_mark(statement.holds), say(statement.id), f"{statement.holding} / {statement.named}")
    console.print(table)
    for pace in report.paces:
        console.print(_pace(pace, language))
    for claim in campaign.claims:
        text, reason = claim.said(language)
        console.print(f"{say('claim')}: {text}. {reason}")
    print_course(console, report.course, language)
    console.print()
    shown = min(5, len(report.communes))
    _print_communes(console, say("best"), report.communes[:shown], language)
    _print_communes(console, say("low"), tuple(reversed(report.communes[-shown:])), language)
    console.print(
        f"{say('alerts')}: {number(report.alerts, language)}, {say('open')} {number(report.open_alerts, language)}"
    )
    console.print(
        say("made_up").format(n=len(campaign.assumptions), file=campaign.file.name),
        style="dim",
        soft_wrap=True,
    )


def print_outcome(outcome: Outcome, language: Language) -> None:
    """The report, and how the lines fared."""
    print_report(outcome.report, language)
    console, say, tallied = wide_console(), _speaker(language), outcome.tallied
    answers = ", ".join(f"{number(n, language)} {say(answer)}" for answer, n in tallied.answers.items())
    console.print(
        f"{say('lines')}: {number(tallied.sent, language)} {say('sent')}, {answers}; "
        f"{decimal(f'{outcome.seconds:.1f}', language)} {say('seconds')}, "
        f"{number(round(outcome.lines_a_second), language)} {say('lines_a_second')}; seed {outcome.seed}"
    )
    if tallied.unexpected:
        console.print(Text(f"✗ {number(tallied.unexpected, language)} {say('unexpected')}", style="red"))
        for example in tallied.examples:
            console.print(
                f"  {example.path} {example.line_id}: {example.answered} ({example.expected}) {example.detail}"
            )


def print_reconciliation(campaign: Campaign, answer: dict[str, Any], language: Language) -> None:
    """Clean, or the rows that differ."""
    console, say = wide_console(), _speaker(language)
    if answer["clean"]:
        console.print(Text(f"✓ {say('clean')}: {number(answer['compared'], language)}", style="green"))
        if not answer["breakdowns"]:
            console.print(say("totals_alone"))
        elif not answer["teams"]:
            console.print(say("no_teams"))
        return
    console.print(Text(f"✗ {say('differing')}: {number(answer['differing_count'], language)}", style="red"))
    headings = ("unit", "day", "indicator", "level", "attribution", "part", "records", "counters")
    table = Table(*(say(heading) for heading in headings), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in answer["differing"]:
        table.add_row(
            f"{row['unit']} {campaign.units.name(row['unit'])}",
            day_words(row["day"], language),
            str(row["indicator"]),
            str(row["level"]),
            str(row["attribution"]),
            "" if row["dimension"] is None else f"{row['dimension']} {row['value']}",
            number(row["records"], language),
            number(row["counters"], language),
        )
    console.print(table)
    if len(answer["differing"]) < answer["differing_count"]:
        console.print("…")


def _speaker(language: Language) -> Any:
    return lambda key: _TEXTS[key][language]


def _mark(matches: bool | None) -> Text:
    if matches is None:
        return Text("·", style="dim")
    return Text("✓", style="green") if matches else Text("✗", style="red")


def _counted(counted: Counted, language: Language) -> str:
    say = _speaker(language)
    indicator = indicator_words(counted.figure.indicator, language)
    over = indicator_words(counted.figure.over, language)
    text = (
        f"{number(counted.value, language)} {indicator} ({say('level')} 1 {number(counted.level_1, language)} + "
        f"{say('level')} 2 {number(counted.level_2, language)}) / {_or_dash(counted.denominator, language)} {over} = "
        f"{decimal(counted.percent or '-', language)}%"
    )
    if counted.figure.since_baseline is not None:
        text += f", {number(counted.since_baseline, language, signed=True)} {say('before')}"
    return text


def _told(told: Told, language: Language) -> str:
    """What other systems say of a measure."""
    say = _speaker(language)
    if told.value is None:
        return str(say("not_reported"))
    text = number(told.value, language)
    if told.out_of is not None:
        text += f" / {number(told.out_of, language)} = {decimal(told.percent or '-', language)}%"
    if told.target is not None:
        of_target = decimal(told.percent_of_target or "-", language)
        text += f", {of_target}% {say('of_the_target')} {number(told.target, language)}"
    return text


def _rechecked(told: RecheckTold, language: Language) -> str:
    """How far each round is, who is outstanding in it, and what was corrected in all of them."""
    say = _speaker(language)
    rounds = []
    for each in told.rounds:
        text = f"{say(f'{each.level}_level')} {each.done}/{each.units}"
        if each.done and each.outstanding:
            named = ", ".join(each.outstanding[:5]) + (", …" if len(each.outstanding) > 5 else "")
            text += f" ({say('without')} {named})"
        rounds.append(text)
    corrected = ", ".join(
        f"{say(f'corrected_{why}')} {number(n, language)}" for why, n in told.corrected.items() if n
    )
    return ", ".join(rounds) + (f"; {corrected}" if corrected else "")


def _pace(pace: Pace, language: Language) -> str:
    """Where the plan is, and what is needed from the next day on."""
    say = _speaker(language)
    percent = "" if pace.percent_of_plan is None else f" ({decimal(pace.percent_of_plan, language)}%)"
    side = (
        f", {say('behind' if pace.gap > 0 else 'ahead')} {number(abs(pace.gap), language)}"
        if pace.gap
        else ""
    )
    key = "reached" if not pace.remaining else "too_late" if pace.needed_per_day is None else "needed"
    rest = say(key).format(
        remaining=number(pace.remaining, language),
        target=number(pace.target, language),
        needed=_or_dash(pace.needed_per_day, language),
        days=pace.days_left,
    )
    return (
        f"{say('pace')}, {goal_words(pace.indicator, language)}: {number(pace.actual, language)} / "
        f"{number(pace.planned, language)} {say('planned')}{percent}{side}. {rest}"
    )


def _or_dash(n: int | None, language: Language) -> str:
    return "-" if n is None else number(n, language)


def _print_communes(console: Console, title: str, communes: tuple[Standing, ...], language: Language) -> None:
    say = _speaker(language)
    table = Table(
        title, say("intake"), say("of_target"), say("activated"), say("of_target"), box=None, pad_edge=False,
        padding=(0, 2, 0, 0),
    )  # fmt: skip
    for commune in communes:
        table.add_row(
            f"{commune.code} {commune.name}",
            number(commune.intake, language),
            f"{decimal(commune.intake_percent, language)}%",
            number(commune.activated, language),
            f"{decimal(commune.activated_percent, language)}%",
        )
    console.print(table)
    console.print()
