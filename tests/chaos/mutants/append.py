"""Events are appended after the business transaction, in one of their own: the usual dual write."""

import asyncio
from collections.abc import Sequence

import asyncpg
import structlog

from tiendo_common.eventlog.port import Connection, NewEvent
from tiendo_common.eventlog.postgres import PostgresEventLog

log = structlog.get_logger(__name__)
_append = PostgresEventLog.append
_running: set[asyncio.Task[None]] = set()


async def append(self: PostgresEventLog, connection: Connection, events: Sequence[NewEvent]) -> None:
    """Note what is to be appended, and let the caller commit first."""
    if events:
        task = asyncio.create_task(_after(self, connection, list(events)))
        _running.add(task)
        task.add_done_callback(_running.discard)


async def _after(event_log: PostgresEventLog, connection: Connection, events: list[NewEvent]) -> None:
    try:
        while connection.is_in_transaction():  # noqa: ASYNC110 - nobody says when it ends
            await asyncio.sleep(0.002)
    except asyncpg.InterfaceError:
        pass  # given back to the pool: the transaction is over
    try:
        async with event_log._pool.acquire() as own, own.transaction():
            await _append(event_log, own, events)
    except Exception:
        log.exception("events lost", count=len(events))


PostgresEventLog.append = append  # type: ignore[method-assign]
