"""The driven clock's place in the database, so that a restarted service goes on at the same instant."""

from datetime import datetime

import asyncpg

from tiendo_common.clock import DrivenClock


class StoredClock:
    """Moves a driven clock and remembers where it stands."""

    def __init__(self, clock: DrivenClock, pool: asyncpg.Pool) -> None:
        self._clock = clock
        self._pool = pool

    async def load(self) -> None:
        """Go to where the clock stood before the restart."""
        stored: datetime | None = await self._pool.fetchval("SELECT now FROM driven_clock")
        if stored is not None and stored > self._clock.now():
            self._clock.move_to(stored)

    async def move_to(self, now: datetime) -> None:
        """Move forward. Raises ClockWentBackwards."""
        self._clock.check(now)
        await self._pool.execute(
            "INSERT INTO driven_clock (now) VALUES ($1) "
            "ON CONFLICT (singleton) DO UPDATE SET now = greatest(driven_clock.now, excluded.now)",
            now,
        )
        self._clock.move_to(now)
