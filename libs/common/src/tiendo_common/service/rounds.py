"""Work that a service does again and again beside answering requests."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tiendo_common.clock import Clock
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Unavailable

log = structlog.get_logger(__name__)

#: Seconds between two rounds while the clock is driven: it waits for nobody, but whoever drives it waits for the work.
DRIVEN_PAUSE = 0.05


async def go_round(step: Callable[[], Awaitable[object]], clock: Clock, pause: float, undone: str) -> None:
    """Do `step` every `pause` seconds until cancelled. A fault that passes is logged as `undone`; the next round tries
    again."""
    pause = DRIVEN_PAUSE if clock.driven else pause
    while True:
        try:
            await step()
        except (Unavailable, *PASSING_FAULTS) as error:
            log.warning(undone, reason=str(error))
        await asyncio.sleep(pause)
