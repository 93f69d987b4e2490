"""Dead letters with closing figures: judged when they are replayed, as if they had come in time, or not at all."""

import asyncio

import asyncpg
import pytest

from tests.integration.test_dead_letters import bury, post
from tests.support.notifier import UNIT, Notifier, at, day_of, progress, target
from tests.support.postgres import Database
from tiendo_common.eventlog.port import Partition
from tiendo_common.events.envelope import encode

pytestmark = pytest.mark.anyio


async def closing_as_letter(notifier: Notifier, number: int, done: int) -> int:
    """A letter with the closing figures of a day, in the place of one that nobody could read."""
    await notifier.move_clock(at(day_of(number)))
    await notifier.aggregator.put_garbage(b"{")
    await notifier.consumed()
    sequence = await notifier.pool.fetchval("SELECT seq FROM dead_letter WHERE body = '{'")
    await notifier.pool.execute("DELETE FROM dead_letter WHERE body = '{'")
    body = encode(progress(day_of(number), done).event)
    return await bury(notifier.pool, "progress", Partition("progress", 0), body, sequence=sequence)


async def test_the_figures_of_the_newest_day_are_judged_when_they_are_replayed(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 100)
    letter = await closing_as_letter(notifier, 2, 0)
    assert (await notifier.get("incidents"))["incidents"] == []
    await post(notifier.http, f"/{letter}/replay", key="admin")
    (incident,) = (await notifier.get("incidents"))["incidents"]
    assert (incident["unit"], incident["opened_day"]) == (UNIT, "2023-11-12")


async def test_figures_change_nothing_when_they_are_replayed_after_a_later_day(notifier: Notifier) -> None:
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 100)
    letter = await closing_as_letter(notifier, 2, 0)
    await notifier.close_day(3, 100)
    before = await notifier.state()
    await post(notifier.http, f"/{letter}/replay", key="admin")
    assert await notifier.state() == before
    gap = {each["outcome"] for each in (await notifier.get("decisions", day="2023-11-12"))["decisions"]}
    assert gap == {"not_judged"}


async def test_a_replay_waits_for_the_batch_that_is_being_judged(
    notifier: Notifier, database: Database
) -> None:
    """Beside it, the two would see one standing and both write: a day could be judged after a later one."""
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 100)
    letter = await closing_as_letter(notifier, 2, 0)
    batch = await asyncpg.connect(database.dsn("notifier"))
    try:
        async with batch.transaction():
            # What a batch does: its position first, then its effects.
            await batch.execute("UPDATE consumer_position SET next = next WHERE consumer = 'progress'")
            replay = asyncio.create_task(post(notifier.http, f"/{letter}/replay", key="admin"))
            done, _ = await asyncio.wait([replay], timeout=0.5)
            assert not done
            await batch.execute("UPDATE standing SET judged_day = $1", day_of(3))
        assert (await replay)["state"] == "replayed"
        days = await batch.fetch("SELECT DISTINCT judged_day FROM standing")
    finally:
        await batch.close()
    assert [row[0] for row in days] == [day_of(3)]
    assert (await notifier.get("incidents"))["incidents"] == []
