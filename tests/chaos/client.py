"""A plain HTTP client for the load: a general one costs more per request than the services take to answer it."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping


class Client:
    """Posts to ports of loopback over connections that are kept while they work."""

    def __init__(self, timeout: float) -> None:
        """`timeout`: seconds for all of a request."""
        self._timeout = timeout
        self._idle: defaultdict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
        self._idle = defaultdict(list)

    async def post(self, port: int, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError, EOFError or TimeoutError where there is none; whether the
        request was carried out is then not known."""
        async with asyncio.timeout(self._timeout):
            reader, writer = await self._connection(port)
            try:
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{head}\r\n"
                writer.write(head.encode() + body)
                answer = await self._read(reader)
            except BaseException:
                # Whatever comes on this connection belongs to a request that nobody waits for any more.
                writer.transport.abort()
                raise
        self._idle[port].append((reader, writer))
        return answer

    def close(self) -> None:
        for connections in self._idle.values():
            for _, writer in connections:
                writer.transport.abort()
        self._idle.clear()

    async def _connection(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        idle = self._idle[port]
        while idle:
            reader, writer = idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
        return await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        # The services always say how long an answer is.
        return int(head[0].split(" ")[1]), await reader.readexactly(int(headers["content-length"]))
