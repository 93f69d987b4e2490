"""Request bodies: bounded before they are read, NDJSON split into numbered lines."""

from collections.abc import Iterator

from fastapi import Request

from tiendo_common.errors import Invalid, TooLarge

MAX_BODY = 32 * 1024 * 1024
MAX_SINGLE = 64 * 1024
MAX_LINES = 100_000
NDJSON = "application/x-ndjson"


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be over `limit` bytes, unread."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is over {limit:,} bytes.",
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
    lines = body.split(b"\n")
    if len(lines) > MAX_LINES + 1:
        raise TooLarge(
            f"The body has {len(lines):,} lines; {MAX_LINES:,} are accepted in one request.",
            remedy="Send it in several requests.",
        )
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line:
            yield number, line
