"""All commands of `tiendo`."""

import errno
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import stamina.instrumentation
import typer

from tiendo import alerts, dead_letters, hamlets, keys, topics
from tiendo.broker.command import broker
from tiendo.doctor import doctor as examine
from tiendo.errors import Refused
from tiendo.folders import ClockMode, default_data
from tiendo.placing import place
from tiendo.replay.commands import backtest, reconcile, replay, report
from tiendo.setup import setup
from tiendo.stack import DEFAULT_PORT_BASE
from tiendo.up import up as run_until_stopped
from tiendo_common.database.embedded.errors import LauncherError

app = typer.Typer(
    name="tiendo",
    help="Counts a province's digital-identity campaign live and says who falls behind.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they hold keys
)
app.add_typer(keys.app, name="keys")
app.add_typer(alerts.app, name="alerts")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(topics.app, name="topics")
app.add_typer(hamlets.app, name="hamlets")

Data = Annotated[Path, typer.Option("--data", help="Data folder; TIENDO_DATA.", default_factory=default_data)]
PortBase = Annotated[
    int,
    typer.Option(
        min=1024,
        max=65_531,
        envvar="TIENDO_PORT_BASE",
        help="Ports N to N+3: intake, activation, aggregator, notifier.",
    ),
]

_ANOTHER = "or choose another folder with --data."
#: What disks say no with, and what is to be done then.
_OF_THE_DISK = {
    errno.EACCES: f"run as the user who made it, {_ANOTHER}",
    errno.EPERM: f"run as the user who made it, {_ANOTHER}",
    errno.EROFS: f"let it be written to, {_ANOTHER}",
    errno.ENOSPC: f"free some space, {_ANOTHER}",
    errno.EDQUOT: f"free some space, {_ANOTHER}",
}


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tiendo {version('tiendo')}")
        raise typer.Exit


@app.callback()
def _tiendo(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Counts a province's digital-identity campaign live and says who falls behind."""


@app.command()
def up(
    data: Data,
    port_base: PortBase = DEFAULT_PORT_BASE,
    clock: Annotated[
        ClockMode | None,
        typer.Option(help="driven: the time stands until POST /v1/clock moves it. Kept with the data."),
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar="TIENDO_POSTGRES",
            help="Use this PostgreSQL server (the URL of a role that may create roles and databases) "
            "instead of the embedded one.",
        ),
    ] = None,
    log: topics.Log = None,
    replication: topics.Copies = 1,
) -> None:
    """Run PostgreSQL and the four services on this machine until stopped."""
    run_until_stopped(
        data, port_base=port_base, clock=clock, postgres=postgres or None, log=log, replication=replication
    )


app.command()(replay)
app.command()(report)
app.command()(backtest)
app.command()(reconcile)
app.command()(place)
app.command()(setup)
app.command()(broker)


@app.command()
def doctor(
    data: Data,
    port_base: PortBase = DEFAULT_PORT_BASE,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check what Tiendo needs and, if it runs, how it is. Exit status 1 if anything fails."""
    raise typer.Exit(examine(data, port_base=port_base, as_json=json_))


def run() -> None:
    """Run the command that was typed: what is refused is said in plain words, without a traceback."""
    # stamina's own hooks would write each retry to standard output, where --json must stand alone and a person reads.
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        app()
    except (Refused, LauncherError) as refused:
        sys.stderr.write(f"tiendo: {refused.detail}\nWhat to do: {refused.remedy}\n")
        sys.exit(1)
    except OSError as problem:
        remedy = _OF_THE_DISK.get(problem.errno or 0)
        if remedy is None:
            raise
        sys.stderr.write(
            f"tiendo: {problem.filename or 'the disk'}: {problem.strerror}\nWhat to do: {remedy}\n"
        )
        sys.exit(1)
