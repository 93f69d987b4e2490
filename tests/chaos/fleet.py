"""The services as processes, two replicas of each, started again whenever one ends."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from tests.chaos.proxy import Proxy

HOST = "127.0.0.1"
#: Seconds until a dead replica is started again: long enough for the other one to notice.
REST = (0.3, 1.2)
#: What asking a service may end with that dies at this moment; the last is httpx2's, of a connection that is reset
#: while it is made.
UNANSWERED = (httpx2.HTTPError, AttributeError)
FENCED, REPEATS, _HALTED = (
    "tiendo_consumer_fenced_total",
    "tiendo_log_repeats_total",
    "tiendo_consumer_halted",
)


@dataclass
class Replica:
    """One process of a service, again and again. `preload` is what the next start loads into it (libfaketime)."""

    service: str
    number: int
    port: int
    env: Mapping[str, str]
    log_file: Path
    proxies: Sequence[Proxy]
    preload: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    stopped: bool = False
    expected_ends: int = 0
    starts: int = 0
    #: What the processes that are gone had counted, and the one that runs.
    counted_before: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    halted: str = ""

    @property
    def name(self) -> str:
        return f"{self.service}-{self.number}"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None and not self.stopped

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is there to receive one."""
        if self.process is not None and self.process.returncode is None:
            if number in (signal.SIGKILL, signal.SIGTERM):
                self.expected_ends += 1
            self.stopped = number is signal.SIGSTOP or (self.stopped and number is not signal.SIGCONT)
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Fleet:
    """Keeps all replicas running; `troubles` are the ends that nobody asked for."""

    def __init__(
        self, replicas: Sequence[Replica], say: Callable[[str], None], rest: Callable[[], float]
    ) -> None:
        self.replicas = replicas
        self.troubles: list[str] = []
        self._say = say
        self._rest = rest
        self._watchers: list[asyncio.Task[None]] = []

    def of(self, service: str) -> list[Replica]:
        return [replica for replica in self.replicas if replica.service == service]

    async def start(self) -> None:
        self._watchers = [asyncio.create_task(self._keep_running(replica)) for replica in self.replicas]

    async def stop(self, grace: float = 15.0) -> list[str]:
        """End all in order; who did not end within the grace and was killed."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for replica in self.replicas:
            replica.signal(signal.SIGCONT)
            replica.signal(signal.SIGTERM)
        late = []
        until = time.monotonic() + grace
        for replica in self.replicas:
            if replica.process is None:
                continue
            try:
                await asyncio.wait_for(replica.process.wait(), max(0.05, until - time.monotonic()))
            except TimeoutError:
                late.append(replica.name)
                replica.signal(signal.SIGKILL)
                await replica.process.wait()
        return late

    async def unready(self) -> dict[str, str]:
        """Who is not ready, and what is missing."""
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
            answers = await asyncio.gather(*(_missing(http, replica) for replica in self.replicas))
        return {
            replica.name: missing
            for replica, missing in zip(self.replicas, answers, strict=True)
            if missing is not None
        }

    async def read_metrics(self, replica: Replica) -> None:
        """Note what the replica's process counts, before it is gone."""
        if not replica.running:
            return
        with contextlib.suppress(*UNANSWERED):
            async with httpx2.AsyncClient(timeout=1, trust_env=False) as http:
                text = (await http.get(f"{replica.url}/metrics")).text
            values = dict.fromkeys((FENCED, REPEATS, _HALTED), 0.0)
            for line in text.splitlines():
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                if name in values:
                    values[name] += float(value)
            replica.counted = Counter({name: int(values[name]) for name in (FENCED, REPEATS)})
            replica.halted = f"{replica.name} halted" if values[_HALTED] else ""

    async def _keep_running(self, replica: Replica) -> None:
        while True:
            with replica.log_file.open("ab") as log:
                replica.process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    f"tiendo_{replica.service}",
                    env={**replica.env, **replica.preload},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is the orchestrator's; it ends the replicas.
                    start_new_session=True,
                )
            replica.starts += 1
            replica.stopped = False
            code = await replica.process.wait()
            replica.counted_before += replica.counted
            replica.counted = Counter()
            if replica.expected_ends:
                replica.expected_ends = 0
            else:
                self.troubles.append(f"{replica.name} ended by itself with {code}")
                self._say(self.troubles[-1])
            await asyncio.sleep(self._rest())


async def _missing(http: httpx2.AsyncClient, replica: Replica) -> str | None:
    try:
        answer = await http.get(f"{replica.url}/readyz")
    except UNANSWERED as error:
        return f"does not answer ({type(error).__name__})"
    return None if answer.status_code == 200 else answer.text[:300]


def end_abandoned(api_keys_file: str) -> None:
    """SIGKILL the services of a run that was killed: their environment names a file of that run's own."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TIENDO_API_KEYS_FILE") == api_keys_file:
                process.kill()


def inherited() -> dict[str, str]:
    """What a service gets of our own environment: nothing that is set for Tiendo."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")}
