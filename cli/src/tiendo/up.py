"""`tiendo up`: everything on this machine, until it is told to stop."""

import asyncio
import shlex
import signal
from pathlib import Path

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from tiendo.carrier import named_broker
from tiendo.folders import ClockMode, DataFolder
from tiendo.proving import keep_proving
from tiendo.stack import Plan, Running, Table, running, service_table


def up(
    data: Path,
    *,
    port_base: int,
    clock: ClockMode | None,
    postgres: str | None,
    log: str | None = None,
    replication: int = 1,
    table: Table = service_table,
) -> None:
    """Run until SIGINT or SIGTERM; returns after the ordered stop. Raises Refused, LauncherError."""
    plan = Plan(
        data=DataFolder(data),
        clock=clock,
        port_base=port_base,
        postgres=postgres,
        log=log,
        replication=replication,
    )
    console = Console(log_path=False, highlight=False)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe: addresses and paths must stay whole
    asyncio.run(_until_told_to_stop(plan, console, table))


async def _until_told_to_stop(plan: Plan, console: Console, table: Table) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    current: Running | None = None
    told = False

    def stop() -> None:
        nonlocal told
        if not told:
            told = True
            console.log("Stopping: notifier, aggregator, activation, intake, PostgreSQL")
            task.cancel()
        elif current is not None:
            current.supervisor.hurry()

    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop)
    try:
        async with running(plan, console.log, table) as current:
            console.print(screen(current, plan.log))
            await keep_proving(current.instance, console.log)
    except asyncio.CancelledError:
        console.log("Stopped")


def screen(now: Running, log: str | None = None) -> Panel:
    """What runs where, and how to use and stop it."""
    instance, supervisor = now.instance, now.supervisor
    services = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("Service", "Address", "Pid"):
        services.add_column(column, overflow="fold")
    for program in supervisor.programs:
        services.add_row(program.name, program.url, str(supervisor.pid(program.name)))
    if now.server is not None:
        services.add_row("postgres", f"{now.server.socket_folder} (socket)", str(now.server.pid))
    else:
        services.add_row("postgres", instance.postgres["url"], "not ours")
    data = DataFolder(instance.data)
    broker = named_broker(log)
    if broker is not None:
        services.add_row("kafka", broker.bootstrap, "not ours")
    facts = Grid.grid(padding=(0, 3, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Data", str(data.root))
    if now.server is not None and not now.server.pgdata.is_relative_to(data.root):
        facts.add_row(
            "Database", f"{now.server.pgdata.parent} (the account {now.server.account} cannot enter Data)"
        )
    facts.add_row("Admin key", str(data.admin_key_file))
    facts.add_row("Logs", str(data.logs))
    facts.add_row("Clock", "the machine's" if instance.clock == "wall" else "driven: POST /v1/clock moves it")
    facts.add_row("Stop", f"Ctrl-C, or: kill {instance.pid}")
    facts.add_row("Look at", look_at(instance.url("aggregator"), data.admin_key_file))
    return Panel(
        Group(services, Text(), facts),
        title=f"Tiendo is ready after {now.seconds:.1f} s",
        title_align="left",
        padding=(1, 2),
    )


def look_at(aggregator: str, key_file: Path) -> str:
    """A command to copy that shows the campaigns."""
    key = f'"Authorization: Bearer $(cat {shlex.quote(str(key_file))})"'
    return f"curl -H {key} {aggregator}/v1/campaigns"
