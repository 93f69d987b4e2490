"""`tiendo replay`, `tiendo report`, `tiendo reconcile`."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Coroutine
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import stamina.instrumentation
import typer

from tiendo.errors import Refused
from tiendo.folders import DataFolder, default_data, facts_folder
from tiendo.instance import Instance, running_instance
from tiendo.replay import driver
from tiendo.replay.campaign_file import Campaign, find_campaign, load_campaign
from tiendo.replay.printing import Language, print_outcome, print_reconciliation, print_report, watching
from tiendo.replay.report import Report, read_report
from tiendo.replay.sending import Client
from tiendo.replay.systems import seed_for

T = TypeVar("T")

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
    until = driver.check_as_of(plan, _day(as_of))
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

    outcome = _run(run())
    if not outcome.good:
        raise typer.Exit(1)


def report(
    campaign: Name, data: Data, as_of: AsOf = None, json_: AsJson = False, language: InLanguage = "en"
) -> None:
    """Each published figure beside what is counted now."""
    plan = _campaign(campaign)
    until = _day(as_of) or plan.figures_as_of
    _must_exist(data, plan)

    async def run() -> Report:
        async with (
            running_instance(data) as instance,
            Client.open(instance.url, instance.admin_key) as client,
        ):
            return await read_report(client, plan, until)

    answer = _run(run())
    if json_:
        _print_json(answer.document())
    else:
        print_report(answer, language)
    if not answer.matches:
        raise typer.Exit(1)


def reconcile(campaign: Name, data: Data, json_: AsJson = False, language: InLanguage = "en") -> None:
    """Prove that the counters equal the records, per unit and day, without stopping anything."""
    plan = _campaign(campaign)
    _must_exist(data, plan)

    async def run() -> dict[str, Any]:
        async with (
            running_instance(data) as instance,
            Client.open(instance.url, instance.admin_key) as client,
        ):
            tallies = [await client.get(service, "/v1/tally") for service in ("intake", "activation")]
            answer: dict[str, Any] = await client.post(
                "aggregator", "/v1/reconciliations", {"campaign": plan.id, "tallies": tallies}
            )
            return answer

    answer = _run(run())
    if json_:
        _print_json(answer)
    else:
        print_reconciliation(plan, answer, language)
    if not answer["clean"]:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    # stamina's own hooks would write each retry to standard output, where --json must stand alone.
    stamina.instrumentation.set_on_retry_hooks([])
    return asyncio.run(work)


async def _stay(instance: Instance, plan: Campaign) -> None:
    """Say where to look; wait for Ctrl-C if the services are ours and somebody is there to press it."""
    address = (
        f"{instance.url('aggregator')}/v1/campaigns/{plan.id}/progress?depth=2&as_of={plan.figures_as_of}"
    )
    ours = instance.pid == os.getpid()
    if ours and not sys.stdin.isatty():
        typer.echo(f"Start the services again with: tiendo up --data {instance.data}\nThen look at {address}")
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


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is not a day.", remedy="Write it like 2023-12-07.") from None


def _must_exist(data: Path, campaign: Campaign) -> None:
    if not DataFolder(data).exists():
        raise Refused(
            f"{data} holds nothing yet.", remedy=f"First: tiendo replay {campaign.id} --data {data}"
        )


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))
