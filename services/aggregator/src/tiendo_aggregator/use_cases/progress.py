"""Where units stand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.counting import ATTRIBUTIONS, Attribution
from tiendo_aggregator.rules.progress import UnitProgress, unit_progress
from tiendo_aggregator.rules.rebasing import rebased_counts, rebased_plan
from tiendo_aggregator.rules.units import Followed
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """A unit and what is below it, as of the end of a day, on the tree of a day."""

    campaign: str
    as_of: date
    tree: date
    by: Attribution
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
    depth: int,
) -> list[UnitProgress]:
    """Where `root`, a unit of the tree that the campaign was followed to, and what is below it stand."""
    codes = followed.codes_below(root)
    counts = await count(connection, codes, ATTRIBUTIONS.index(by), as_of, stored.campaign.first_day)
    plan, targets = rebased_plan(stored.plan, stored.targets, followed)
    return unit_progress(plan, targets, followed.tree, root, depth, rebased_counts(counts, followed))


class Progress:
    """Counts set against the plan, up the tree of the day asked for."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        plans: Plans,
        units: Units,
        clock: Clock,
        complete_to: Callable[[], datetime | None],
    ) -> None:
        self._pool = pool
        self._plans = plans
        self._units = units
        self._clock = clock
        self._complete_to = complete_to

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        tree: date | None,
        unit: str | None,
        by: Attribution,
        depth: int,
    ) -> ProgressReport:
        """Where `unit` (what the campaign's province is by then, unless said) stands at the end of `as_of`
        (today), on the tree of the day `tree` (as_of).

        The campaign's units are followed from its first day to that tree: see rules.units.history.

        Raises UnknownCampaign; Invalid for a tree older than the figures, a unit outside the tree or outside
        the campaign, or units of which nothing says what they became.
        """
        stored = await self._plans.get(campaign)
        province = stored.campaign.province
        day = as_of if as_of is not None else self._clock.today()
        on = tree if tree is not None else day
        field = "as_of" if tree is None else "tree"
        if on < day:
            raise Invalid(
                f"The tree of {on} has no place for what was counted at units that came later, up to {day}.",
                field="tree",
                remedy=f"Ask on the tree of {day} or a later one, or as of {on}.",
            )
        followed = self._units.history.follow(province, stored.campaign.first_day, on)
        followed.require(day, on, field=field)
        root = unit if unit is not None else followed.root
        self._units.gazetteer.require(root, on, field="unit" if unit is not None else field)
        if root not in followed.tree.units or followed.root not in followed.tree.up_to(root, followed.root):
            raise Invalid(
                f"Unit {root} is not in the province of the campaign, {followed.root}.",
                field="unit",
                remedy=f"Leave unit out, or choose one below {followed.root}.",
            )
        # Before the counts are read: they hold at least what was complete by then.
        complete_to = self._complete_to()
        async with self._pool.acquire() as connection:
            units = await standings(connection, stored, followed, root=root, by=by, as_of=day, depth=depth)
        return ProgressReport(campaign, day, on, by, complete_to, units)
