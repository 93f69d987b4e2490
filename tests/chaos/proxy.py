"""A TCP proxy that can be told to misbehave: what stands between a service and its server.

Connections that lost bytes never get any again: a stream with a hole in it would be a fault of the proxy, not
of a network. They end when the proxy is healed, as they would when a router comes back that has forgotten
them.
"""

import asyncio
import contextlib
import enum
import re
import socket
import struct
from collections.abc import Awaitable, Callable

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_CHUNK = 64 * 1024
#: The name that asyncpg gives a statement, and the statement.
_PREPARED = re.compile(rb"(__asyncpg_stmt_[0-9a-f]+__)\0([^\0]{8,})")


class Manner(enum.Enum):
    """How bytes are carried."""

    PASS = "pass"
    #: Each chunk is carried `seconds` late.
    DELAY = "delay"
    #: Nothing arrives in either direction until the manner changes; then everything does, in order.
    HOLD = "hold"
    #: Requests are lost: the server hears nothing more, the client waits.
    LOSE_UP = "lose up"
    #: Answers are lost: the server has done what it was asked, the client never hears.
    LOSE_DOWN = "lose down"
    #: New connections are accepted and never forwarded.
    DEAF = "deaf"
    #: New connections are refused.
    REFUSE = "refuse"


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.doomed = False
        self.statements: dict[bytes, bytes] = {}
        self._writers = [client]

    def add(self, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)

    def cut(self) -> None:
        """End it at once on both sides, with a reset where TCP has one."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.family == socket.AF_INET:
                with contextlib.suppress(OSError, ValueError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Listens on a port of loopback and carries what comes to wherever `dial` connects."""

    def __init__(self, dial: Dial) -> None:
        self.port = 0
        self.cuts = 0
        self._dial = dial
        self._manner = Manner.PASS
        self._seconds = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._healed = asyncio.Event()
        self._healed.set()
        self._links: set[_Link] = set()
        self._awaited = b""
        self._caught = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.heal()
        if self._server is not None:
            self._server.close()
        self.cut()

    def behave(self, manner: Manner, seconds: float = 0.0) -> None:
        """From now on, for connections old and new."""
        self._manner, self._seconds = manner, seconds
        for event, so in ((self._flowing, manner is not Manner.HOLD), (self._healed, manner is Manner.PASS)):
            if so:
                event.set()
            else:
                event.clear()

    async def hold_at(self, statement: bytes, patience: float) -> None:
        """Hold everything from the moment at which a client asks for a statement that says this. Raises
        TimeoutError if nobody does within `patience` seconds."""
        self._awaited = statement
        self._caught.clear()
        try:
            await asyncio.wait_for(self._caught.wait(), patience)
        finally:
            self._awaited = b""

    def heal(self) -> None:
        """Carry everything again; connections that lost something end."""
        self.behave(Manner.PASS)
        for link in [link for link in self._links if link.doomed]:
            link.cut()

    def cut(self) -> int:
        """End all connections at once; how many there were."""
        links = list(self._links)
        for link in links:
            link.cut()
        self.cuts += len(links)
        return len(links)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            if self._manner is Manner.REFUSE:
                return
            if self._manner is Manner.DEAF:
                link.doomed = True
                await reader.read()
                return
            try:
                upstream_reader, upstream = await self._dial()
            except OSError:
                return
            link.add(upstream)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(link, reader, upstream, Manner.LOSE_UP))
                pumps.create_task(self._pump(link, upstream_reader, writer, Manner.LOSE_DOWN))
        except* (OSError, RuntimeError):  # the latter is uvloop's, of a connection that was just reset
            pass
        finally:
            self._links.discard(link)
            link.cut()

    def _look_at(self, link: _Link, data: bytes) -> None:
        """Note the names under which a client prepares its statements, and catch the awaited one at its use."""
        link.statements.update(_PREPARED.findall(data))
        if self._awaited and any(
            self._awaited in text and b"\0%s\0" % name in data for name, text in link.statements.items()
        ):
            self.behave(Manner.HOLD)
            self._awaited = b""
            self._caught.set()

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost_when: Manner
    ) -> None:
        while True:
            data = await reader.read(_CHUNK)
            if lost_when is Manner.LOSE_UP:
                self._look_at(link, data)
            # Also the news of an end stays in the network, as long as nothing else gets through.
            await self._flowing.wait()
            if self._manner is Manner.DELAY:
                await asyncio.sleep(self._seconds)
            if self._manner is lost_when:
                link.doomed = True
            if link.doomed:
                if not data:
                    # The other side has not heard, and holds on until the network is healed.
                    await self._healed.wait()
                    break
                continue
            if not data:
                break
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
