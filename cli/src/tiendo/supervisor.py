"""Keeps a table of programs running: starts them at once, waits until they are ready, restarts what dies,
stops them in the opposite order."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from tiendo.errors import PortTaken, ServiceFailed
from tiendo_common.files import last_lines, replace_private

Say = Callable[[str], None]

HOST = "127.0.0.1"
# A program that stayed up this long has recovered: its next death is a new story.
_RECOVERED_SECONDS = 60.0
_LONGEST_PAUSE = 30.0
# Two processes with one pid and nearly one birth are one process; the rest is how clocks are read.
_SAME_BIRTH_SECONDS = 5.0


@dataclass(frozen=True)
class Program:
    """A service as a process: listens on `port`, answers /readyz with 200 when ready, ends on SIGTERM."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    log_file: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


class Supervisor:
    """Runs programs in the order of their table.

    `record` is a file that names the processes, so that those which a killed supervisor left behind can be
    found (`end_leftovers`). `say` gets one line for whatever a person should know. `patience`: seconds that
    all programs together may take to become ready; `grace`: seconds that each may take to end.
    """

    def __init__(
        self, programs: Iterable[Program], *, record: Path, say: Say, patience: float = 120, grace: float = 30
    ) -> None:
        self.programs = tuple(programs)
        self._record = record
        self._say = say
        self._patience = patience
        self._grace = grace
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._hurry = asyncio.Event()

    def pid(self, name: str) -> int | None:
        """The pid of a program that is running."""
        process = self._processes.get(name)
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start all programs at once and return when each is ready; then dead ones are restarted.

        Raises ServiceFailed when one ends or is late, after having stopped all.
        """
        try:
            for program in self.programs:
                await self._spawn(program)
            async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
                until = time.monotonic() + self._patience
                for program in self.programs:
                    await self._until_ready(client, program, until, among=self.programs)
        except BaseException:
            await self.stop()
            raise
        self._watchers = [
            asyncio.create_task(self._watch(program), name=program.name) for program in self.programs
        ]

    async def stop(self) -> None:
        """End all programs, the last of the table first: SIGTERM; SIGKILL (said) when the grace is over."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers = []
        for program in reversed(self.programs):
            await self._end(program.name)
        self._record.unlink(missing_ok=True)

    def hurry(self) -> None:
        """Cut the grace of a stop under way to nothing."""
        self._hurry.set()

    async def _spawn(self, program: Program) -> None:
        program.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        program.log_file.touch(mode=0o600)
        with program.log_file.open("ab") as log:
            self._processes[program.name] = await asyncio.create_subprocess_exec(
                *program.argv,
                env=dict(program.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal reaches the supervisor only, which stops the programs in order.
                start_new_session=True,
            )
        self._write_record()

    async def _until_ready(
        self, client: httpx2.AsyncClient, program: Program, until: float, *, among: Iterable[Program]
    ) -> None:
        """Wait for one; if any `among` them ends, that is the failure: this one may be waiting for it."""
        missing = "nothing answers on its port"
        while time.monotonic() < until:
            for one in among:
                code = self._processes[one.name].returncode
                if code is not None:
                    raise self._failed(one, f"ended with {_ending(code)}")
            try:
                answer = await client.get(f"{program.url}/readyz")
                if answer.status_code == 200:
                    return
                missing = answer.text[:500]
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
        raise self._failed(program, f"was not ready in {self._patience:.0f} s ({missing})")

    def _failed(self, program: Program, what: str) -> ServiceFailed:
        said = last_lines(program.log_file, 15)
        return ServiceFailed(
            f"{program.name} {what}. Its log ({program.log_file}) ends with:\n{said}",
            remedy="The log says what it lacks. `tiendo doctor` checks the usual suspects.",
        )

    async def _watch(self, program: Program) -> None:
        pause = 1.0
        started = time.monotonic()
        while True:
            code = await self._processes[program.name].wait()
            if time.monotonic() - started > _RECOVERED_SECONDS:
                pause = 1.0
            self._say(f"{program.name} ended with {_ending(code)}: starting it again in {pause:.0f} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            started = time.monotonic()
            await self._spawn(program)
            try:
                async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
                    await self._until_ready(client, program, started + self._patience, among=[program])
            except ServiceFailed as failed:
                # The next round says that it ended; here only a program that runs and isn't ready is news.
                if self.pid(program.name) is not None:
                    self._say(failed.detail)
            else:
                self._say(f"{program.name} is ready again, pid {self.pid(program.name)}")

    async def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        ended = asyncio.create_task(process.wait())
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not ended.done():
            why = "was told to hurry" if self._hurry.is_set() else f"did not end in {self._grace:.0f} s"
            self._say(f"{name} {why}: killed (SIGKILL)")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await ended

    def _write_record(self) -> None:
        births = {}
        for name, process in self._processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                births[name] = {"pid": process.pid, "born": psutil.Process(process.pid).create_time()}
        replace_private(self._record, json.dumps(births) + "\n")


async def end_leftovers(record: Path, say: Say, *, grace: float = 30) -> None:
    """End the programs of a supervisor that died without stopping them: they hold the ports."""
    for name, process in recorded_processes(record).items():
        say(f"{name} (pid {process.pid}) was left behind by a supervisor that died: ending it")
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for _ in range(int(grace / 0.05)):
        if not recorded_processes(record):
            return
        await asyncio.sleep(0.05)
    for name, process in recorded_processes(record).items():
        say(f"{name} (pid {process.pid}) did not end in {grace:.0f} s: killed (SIGKILL)")
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(5)


def recorded_processes(record: Path) -> dict[str, psutil.Process]:
    """The processes that a supervisor wrote down and that still run."""
    try:
        births = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    running = {}
    for name, birth in births.items():
        process = same_process(birth["pid"], birth["born"])
        if process is not None:
            running[name] = process
    return running


def same_process(pid: int, born: float) -> psutil.Process | None:
    """The process with this pid and birth (psutil's create_time), if it runs: pids are used again."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - born) < _SAME_BIRTH_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def port_is_free(port: int) -> bool:
    """Whether a service could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a server that has just ended are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def check_port(port: int, name: str) -> None:
    """Raise PortTaken unless a service could listen on the port now."""
    if port_is_free(port):
        return
    holder = holder_of(port)
    other = free_port_base(port + 100)
    raise PortTaken(
        f"Port {port}, which {name} needs, is taken{f' by {holder}' if holder else ''}.",
        remedy=f"Choose other ports, for example with TIENDO_PORT_BASE={other} or --port-base {other}, "
        "or end what holds it.",
    )


def holder_of(port: int) -> str | None:
    """Who listens on a port, where this user may know it: `name (pid n)`."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if (
                address
                and address.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None


def free_port_base(start: int, count: int = 4) -> int:
    """The first port from `start` on (rounded up to ten) with `count` free ones in a row."""
    base = -(-start // 10) * 10
    while base + count < 65_536 and not all(port_is_free(base + n) for n in range(count)):
        base += 10
    return base


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
