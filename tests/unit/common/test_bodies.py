"""Request bodies: bounded, alone and together, and split into numbered lines."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from tiendo_common.errors import Invalid, TooLarge
from tiendo_common.service.bodies import (
    BLOCK,
    JSON_TYPES,
    MAX_BODY,
    MAX_LINES,
    MAX_TOGETHER,
    NDJSON_TYPES,
    WORK,
    Busy,
    Rooms,
    UnsupportedMedia,
    announced,
    check_media_type,
    read_blocks,
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


def lines_of(body: bytes, block: int = BLOCK) -> list[tuple[int, bytes]]:
    blocks = [bytearray(body[start : start + block]) for start in range(0, len(body), block)]
    return list(split_lines(deque(blocks)))


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
    assert lines_of(body) == [(2, b'{"a":1}'), (5, b'{"b":2}'), (6, b'{"c":3}')]


@pytest.mark.parametrize("body", [b"[]", b"  \n [1,\n2]", b'[{"line_id": "1"}]'])
def test_an_array_is_not_lines(body: bytes) -> None:
    with pytest.raises(Invalid, match="array"):
        lines_of(body)


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\r\n\t" * 100])
def test_a_body_without_lines_is_empty(body: bytes) -> None:
    with pytest.raises(Invalid, match="empty"):
        lines_of(body)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_exactly_so_many_lines_are_accepted(end: bytes) -> None:
    most = b"\n".join([b"x"] * MAX_LINES)
    assert len(lines_of(most + end)) == MAX_LINES
    with pytest.raises(TooLarge, match=f"{MAX_LINES + 1:,} lines"):
        lines_of(most + b"\nx" + end)


def test_a_body_of_line_breaks_is_refused_before_it_is_split() -> None:
    with pytest.raises(TooLarge):
        next(split_lines(deque([bytearray(b"x" + b"\n" * (MAX_LINES + 1))])))


@given(st.binary(), st.integers(1, 9))
def test_splitting_and_joining_changes_nothing_but_space(body: bytes, block: int) -> None:
    try:
        lines = lines_of(body, block)
    except Invalid:
        return
    assert b"".join(line for _, line in lines) == b"".join(part.strip() for part in body.split(b"\n"))
    numbers = [number for number, _ in lines]
    assert numbers == sorted(set(numbers))


def test_blocks_are_let_go_as_their_lines_are_taken() -> None:
    blocks = deque(bytearray(b"x" * 9 + b"\n") for _ in range(100))
    lines = split_lines(blocks)
    for _ in range(50):
        next(lines)
    assert len(blocks) == 50


@pytest.mark.anyio
async def test_a_body_in_single_bytes_takes_no_more_than_its_size() -> None:
    blocks = await read_blocks(request({}, stream(*[b"x"] * (BLOCK + 10))), BLOCK * 2)
    assert [len(block) for block in blocks] == [BLOCK, 10]


def test_a_byte_order_mark_costs_no_line() -> None:
    assert lines_of(b"\xef\xbb\xbf{}\n{}") == [(1, b"{}"), (2, b"{}")]
    with pytest.raises(Invalid, match="empty"):
        lines_of(b"\xef\xbb\xbf\n")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"line_id": "1", "level": 2}, indent=2).encode(),
        b'{"line_id": "1",\r\n "level": 2}',
        b'\n{"line_id": "1",\n "level": 2}\n{"line_id": "2",\n "level": 2}\n',
        b'\xef\xbb\xbf{\n"line_id": "1"}',
    ],
)
def test_json_that_was_printed_to_be_read_is_said_to_be_so_once(body: bytes) -> None:
    with pytest.raises(Invalid, match="spread over several lines") as caught:
        lines_of(body)
    assert "jq -c" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "body", [b'{\n{"line_id": "2"}', b'{"a": 1\n{"a": 1}\n}', b'{"a": "x\ny"}\n{}', b'{"a":' * 5000 + b"\n1"]
)
def test_a_first_line_that_is_broken_is_a_line_all_the_same(body: bytes) -> None:
    assert len(lines_of(body)) == body.count(b"\n") + 1


@pytest.mark.parametrize(
    ("headers", "bytes_"),
    [({"Content-Length": "7"}, 7), ({}, 10), ({"Content-Length": "x"}, 10), ({"Content-Length": "-1"}, 10)],
)
def test_a_body_is_taken_to_be_as_large_as_it_says_or_may_be(headers: dict[str, str], bytes_: int) -> None:
    assert announced(request(headers), 10) == bytes_


def test_the_largest_body_always_fits() -> None:
    assert MAX_BODY + WORK <= MAX_TOGETHER


@pytest.mark.anyio
async def test_bodies_together_get_no_more_room_than_there_is() -> None:
    rooms, inside, most = Rooms(10), 0, 0

    async def visit(size: int) -> None:
        nonlocal inside, most
        async with rooms.room(size) as room:
            inside += size
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= size // 2
            room.shrink(size - size // 2)
            await asyncio.sleep(0.001)
            inside -= size - size // 2

    await asyncio.gather(*(visit(size) for size in (10, 4, 4, 4, 10, 1, 7, 2, 9) * 5))
    assert (inside, most) == (0, 10)


@pytest.mark.anyio
async def test_who_waits_too_long_for_room_is_sent_away_and_told_when_to_come_back() -> None:
    rooms = Rooms(10, patience=0.01)
    async with rooms.room(8):
        with pytest.raises(Busy) as caught:
            async with rooms.room(3):
                pass
        assert caught.value.status == 503
        assert caught.value.retryable
        assert caught.value.retry_after > 1
        async with rooms.room(2):
            pass
    async with rooms.room(10):
        pass


@pytest.mark.anyio
async def test_whoever_came_first_is_let_in_first() -> None:
    rooms, came = Rooms(10), list[str]()

    async def visit(name: str, size: int) -> None:
        async with rooms.room(size):
            came.append(name)

    async with rooms.room(5) as room:
        visits = [asyncio.create_task(visit(name, size)) for name, size in (("large", 10), ("small", 1))]
        await asyncio.sleep(0.01)
        assert came == []
        room.shrink(0)
        await asyncio.gather(*visits)
    assert came == ["large", "small"]


@pytest.mark.anyio
async def test_who_leaves_while_he_waits_or_as_he_is_let_in_takes_no_room_away() -> None:
    rooms = Rooms(10)

    async def visit() -> None:
        async with rooms.room(6):
            await asyncio.Event().wait()

    for let_in in (False, True):
        async with rooms.room(8) as room:
            visits = [asyncio.create_task(visit()) for _ in range(2)]
            await asyncio.sleep(0)
            if let_in:
                room.shrink(0)  # the first visitor is let in, and hears of it only after he has left
            for each in visits:
                each.cancel()
            await asyncio.gather(*visits, return_exceptions=True)
        async with asyncio.timeout(60), rooms.room(10):
            pass
