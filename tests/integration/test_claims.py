"""Replicas lock positions in one order, so that none waits for another that waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest

from tests.support.aggregator import eventually
from tests.support.postgres import Database
from tiendo_common.errors import Fenced
from tiendo_common.eventlog.claims import Claims
from tiendo_common.eventlog.port import Position

pytestmark = [pytest.mark.anyio, pytest.mark.counted]


async def advance(claims: Claims, pool: asyncpg.Pool) -> None:
    """All positions by one, begun with the last."""
    since = dict(reversed(claims.positions().items()))
    to = {each: Position(at.next + 1, at.generation) for each, at in since.items()}
    async with pool.acquire() as connection, connection.transaction():
        await claims.advance(connection, since, to)
    claims.moved(to)


async def release(claims: Claims, _pool: asyncpg.Pool) -> None:
    await claims.release()


async def waiting(pool: asyncpg.Pool) -> bool:
    """Whether a session of this database waits for a lock."""
    answer: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database())"
    )
    return answer


@pytest.mark.parametrize("act", [advance, release])
async def test_who_waits_for_the_first_position_holds_none_of_the_others(
    database: Database, act: Callable[[Claims, asyncpg.Pool], Awaitable[None]]
) -> None:
    async with asyncpg.create_pool(database.dsn("aggregator"), min_size=1, max_size=4) as pool:
        claims = Claims(pool, "test", ("intake",), lease=60, heartbeat=20)
        await claims.renew()
        of_test = "FROM consumer_position WHERE consumer = 'test'"
        # In the table its row stands last: a scan of it comes to this one in the end.
        await pool.execute(
            "UPDATE consumer_position SET next = next WHERE consumer = 'test' AND partition = 0"
        )
        await pool.execute("ANALYZE consumer_position")

        async def free() -> list[Any]:
            async with pool.acquire() as connection, connection.transaction():
                return list(await connection.fetch(f"SELECT partition {of_test} FOR UPDATE SKIP LOCKED"))

        async with pool.acquire() as other, other.transaction():
            await other.execute(f"SELECT {of_test} AND partition = 0 FOR UPDATE")
            acting = asyncio.ensure_future(act(claims, pool))
            await eventually(partial(waiting, pool))
            assert len(await free()) == len(await pool.fetch(f"SELECT {of_test}")) - 1
        await acting
        assert await pool.fetchval(f"SELECT count(*) {of_test} AND (next = 2 OR owner IS NULL)") == len(
            await pool.fetch(f"SELECT {of_test}")
        )


async def test_who_waited_while_a_position_was_taken_is_fenced(database: Database) -> None:
    async with asyncpg.create_pool(database.dsn("aggregator"), min_size=1, max_size=4) as pool:
        claims = Claims(pool, "test", ("intake",), lease=60, heartbeat=20)
        await claims.renew()
        async with pool.acquire() as other, other.transaction():
            await other.execute(
                "UPDATE consumer_position SET epoch = epoch + 1 WHERE consumer = 'test' AND partition = 3"
            )
            acting = asyncio.create_task(advance(claims, pool))
            await eventually(partial(waiting, pool))
        with pytest.raises(Fenced):
            await acting
        assert await pool.fetchval("SELECT max(next) FROM consumer_position WHERE consumer = 'test'") == 1
