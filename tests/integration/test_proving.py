"""The proof that runs all the time, beside the real services: it finds what is wrong, says so, and mends nothing."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator

import asyncpg
import httpx2
import pytest

from tests.support.scratch import scratch_folder
from tests.support.up import Sender, Tiendo, Up
from tiendo.proving import keep_proving
from tiendo.supervisor import free_port_base


@pytest.fixture
def up() -> Iterator[Up]:
    with scratch_folder() as folder:
        tiendo = Tiendo(folder / "data", free_port_base(28_000 + os.getpid() % 1000 * 10))
        try:
            with tiendo.up("--clock", "driven") as each:
                each.begin()
                yield each
        finally:
            tiendo.end_leftovers()


@pytest.mark.long
def test_a_counter_that_goes_wrong_is_found_told_and_left_to_an_order(up: Up) -> None:
    Sender().send(up, 40)
    up.counters()
    url, said, found = up.instance.url("aggregator"), list[str](), asyncio.Event()

    def say(words: str) -> None:
        said.append(words)
        found.set()

    async def edit(change: str) -> None:
        connection = await asyncpg.connect(up.instance.database_url("aggregator"))
        try:
            await connection.execute(
                f"UPDATE counter SET n = n {change} WHERE ctid = (SELECT ctid FROM counter "
                "WHERE residence = collecting ORDER BY day, residence, indicator, level LIMIT 1)"
            )
        finally:
            await connection.close()

    async def test() -> None:
        async with httpx2.AsyncClient(headers=up.instance.headers, trust_env=False, timeout=60) as http:

            async def until(proven: Callable[[dict[str, object]], bool]) -> None:
                limit = time.monotonic() + 60
                while True:
                    answer = await http.get(f"{url}/v1/reconciliations", params={"campaign": "kon-tum-2023"})
                    if proven(answer.json()):
                        return
                    assert time.monotonic() < limit, answer.text
                    await asyncio.sleep(0.1)

            proving = asyncio.create_task(keep_proving(up.instance, say, pause=0.1))
            try:
                await until(lambda answer: answer["clean"] is True)
                assert said == []
                await edit("+ 1")
                await until(lambda answer: answer["clean"] is False)
                await asyncio.wait_for(found.wait(), 60)
                assert said == ["kon-tum-2023: 2 counters differ"]
                gauge = "tiendo_reconciliation_differing_units 1.0"
                limit = time.monotonic() + 60
                while gauge not in (await http.get(f"{url}/metrics")).text:
                    assert time.monotonic() < limit
                    await asyncio.sleep(0.2)
                repaired = await http.post(f"{url}/v1/rebuilds", json={"repair_because": "edited by a test"})
                assert repaired.json()["repaired"] is True
                await until(lambda answer: answer["clean"] is True)
            finally:
                proving.cancel()
                await asyncio.gather(proving, return_exceptions=True)

    asyncio.run(test())
