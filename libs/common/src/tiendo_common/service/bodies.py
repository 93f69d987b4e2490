"""Request bodies: bounded before they are read, NDJSON split into numbered lines."""

from collections.abc import Collection, Iterator

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiendo_common.errors import Invalid, Problem, TooLarge

MAX_BODY = 32 * 1024 * 1024
MAX_SINGLE = 64 * 1024
MAX_LINES = 100_000
NDJSON = "application/x-ndjson"
JSON_TYPES = ("application/json",)
NDJSON_TYPES = (NDJSON, "application/ndjson", "application/jsonl")


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


#: Stands in the scope of a request until the last part of its body has been read, or will never come.
UNREAD = "tiendo.unread"


class LimitBodies:
    """ASGI middleware: no body of any route is read beyond `limit` bytes, whoever reads it. Routes that
    take less say so themselves."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        over = _declared_over(Headers(scope=scope), self._limit)
        size, refused = 0, False
        scope[UNREAD] = True

        async def bounded() -> Message:
            nonlocal size, refused
            message: Message = {} if over and not refused else await receive()
            size += len(message.get("body", b""))
            if message and not message.get("more_body"):
                scope.pop(UNREAD, None)
            if (over or size > self._limit) and not refused:
                # Once: whoever asks on wants to drop the rest. The framework lets this kind of error through
                # while it reads a body, and no other.
                refused = True
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)


def _declared_over(headers: Headers, limit: int) -> bool:
    declared = headers.get("content-length", "")
    return declared.isdecimal() and (len(declared) > 18 or int(declared) > limit)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be over `limit` bytes, unread."""
    if _declared_over(request.headers, limit):
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


def too_large(limit: int | None = None) -> TooLarge:
    """The problem of a body that is over `limit` bytes."""
    return TooLarge(
        "The body is too large." if limit is None else f"The body is over {limit:,} bytes.",
        remedy="Send it in several requests; line ids make it safe to send a line again.",
    )


def split_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbered lines of an NDJSON body, from 1; empty ones are counted and left out.

    Raises Invalid for what is plainly not NDJSON, TooLarge for more than MAX_LINES.
    """
    start = body[:64].lstrip()
    if start[:1] == b"[":
        raise Invalid(
            "The body is a JSON array.",
            remedy="Send one JSON object a line (NDJSON), without brackets or commas.",
        )
    if not start and not body.strip():
        raise Invalid("The body is empty.", remedy="Send one JSON object a line (NDJSON).")
    count = body.count(b"\n") + (not body.endswith(b"\n"))
    if count > MAX_LINES:
        raise TooLarge(
            f"The body has {count:,} lines; {MAX_LINES:,} are accepted in one request.",
            remedy="Send it in several requests.",
        )
    for number, line in enumerate(body.split(b"\n"), 1):
        line = line.strip()
        if line:
            yield number, line
