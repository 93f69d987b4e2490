"""A service as the process that it is: bodies without end, clients that hang up, and the signal to stop."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2
import psutil
import pytest

from tests.support.directory import publish_directory
from tests.support.postgres import Database
from tests.support.services import Spawned, citizen, intake_line, ndjson, spawned

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def service(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Spawned]:
    await publish_directory(module_database)
    async with spawned(module_database, "intake", tmp_path_factory.mktemp("service")) as service:
        await service.listening()
        await service.ready()
        yield service


@dataclass
class Upload:
    """How an upload went: the answer's status and how much could be sent."""

    status: int
    sent: int
    head: str


async def upload(
    service: Spawned, path: str, *, key: str, declared: int | None, part: bytes, most: int
) -> Upload:
    """Send up to `most` bytes for as long as the server takes them, and read what it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    length = "Transfer-Encoding: chunked" if declared is None else f"Content-Length: {declared}"
    kind = "application/x-ndjson" if path.endswith("bulk") else "application/json"
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {kind}\r\n{length}\r\n\r\n".encode()
    )
    sent = 0
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    try:
        with contextlib.suppress(ConnectionError):
            while sent < most and not answer.done():
                writer.write(b"%x\r\n%b\r\n" % (len(part), part) if declared is None else part)
                await asyncio.wait_for(writer.drain(), 60)
                sent += len(part)
        head = (await asyncio.wait_for(answer, 60)).decode()
        return Upload(int(head.split()[1]), sent, head.lower())
    finally:
        answer.cancel()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


def memory(service: Spawned) -> int:
    assert service.process is not None
    rss: int = psutil.Process(service.process.pid).memory_info().rss
    return rss


def peak_memory(service: Spawned) -> int:
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("declared", [10 * 1024**3, None], ids=["declared", "streamed"])
@pytest.mark.parametrize("path", ["/v1/intakes", "/v1/intakes/bulk", "/v1/approvals", "/v1/clock"])
async def test_ten_gigabytes_are_refused_without_being_taken_in(
    service: Spawned, path: str, declared: int | None
) -> None:
    before = memory(service)
    went = await upload(service, path, key="nimda", declared=declared, part=b"x" * MIB, most=10 * 1024**3)
    assert went.status == 413, went.head
    assert "application/problem+json" in went.head
    assert "connection: close" in went.head
    # What was read up to the limit, and what stood in the kernel's buffers.
    assert went.sent < 60 * MIB
    assert memory(service) - before < 100 * MIB


async def test_without_a_key_nothing_of_a_body_is_kept(service: Spawned) -> None:
    before = memory(service)
    for path in ("/v1/intakes", "/v1/intakes/bulk"):
        went = await upload(
            service, path, key="wrong", declared=10 * 1024**3, part=b"x" * MIB, most=200 * MIB
        )
        assert went.status == 401
    assert memory(service) - before < 40 * MIB


async def test_a_large_batch_leaves_no_memory_behind(service: Spawned) -> None:
    """Three times 32 MiB of lines, of which none is one."""
    body = b"\n".join([b"x" * 330] * 100_000)
    peaks = []
    for _ in range(3):
        answer = await service.post("/v1/intakes/bulk", body)
        assert (answer.status_code, answer.text.count("rejected")) == (200, 100_000)
        peaks.append(memory(service))
    assert peaks[2] - peaks[1] < 30 * MIB


async def test_large_batches_at_once_take_little_more_memory_than_one(service: Spawned) -> None:
    """Six times 20 MiB of lines. Who is sent away comes again when he was told to, and is taken in."""
    body = b"\n".join([b"x" * 210] * 100_000)
    before = memory(service)

    async def send() -> tuple[int, int]:
        while True:
            answer = await service.post("/v1/intakes/bulk", body)
            if answer.status_code != 503:
                return answer.status_code, answer.text.count("rejected")
            assert answer.json()["type"] == "urn:tiendo:problem:busy"
            await asyncio.sleep(int(answer.headers["retry-after"]))

    answers = await asyncio.gather(*(send() for _ in range(6)))
    assert answers == [(200, 100_000)] * 6
    assert peak_memory(service) - before < 80 * MIB


async def test_a_client_that_hangs_up_in_mid_body_is_no_error_of_ours(service: Spawned) -> None:
    for path in ("/v1/intakes", "/v1/intakes/bulk", "/v1/clock"):
        for declared in (b"Content-Length: 5000", b"Transfer-Encoding: chunked"):
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nimda\r\n%b\r\n\r\n"
                b'10\r\n{"line_id": "1",' % (path.encode(), declared)
            )
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
    await asyncio.sleep(0.2)
    metrics = (await service.client.get("/metrics")).text
    assert 'status="500"' not in metrics
    log = service.log.read_text()
    assert "unexpected" not in log
    assert "Traceback" not in log


async def test_a_client_that_hangs_up_before_the_answer_has_its_line_on_record(service: Spawned) -> None:
    line = intake_line(citizen())
    body = json.dumps(line).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        b"POST /v1/intakes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ecnivorp\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    await writer.drain()
    writer.transport.abort()

    async def on_record() -> bool:
        return (await service.post("/v1/intakes", line)).status_code == 200

    await until(on_record)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/intakes HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/intakes HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/intakes HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"POST /v1/intakes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/intakes/%00 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nimda\r\n\r\n",
        b"GET /v1/intakes/%ff%fe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nimda\r\n\r\n",
        b"GET /v1/failures?unit=%00 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nimda\r\n\r\n",
        b"CITIZEN062199000001 /v1/intakes HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_request_does_no_harm(service: Spawned, garbage: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(garbage)
    with contextlib.suppress(ConnectionError, TimeoutError):
        answer = await asyncio.wait_for(reader.read(1000), 3)
        assert not answer or answer.split()[1].startswith(b"4"), answer
    writer.close()
    assert (await service.client.get("/livez")).status_code == 200
    metrics = (await service.client.get("/metrics")).text
    assert 'status="500"' not in metrics
    assert "CITIZEN" not in metrics


async def bulk_under_way(service: Spawned) -> asyncio.Task[httpx2.Response]:
    """A request of 6,000 lines, the first chunk of which is on record."""
    lines = [intake_line(citizen()) for _ in range(6000)]
    bulk = asyncio.create_task(service.post("/v1/intakes/bulk", ndjson(lines)))

    async def begun() -> bool:
        topics = (await service.get("/v1/log"))["topics"]
        return sum(sum(topic["next"]) for topic in topics.values()) > 500

    await until(begun)
    return bulk


async def test_at_a_stop_requests_under_way_are_finished(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await publish_directory(database)
    async with spawned(database, "intake", tmp_path_factory.mktemp("service")) as service:
        await service.listening()
        await service.ready()
        assert service.process is not None
        singles = [asyncio.create_task(service.post("/v1/intakes", intake_line(citizen()))) for _ in range(5)]
        bulk = await bulk_under_way(service)
        service.process.send_signal(signal.SIGTERM)
        answer = await bulk
        assert (answer.status_code, answer.text.count("accepted")) == (200, 6000)
        assert {(await each).status_code for each in singles} == {201}
        assert await asyncio.to_thread(service.process.wait, 60) == 0
        log = [json.loads(line) for line in service.log.read_text().splitlines()]
        assert "stopped" in [entry["event"] for entry in log]
        assert all("Traceback" not in json.dumps(entry) for entry in log)


async def test_a_stop_before_the_start_is_done_is_a_stop(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing was published: it would wait for the units for ever."""
    async with spawned(database, "activation", tmp_path_factory.mktemp("service")) as service:
        await service.listening()
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.process.wait, 60) == 0


async def test_a_service_that_cannot_start_says_why_and_ends(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("service")
    async with spawned(database, "intake", folder, person_keys=(1, 2)) as service:
        await service.listening()

        async def migrated() -> bool:
            return "units" in (await service.client.get("/readyz")).text

        await until(migrated)
    async with spawned(database, "intake", folder, person_keys=(1,)) as service:
        assert service.process is not None
        assert await asyncio.to_thread(service.process.wait, 60) == 1
        assert "The database holds hashes under person key 2" in service.log.read_text()


async def test_a_service_whose_part_fails_finishes_its_requests_and_ends(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever keeps it running starts it again; one that stayed would never be ready."""
    await publish_directory(database)
    async with spawned(database, "intake", tmp_path_factory.mktemp("service")) as service:
        await service.listening()
        await service.ready()
        assert service.process is not None
        bulk = await bulk_under_way(service)
        connection = await asyncpg.connect(database.admin_dsn)
        try:
            await connection.execute("ALTER TABLE intake.log_watermark RENAME TO gone")
            assert await asyncio.to_thread(service.process.wait, 60) == 1
        finally:
            await connection.close()
        answer = await bulk
        assert (answer.status_code, answer.text.count("accepted")) == (200, 6000)
        assert "a background part failed" in service.log.read_text()
