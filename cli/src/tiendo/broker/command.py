"""`tiendo broker`: one Kafka node in the foreground, until it is told to stop."""

import shlex
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table as Grid

from tiendo.broker.node import DEFAULT_PORT, KafkaNode

DEFAULT_HOME = Path(".tiendo-kafka")


def broker(
    data: Annotated[Path, typer.Option("--data", help="The folder of its data.")] = DEFAULT_HOME,
    port: Annotated[
        int, typer.Option(min=1024, max=65_000, help="Ports N and N+1: clients, the node itself.")
    ] = DEFAULT_PORT,
) -> None:
    """Run one Apache Kafka node on this machine until stopped. Needs Java and, the first time, Maven."""
    console = Console(log_path=False, highlight=False)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe: addresses and paths must stay whole
    # A service manager's way of stopping is as orderly as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node = KafkaNode(data, port=port)
    try:
        began = time.monotonic()
        node.start()
        console.print(screen(node, time.monotonic() - began))
        while node.alive():
            time.sleep(0.2)
        raise node.failed("ended by itself")
    except KeyboardInterrupt:
        console.log("Stopping Kafka")
        try:
            how = node.stop()
        except KeyboardInterrupt:
            node.kill()
            how = "killed"
        console.log("Stopped" if how != "killed" else "Killed: it recovers at the next start")
    finally:
        node.kill()


def screen(node: KafkaNode, seconds: float) -> Panel:
    """Where it is, and how to use and stop it."""
    facts = Grid.grid(padding=(0, 3, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Address", node.bootstrap)
    facts.add_row("Data", str(node.home))
    facts.add_row("Log", str(node.log_file))
    facts.add_row("Use", f"tiendo up --log kafka://{node.bootstrap}")
    facts.add_row("Stop", f"Ctrl-C. To start afresh then: rm -r {shlex.quote(str(node.home))}")
    return Panel(
        facts,
        title=f"Kafka is ready after {seconds:.1f} s, pid {node.pid}",
        title_align="left",
        padding=(1, 2),
    )
