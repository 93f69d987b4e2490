"""Where units stand."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import asyncpg

from tiendo_aggregator.rules.counting import ATTRIBUTIONS, Attribution
from tiendo_aggregator.rules.exemptions import exempt_citizens
from tiendo_aggregator.rules.going_on import Stage, stage
from tiendo_aggregator.rules.progress import UnitProgress, eligible_below, unit_progress
from tiendo_aggregator.rules.rebasing import rebased, rebased_residents, resident_codes
from tiendo_aggregator.rules.units import Followed
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.days import read_days
from tiendo_aggregator.use_cases.scope import Scope, Scopes
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
    going_on: Stage | None
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
    first_day = stored.campaign.first_day
    codes = resident_codes(followed, root) if by == "residence" else followed.codes_below(root)
    counts = await count(connection, codes, ATTRIBUTIONS.index(by), as_of, first_day, known_at)
    exempt = exempt_citizens(stored.exemptions, as_of, known_at, followed)
    # Where citizens live is parted; who did the work goes on at one part.
    moved = (
        rebased_residents(counts, followed, root, as_of, first_day)
        if by == "residence"
        else rebased(counts, followed)
    )
    return unit_progress(stored.plan, stored.targets, exempt, followed.tree, root, depth, moved)


async def _stage(connection: Connection, scope: Scope) -> Stage | None:
    """Where the campaign, as a whole, stands after its last day; None: it isn't over, or doesn't go on."""
    stored, followed = scope.stored, scope.followed
    plan, going_on = stored.campaign, stored.campaign.going_on
    if going_on is None or scope.day <= plan.last_day:
        return None
    whole = replace(scope, root=followed.root)
    days = await read_days(connection, whole, [going_on.indicator], scope.day, scope.known_at)
    eve = plan.first_day - timedelta(days=1)
    # Decisions change how many are to be reached from their own days on.
    eligible = {
        day: eligible_below(
            stored.plan,
            exempt_citizens(stored.exemptions, day, scope.known_at, followed),
            followed.tree,
            followed.root,
        )[followed.root].number
        for day in {eve, *(each.from_day for each in stored.exemptions if each.from_day <= scope.day)}
    }
    ends = days.ends(followed.root, going_on.indicator)
    return stage(going_on, plan.last_day, scope.day, eve, ends, eligible)


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
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, phase=phase, hamlets="always"
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
            going_on = await _stage(connection, scope)
        return ProgressReport(
            campaign, scope.day, known_at, scope.on, by, scope.phase, going_on, scope.complete_to, units
        )
