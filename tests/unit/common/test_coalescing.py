"""Single requests share calls; each gets its own answer."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from tiendo_common.service.coalescing import Coalescer

pytestmark = pytest.mark.anyio


class Desk:
    """Doubles numbers, some at a time, and notes the calls. Refuses a call that has a number in `broken`."""

    def __init__(self, *broken: int) -> None:
        self.calls: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.at_work = 0
        self.most_at_work = 0
        self._broken = set(broken)

    async def work(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
            if self._broken.intersection(items):
                raise LookupError(str(items))
            return [2 * item for item in items]
        finally:
            self.at_work -= 1


async def test_a_lone_item_does_not_wait() -> None:
    desk = Desk()
    assert await Coalescer(desk.work).submit(4) == 8
    assert desk.calls == [[4]]


async def test_answers_go_to_those_who_asked() -> None:
    desk = Desk()
    coalescer = Coalescer(desk.work, lanes=3, most=7)

    async def ask(number: int) -> None:
        await asyncio.sleep(random.Random(number).random() / 100)
        assert await coalescer.submit(number) == 2 * number

    await asyncio.gather(*[ask(number) for number in range(500)])
    assert sorted(item for call in desk.calls for item in call) == list(range(500))
    assert max(len(call) for call in desk.calls) <= 7
    assert desk.most_at_work <= 3


async def test_those_who_come_while_all_lanes_are_busy_go_together() -> None:
    desk = Desk()
    desk.open.clear()
    coalescer = Coalescer(desk.work, lanes=1)
    asking = [asyncio.create_task(coalescer.submit(number)) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.open.set()
    assert await asyncio.gather(*asking) == [0, 2, 4, 6, 8]
    assert desk.calls in ([[0], [1, 2, 3, 4]], [[0, 1, 2, 3, 4]])


async def test_an_error_reaches_those_of_its_call_and_nobody_else() -> None:
    desk = Desk(1)
    desk.open.clear()
    coalescer = Coalescer(desk.work, lanes=1, most=2)
    asking = [asyncio.create_task(coalescer.submit(number)) for number in range(6)]
    await asyncio.sleep(0)
    desk.open.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    hit = next(call for call in desk.calls if 1 in call)
    for number, outcome in enumerate(outcomes):
        if number in hit:
            assert isinstance(outcome, LookupError)
        else:
            assert outcome == 2 * number
    assert await coalescer.submit(9) == 18


async def test_a_caller_who_goes_away_disturbs_nobody_and_is_worked_for() -> None:
    desk = Desk()
    desk.open.clear()
    coalescer = Coalescer(desk.work, lanes=1)
    asking = [asyncio.create_task(coalescer.submit(number)) for number in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking[0].cancel()
    asking[2].cancel()
    await asyncio.sleep(0)
    desk.open.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        asyncio.CancelledError,
        int,
        asyncio.CancelledError,
        int,
    ]
    assert sorted(item for call in desk.calls for item in call) == [0, 1, 2, 3]
    assert await coalescer.submit(5) == 10


async def test_an_error_after_its_caller_went_away_is_nobodys() -> None:
    desk = Desk(0)
    desk.open.clear()
    coalescer = Coalescer(desk.work)
    asking = asyncio.create_task(coalescer.submit(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    desk.open.set()
    assert await coalescer.submit(1) == 2


async def test_too_few_answers_are_an_error_for_all_of_the_call() -> None:
    async def short(items: Sequence[int]) -> list[int]:
        return [2 * item for item in items][1:]

    coalescer = Coalescer(short)
    async with asyncio.timeout(60):
        with pytest.raises(ValueError, match="zip"):
            await coalescer.submit(1)
        with pytest.raises(ValueError, match="zip"):
            await coalescer.submit(1)
