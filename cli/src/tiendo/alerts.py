"""`tiendo alerts`: try rules before they are trusted."""

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tiendo.desk import wide_console
from tiendo.errors import Refused
from tiendo.folders import DataFolder, default_data
from tiendo.instance import running_instance
from tiendo.replay.campaigns.campaign import Language
from tiendo.replay.sending import Client
from tiendo.replay.words import day_words, decimal, goal_words, number

app = typer.Typer(help="Alerts: try rules before they are trusted.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

InLanguage = Annotated[Language, typer.Option("--language", help="Of what is printed.")]

_SCORES: dict[str, dict[Language, str]] = {
    "alerts": {"en": "messages", "vi": "tin cảnh báo"},
    "a_unit_a_week": {"en": "a unit a week, on average", "vi": "mỗi đơn vị mỗi tuần, bình quân"},
    "most_a_unit_a_week": {
        "en": "about one unit in one week, at most",
        "vi": "về một đơn vị trong một tuần, nhiều nhất",
    },
    "missed": {"en": "targets missed", "vi": "chỉ tiêu không đạt"},
    "missed_told": {"en": "of these told of in time", "vi": "trong đó đã báo trước"},
    "median_lead_days": {"en": "days before the end, median", "vi": "báo trước bao nhiêu ngày, trung vị"},
    "told_not_missed": {"en": "told of, and not missed", "vi": "đã báo mà vẫn đạt"},
}
_TEXTS: dict[str, dict[Language, str]] = {
    "over": {"en": "the campaign is over", "vi": "chiến dịch đã kết thúc"},
    "running": {
        "en": "the campaign still runs: missed is under 90% of plan",
        "vi": "chiến dịch đang diễn ra: dưới 90% kế hoạch được tính là không đạt",
    },
    "to": {"en": "to", "vi": "đến"},
    "defaults": {"en": "defaults", "vi": "mặc định"},
    "day": {"en": "day", "vi": "ngày"},
    "unit": {"en": "unit", "vi": "đơn vị"},
    "work": {"en": "", "vi": "chỉ tiêu"},
    "rule": {"en": "rule", "vi": "quy tắc"},
    "severity": {"en": "severity", "vi": "mức"},
    "only": {
        "en": "+ only with {ours}; {gone} only with {other}",
        "vi": "+ chỉ có với {ours}; {gone} tin chỉ có với {other}",
    },
}
#: Words of the services, where they are no English words for who reads.
_VIETNAMESE = {
    "behind_pace": "chậm tiến độ",
    "at_risk": "có nguy cơ không đạt",
    "forecast_miss": "dự báo không đạt",
    "stalled": "không phát sinh",
    "quota_missed": "hụt chỉ tiêu ngày",
    "target_missed": "không đạt chỉ tiêu",
    "not_reported": "chưa báo cáo",
    "activations_failing": "kích hoạt lỗi nhiều",
    "data_quality": "chất lượng hồ sơ",
    "notice": "nhắc nhở",
    "warning": "cảnh báo",
    "critical": "nghiêm trọng",
    "incident.resolved": "đã khắc phục",
    "incident.withdrawn": "rút lại",
    "target.reached_early": "đạt trước hạn",
    "together.ended": "không còn nhiều đơn vị",
    "report": "báo cáo",
    "attempts": "thao tác kích hoạt",
    "records": "chất lượng hồ sơ",
}


@app.command()
def backtest(
    campaign: Annotated[
        str, typer.Argument(metavar="CAMPAIGN", help="A campaign that was replayed or lived.")
    ],
    data: Data,
    rules: Annotated[
        Path,
        typer.Option(
            "--rules",
            metavar="FILE",
            help="TOML or JSON: [thresholds], off, [rhythm], and the same for units under [units.CODE].",
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="Compare with these. Default: the defaults."),
    ] = None,
    json_: AsJson = False,
    language: InLanguage = "en",
) -> None:
    """What would a set of rules have told, when, of whom, and how long before it was too late?

    Runs over the closings that are on record in the data folder. Nothing is stored and nobody is told.
    """
    tried = _document(campaign, rules)
    other = _document(campaign, against) if against is not None else {"campaign": campaign}
    if not DataFolder(data).exists():
        raise Refused(f"{data} holds nothing yet.", remedy=f"First: tiendo replay {campaign} --data {data}")

    async def run() -> tuple[dict[str, Any], dict[str, Any]]:
        async with (
            running_instance(data) as instance,
            Client.open(instance.url, instance.admin_key) as client,
        ):
            return (
                await client.post("notifier", "/v1/backtests", tried),
                await client.post("notifier", "/v1/backtests", other),
            )

    of_rules, of_other = asyncio.run(run())
    if json_:
        names = (str(rules), str(against) if against is not None else "defaults")
        document = {"rules": {"file": names[0], **of_rules}, "against": {"file": names[1], **of_other}}
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        names = (str(rules), str(against) if against is not None else _TEXTS["defaults"][language])
        _print(names, of_rules, of_other, language)


def _document(campaign: str, file: Path) -> dict[str, Any]:
    """What to ask the notifier for. Raises Refused if the file cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
        wanted = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}", remedy="Name a file of rules.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read: {error}", remedy="docs/alerts.md has an example.") from None
    if not isinstance(wanted, dict):
        raise Refused(f"{file} is no table of rules.", remedy="docs/alerts.md has an example.")
    return {"campaign": campaign, "units": wanted.pop("units", {}), "rules": wanted}


def _print(names: tuple[str, str], rules: dict[str, Any], other: dict[str, Any], language: Language) -> None:
    console = wide_console()
    over = _TEXTS["over" if rules["over"] else "running"][language]
    first_day, last_day = (day_words(rules[name], language) for name in ("first_day", "last_day"))
    console.print(Text(f"{first_day} {_TEXTS['to'][language]} {last_day}; {over}", style="bold"))
    table = Table("", *names, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, title in _SCORES.items():
        table.add_row(title[language], *(_number(each["score"][name], language) for each in (rules, other)))
    console.print(table)
    told = {_key(each) for each in other["alerts"]}
    columns = (_TEXTS[name][language] for name in ("day", "unit", "work", "rule", "severity"))
    alerts = Table(*columns, "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for alert in rules["alerts"]:
        alerts.add_row(
            day_words(alert["day"], language),
            Text(f"{alert['unit_name']} ({alert['unit']})"),
            _work(alert["indicator"], language),
            _said(alert["rule"] or alert["kind"], language),
            _said(alert["severity"] or "", language),
            "" if _key(alert) in told else "+",
        )
    console.print(alerts)
    gone = number(len(told - {_key(each) for each in rules["alerts"]}), language)
    console.print(_TEXTS["only"][language].format(ours=names[0], gone=gone, other=names[1]))


def _said(word: str, language: Language) -> str:
    return _VIETNAMESE.get(word, word) if language == "vi" else word


def _work(goal: str, language: Language) -> str:
    """What a target is of: a goal's own name in English, as rules and questions have it."""
    return goal if language == "en" else _VIETNAMESE.get(goal) or goal_words(goal, language)


def _key(alert: dict[str, Any]) -> tuple[str, str, str, str]:
    return alert["day"], alert["unit"], alert["indicator"], alert["kind"]


def _number(value: float | None, language: Language) -> str:
    if value is None:
        return "–"
    return number(value, language) if isinstance(value, int) else decimal(f"{value}", language)
