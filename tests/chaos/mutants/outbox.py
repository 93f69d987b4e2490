"""What is told is put on its way a second after it was decided, in a transaction of its own: as if it could wait."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from tiendo_notifier.storage import outbox

log = structlog.get_logger(__name__)
_put = outbox.put
_running: set[asyncio.Task[None]] = set()


async def put(
    connection: Any,
    messages: Sequence[outbox.Message],
    deliveries: Sequence[tuple[str, str | None, str]],
    items: Sequence[tuple[str, str, datetime]],
) -> None:
    """Note what is to be told, and let the caller commit first."""
    pool = connection._holder._pool

    async def later() -> None:
        await asyncio.sleep(1)
        try:
            async with pool.acquire() as own, own.transaction():
                await _put(own, messages, deliveries, items)
        except Exception:
            log.exception("messages lost", count=len(messages))

    task = asyncio.create_task(later())
    _running.add(task)
    task.add_done_callback(_running.discard)


outbox.put = put
