"""What a person sees of a back-test: how far off the forecasts would have been, beside two naive ways."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiendo.replay.campaigns.campaign import Campaign, Language
from tiendo.replay.words import day_words, decimal, goal_words, number

_TEXTS: dict[str, dict[Language, str]] = {
    "title": {
        "en": "told at the end of a day, from what was known then, of {through}",
        "vi": "dự báo cuối mỗi ngày, từ số liệu biết khi đó, cho ngày {through}",
    },
    "day": {"en": "Told on day", "vi": "Ngày thứ"},
    "actual": {"en": "Actual", "vi": "Thực tế"},
    "forecast": {"en": "Forecast", "vi": "Dự báo"},
    "interval": {"en": "80% interval", "vi": "Khoảng 80%"},
    "planned_pace": {"en": "Planned pace", "vi": "Theo kế hoạch"},
    "straight_line": {"en": "Straight line", "vi": "Theo bình quân"},
    "communes": {"en": "Communes off by (three ways)", "vi": "Xã, phường lệch (ba cách)"},
    "covered": {"en": "Intervals that held", "vi": "Khoảng chứa thực tế"},
    "too_early": {
        "en": "no day of which it could be told and that is followed by one to tell",
        "vi": "chưa có ngày nào để dự báo và đối chiếu",
    },
}

_WAYS = ("forecast", "planned_pace", "straight_line")


def print_backtest(campaign: Campaign, answer: dict[str, Any], language: Language) -> None:
    """A table for each goal that has a target. Errors are told − actual, of what the campaign brought."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 170
    for goal, origins in answer["indicators"].items():
        title = _TEXTS["title"][language].format(through=day_words(answer["through"], language))
        console.print(Text(f"{campaign.name}, {goal_words(goal, language)}: {title}", style="bold"))
        if not origins:
            console.print(_TEXTS["too_early"][language])
            continue
        columns = ("day", "actual", "forecast", "interval", *_WAYS[1:], "communes", "covered")
        table = Table(
            *(_TEXTS[each][language] for each in columns), box=None, pad_edge=False, padding=(0, 2, 0, 0)
        )
        for origin in origins:
            table.add_row(*_row(origin, language))
        console.print(table)
        console.print()


def _row(origin: dict[str, Any], language: Language) -> list[str | Text]:
    told = origin["told"]
    held = Text(
        "✓" if origin["interval_holds"] else "✗", style="green" if origin["interval_holds"] else "red"
    )
    covered = decimal(origin["coverage_percent"] or "-", language)
    return [
        f"{origin['number']} (+{origin['days_ahead']})",
        number(origin["actual"], language),
        _said(told["forecast"], origin["forecast"], language),
        Text(f"{number(told['low'], language)}–{number(told['high'], language)} ").append_text(held),
        *(_said(told[way], origin[way], language) for way in _WAYS[1:]),
        " · ".join(_percent(origin[way], "communes_percent", language) for way in _WAYS),
        f"{origin['communes_inside']}/{origin['communes']} = {covered}%",
    ]


def _said(value: int | None, missed: dict[str, Any] | None, language: Language) -> str:
    return (
        "-" if value is None else f"{number(value, language)} ({_percent(missed, 'error_percent', language)})"
    )


def _percent(missed: dict[str, Any] | None, name: str, language: Language) -> str:
    return "-" if missed is None or missed[name] is None else f"{decimal(missed[name], language)}%"
