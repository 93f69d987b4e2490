"""Take incidents on, and see what became of them."""

from uuid import UUID

import asyncpg

from tiendo_common.clock import Clock
from tiendo_common.errors import Conflict, NotFound
from tiendo_common.service.auth import ApiKey
from tiendo_notifier.storage import incidents as storage
from tiendo_notifier.storage import rule_figures
from tiendo_notifier.storage.rule_figures import RuleFigures
from tiendo_notifier.use_cases.reference import Reference


class Incidents:
    """What people do with incidents."""

    def __init__(self, pool: asyncpg.Pool, reference: Reference, clock: Clock) -> None:
        self._pool = pool
        self._reference = reference
        self._clock = clock

    async def acknowledge(self, identifier: UUID, key: ApiKey, note: str | None) -> None:
        """Somebody has taken it on: no level above is told any more, until it worsens. The same again changes nothing.
        Raises NotFound; OutOfBounds; Conflict if it is over, or somebody else's."""
        async with self._pool.acquire() as connection, connection.transaction():
            before = await storage.lock(connection, str(identifier))
            if before is None:
                raise NotFound(f"There is no incident {identifier}.")
            above = self._reference.codes_above(before.unit, self._clock.today())
            key.check_unit(before.unit, above, field="id")
            if before.state == "resolved":
                raise Conflict("The incident is over: there is nothing to take on.", field="id")
            if before.acknowledged_by is None:
                now = self._clock.now()
                await storage.acknowledge(connection, str(identifier), key.name, note, now)
            elif before.acknowledged_by != key.name:
                raise Conflict(
                    f"{before.acknowledged_by} has taken it on already.",
                    field="id",
                    remedy="Nothing is to be done; a worsening lets that lapse.",
                )

    async def by_rule(self, campaign: str | None) -> list[RuleFigures]:
        """What became of the incidents of each rule."""
        return await rule_figures.read(self._pool, campaign)
