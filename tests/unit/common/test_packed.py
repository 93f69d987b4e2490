"""Large answers are kept compressed until they are whole, and reach every client as what they are."""

import gzip
import json

import pytest
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.types import Message

from tiendo_common.service.packed import PLAIN, Packed

pytestmark = pytest.mark.anyio

LINE = json.dumps({"line": 1, "status": "accepted"}).encode() + b"\n"
LARGE = LINE * (20 * PLAIN // len(LINE))


def request(accepted: str | None) -> Request:
    headers = [] if accepted is None else [(b"accept-encoding", accepted.encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


def _bytes(part: object) -> bytes:
    assert isinstance(part, bytes)
    return part


async def answered(body: bytes, accepted: str | None) -> tuple[dict[str, str], bytes]:
    """What is sent for a body that was added in parts."""
    packed = Packed()
    for start in range(0, len(body), 50_000):
        packed.add(body[start : start + 50_000])
    response = packed.response(request(accepted), "text/plain")
    if isinstance(response, StreamingResponse):
        return dict(response.headers), b"".join([_bytes(part) async for part in response.body_iterator])
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await response(request(accepted).scope, receive, send)
    return dict(response.headers), b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("body", [b"", LINE, LINE * (PLAIN // len(LINE))])
async def test_a_small_answer_is_sent_as_it_is(body: bytes) -> None:
    headers, sent = await answered(body, "gzip")
    assert sent == body
    assert "content-encoding" not in headers


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"])
async def test_a_large_answer_is_sent_packed_to_who_can_unpack_it(accepted: str) -> None:
    headers, sent = await answered(LARGE, accepted)
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(sent) < len(LARGE) // 10
    assert gzip.decompress(sent) == LARGE


@pytest.mark.parametrize("accepted", [None, "", "identity", "deflate", "gzip;q=0", "gzip; q=0.0, br"])
async def test_a_large_answer_is_unpacked_for_who_cannot(accepted: str | None) -> None:
    headers, sent = await answered(LARGE, accepted)
    assert "content-encoding" not in headers
    assert sent == LARGE
