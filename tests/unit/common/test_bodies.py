"""Request bodies: bounded, and split into numbered lines."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from tiendo_common.errors import Invalid, TooLarge
from tiendo_common.service.bodies import (
    JSON_TYPES,
    MAX_LINES,
    NDJSON_TYPES,
    UnsupportedMedia,
    check_media_type,
    read_body,
    split_lines,
)


def request(headers: dict[str, str], parts: AsyncIterator[bytes] | None = None) -> Request:
    async def receive() -> Message:
        assert parts is not None, "the body was read"
        try:
            return {"type": "http.request", "body": await anext(parts), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": encoded}, receive)


async def stream(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.anyio
async def test_a_body_is_read_whole() -> None:
    assert await read_body(request({}, stream(b"ab", b"", b"cd")), 4) == b"abcd"


@pytest.mark.anyio
@pytest.mark.parametrize("declared", ["5", "10737418240", "9" * 5000])
async def test_a_body_declared_too_large_is_not_touched(declared: str) -> None:
    with pytest.raises(TooLarge):
        await read_body(request({"Content-Length": declared}), 4)


@pytest.mark.anyio
@pytest.mark.parametrize("declared", [None, "2", "-1", "x", ""])
async def test_a_body_that_is_larger_than_it_said_is_dropped_at_the_limit(declared: str | None) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x"

    headers = {} if declared is None else {"Content-Length": declared}
    with pytest.raises(TooLarge, match="10 bytes"):
        await read_body(request(headers, endless()), 10)
    assert taken == 11


@pytest.mark.parametrize(
    "declared", ["application/x-ndjson", "Application/X-NDJSON; charset=utf-8", "application/jsonl"]
)
def test_lines_may_be_declared_by_each_of_their_names(declared: str) -> None:
    check_media_type(request({"Content-Type": declared}), NDJSON_TYPES)


def test_a_body_that_is_declared_to_be_nothing_is_read() -> None:
    check_media_type(request({}), JSON_TYPES)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/csv"},
        {"Content-Type": ""},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_of_another_kind_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        check_media_type(request(headers), JSON_TYPES)
    assert caught.value.field in headers


def test_lines_are_numbered_with_the_empty_ones_counted() -> None:
    body = b'\r\n{"a":1}\r\n\n  \n{"b":2} \n{"c":3}'
    assert list(split_lines(body)) == [(2, b'{"a":1}'), (5, b'{"b":2}'), (6, b'{"c":3}')]


@pytest.mark.parametrize("body", [b"[]", b"  \n [1,\n2]", b'[{"line_id": "1"}]'])
def test_an_array_is_not_lines(body: bytes) -> None:
    with pytest.raises(Invalid, match="array"):
        list(split_lines(body))


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\r\n\t" * 100])
def test_a_body_without_lines_is_empty(body: bytes) -> None:
    with pytest.raises(Invalid, match="empty"):
        list(split_lines(body))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_exactly_so_many_lines_are_accepted(end: bytes) -> None:
    most = b"\n".join([b"x"] * MAX_LINES)
    assert sum(1 for _ in split_lines(most + end)) == MAX_LINES
    with pytest.raises(TooLarge, match=f"{MAX_LINES + 1:,} lines"):
        list(split_lines(most + b"\nx" + end))


def test_a_body_of_line_breaks_is_refused_before_it_is_split() -> None:
    with pytest.raises(TooLarge):
        next(split_lines(b"x" + b"\n" * (MAX_LINES + 1)))


@given(st.binary())
def test_splitting_and_joining_changes_nothing_but_space(body: bytes) -> None:
    try:
        lines = list(split_lines(body))
    except Invalid:
        return
    assert b"".join(line for _, line in lines) == b"".join(part.strip() for part in body.split(b"\n"))
    numbers = [number for number, _ in lines]
    assert numbers == sorted(set(numbers))
