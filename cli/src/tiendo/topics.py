"""`tiendo topics`: the topics on the brokers, made and checked on purpose."""

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.console import Console
from rich.table import Table as Grid

from tiendo.carrier import (
    PRODUCERS,
    UNREACHED,
    BrokerFailed,
    connected,
    prepare_topics,
    refuse_if_running,
    the_broker,
)
from tiendo.errors import DatabaseFailed, Refused
from tiendo.folders import DataFolder, default_data
from tiendo.stack import Plan, database
from tiendo_common.database.bootstrap import SERVICES, role_of
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Retry
from tiendo_common.events.catalogue import TOPICS
from tiendo_common.files import replace_private

if TYPE_CHECKING:
    from tiendo_common.eventlog.kafka.connection import Broker
    from tiendo_common.eventlog.kafka.generations import Withdrawn

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
    from tiendo_common.eventlog.kafka.topics import examine_topics

    broker = the_broker(log)
    try:
        findings = asyncio.run(examine_topics(broker, replication))
    except Retry as problem:
        raise BrokerFailed(f"Kafka cannot be used: {problem}", remedy=UNREACHED) from problem
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
    from tiendo_common.eventlog.kafka.topics import access_rules

    broker = the_broker(log)
    begin = f"kafka-acls.sh --bootstrap-server {broker.bootstrap} --add --allow-principal User:"
    for user, operation, topic in access_rules(broker):
        typer.echo(f"{begin}{user} --operation {operation} --operation describe --topic {topic}")
    for state in TOPICS.values():
        if state.kind == "state":
            # Their publishers write in transactions, which fence one that lost its partition.
            typer.echo(
                f"{begin}{state.owner} --operation write --operation describe "
                f"--transactional-id {broker.topic(state.name)}/ --resource-pattern-type prefixed"
            )
    for service in SERVICES:
        # Where lag tools look.
        typer.echo(
            f"{begin}{service} --operation read --group {broker.prefix}{service}. "
            "--resource-pattern-type prefixed"
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
    database_urls: Annotated[
        Path | None,
        typer.Option(
            help="Where there is no data folder: a folder with the services' own postgresql:// URLs in the files "
            "intake, activation and aggregator, as `tiendo setup --passwords` takes it."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for what is withdrawn, instead of the data folder.")
    ] = None,
) -> None:
    """After a restore of the database: withdraw what Kafka has and the database lacks. Stop the services first.

    What is withdrawn is written to files. Then have everything that was sent since the backup sent again: line
    ids make repeats harmless.
    """
    broker = the_broker(log)
    if database_urls is not None:
        if data is not None or postgres is not None or out is None:
            raise Refused(
                "--database-urls goes with --out, and without --data and --postgres.",
                remedy="Name the folder for what is withdrawn: --out DIR.",
            )
        _check_writable(out)
        asyncio.run(_withdraw(broker, read_database_urls(database_urls), out, reason))
        return
    folder = DataFolder(data or default_data())
    if not folder.exists():
        raise Refused(
            f"{folder.root} is no data folder of Tiendo.",
            remedy="Name it with --data; where there is none, --database-urls.",
        )
    _check_writable(out or folder.root)

    async def withdraw() -> None:
        async with database(Plan(data=folder, postgres=postgres or None), typer.echo) as (urls, _server):
            await _withdraw(broker, urls, out or folder.root, reason)

    with folder.held():
        asyncio.run(withdraw())


async def _withdraw(broker: "Broker", urls: Mapping[str, str], out: Path, reason: str) -> None:
    """Begin new generations where they are needed. Raises Refused; what was done until then stays done, and
    doing it again is safe."""
    from tiendo_common.eventlog.kafka.generations import begin_generation

    nothing = True
    async with contextlib.AsyncExitStack() as stack:
        pools = {service: await stack.enter_async_context(connected(urls[service])) for service in PRODUCERS}
        try:
            for service, pool in pools.items():
                await refuse_if_running(pool, service)
            for service, pool in pools.items():
                begun, withdrawn = await begin_generation(broker, pool, service, reason)
                for topic, generation in begun.items():
                    nothing = False
                    events = [each for each in withdrawn if each.topic == topic]
                    file = _keep(out, topic, generation, events)
                    typer.echo(
                        f"{topic}: generation {generation} begins; {len(events)} events withdrawn, kept in {file}"
                    )
        except Retry as problem:
            raise BrokerFailed(
                f"Kafka cannot be used: {problem}", remedy="Nothing more was changed: run this again."
            ) from problem
        except (asyncpg.PostgresError, ValueError, *PASSING_FAULTS) as problem:
            raise DatabaseFailed(
                f"A database of the services cannot be used: {problem}",
                remedy="Check their URLs, and that the restored server is up; then run this again.",
            ) from problem
    if nothing:
        typer.echo("Kafka has nothing that the database lacks: no new generation is needed.")


def read_database_urls(folder: Path) -> dict[str, str]:
    """Each producing service's own URL. Raises Refused."""
    try:
        urls = {service: (folder / service).read_text(encoding="utf-8").strip() for service in PRODUCERS}
    except OSError as problem:
        raise Refused(
            f"No URLs: {problem.filename}: {problem.strerror}.",
            remedy=f"--database-urls takes a folder with the files {', '.join(PRODUCERS)}.",
        ) from problem
    for service, url in urls.items():
        # The URL itself is not shown: it holds a password.
        if not url.startswith(("postgresql://", "postgres://")) or urlsplit(url).username != role_of(service):
            raise Refused(
                f"{folder / service} holds no postgresql:// URL of the role {role_of(service)}.",
                remedy="Put the URL there that the service itself connects with.",
            )
    return urls


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(
            f"{folder}: no folder to write to, and what is withdrawn must be kept.",
            remedy="Name another with --out.",
        )


def _keep(folder: Path, topic: str, generation: int, events: "list[Withdrawn]") -> Path:
    """Write a file of one line an event, beside those of earlier restores; private, since the topic `dossier`
    holds keyed hashes."""
    names = (f"withdrawn-{topic}-{generation}{f'-{n}' if n else ''}.ndjson" for n in itertools.count())
    file = next(file for name in names if not (file := folder / name).exists())
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
    return file


def _print_check(broker: "Broker", replication: int, problems: dict[str, str]) -> None:
    from tiendo_common.eventlog.kafka.topics import expected_topics

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
