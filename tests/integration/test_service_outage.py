"""PostgreSQL goes away and comes back: nobody gets a 500, nothing is lost, nothing counts twice."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.aggregator import starting_aggregator
from tests.support.directory import AWAY, HOME, publish_directory
from tests.support.postgres import Database, PostgresServer, make_database
from tests.support.scratch import scratch_folder
from tests.support.services import (
    Service,
    activation,
    activation_line,
    approval_line,
    citizen,
    drained,
    intake,
    intake_line,
    ndjson,
)
from tiendo_common.database.embedded.server import EmbeddedPostgres

pytestmark = pytest.mark.anyio

DAY = date(2023, 11, 15)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that these tests may stop and kill; durable, since what was acknowledged must survive it."""
    with scratch_folder() as folder:
        launcher = EmbeddedPostgres(folder / "postgres")
        try:
            yield PostgresServer(launcher, launcher.start())
        finally:
            launcher.stop(timeout=5)


@pytest.fixture
def own_database(own_server: PostgresServer) -> Iterator[Database]:
    with make_database(own_server) as database:
        yield database
        own_server.launcher.start()


class Outage:
    """Stops the server and starts it again, off the loop on which the services run."""

    def __init__(self, server: PostgresServer) -> None:
        self._launcher = server.launcher

    async def stop(self, how: str) -> None:
        if how == "stopped":
            await asyncio.to_thread(self._launcher.stop, timeout=5)
        else:
            os.kill((await asyncio.to_thread(self._launcher.start)).pid, signal.SIGKILL)

    async def start(self) -> None:
        await asyncio.to_thread(self._launcher.start)


def ignore_abandoned_copies() -> None:
    """asyncpg forgets the future of a COPY whose connection breaks while rows are being written: the error is
    raised where it should be, and then reported once more as never retrieved."""
    loop = asyncio.get_running_loop()
    handle = loop.get_exception_handler()
    assert handle is not None

    def but_those(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncpg.ConnectionDoesNotExistError):
            handle(loop, context)

    loop.set_exception_handler(but_those)


async def send_until_accepted(
    service: Service, path: str, lines: list[dict[str, Any]], answers: Counter[str]
) -> None:
    """As a provincial system does: the same request again until it is answered, singly or in bulk."""
    bulk = len(lines) > 1
    async with asyncio.timeout(90):
        while True:
            if bulk:
                answer = await service.post(f"{path}/bulk", ndjson(lines))
            else:
                answer = await service.post(path, lines[0])
            if answer.status_code == 503:
                answers["later"] += 1
                assert answer.headers["retry-after"] == "1"
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["retryable"]
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code in (200, 201), answer.text
            for each in answer.text.splitlines():
                answers["duplicate" if '"duplicate"' in each else "accepted"] += 1
                assert '"rejected"' not in each
            return


async def check_that_it_answers(service: Service) -> None:
    """While the database is away: what needs none is answered, the rest is put off."""
    assert (await service.client.get("/livez")).status_code == 200
    path = "/v1/intakes" if service.kit.service == "intake" else "/v1/activations"
    assert (await service.post(path, b"{")).status_code == 422
    for path in ("/v1/tally", "/v1/log", "/v1/positions"):
        answer = await service.client.get(path, headers={"Authorization": "Bearer nimda"})
        assert answer.status_code in (200, 503)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_nothing_is_lost_or_counted_twice_when_the_database_goes_away_in_mid_request(
    own_server: PostgresServer, own_database: Database, tmp_path: Path, how: str
) -> None:
    ignore_abandoned_copies()
    await publish_directory(own_database)
    outage = Outage(own_server)
    citizens = [citizen() for _ in range(600)]
    singles, chunks = citizens[:200], [citizens[start : start + 100] for start in range(200, 600, 100)]
    answers: Counter[str] = Counter()
    async with intake(own_database, tmp_path) as desk, activation(own_database, tmp_path) as phones:

        async def live(some: list[str]) -> None:
            await send_until_accepted(desk, "/v1/intakes", [intake_line(who) for who in some], answers)
            await send_until_accepted(
                phones, "/v1/activations", [activation_line(who) for who in some], answers
            )
            await send_until_accepted(desk, "/v1/approvals", [approval_line(who) for who in some], answers)

        async def one_after_another(part: list[str]) -> None:
            for who in part:
                await live([who])

        async def go_away_twice() -> None:
            await asyncio.sleep(0.15)
            for _ in range(2):
                await outage.stop(how)
                for service in (desk, phones):
                    await check_that_it_answers(service)
                await asyncio.sleep(0.3)
                await outage.start()
                await asyncio.sleep(0.3)

        async with asyncio.TaskGroup() as group:
            for chunk in chunks:
                group.create_task(live(chunk))
            for turn in range(8):
                group.create_task(one_after_another(singles[turn::8]))
            group.create_task(go_away_twice())
        await drained(desk, phones)
        assert answers["later"] > 0
        counted = sum(n for cell, n in (await desk.cells()).items() if cell[:2] == ("approved", "residence"))
        assert counted == len(citizens)
        assert await phones.cells() == {
            ("activated", "residence", HOME, 2, DAY): len(citizens),
            ("activated", "collecting", AWAY, 2, DAY): len(citizens),
        }
        # Each line was accepted once; what was answered "duplicate" had been committed and not heard of.
        assert answers["accepted"] + answers["duplicate"] == 3 * len(citizens)
        await desk.ready()
        await phones.ready()


async def test_a_service_that_starts_before_its_database_waits_for_it(
    own_server: PostgresServer, own_database: Database, tmp_path: Path
) -> None:
    await publish_directory(own_database)
    outage = Outage(own_server)
    await outage.stop("stopped")
    async with intake(own_database, tmp_path, wait=False) as desk:
        assert (await desk.client.get("/livez")).status_code == 200
        async with asyncio.timeout(60):
            while "database" not in (await desk.client.get("/readyz")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        readiness = await desk.client.get("/readyz")
        assert (readiness.status_code, readiness.json()["status"]) == (503, "unready")
        assert "database" in readiness.json()["missing"][0]
        for answer in (
            await desk.post("/v1/intakes", intake_line(citizen())),
            await desk.post("/v1/intakes/bulk", intake_line(citizen())),
            await desk.client.get("/v1/tally", headers={"Authorization": "Bearer nimda"}),
            await desk.client.post(
                "/v1/clock",
                json={"now": "2023-11-20T20:00:00+07:00"},
                headers={"Authorization": "Bearer nimda"},
            ),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        await outage.start()
        await desk.ready()
        await desk.move_clock(desk.kit.clock.now())


async def test_before_its_tables_are_there_a_service_says_that_it_is_starting(
    own_database: Database, tmp_path: Path
) -> None:
    """Asked from the first moment on, it never says 500; nor before the units have come."""
    async with intake(own_database, tmp_path, wait=False) as desk:
        statuses: Counter[int] = Counter()
        async with asyncio.timeout(60):
            while "units" not in (await desk.client.get("/readyz")).text:
                for path in (
                    "/v1/tally",
                    "/v1/log",
                    "/v1/positions",
                    "/v1/intakes/5f0a2f2e-8a7d-4c3c-9d0e-2f1d6f3b9a11",
                ):
                    answer = await desk.client.get(path, headers={"Authorization": "Bearer nimda"})
                    statuses[answer.status_code] += 1
                statuses[(await desk.post("/v1/intakes", intake_line(citizen()))).status_code] += 1
        assert set(statuses) <= {200, 404, 503}
        assert statuses[503] > 0
        answer = await desk.post("/v1/intakes", intake_line(citizen()))
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        assert "units" in answer.json()["detail"]
        await publish_directory(own_database)
        await desk.ready()


async def test_before_its_tables_are_there_an_aggregator_says_that_it_is_starting(
    own_database: Database, tmp_path: Path
) -> None:
    """Plans are read in sessions of another library, which wraps what the database says."""
    async with starting_aggregator(own_database, tmp_path) as service:
        statuses: Counter[int] = Counter()
        async with asyncio.timeout(60):
            while (
                "not run yet" not in (ready := (await service.client.get("/readyz")).text)
                and "[]" not in ready
            ):
                for path in ("/v1/campaigns", "/v1/campaigns/kon-tum-2023", "/v1/units"):
                    answer = await service.client.get(path)
                    statuses[answer.status_code] += 1
                    assert answer.status_code != 500, answer.text
        assert statuses[503] > 0
