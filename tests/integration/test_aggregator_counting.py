"""Counters in a real database: fed by the producers' logs, stopped, started again."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.aggregator import (
    aggregator,
    counting_anew,
    eventually,
    producers,
    restated,
    segment,
)
from tests.support.lives import (
    D,
    counted,
    lives,
    started,
    totals,
)
from tests.support.postgres import Database, PostgresServer, make_database
from tests.support.scratch import scratch_folder
from tiendo_aggregator.storage.rebuild import FOLDED
from tiendo_common.database.embedded.server import EmbeddedPostgres
from tiendo_common.events.envelope import encode

pytestmark = [pytest.mark.anyio, pytest.mark.counted]


async def test_every_event_is_counted_once(database: Database, tmp_path: Path) -> None:
    events = lives(1500)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:2000])
        await feed.append(events[2000:])
        await service.drain(feed)
        assert await totals(database) == counted(events)
        by_channel = await service.kit.pool.fetchval("SELECT sum(n) FROM breakdown WHERE dimension = 0")
        assert by_channel == counted(events).total()


async def test_what_is_emptied_as_the_documents_say_is_counted_anew(
    database: Database, tmp_path: Path
) -> None:
    events = lives(300)

    async def counted_tables() -> dict[str, list[str]]:
        return {
            table: sorted([repr(row) for row in await connection.fetch(f"SELECT * FROM {table}")])
            for table in FOLDED
        }

    connection = await asyncpg.connect(database.dsn("aggregator"))
    try:
        async with started(database, tmp_path) as (service, feed):
            await feed.append(events)
            await service.drain(feed)
            before = await counted_tables()
            assert all(before[table] for table in ("counter", "waited", "team_counter"))
        # What no event of the log brings back.
        await connection.execute("INSERT INTO fault VALUES ('23281', '2023-11-12', 0, 1)")
        await connection.execute(counting_anew())
        async with producers(database) as feed, aggregator(database, tmp_path) as service:
            await service.drain(feed)
            assert await counted_tables() == before
            assert await totals(database) == counted(events)
    finally:
        await connection.close()


async def test_an_instance_of_the_build_with_two_readings_counts_its_log_anew(
    database: Database, tmp_path: Path
) -> None:
    """And no replica of that build counts beside it."""
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        assert await totals(database) == counted(events)
    work = "SELECT * FROM team_counter ORDER BY collecting, team, day, known_day, indicator, level"
    connection = await asyncpg.connect(database.dsn("aggregator"))
    try:
        by_team = await connection.fetch(work)
        assert by_team
        # As it was: the teams are behind, and nothing was known of waits.
        await connection.execute(
            """
            UPDATE alembic_version SET version_num = '20261129_0072_contests';
            ALTER TABLE consumer_position DROP CONSTRAINT consumer_position_one_reading;
            ALTER TABLE consumer_position ADD CONSTRAINT consumer_position_one_reading
                CHECK (consumer NOT IN ('totals', 'breakdowns'));
            UPDATE consumer_position SET consumer = 'counters' WHERE consumer = 'counting';
            INSERT INTO consumer_position (consumer, topic, partition)
                SELECT 'teams', topic, partition FROM consumer_position WHERE consumer = 'counters';
            TRUNCATE waited, team_counter;
            -- What came later.
            ALTER TABLE campaign DROP COLUMN parent, DROP COLUMN units, DROP COLUMN days_end_after_midnight;
            DROP TABLE fault, detail;
            DROP TABLE hamlet_list_row, hamlet_list, hamlet_span;
            ALTER TABLE reorganisation DROP COLUMN by_hamlet
            """
        )
        async with producers(database) as feed, aggregator(database, tmp_path) as service:
            await service.drain(feed)
            assert await totals(database) == counted(events)
            assert await connection.fetch(work) == by_team
            assert await connection.fetchval("SELECT count(*) FROM waited") > 0
            assert set(await service.positions()) == {"counting"}
            for before in ("counters", "teams"):
                with pytest.raises(asyncpg.CheckViolationError):
                    await connection.execute(
                        "INSERT INTO consumer_position (consumer, topic, partition) VALUES ($1, 'intake', 0)",
                        before,
                    )
    finally:
        await connection.close()


async def test_a_restart_in_between_loses_and_repeats_nothing(database: Database, tmp_path: Path) -> None:
    events = lives(3000)
    middle = len(events) // 2
    async with producers(database) as feed:
        await feed.append(events[:middle])
        async with aggregator(database, tmp_path) as service:

            async def some_counted() -> bool:
                return bool(await totals(database))

            await eventually(some_counted)  # then it is stopped, wherever it is
        await feed.append(events[middle:])
        async with aggregator(database, tmp_path) as service:
            await service.drain(feed)
        assert await totals(database) == counted(events)


async def test_two_replicas_share_the_work_and_count_once(database: Database, tmp_path: Path) -> None:
    events = lives(2000)
    async with (
        producers(database) as feed,
        aggregator(database, tmp_path) as one,
        aggregator(database, tmp_path),
    ):
        for start in range(0, len(events), 500):
            await feed.append(events[start : start + 500])
        await one.drain(feed)
        assert await totals(database) == counted(events)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A durable server that a test may kill."""
    with scratch_folder() as folder:
        launcher = EmbeddedPostgres(folder / "postgres")
        try:
            yield PostgresServer(launcher, launcher.start())
        finally:
            launcher.stop()


@pytest.fixture
def own_database(own_server: PostgresServer) -> Iterator[Database]:
    with make_database(own_server) as fresh:
        yield fresh


async def test_a_killed_database_costs_no_count(
    own_server: PostgresServer, own_database: Database, tmp_path: Path
) -> None:
    events = lives(3000)
    pid = own_server.server.pid
    async with started(own_database, tmp_path) as (service, feed):
        await service.become_ready()
        for start in range(0, len(events), 2000):
            await feed.append(events[start : start + 2000])
            os.kill(pid, signal.SIGKILL)
            for path in ("/v1/campaigns/kon-tum-2023", "/v1/campaigns/kon-tum-2023/progress"):
                answer = await service.client.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            pid = (await asyncio.to_thread(own_server.launcher.start)).pid
            await feed.reconnect()
        await service.drain(feed)
        assert await totals(own_database) == counted(events)
        await service.become_ready()


async def test_an_unreadable_event_is_put_aside_and_the_rest_counted(
    database: Database, tmp_path: Path
) -> None:
    events = lives(50)
    async with started(database, tmp_path) as (service, feed):
        await feed.append_body("intake", 3, b'{"type": "vn.tiendo.intake.intake-restated.v1", "id": ')
        await feed.append_body("approval", 4, b'{"type": "com.example.something", "id": "1"}')
        await feed.append(events)
        await service.drain(feed)
        assert await totals(database) == counted(events)
        letters = await service.kit.pool.fetch(
            "SELECT topic, partition, seq FROM dead_letter WHERE consumer = 'counting' ORDER BY topic"
        )
        assert [tuple(row) for row in letters] == [("approval", 4, 1), ("intake", 3, 1)]
        await service.become_ready()


async def test_an_event_of_a_newer_contract_halts_and_says_so(database: Database, tmp_path: Path) -> None:
    async with started(database, tmp_path) as (service, feed):
        await service.become_ready()
        body = encode(restated("intake", [segment(D, "23281")], known=D).event)
        await feed.append_body("intake", 0, body.replace(b"intake-restated.v1", b"intake-restated.v2"))

        async def halted() -> bool:
            missing = (await service.client.get("/readyz")).json()["missing"]
            return len(missing) == 1 and "intake-restated.v2" in missing[0]

        await eventually(halted)
        assert not await totals(database)
        assert (await service.get("/v1/campaigns/kon-tum-2023/progress"))["units"][0]["code"] == "62"
