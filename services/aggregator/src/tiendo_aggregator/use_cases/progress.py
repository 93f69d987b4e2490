"""Where units stand."""

from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.counting import ATTRIBUTIONS, Attribution
from tiendo_aggregator.rules.progress import UnitProgress, unit_progress
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.use_cases.scope import Scopes


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """A unit and what is below it, as of the end of a day, as known at the end of `known_at` (None: now)."""

    campaign: str
    as_of: date
    known_at: date | None
    by: Attribution
    complete_to: datetime | None
    units: list[UnitProgress]


class Progress:
    """Counts set against the plan, up the tree of the day asked for."""

    def __init__(self, pool: asyncpg.Pool, scopes: Scopes) -> None:
        self._pool = pool
        self._scopes = scopes

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        unit: str | None,
        by: Attribution,
        depth: int,
    ) -> ProgressReport:
        """Where a unit and those below it stand. Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, unit=unit)
        stored, tree, root = scope.stored, scope.tree, scope.root
        async with self._pool.acquire() as connection:
            counts = await count(
                connection,
                list(tree.below(root)),
                ATTRIBUTIONS.index(by),
                scope.day,
                stored.campaign.first_day,
                known_at,
            )
        return ProgressReport(
            campaign,
            scope.day,
            known_at,
            by,
            scope.complete_to,
            unit_progress(stored.plan, stored.targets, tree, root, depth, counts),
        )
