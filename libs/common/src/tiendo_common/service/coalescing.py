"""Single requests share transactions: those that arrive while one runs go together into the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class Coalescer(Generic[ItemT, AnswerT]):
    """Turns a function of many items into one of a single item, without waiting when idle.

    An item is worked on at once if a lane is free; otherwise it joins those that wait, and all of them go
    in one call as soon as a lane is. Every caller gets its own answer, or the error of its call.
    """

    def __init__(
        self,
        work: Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]],
        *,
        lanes: int = 2,
        most: int = 500,
    ) -> None:
        self._work = work
        self._free = lanes
        self._most = most
        self._waiting: deque[tuple[ItemT, asyncio.Future[AnswerT]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, item: ItemT) -> AnswerT:
        """The answer for this item. If the caller goes away, the item is still worked on."""
        future: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._free:
            self._free -= 1
            task = asyncio.create_task(self._lane())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def _lane(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                try:
                    answers = await self._work([item for item, _ in taken])
                    answered = list(zip(taken, answers, strict=True))
                except Exception as error:
                    for _, future in taken:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), answer in answered:
                    if not future.done():
                        future.set_result(answer)
        finally:
            self._free += 1
