"""How the other commands find Tiendo.

    async with running_instance(data, clock="driven") as instance:
        await client.get(f"{instance.url('aggregator')}/v1/campaigns", headers=instance.headers)

An `Instance` has `.url(service)`, `.admin_key`, `.headers`, `.clock` ("wall" or "driven"), `.data` (the
folder), `.pid` (of the supervisor) and `.database_url(service)`.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tiendo.errors import AlreadyRunning, OtherClock, Refused
from tiendo.folders import ClockMode, DataFolder
from tiendo.stack import DEFAULT_PORT_BASE, Instance, Plan, Table, running, service_table
from tiendo.supervisor import Say, free_port_base, port_is_free, same_process

__all__ = ["Instance", "attach", "running_instance"]


def attach(data: Path) -> Instance | None:
    """The instance running on a data folder; None if there is none. Does not ask whether it is well."""
    folder = DataFolder(data)
    try:
        facts = folder.read_json(folder.instance_file)
        admin_key = folder.admin_key()
    except FileNotFoundError:
        return None
    # A killed supervisor leaves its file behind, and its pid may be another process's by now.
    if same_process(facts["pid"], facts["born"]) is None:
        return None
    return Instance(
        data=folder.root,
        pid=facts["pid"],
        clock=facts["clock"],
        services=facts["services"],
        admin_key=admin_key,
        postgres=facts["postgres"],
    )


#: Seconds that an instance may take to start or stop: a slow disk recovers PostgreSQL in them.
_PATIENCE = 300.0


async def _attach_at_last(data: Path, say: Say) -> Instance | None:
    """As `attach`, once the instance that holds the folder has started, or stopped. Raises AlreadyRunning if it does
    neither."""
    folder, waits = DataFolder(data), False
    until = time.monotonic() + _PATIENCE
    while (attached := attach(data)) is None and (holder := folder.holder()) is not None:
        if not waits:
            waits = True
            say(f"Tiendo starts or stops on {folder.root}, with pid {holder}: waiting for it")
        if time.monotonic() > until:
            raise AlreadyRunning(
                f"Tiendo has started or stopped on {folder.root} for {_PATIENCE:.0f} s, with pid {holder}.",
                remedy=f"See `tiendo doctor`; stop it (kill {holder}), or choose another folder with --data.",
            )
        await asyncio.sleep(0.2)
    return attached


@contextlib.asynccontextmanager
async def running_instance(
    data: Path, *, clock: ClockMode | None = None, say: Say | None = None, table: Table = service_table
) -> AsyncIterator[Instance]:
    """The instance running on a data folder, also one that is starting, or one started for the duration and stopped in
    order after it.

    `clock`: refuse any other (OtherClock); None: whichever it is. `say` gets a line when something dies and
    is restarted; without it, lines go to standard error. One that is started here takes the ports that
    TIENDO_PORT_BASE names (PortTaken if somebody has them), else the default ones or the next free ones, and the
    server that TIENDO_POSTGRES names, if it does. SIGTERM cancels the calling task, as Ctrl-C does, so that the
    stop is in order.
    """
    attached = await _attach_at_last(data, say or _to_standard_error)
    if attached is not None:
        if clock is not None and attached.clock != clock:
            raise OtherClock(
                f"Tiendo runs on {attached.data} with the {attached.clock} clock, not the {clock} one.",
                remedy="Choose another folder with --data.",
            )
        yield attached
        return
    plan = Plan(
        data=DataFolder(data),
        clock=clock,
        port_base=_port_base(),
        postgres=os.environ.get("TIENDO_POSTGRES") or None,
    )
    with _terminable():
        async with running(plan, say or _to_standard_error, table) as started:
            yield started.instance


def _port_base() -> int:
    """The ports to start on: those that were asked for, else the default ones or the next free ones."""
    asked = os.environ.get("TIENDO_PORT_BASE")
    if asked:
        if not (asked.isdecimal() and 1024 <= int(asked) <= 65_531):
            raise Refused(
                f"TIENDO_PORT_BASE is {asked!r}.",
                remedy="Set it to a port from 1024 to 65531, or not at all.",
            )
        return int(asked)
    free = all(port_is_free(DEFAULT_PORT_BASE + n) for n in range(4))
    return DEFAULT_PORT_BASE if free else free_port_base(DEFAULT_PORT_BASE + 100)


def _to_standard_error(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """While it lasts, SIGTERM cancels the current task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        yield
        return
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
