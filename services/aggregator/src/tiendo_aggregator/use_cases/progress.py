"""Where units stand."""

from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.counting import ATTRIBUTIONS, Attribution
from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.rules.progress import UnitProgress, unit_progress
from tiendo_aggregator.rules.rebasing import rebased
from tiendo_aggregator.rules.units import Followed
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """A unit and what is below it, as of the end of a day, as known at the end of `known_at` (None: now), on the tree
    of a day."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    by: Attribution
    phase: str | None
    complete_to: datetime | None
    units: list[UnitProgress]


async def standings(
    connection: Connection,
    stored: StoredPlan,
    followed: Followed,
    *,
    root: str,
    by: Attribution,
    as_of: date,
    known_at: date | None,
    depth: int,
) -> list[UnitProgress]:
    """Where `root`, a unit of the tree that the campaign was followed to, and what is below it stand; `stored` is the
    plan on that tree."""
    codes = followed.codes_below(root)
    first_day = stored.campaign.first_day
    counts = await count(connection, codes, ATTRIBUTIONS.index(by), as_of, first_day, known_at)
    exempt = exempt_citizens(stored.exemptions, as_of, known_at, followed)
    return unit_progress(
        stored.plan, stored.targets, exempt, followed.tree, root, depth, rebased(counts, followed)
    )


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
        tree: date | None,
        unit: str | None,
        by: Attribution,
        depth: int,
        phase: str | None = None,
    ) -> ProgressReport:
        """Where a unit and those below it stand. Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, phase=phase
        )
        async with self._pool.acquire() as connection:
            units = await standings(
                connection,
                scope.stored,
                scope.followed,
                root=scope.root,
                by=by,
                as_of=scope.day,
                known_at=known_at,
                depth=depth,
            )
        return ProgressReport(
            campaign, scope.day, known_at, scope.on, by, scope.phase, scope.complete_to, units
        )
