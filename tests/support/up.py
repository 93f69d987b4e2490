"""`tiendo up` with the real services, as the process that a user starts; and somebody who sends lines to it,
keeps a journal of them and counts by himself what they come to."""

import asyncio
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from tests.support.aggregator import plan_document
from tests.support.command import Ended, environment, run_command
from tests.support.directory import AWAY, CAMPAIGN, HOME
from tests.support.services import (
    NOW,
    activation_line,
    approval_line,
    at,
    citizen,
    intake_line,
    ndjson,
)
from tiendo.instance import Instance, attach
from tiendo.replay.following import Clocks, drained
from tiendo.replay.sending import Client
from tiendo.supervisor import end_leftovers
from tiendo_common.database.embedded.server import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
#: indicator, attribution, unit, level, day: as the aggregator numbers them.
Cell = tuple[int, int, str, int, date]
#: Which service takes lines of this path.
_SERVICES = {"/v1/intakes": "intake", "/v1/approvals": "intake", "/v1/activations": "activation"}


@dataclass(frozen=True)
class Tiendo:
    """The command line with one environment, and `tiendo up` on one data folder."""

    data: Path
    ports: int
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str | Path, seconds: float = 240) -> Ended:
        """Run one command to its end; none may end with a traceback."""
        return run_command(*arguments, seconds=seconds, settings=self.settings)

    def on_data(self, *arguments: str | Path) -> Ended:
        """The same for a command that takes --data."""
        return self.run(*arguments, "--data", self.data)

    def refused_up(self, *arguments: str) -> str:
        """What `up` says where it must refuse."""
        ended = self.run("up", "--data", self.data, "--port-base", str(self.ports), *arguments)
        assert ended.status == 1, ended.out
        return ended.err

    @contextlib.contextmanager
    def up(self, *arguments: str) -> Iterator["Up"]:
        """`tiendo up`, ready; stopped in order at the end."""
        output = self.data.with_name(f"up.{time.monotonic_ns()}.out")
        with output.open("w") as stream:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tiendo", "up", "--data", str(self.data)),
                    *("--port-base", str(self.ports), *arguments),
                ],
                stdout=stream,
                stderr=stream,
                cwd=ROOT,
                env=environment(**self.settings),
            )
        try:
            until = time.monotonic() + 180
            while "is ready after" not in output.read_text():
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < until, output.read_text()
                time.sleep(0.1)
            instance = attach(self.data)
            assert instance is not None
            yield Up(instance, output)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0, output.read_text()
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
                process.wait()

    def end_leftovers(self) -> None:
        """End what a failed test has left running on the data folder."""
        asyncio.run(end_leftovers(self.data / "processes.json", lambda _: None, grace=1))
        if (self.data / "postgres" / "server.json").exists():
            EmbeddedPostgres(self.data / "postgres").stop(timeout=10)


@dataclass(frozen=True)
class Up:
    """A running `tiendo up`."""

    instance: Instance
    output: Path

    @property
    def screen(self) -> str:
        return self.output.read_text()

    def begin(self) -> None:
        """Put Kon Tum's plan, and move the driven clocks to a day of its campaign."""
        answer = httpx2.put(
            f"{self.instance.url('aggregator')}/v1/campaigns/{CAMPAIGN}",
            json=plan_document(),
            headers=self.instance.headers,
            timeout=60,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text

        async def move() -> None:
            async with Client.open(self.instance.url, self.instance.admin_key) as client:
                await Clocks(client).move_to(NOW)

        asyncio.run(move())
        # News of a campaign takes a moment to arrive. A line of the future is refused, and why tells of it.
        future = f"{NOW.year + 1}-01-01T00:00:00+07:00"
        for path, line in (
            ("/v1/intakes", intake_line(citizen(), occurred_at=future)),
            ("/v1/activations", activation_line(citizen(), occurred_at=future)),
        ):
            until = time.monotonic() + 30
            while self._refusal(path, line) == "campaign":
                assert time.monotonic() < until, path
                time.sleep(0.05)

    def _refusal(self, path: str, line: dict[str, Any]) -> str:
        """The field that is wrong with a line."""
        url = f"{self.instance.url(_SERVICES[path])}{path}"
        answer = httpx2.post(url, json=line, headers=self.instance.headers, timeout=60, trust_env=False)
        return str(answer.json()["field"])

    def counters(self) -> Counter[Cell]:
        """What the aggregator counts, read from its own table once all that was written is counted."""

        async def read() -> Counter[Cell]:
            async with Client.open(self.instance.url, self.instance.admin_key) as client:
                await drained(client)
            return await counters(self.instance.database_url("aggregator"))

        return asyncio.run(read())


async def counters(url: str) -> Counter[Cell]:
    """The totals in an aggregator's table, as they are now."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT indicator, attribution, unit, level, day, sum(n)::int AS n FROM total "
            "GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0"
        )
    finally:
        await connection.close()
    return Counter({tuple(row)[:5]: row["n"] for row in rows})


@dataclass
class Sender:
    """A provincial system: makes lines up, sends them, and keeps those that were answered."""

    #: What was acknowledged, in order: path and line.
    journal: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def send(self, up: Up, citizens: int) -> None:
        """So many new citizens: all are taken, most are approved, many of those activated."""
        intakes, approvals, activations = [], [], []
        for number in range(citizens):
            who = citizen()
            day = number % 5
            intakes.append(
                intake_line(
                    who,
                    residence_unit=(HOME, AWAY)[number % 2],
                    level=1 + number % 2,
                    occurred_at=at(12 + day),
                )
            )
            if number % 5:
                approvals.append(approval_line(who, occurred_at=at(13 + day)))
            if number % 5 > 1:
                activations.append(activation_line(who, occurred_at=at(15 + day)))
        for path, lines in (
            ("/v1/intakes", intakes),
            ("/v1/approvals", approvals),
            ("/v1/activations", activations),
        ):
            answers = self._post(up, path, lines)
            assert answers == {"accepted": len(lines)}, answers
            self.journal += [(path, line) for line in lines]

    def send_again(self, up: Up) -> Counter[str]:
        """The whole journal, as it was sent; how many lines were answered how."""
        answers: Counter[str] = Counter()
        for path, lines in itertools.groupby(self.journal, key=lambda entry: entry[0]):
            answers += self._post(up, path, [line for _, line in lines])
        return answers

    def expected(self) -> Counter[Cell]:
        """What the journal comes to, counted without any of the services' own code."""
        told: dict[str, dict[str, dict[str, Any]]] = {}
        for path, line in self.journal:
            told.setdefault(line["citizen_id"], {})[path] = line
        cells: Counter[Cell] = Counter()
        for lines in told.values():
            taken = lines["/v1/intakes"]
            residence, level = taken["residence_unit"], taken["level"]
            for indicator, path in enumerate(_SERVICES):
                if path not in lines:
                    break
                day = date.fromisoformat(lines[path]["occurred_at"][:10])
                worked = AWAY if path == "/v1/activations" else taken["collecting_unit"]
                cells[indicator, 0, residence, level, day] += 1
                cells[indicator, 1, worked, level, day] += 1
        return cells

    @staticmethod
    def _post(up: Up, path: str, lines: Sequence[dict[str, Any]]) -> Counter[str]:
        answer = httpx2.post(
            f"{up.instance.url(_SERVICES[path])}{path}/bulk",
            content=ndjson(lines),
            headers={**up.instance.headers, "Content-Type": "application/x-ndjson"},
            timeout=120,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return Counter(json.loads(text)["status"] for text in answer.text.splitlines())


def sums(cells: Iterable[tuple[Cell, int]]) -> dict[int, int]:
    """Citizens by indicator: 0 taken, 1 approved, 2 activated."""
    answer: Counter[int] = Counter()
    for (indicator, attribution, *_), n in cells:
        answer[indicator] += n if attribution == 0 else 0
    return dict(answer)
