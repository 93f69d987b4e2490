"""The load: citizens' lines through the public interface, to all replicas, until each is answered.

One line of a citizen is under way at a time, so the journal's order is the order in which they were accepted.
A request that got no answer may still be worked on, by a replica that was stopped, say. That is harmless once
its lines are on record, since line ids count once. A line that is *rejected* leaves nothing behind, and would be
accepted later if its citizen went on: so the life of a citizen ends at a rejection that came after a silence.
"""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from tests.chaos.client import Client
from tests.chaos.fleet import Replica
from tests.chaos.journal import SERVICE_OF, Entry, Journal
from tests.chaos.lines import Campaign, Citizen
from tests.chaos.lives import Document, Kind, Outcome

#: Seconds without an answer after which a request is sent again: some are given up while they are worked on.
PATIENCE = 4.0
#: Requests under way at once: as many as the machine answers within the patience, between these bounds. More
#: would only be given up and sent again, and nothing would get done.
FEWEST, MOST = 8, 64
#: Seconds for which a replica that gave no answer gets few requests.
_SPARED = 1.5
#: Seconds of standstill that are caught up on.
_CATCH_UP = 15.0


@dataclass(frozen=True)
class _Sent:
    """A line on its way, and whose it is."""

    citizen: Citizen
    kind: Kind
    line: Document


@dataclass(frozen=True)
class _Told:
    """What a request was answered to one line."""

    status: Outcome
    problem: str = ""

    @property
    def not_now(self) -> bool:
        """The replica has not heard of the campaign yet; that is no answer to the line."""
        return self.problem.startswith("urn:tiendo:problem:unknown-campaign")


class Load:
    """Sends `rate` requests a second for as long as it is told to."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        key: str,
        campaign: Campaign,
        journal: Journal,
        seed: int,
        rate: float,
    ) -> None:
        self.sent_again = 0
        self.twins = 0
        self.failures: Counter[str] = Counter()
        #: Answers that no client should ever get.
        self.errors: list[str] = []
        self._replicas = replicas
        self._headers = {"Authorization": f"Bearer {key}"}
        self._campaign = campaign
        self._journal = journal
        self._seed = seed
        self._rate = rate
        self._chance = random.Random(f"{seed}/load")
        self._numbers = itertools.count(1)
        self._idle: list[Citizen] = []
        self._suspects: dict[str, float] = {}
        self._window = float(MOST)
        self._running: set[asyncio.Task[None]] = set()
        self._http = Client(PATIENCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Send at a steady rate, whatever is answered; a standstill is caught up on, in part."""
        began = time.monotonic()
        due = 0.0
        while not stop.is_set():
            now = time.monotonic() - began
            while due < now and len(self._running) < self._window:
                self._begin()
                due += 1 / self._rate
            due = max(due, now - _CATCH_UP)
            await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Return when nothing is under way."""
        while running := list(self._running):
            await asyncio.wait(running)

    def burst(self, count: int) -> None:
        """Some batches twice at once, in different orders."""
        for _ in range(count):
            self._spawn(self._send_twins())

    async def close(self) -> None:
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._http.close()

    @property
    def under_way(self) -> int:
        return len(self._running)

    def _begin(self) -> None:
        kind = self._chance.random()
        if kind < 0.93:
            self._spawn(self._send_single())
        elif kind < 0.985:
            self._spawn(self._send_bulk())
        else:
            self._spawn(self._send_twins())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _citizen(self) -> Citizen:
        """Somebody who is not under way: old or new."""
        if self._idle and self._chance.random() < 0.75:
            place = self._chance.randrange(len(self._idle))
            self._idle[place], self._idle[-1] = self._idle[-1], self._idle[place]
            return self._idle.pop()
        return Citizen(self._seed, next(self._numbers), self._campaign)

    async def _send_single(self) -> None:
        citizen = self._citizen()
        sent = _Sent(citizen, *citizen.next_line())
        told, times = await self._answered(sent.kind, [sent], bulk=False)
        self._acknowledge([sent], [told], times, requests=1)

    async def _send_bulk(self) -> None:
        lines = self._batch(self._chance.randrange(5, 60))
        kind = lines[0].kind
        told, times = await self._answered(kind, lines, bulk=True)
        self._acknowledge(lines, [told], times, requests=1)

    async def _send_twins(self) -> None:
        """The same batch twice at once, in two orders: whichever comes first, each line counts once."""
        lines = self._batch(self._chance.randrange(20, 120))
        kind = lines[0].kind
        shuffled = self._chance.sample(lines, len(lines))
        (first, one), (second, other) = await asyncio.gather(
            self._answered(kind, lines, bulk=True), self._answered(kind, shuffled, bulk=True)
        )
        places = {sent.line["line_id"]: place for place, sent in enumerate(shuffled)}
        second = [second[places[sent.line["line_id"]]] for sent in lines]
        self.twins += 1
        self._acknowledge(lines, [first, second], one + other, requests=2)

    def _batch(self, size: int) -> list[_Sent]:
        """Lines of one kind, each of another citizen, so that their order decides nothing."""
        first = self._citizen()
        kind, line = first.next_line()
        lines = [_Sent(first, kind, line)]
        for _ in range(size - 1):
            citizen = self._citizen()
            lines.append(_Sent(citizen, *citizen.next_line(kind)))
        return lines

    def _acknowledge(
        self, lines: Sequence[_Sent], told: Sequence[Sequence[_Told]], times: int, *, requests: int
    ) -> None:
        entries = []
        for place, sent in enumerate(lines):
            answers = [each[place] for each in told]
            problem = next((answer.problem for answer in answers if answer.problem), "")
            entries.append(
                Entry(sent.kind, sent.line, tuple(answer.status for answer in answers), times, problem)
            )
        self._journal.acknowledge(entries, requests)
        for sent, entry in zip(lines, entries, strict=True):
            expected = sent.citizen.life.take(sent.kind, sent.line)
            silent = times > len(entry.answers)
            if entry.agrees(expected) and not (silent and expected == "rejected"):
                self._idle.append(sent.citizen)

    async def _answered(self, kind: Kind, lines: Sequence[_Sent], *, bulk: bool) -> tuple[list[_Told], int]:
        """Send until every line is answered for good; also how often the request was sent."""
        service = SERVICE_OF[kind]
        documents = [sent.line for sent in lines]
        times = 0
        while True:
            times += 1
            told = await self._ask(service, kind, documents, bulk=bulk)
            if told is not None:
                if not any(each.not_now for each in told):
                    return told, times
                self.failures["unknown campaign"] += 1
            self.sent_again += 1
            await asyncio.sleep(min(0.05 * 2 ** min(times, 5), 1.0) * (0.5 + self._chance.random()))

    def _some(self, service: str) -> Replica:
        """A replica of the service. One that has just failed to answer is spared, as a load balancer does it, but
        for some requests: those are the ones that are answered twice, late or never."""
        replicas = [replica for replica in self._replicas if replica.service == service]
        others = [replica for replica in replicas if not self._suspected(replica)]
        return self._chance.choice(others if others and self._chance.random() < 0.8 else replicas)

    def _suspected(self, replica: Replica) -> bool:
        return time.monotonic() - self._suspects.get(replica.name, 0.0) < _SPARED

    async def _ask(
        self, service: str, kind: Kind, documents: Sequence[Document], *, bulk: bool
    ) -> list[_Told] | None:
        """Send once to some replica; None without an answer, and for 'not now'."""
        replica = self._some(service)
        if bulk:
            path, media_type = f"/v1/{kind}/bulk", "application/x-ndjson"
            body = "\n".join(json.dumps(document) for document in documents)
        else:
            path, media_type = f"/v1/{kind}", "application/json"
            body = json.dumps(documents[0])
        headers = {**self._headers, "Content-Type": media_type}
        try:
            status, answer = await self._http.post(replica.port, path, body.encode(), headers)
        except (OSError, EOFError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not self._suspected(replica):
                self._window = max(FEWEST, self._window * 0.9)
            self._suspects[replica.name] = time.monotonic()
            self.failures[type(error).__name__] += 1
            return None
        self._window = min(MOST, self._window + 0.1)
        if bulk and status == 200:
            return [_told(json.loads(text)) for text in answer.splitlines()]
        if not bulk and status in (200, 201):
            return [_told(json.loads(answer))]
        if not bulk and status in (409, 422):
            return [_told({"status": "rejected", "problem": json.loads(answer)})]
        self.failures[str(status)] += 1
        if status != 503:
            self.errors.append(f"{replica.name}{path}: {status} {answer[:300]!r}")
        return None


def _told(answer: Document) -> _Told:
    problem = answer.get("problem") or {}
    return _Told(
        answer["status"],
        f"{problem.get('type', '')} {problem.get('detail', '')}".strip(),
    )
