"""A client that costs little: prepared requests on kept-alive connections, one in flight on each."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

CONNECTIONS = 128


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


async def _connection(host: str, port: int, waiting: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for request in waiting:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201"), head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
