"""Take incidents on, and see what became of them."""

from uuid import UUID

import asyncpg

from tiendo_common.clock import Clock
from tiendo_common.errors import Conflict, NotFound
from tiendo_notifier.storage import incidents as storage
from tiendo_notifier.storage import rule_figures
from tiendo_notifier.storage.rule_figures import RuleFigures


class Incidents:
    """What people do with incidents."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def acknowledge(self, identifier: UUID, author: str, note: str | None) -> None:
        """Somebody has taken it on: no level above is told any more, until it worsens. The same again changes nothing.
        Raises NotFound; Conflict if it is over, or somebody else's."""
        before = await storage.acknowledge(self._pool, str(identifier), author, note, self._clock.now())
        if before is None:
            raise NotFound(f"There is no incident {identifier}.")
        if before.state == "resolved":
            raise Conflict("The incident is over: there is nothing to take on.", field="id")
        if before.acknowledged_by not in (None, author):
            raise Conflict(
                f"{before.acknowledged_by} has taken it on already.",
                field="id",
                remedy="Nothing is to be done; a worsening lets that lapse.",
            )

    async def by_rule(self, campaign: str | None) -> list[RuleFigures]:
        """What became of the incidents of each rule."""
        return await rule_figures.read(self._pool, campaign)
