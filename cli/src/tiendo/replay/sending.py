"""Sends lines to the services as provincial systems do, and checks every answer.

Sending again is always safe: a line that is on record is answered "duplicate". So whatever stands between
(a service that is killed, a database that is away) is waited out and the same request is sent once more.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec
import stamina

from tiendo.errors import NotCounted, NotThere, Refused
from tiendo.replay.schedule import ACCEPTED, ANSWERS, DUPLICATE, REJECTED, Chunk, Phase

LINES_A_REQUEST = 4000
REQUESTS_IN_FLIGHT = 3
PATIENCE = 300.0  # seconds for which a service may be away
_SHOWN = 5
_TELL_AGAIN = 10.0  # seconds


class _NotNow(Exception):
    """The service says that it can't at the moment (503)."""


class Answer(msgspec.Struct):
    """What became of a line, of bulk and single requests alike."""

    status: str
    line_id: str | None = None
    problem: dict[str, Any] | None = None


_answers = msgspec.json.Decoder(Answer)


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A line that was not answered as it must be. Says nothing of the citizen."""

    path: str
    line_id: str | None
    expected: str
    answered: str
    detail: str


@dataclass(slots=True)
class Tallied:
    """What was sent and how it was answered."""

    sent: int = 0
    answers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ANSWERS, 0))
    singly: int = 0
    sent_again: int = 0
    unexpected: int = 0
    examples: list[Unexpected] = field(default_factory=list)


class Client:
    """HTTP to the services of one instance; waits out what passes. `say` is told what it waits for."""

    def __init__(
        self,
        urls: Callable[[str], str],
        admin_key: str,
        http: httpx2.AsyncClient,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._urls = urls
        self._admin_key = admin_key
        self._http = http
        self._say = say
        self._said: dict[str, float] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, urls: Callable[[str], str], admin_key: str, say: Callable[[str], None] = lambda _: None
    ) -> "AsyncIterator[Client]":
        """A client for the duration. `urls` gives a service's base URL."""
        limits = httpx2.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30)
        timeout = httpx2.Timeout(120, connect=5)
        async with httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as http:
            yield cls(urls, admin_key, http, say)

    async def send(
        self,
        method: str,
        service: str,
        path: str,
        *,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        media_type: str = "application/json",
        stream: bool = False,
        timeout: float | None = None,
    ) -> tuple[httpx2.Response, int]:
        """Send until it is answered by anything but "not now"; also how often it was sent.

        `stream`: the answer's body is left to be read, and the answer to be closed. `timeout`: seconds to wait
        for it to begin, instead of the usual ones. Raises Refused when the service stays away for PATIENCE
        seconds.
        """
        headers = {"Authorization": f"Bearer {key or self._admin_key}", "Content-Type": media_type}
        times = 0
        try:
            async for attempt in stamina.retry_context(
                on=(httpx2.TransportError, _NotNow),
                attempts=None,
                timeout=PATIENCE,
                wait_initial=0.1,
                wait_max=5.0,
                wait_jitter=0.5,
            ):
                with attempt:
                    times = attempt.num
                    request = self._http.build_request(
                        method, self._urls(service) + path, params=params, content=content, headers=headers
                    )
                    if timeout is not None:
                        request.extensions["timeout"]["read"] = timeout
                    try:
                        answer = await self._http.send(request, stream=stream)
                        if answer.status_code in (502, 503, 504):
                            await answer.aread()
                            if _will_pass(answer):
                                raise _NotNow(_problem_of(answer))
                    except (httpx2.TransportError, _NotNow) as error:
                        self._tell(service, str(error) or type(error).__name__)
                        raise
        except (httpx2.TransportError, _NotNow) as error:
            raise Refused(
                f"{service} has been away for {PATIENCE:.0f} s: {str(error) or type(error).__name__}",
                remedy="See its log, start it, and run the same command again: it goes on where it was.",
            ) from error
        return answer, times

    def _tell(self, service: str, why: str) -> None:
        """Say that a service is waited for, but not at every attempt."""
        now = time.monotonic()
        if now - self._said.get(service, -math.inf) >= _TELL_AGAIN:
            self._said[service] = now
            self._say(f"{service} does not answer now ({why}): trying again")

    async def open_answer(
        self, service: str, path: str, params: Mapping[str, str], *, timeout: float
    ) -> httpx2.Response:
        """A large answer to a GET as admin, to be read and closed. Raises Refused for anything but 200."""
        answer, _ = await self.send("GET", service, path, params=params, stream=True, timeout=timeout)
        if not answer.is_success:
            await answer.aread()
            _json(answer, service, path)
        return answer

    async def get(self, service: str, path: str, params: Mapping[str, str] | None = None) -> Any:
        """What a GET as admin answers. Raises Refused for anything but 200."""
        answer, _ = await self.send("GET", service, path, params=params)
        return _json(answer, service, path)

    async def put(self, service: str, path: str, document: object) -> Any:
        """What a PUT as admin answers. Raises Refused unless it was accepted."""
        answer, _ = await self.send("PUT", service, path, content=msgspec.json.encode(document))
        return _json(answer, service, path)

    async def post(self, service: str, path: str, document: object) -> Any:
        """What a POST as admin answers. Raises Refused unless it was accepted."""
        answer, _ = await self.send("POST", service, path, content=msgspec.json.encode(document))
        return _json(answer, service, path)


class Sender:
    """Sends phases of lines with the keys of the provincial systems, a few requests at a time.

    `again`: the lines may be on record from an earlier run, so "duplicate" is as good as "accepted".
    `on_sent` is told of lines as they are answered.
    """

    def __init__(
        self, client: Client, keys: Sequence[str], *, again: bool, on_sent: Callable[[int], None]
    ) -> None:
        self._client = client
        self._keys = keys
        self._again = again
        self._on_sent = on_sent
        self._in_flight = asyncio.Semaphore(REQUESTS_IN_FLIGHT)
        self.tallied = Tallied()

    async def send(self, phase: Phase) -> None:
        """Send a phase whole; returns when all of it is answered. Raises Refused."""
        try:
            async with asyncio.TaskGroup() as requests:
                for chunk in phase.chunks(LINES_A_REQUEST):
                    await self._in_flight.acquire()
                    requests.create_task(self._send_and_release(chunk))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _send_and_release(self, chunk: Chunk) -> None:
        try:
            await (self._send_singly(chunk) if chunk.singly else self._send_bulk(chunk))
        finally:
            self._in_flight.release()

    async def _send_bulk(self, chunk: Chunk) -> None:
        path = f"{chunk.path}/bulk"
        response, times = await self._client.send(
            "POST",
            chunk.service,
            path,
            key=self._keys[chunk.system],
            content=chunk.body(),
            media_type="application/x-ndjson",
        )
        if response.status_code != 200:
            _json(response, chunk.service, path)
        answers = _answers.decode_lines(response.content)
        if len(answers) != len(chunk.lines):
            raise Refused(
                f"{chunk.service}{path} answered {len(answers)} of {len(chunk.lines)} lines.",
                remedy="Each line needs its answer; see the service's log.",
            )
        if times > 1:
            self.tallied.sent_again += len(chunk.lines)
        self._check(chunk, answers, range(len(answers)), again=self._again or times > 1)

    async def _send_singly(self, chunk: Chunk) -> None:
        for i, line in enumerate(chunk.lines):
            response, times = await self._client.send(
                "POST",
                chunk.service,
                chunk.path,
                key=self._keys[chunk.system],
                content=line.encode("latin-1"),
            )
            if response.status_code in (200, 201):
                answer = _answers.decode(response.content)
                told = ANSWERS[ACCEPTED if response.status_code == 201 else DUPLICATE]
                if answer.status != told:
                    answer = Answer(f"{answer.status} with status {response.status_code}", answer.line_id)
            elif response.status_code in (400, 409, 422):
                answer = Answer(ANSWERS[REJECTED], problem=msgspec.json.decode(response.content))
            else:
                _json(response, chunk.service, chunk.path)
                raise Refused(
                    f"{chunk.service}{chunk.path} answered a line with status {response.status_code}.",
                    remedy="201, 200 or a problem was to be expected; see the service's log.",
                )
            self.tallied.singly += 1
            self.tallied.sent_again += times > 1
            self._check(chunk, [answer], [i], again=self._again or times > 1)

    def _check(self, chunk: Chunk, answers: Sequence[Answer], lines: Sequence[int], *, again: bool) -> None:
        tallied = self.tallied
        for answer, i in zip(answers, lines, strict=True):
            expected = ANSWERS[chunk.expected[i]]
            if answer.status in tallied.answers:
                tallied.answers[answer.status] += 1
            if answer.status == expected:
                continue
            if again and (answer.status, expected) == (ANSWERS[DUPLICATE], ANSWERS[ACCEPTED]):
                continue
            tallied.unexpected += 1
            if len(tallied.examples) < _SHOWN:
                problem = answer.problem or {}
                detail = f"{problem.get('field', '')}: {problem.get('detail', '')}".strip(": ")
                tallied.examples.append(
                    Unexpected(chunk.path, answer.line_id, expected, answer.status, detail)
                )
        tallied.sent += len(answers)
        self._on_sent(len(answers))


def _json(response: httpx2.Response, service: str, path: str) -> Any:
    """The answer's document. Raises Refused for a problem, with its detail and remedy."""
    if response.is_success:
        return msgspec.json.decode(response.content) if response.content else None
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {"detail": response.text[:300]}
    kind = Refused
    if response.status_code == 404:
        kind = NotThere
    elif problem.get("type") == "urn:tiendo:problem:not-counted":
        kind = NotCounted
    raise kind(
        f"{service}{path} answered {response.status_code}: {problem.get('detail', '')}",
        remedy=str(problem.get("remedy") or "See the service's log."),
    )


def _will_pass(response: httpx2.Response) -> bool:
    """Whether the same request may be answered otherwise later: so unless the service says that it won't."""
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return True
    return problem.get("retryable") is not False


def _problem_of(response: httpx2.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content, type=dict[str, Any]).get("detail"))
    except msgspec.DecodeError:
        return f"status {response.status_code}"
