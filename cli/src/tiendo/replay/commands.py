"""`tiendo replay`, `tiendo report`, `tiendo backtest`, `tiendo reconcile`."""

import asyncio
import contextlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from tiendo.desk import day_of
from tiendo.errors import NotThere, Refused
from tiendo.folders import DataFolder, default_data, facts_folder, program
from tiendo.instance import Instance, running_instance
from tiendo.replay import driver
from tiendo.replay.backtesting import print_backtest
from tiendo.replay.campaigns.campaign import Campaign, Language
from tiendo.replay.campaigns.reading import find_campaign, load_campaign
from tiendo.replay.printing import (
    print_outcome,
    print_reconciliation,
    print_report,
    telling,
    watching,
)
from tiendo.replay.reconciling import reconcile as prove
from tiendo.replay.report import Report, read_report
from tiendo.replay.sending import Client
from tiendo.replay.systems import seed_for
from tiendo.stack import DEFAULT_PORT_BASE

Name = Annotated[
    str,
    typer.Argument(metavar="CAMPAIGN", help="A file of data/campaigns without its ending, or a path to one."),
]
Data = Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="Day, like 2023-12-07. Default: the figures' day."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
InLanguage = Annotated[Language, typer.Option("--language", help="Of the printed report.")]


def replay(
    campaign: Name,
    data: Data,
    as_of: AsOf = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Another seed makes other citizens; the same figures.")
    ] = None,
    json_: AsJson = False,
    language: InLanguage = "en",
    stay: Annotated[
        bool,
        typer.Option("--stay", help="On a terminal, keep the services up after the report, until Ctrl-C."),
    ] = False,
) -> None:
    """Send a published campaign through the services, day by day, and compare what they count."""
    plan = _campaign(campaign)
    until = driver.check_as_of(plan, day_of(as_of))
    chosen = seed_for(DataFolder(data), plan.id, seed)

    async def run() -> driver.Outcome:
        async with contextlib.AsyncExitStack() as stack:
            with watching() as watcher:
                instance = await stack.enter_async_context(
                    running_instance(data, clock="driven", say=watcher.say)
                )
                outcome = await driver.replay(instance, plan, chosen, until, watcher)
            if json_:
                _print_json(outcome.document())
            else:
                print_outcome(outcome, language)
            if stay:
                await _stay(instance, plan)
            return outcome

    outcome = asyncio.run(run())
    if not outcome.good:
        raise typer.Exit(1)


def report(
    campaign: Name, data: Data, as_of: AsOf = None, json_: AsJson = False, language: InLanguage = "en"
) -> None:
    """Each published figure beside what is counted now."""
    plan = _campaign(campaign)
    until = day_of(as_of) or plan.figures_as_of
    _must_exist(data, plan)

    async def run() -> Report:
        async with (
            running_instance(data) as instance,
            Client.open(instance.url, instance.admin_key, _say) as client,
        ):
            await _registered(client, plan, data)
            return await read_report(client, plan, until)

    answer = asyncio.run(run())
    if json_:
        _print_json(answer.document())
    else:
        print_report(answer, language)
    if not answer.matches:
        raise typer.Exit(1)


def backtest(
    campaign: Name, data: Data, as_of: AsOf = None, json_: AsJson = False, language: InLanguage = "en"
) -> None:
    """How wrong forecasts at days 10, 20, 30 and 40 would have been, beside two naive ways."""
    plan = _campaign(campaign)
    until = day_of(as_of) or plan.figures_as_of
    _must_exist(data, plan)

    async def run() -> dict[str, Any]:
        async with (
            running_instance(data) as instance,
            Client.open(instance.url, instance.admin_key, _say) as client,
        ):
            await _registered(client, plan, data)
            answer: dict[str, Any] = await client.get(
                "aggregator", f"/v1/campaigns/{plan.id}/forecast/backtest", {"as_of": until.isoformat()}
            )
            return answer

    answer = asyncio.run(run())
    if json_:
        _print_json(answer)
    else:
        print_backtest(plan, answer, language)


def reconcile(campaign: Name, data: Data, json_: AsJson = False, language: InLanguage = "en") -> None:
    """Prove that all counters equal the records, per unit and day, without stopping anything."""
    plan = _campaign(campaign)
    _must_exist(data, plan)

    async def run() -> dict[str, Any]:
        with telling() as say:
            async with (
                running_instance(data) as instance,
                Client.open(instance.url, instance.admin_key, say) as client,
            ):
                registered = await _registered(client, plan, data)
                return await prove(client, plan.id, registered["province"], say)

    answer = asyncio.run(run())
    if json_:
        _print_json(answer)
    else:
        print_reconciliation(plan, answer, language)
    if not answer["clean"]:
        raise typer.Exit(1)


async def _stay(instance: Instance, plan: Campaign) -> None:
    """Say where to look; wait for Ctrl-C if the services are ours and somebody is there to press it."""
    address = (
        f"{instance.url('aggregator')}/v1/campaigns/{plan.id}/progress?depth=2&as_of={plan.figures_as_of}"
    )
    ours = instance.pid == os.getpid()
    if ours and not sys.stdin.isatty():
        # On the same ports, so that the address holds: they were others if the default ones were taken.
        ports = urlsplit(instance.url("intake")).port
        again = f"{program()} up --data {shlex.quote(str(instance.data))}"
        if ports != DEFAULT_PORT_BASE:
            again += f" --port-base {ports}"
        typer.echo(f"Start the services again with: {again}\nThen look at {address}")
    else:
        typer.echo(f"Look at {address}")
    typer.echo(f"with the header: Authorization: Bearer $(cat {instance.data / 'admin.key'})")
    if ours and sys.stdin.isatty():
        typer.echo("Everything stays up until Ctrl-C.")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def _campaign(name: str) -> Campaign:
    folder = facts_folder()
    return load_campaign(find_campaign(name, folder), folder)


def _must_exist(data: Path, campaign: Campaign) -> None:
    if not DataFolder(data).exists():
        raise Refused(f"{data} holds nothing yet.", remedy=_first(campaign, data))


async def _registered(client: Client, campaign: Campaign, data: Path) -> dict[str, Any]:
    """The campaign as the aggregator knows it. Raises Refused if it doesn't."""
    try:
        known: dict[str, Any] = await client.get("aggregator", f"/v1/campaigns/{campaign.id}")
    except NotThere:
        raise Refused(
            f"{campaign.id} has not been replayed into {data}.", remedy=_first(campaign, data)
        ) from None
    return known


def _first(campaign: Campaign, data: Path) -> str:
    """What makes the campaign be there."""
    name = campaign.id if campaign.file.parent == facts_folder() / "campaigns" else str(campaign.file)
    return f"First: {program()} replay {shlex.quote(name)} --data {shlex.quote(str(data))}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))
