"""`tiendo alerts`: try rules before they are trusted."""

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiendo.errors import Refused
from tiendo.folders import DataFolder, default_data
from tiendo.instance import running_instance
from tiendo.replay.sending import Client

app = typer.Typer(help="Alerts: try rules before they are trusted.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

_SCORES = {
    "alerts": "messages",
    "a_unit_a_week": "a unit a week, on average",
    "most_a_unit_a_week": "about one unit in one week, at most",
    "missed": "targets missed",
    "missed_told": "of these told of in time",
    "median_lead_days": "days before the end, median",
    "told_not_missed": "told of, and not missed",
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
    names = (str(rules), str(against) if against is not None else "defaults")
    if json_:
        document = {"rules": {"file": names[0], **of_rules}, "against": {"file": names[1], **of_other}}
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        _print(names, of_rules, of_other)


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


def _print(names: tuple[str, str], rules: dict[str, Any], other: dict[str, Any]) -> None:
    console = Console(highlight=False)
    over = "the campaign is over" if rules["over"] else "the campaign still runs: missed is under 90% of plan"
    console.print(Text(f"{rules['first_day']} to {rules['last_day']}; {over}", style="bold"))
    table = Table("", *names, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, title in _SCORES.items():
        table.add_row(title, *(_number(each["score"][name]) for each in (rules, other)))
    console.print(table)
    told = {_key(each) for each in other["alerts"]}
    alerts = Table("day", "unit", "", "rule", "severity", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for alert in rules["alerts"]:
        alerts.add_row(
            alert["day"],
            Text(f"{alert['unit_name']} ({alert['unit']})"),
            alert["indicator"],
            alert["rule"] or alert["kind"],
            alert["severity"] or "",
            "" if _key(alert) in told else "+",
        )
    console.print(alerts)
    gone = len(told - {_key(each) for each in rules["alerts"]})
    console.print(f"+ only with {names[0]}; {gone:,} only with {names[1]}")


def _key(alert: dict[str, Any]) -> tuple[str, str, str, str]:
    return alert["day"], alert["unit"], alert["indicator"], alert["kind"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"
