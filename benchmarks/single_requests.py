"""A client that costs little: prepared requests on kept-alive connections, one in flight on each."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 128

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def prepare(url: str, path: str, key: str, body: str) -> bytes:
    """The bytes of a POST."""
    host = urlsplit(url).netloc
    content = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def requests_a_second(url: str, requests: Sequence[bytes]) -> float:
    """Send all of them; raises AssertionError if one isn't answered 201."""
    where = urlsplit(url)
    waiting = iter(requests)
    began = time.perf_counter()
    await asyncio.gather(
        *(_connection(str(where.hostname), int(where.port or 80), waiting) for _ in range(CONNECTIONS))
    )
    return len(requests) / (time.perf_counter() - began)


@dataclass(frozen=True)
class Answer:
    """When a request was due, when it was answered, and the record that it made."""

    due: float
    answered: float
    record: str


async def answers_at_rate(url: str, requests: Sequence[bytes], rate: int) -> list[Answer]:
    """Send them at a steady rate, whatever becomes of those before; raises AssertionError if one isn't answered 201."""
    where = urlsplit(url)
    free: asyncio.LifoQueue[Streams] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(str(where.hostname), int(where.port or 80)))
    answers: dict[int, Answer] = {}

    async def one(number: int, due: float) -> None:
        streams = await free.get()
        body = await _exchange(streams, requests[number])
        answers[number] = Answer(due, time.perf_counter(), json.loads(body)["record_id"])
        free.put_nowait(streams)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(len(requests)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    while not free.empty():
        await _close(free.get_nowait())
    return [answers[number] for number in range(len(requests))]


async def _connection(host: str, port: int, waiting: Iterator[bytes]) -> None:
    streams = await asyncio.open_connection(host, port)
    for request in waiting:
        await _exchange(streams, request)
    await _close(streams)


async def _exchange(streams: Streams, request: bytes) -> bytes:
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201"), head
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def _close(streams: Streams) -> None:
    streams[1].close()
    await streams[1].wait_closed()
