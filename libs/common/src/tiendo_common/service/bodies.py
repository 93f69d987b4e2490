"""Request bodies: bounded before they are read, alone and together; NDJSON split into numbered lines."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiendo_common.errors import Invalid, Problem, TooLarge, Unavailable

MAX_BODY = 32 * 1024 * 1024
#: Bytes that all large requests of a process may take at once: their bodies, as far as they are not worked off
#: yet, and WORK each. One of the largest always fits.
MAX_TOGETHER = 40 * 1024 * 1024
#: Bytes that a large request takes beside its body: the lines in hand, their events, the answers.
WORK = 3 * 1024 * 1024
#: Bodies are kept in blocks of about so many bytes, so that what was worked off can be let go.
BLOCK = 64 * 1024
MAX_SINGLE = 64 * 1024
MAX_LINES = 100_000
NDJSON = "application/x-ndjson"
JSON_TYPES = ("application/json",)
NDJSON_TYPES = (NDJSON, "application/ndjson", "application/jsonl")
#: What some programs on Windows put before UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class UnsupportedMedia(Problem):
    """The body is said to be of another kind than the one that is read here."""

    status = 415
    code = "unsupported-media"
    title = "The body is of another kind"


def check_media_type(request: Request, accepted: Collection[str]) -> None:
    """Raise UnsupportedMedia if the body is declared to be something else, or compressed. A body that is
    declared to be nothing is read."""
    declared = request.headers.get("content-type")
    if declared is not None and declared.partition(";")[0].strip().lower() not in accepted:
        raise UnsupportedMedia(
            "The header Content-Type names another kind of body.",
            field="Content-Type",
            remedy=f"Send {next(iter(accepted))}.",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia(
            "Compressed bodies are not read.", field="Content-Encoding", remedy="Send the body as it is."
        )


class Busy(Unavailable):
    """Other large requests take all the memory that there is for them."""

    code = "busy"
    title = "Too many large requests at once"
    retry_after = 10


class Room:
    """What a large request holds of the memory that large requests share."""

    def __init__(self, rooms: "Rooms", size: int) -> None:
        self._rooms = rooms
        self.size = size

    def shrink(self, size: int) -> None:
        """Give back all but `size` bytes; more than is held is no longer to be had."""
        if size < self.size:
            self._rooms.give_back(self.size - size)
            self.size = size


class Rooms:
    """The memory that large requests share, in bytes. Whoever came first is let in first."""

    def __init__(self, total: int = MAX_TOGETHER, *, patience: float = 15.0) -> None:
        self._free = total
        self._patience = patience
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[Room]:
        """Room for `size` bytes for the duration. Raises Busy if there is none within `patience` seconds."""
        await self._take(size)
        room = Room(self, size)
        try:
            yield room
        finally:
            room.shrink(0)

    def give_back(self, size: int) -> None:
        """So many bytes are free again."""
        self._free += size
        self._let_in()

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(self._patience):
                await future
        except BaseException as error:
            if future.done() and not future.cancelled():
                self.give_back(size)  # let in and sent away at the same moment
            else:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                self._let_in()
            if isinstance(error, TimeoutError):
                raise Busy(
                    "Other large requests are being taken in at this moment.",
                    remedy="Send the same request again in a while, or fewer at once; nothing counts twice.",
                ) from None
            raise

    def _let_in(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, future = self._waiting.popleft()
            if not future.done():
                self._free -= size
                future.set_result(None)


#: Stands in the scope of a request until the last part of its body has been read, or will never come.
UNREAD = "tiendo.unread"


class BodyTooLarge(HTTPException):
    """As the framework knows it, with the limit in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.limit = limit


class LimitBodies:
    """ASGI middleware: no body of any route is read beyond `limit` bytes, whoever reads it, or beyond the lower
    limit of the paths that begin like this. Routes that read a body themselves may take less."""

    def __init__(self, app: ASGIApp, limit: int, below: Mapping[str, int] = {}) -> None:
        self._app = app
        self._limit = limit
        self._below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        limit = min(
            (lower for start, lower in self._below.items() if path.startswith(start)), default=self._limit
        )
        over = _declared_over(Headers(scope=scope), limit)
        size, refused = 0, False
        scope[UNREAD] = True

        async def bounded() -> Message:
            nonlocal size, refused
            message: Message = {} if over and not refused else await receive()
            size += len(message.get("body", b""))
            if message and not message.get("more_body"):
                scope.pop(UNREAD, None)
            if (over or size > limit) and not refused:
                # Once: whoever asks on wants to drop the rest. The framework lets this kind of error through
                # while it reads a body, and no other.
                refused = True
                raise BodyTooLarge(limit)
            return message

        await self._app(scope, bounded, send)


def _declared_over(headers: Headers, limit: int) -> bool:
    declared = headers.get("content-length", "")
    return declared.isdecimal() and (len(declared) > 18 or int(declared) > limit)


def announced(request: Request, limit: int) -> int:
    """How many bytes the body will have: as declared, else `limit`. Raises TooLarge if declared to be more."""
    if _declared_over(request.headers, limit):
        raise too_large(limit)
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else limit


async def read_blocks(request: Request, limit: int) -> deque[bytearray]:
    """The whole body in blocks, all but the last of at least BLOCK bytes, however small the parts are that it
    comes in. Raises TooLarge as soon as it is known to be over `limit` bytes, unread."""
    announced(request, limit)
    blocks: deque[bytearray] = deque()
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if blocks and len(blocks[-1]) < BLOCK:
            blocks[-1] += part
        elif part:
            blocks.append(bytearray(part))
    return blocks


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be over `limit` bytes, unread."""
    return b"".join(await read_blocks(request, limit))


def too_large(limit: int | None = None) -> TooLarge:
    """The problem of a body that is over `limit` bytes."""
    return TooLarge(
        "The body is too large." if limit is None else f"The body is over {limit:,} bytes.",
        remedy="Send it in several requests; line ids make it safe to send a line again.",
    )


def split_lines(blocks: deque[bytearray]) -> Iterator[tuple[int, bytes]]:
    """The numbered lines of an NDJSON body, from 1; empty ones are counted and left out.

    Takes the blocks out as it comes to them. Raises Invalid for what is plainly not NDJSON, TooLarge for more
    than MAX_LINES, each before the first line.
    """
    if blocks and blocks[0].startswith(BYTE_ORDER_MARK):
        del blocks[0][: len(BYTE_ORDER_MARK)]
    if all(not block or block.isspace() for block in blocks):
        raise Invalid("The body is empty.", remedy="Send one JSON object a line (NDJSON).")
    count = sum(block.count(b"\n") for block in blocks) + (not blocks[-1].endswith(b"\n"))
    if count > MAX_LINES:
        raise TooLarge(
            f"The body has {count:,} lines; {MAX_LINES:,} are accepted in one request.",
            remedy="Send it in several requests.",
        )
    head = bytes(blocks[0][:MAX_SINGLE]).lstrip()
    if head.startswith(b"["):
        raise Invalid(
            "The body is a JSON array.",
            remedy="Send one JSON object a line (NDJSON), without brackets or commas: `jq -c '.[]'` makes them.",
        )
    if _spans_lines(head):
        raise Invalid(
            "The body is JSON spread over several lines.",
            remedy="Send one JSON object a line (NDJSON), without line breaks in it: `jq -c .` takes them out.",
        )
    for number, line in enumerate(_pieces(blocks), 1):
        line = line.strip()
        if line:
            yield number, line


def _pieces(blocks: deque[bytearray]) -> Iterator[bytes]:
    """What stands between line breaks."""
    begun: list[bytes] = []
    while blocks:
        first, line_break, rest = bytes(blocks.popleft()).partition(b"\n")
        begun.append(first)
        if line_break:
            yield b"".join(begun)
            *whole, last = rest.split(b"\n")
            yield from whole
            begun = [last]
    yield b"".join(begun)


def _spans_lines(head: bytes) -> bool:
    """Whether the first JSON value goes on after a line break, as when somebody printed it to be read."""
    text = head.decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return "\n" in text[:end]
