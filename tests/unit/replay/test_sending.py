"""Sending: every answer is checked, what passes is waited out, and sending again is harmless.

The services here are the plain model behind an ASGI application, so that faults can be put in between.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
import stamina

from tests.unit.replay.plain_model import Register
from tests.unit.replay.support import campaign
from tiendo.errors import Refused
from tiendo.replay.citizens import Lives
from tiendo.replay.schedule import Schedule, SendingDay
from tiendo.replay.sending import Client, Sender, Tallied

pytestmark = pytest.mark.anyio
SCALE = 0.003
KEYS = ("key of system 1", "key of system 2")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def quick_retries() -> Any:
    stamina.set_testing(True, attempts=50)
    yield
    stamina.set_testing(False)


class Services:
    """The plain model over HTTP. `fault` may answer before a request is taken in, `after` once it is."""

    def __init__(self) -> None:
        kon_tum = campaign("kon-tum-2023", SCALE)
        self.register = Register(set(kon_tum.units.by_code), kon_tum.id, set(kon_tum.birth_provinces))
        self.now = "2023-12-07T20:00:00+07:00"
        self.requests = 0
        self.before: Callable[[int], int | None] = lambda _: None
        self.after: Callable[[int], int | None] = lambda _: None
        self.twist: Callable[[str], str] = lambda status: status

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests += 1
        fault = self.before(self.requests)
        content = b""
        if fault is None:
            service = scope["server"][0]
            key = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
            fault, content = self._take(service, scope["path"], KEYS.index(key), body)
            lost = self.after(self.requests)
            fault = fault if lost is None else lost
        if fault == 0:
            raise httpx2.ReadError("the service was killed")
        await send({"type": "http.response.start", "status": fault, "headers": []})
        await send({"type": "http.response.body", "body": content})

    def _take(self, service: str, path: str, system: int, body: bytes) -> tuple[int, bytes]:
        if not path.endswith("/bulk"):
            status = self.twist(self.register.answer(service, path, system, body, self.now))
            answer = {"status": status} if status != "rejected" else {"detail": "no", "field": "level"}
            return {"accepted": 201, "duplicate": 200, "rejected": 422}[status], msgspec.json.encode(answer)
        answers = [
            {
                "line": i,
                "status": self.twist(self.register.answer(service, path[:-5], system, raw, self.now)),
            }
            for i, raw in enumerate(body.splitlines(), 1)
        ]
        return 200, b"".join(msgspec.json.encode(answer) + b"\n" for answer in answers)


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(services)) as http:
        yield Client(lambda service: f"http://{service}", "admin", http)


def days() -> list[SendingDay]:
    return Schedule(Lives(campaign("kon-tum-2023", SCALE), 1)).days


async def send_all(services: Services, *, again: bool = False) -> Tallied:
    async with client_of(services) as client:
        sender = Sender(client, KEYS, again=again, on_sent=lambda _: None)
        for day in days():
            for round_ in day.rounds:
                services.now = round_.at.isoformat()
                for phase in round_.phases:
                    await sender.send(phase)
    return sender.tallied


def assert_published(services: Services) -> None:
    kon_tum = campaign("kon-tum-2023", SCALE)
    counted = services.register.counts("2023-12-07", set(kon_tum.communes))
    for indicator, count in kon_tum.counts.items():
        assert counted[indicator] == {1: count.level_1, 2: count.level_2}


async def test_every_line_is_answered_as_it_must_be() -> None:
    services = Services()
    tallied = await send_all(services)
    assert tallied.unexpected == 0
    assert tallied.sent == sum(day.size for day in days()) == sum(tallied.answers.values())
    assert tallied.answers["rejected"] > 0
    assert tallied.singly > 0
    assert_published(services)


async def test_a_service_that_is_away_is_waited_for() -> None:
    services = Services()
    services.before = lambda n: 503 if n % 3 == 0 else 0 if n % 3 == 1 else None
    tallied = await send_all(services)
    assert tallied.unexpected == 0
    assert tallied.sent_again > 0
    assert_published(services)


async def test_an_answer_that_got_lost_costs_nothing() -> None:
    services = Services()
    services.after = lambda n: 0 if n % 2 else None
    tallied = await send_all(services)
    assert tallied.unexpected == 0
    assert tallied.answers["duplicate"] > tallied.answers["accepted"] * 0.2
    assert_published(services)


async def test_a_replay_can_be_sent_whole_again() -> None:
    services = Services()
    first = await send_all(services)
    second = await send_all(services, again=True)
    assert second.unexpected == 0
    assert second.answers["accepted"] == 0
    assert second.answers["rejected"] == first.answers["rejected"]
    assert_published(services)


async def test_lines_on_record_are_a_surprise_in_a_first_run() -> None:
    services = Services()
    await send_all(services)
    tallied = await send_all(services)
    assert tallied.unexpected > 0


async def test_unexpected_answers_are_counted_and_the_first_ones_shown_without_the_citizen() -> None:
    services = Services()
    services.twist = lambda status: "accepted" if status == "duplicate" else status
    tallied = await send_all(services)
    assert tallied.unexpected > 5
    assert len(tallied.examples) == 5
    assert {example.expected for example in tallied.examples} == {"duplicate"}
    assert "citizen" not in repr(tallied.examples)


async def test_a_service_that_stays_away_is_named() -> None:
    services = Services()
    services.before = lambda _: 503
    async with client_of(services) as client:
        with pytest.raises(Refused, match="intake has been away"):
            await client.get("intake", "/v1/clock")


async def test_what_keeps_a_service_away_is_named_also_where_the_error_has_no_words() -> None:
    services = Services()

    def silent(_: object) -> int:
        raise httpx2.ReadTimeout("")

    services.before = silent
    async with client_of(services) as client:
        with pytest.raises(Refused, match=r"intake has been away for .*: ReadTimeout$"):
            await client.get("intake", "/v1/clock")


async def test_a_refusal_of_the_whole_request_says_why() -> None:
    services = Services()
    services.before = lambda _: 413
    with pytest.raises(Refused, match=r"intake/v1/intakes/bulk answered 413"):
        await send_all(services)
