"""`tiendo topics`: the topics on the brokers, made and checked on purpose."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from tiendo.carrier import PRODUCERS, BrokerFailed, connected, prepare_topics, the_broker
from tiendo.errors import Refused
from tiendo.folders import DataFolder, default_data
from tiendo.stack import Plan, database
from tiendo_common.database.embedded import replace_private
from tiendo_common.errors import Retry
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.generations import Withdrawn, begin_generation
from tiendo_common.eventlog.kafka.topics import access_rules, examine_topics, expected_topics

app = typer.Typer(help="Kafka's topics: make them, check them, go on after a restore.", no_args_is_help=True)

Log = Annotated[
    str | None,
    typer.Option("--log", envvar="TIENDO_LOG", help="kafka://HOST:PORT. The right to it: TIENDO_KAFKA_…"),
]
Copies = Annotated[
    int,
    typer.Option("--replication", min=1, envvar="TIENDO_KAFKA_REPLICATION", help="Copies of each topic."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def create(log: Log = None, replication: Copies = 1) -> None:
    """Make the topics that are missing, put their settings right. Refuses a changed number of partitions."""
    broker = the_broker(log)
    made = asyncio.run(prepare_topics(broker, replication, patience=20))
    typer.echo(f"All topics are as they must be. Made now: {', '.join(made) or 'none'}.")


@app.command()
def check(log: Log = None, replication: Copies = 1, json_: AsJson = False) -> None:
    """Compare the topics with what they must be. Exit status 1 if anything differs."""
    broker = the_broker(log)
    try:
        findings = asyncio.run(examine_topics(broker, replication))
    except Retry as problem:
        raise BrokerFailed(
            f"Kafka cannot be used: {problem}", remedy="Check the address and whether the brokers are up."
        ) from problem
    if json_:
        listed = [
            {"topic": each.topic, "problem": each.problem, "mendable": each.mendable} for each in findings
        ]
        typer.echo(json.dumps({"ok": not findings, "findings": listed}))
    else:
        _print_check(broker, replication, {each.topic: each.problem for each in findings})
    if findings:
        raise typer.Exit(1)


@app.command()
def access(log: Log = None) -> None:
    """Print the access rules that follow from the catalogue, as kafka-acls commands."""
    broker = the_broker(log)
    for user, operation, topic in access_rules(broker):
        typer.echo(
            f"kafka-acls.sh --bootstrap-server {broker.bootstrap} --add --allow-principal User:{user} "
            f"--operation {operation} --operation describe --topic {topic}"
        )


@app.command("new-generation")
def new_generation(
    reason: Annotated[str, typer.Option(help="Why; kept with the log.")],
    log: Log = None,
    data: Annotated[Path | None, typer.Option("--data", help="Data folder.")] = None,
    postgres: Annotated[
        str | None,
        typer.Option(envvar="TIENDO_POSTGRES", help="The outside server, if the database is not embedded."),
    ] = None,
) -> None:
    """After a restore of the database: withdraw what Kafka has and the database lacks. Stop the services first.

    What is withdrawn is written to a file in the data folder. Then have everything that was sent since the
    backup sent again: line ids make repeats harmless.
    """
    broker = the_broker(log)
    folder = DataFolder(data or default_data())
    if not folder.exists():
        raise Refused(f"{folder.root} is no data folder of Tiendo.", remedy="Name it with --data.")
    with folder.held():
        asyncio.run(_withdraw(broker, Plan(data=folder, postgres=postgres or None), reason))


async def _withdraw(broker: Broker, plan: Plan, reason: str) -> None:
    nothing = True
    async with database(plan, typer.echo) as (urls, _server):
        for service in PRODUCERS:
            async with connected(urls[service]) as pool:
                try:
                    begun, withdrawn = await begin_generation(broker, pool, service, reason)
                except Retry as problem:
                    raise BrokerFailed(
                        f"Kafka cannot be used: {problem}", remedy="Nothing was changed: run this again."
                    ) from problem
            for topic, generation in begun.items():
                nothing = False
                events = [each for each in withdrawn if each.topic == topic]
                file = plan.data.root / f"withdrawn-{topic}-{generation}.ndjson"
                _keep(file, events)
                typer.echo(
                    f"{topic}: generation {generation} begins; {len(events)} events withdrawn, kept in {file}"
                )
    if nothing:
        typer.echo("Kafka has nothing that the database lacks: no new generation is needed.")


def _keep(file: Path, events: list[Withdrawn]) -> None:
    """One line an event; private, since the topic `dossier` holds keyed hashes."""
    lines = (
        json.dumps(
            {
                "topic": each.topic,
                "partition": each.partition,
                "generation": each.generation,
                "sequence": each.sequence,
                "event": (each.body or b"").decode("utf-8", "backslashreplace"),
            },
            ensure_ascii=False,
        )
        for each in events
    )
    replace_private(file, "".join(f"{line}\n" for line in lines))


def _print_check(broker: Broker, replication: int, problems: dict[str, str]) -> None:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Topic", "Partitions", ""):
        grid.add_column(column, overflow="fold")
    for each in expected_topics(broker, replication):
        problem = problems.get(each.name)
        grid.add_row(
            each.name, str(each.partitions), f"[red]{problem}[/red]" if problem else "[green]ok[/green]"
        )
    console = Console(highlight=False)
    console.print(grid)
    if problems:
        console.print("What to do: tiendo topics create")
