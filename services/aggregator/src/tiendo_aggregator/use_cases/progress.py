"""Where units stand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.counting import ATTRIBUTIONS, Attribution
from tiendo_aggregator.rules.progress import UnitProgress, unit_progress
from tiendo_aggregator.storage.counting import count
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """A unit and what is below it, as of the end of a day."""

    campaign: str
    as_of: date
    by: Attribution
    complete_to: datetime | None
    units: list[UnitProgress]


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
        self, campaign: str, *, as_of: date | None, unit: str | None, by: Attribution, depth: int
    ) -> ProgressReport:
        """Where `unit` (the campaign's province unless said) stands at the end of `as_of` (today).

        Counts every fact of the units that the tree of `as_of` has below `unit`. A fact at a code that the
        tree of that day lacks belongs to a unit that was reorganised away since: which unit has it now is
        for the mapping of that reorganisation to say, and no campaign before 2025-01-01 has such facts.

        Raises UnknownCampaign; Invalid for a unit outside the tree of that day or outside the province.
        """
        stored = await self._plans.get(campaign)
        first_day, province = stored.campaign.first_day, stored.campaign.province
        day = as_of if as_of is not None else self._clock.today()
        root = unit if unit is not None else province
        tree = self._units.gazetteer.require(root, day, field="unit" if unit is not None else "as_of")
        if province not in tree.up_to(root, province):
            raise Invalid(
                f"Unit {root} is not in the province of the campaign, {province}.",
                field="unit",
                remedy=f"Leave unit out, or choose one below {province}.",
            )
        # Before the counts are read: they hold at least what was complete by then.
        complete_to = self._complete_to()
        async with self._pool.acquire() as connection:
            counts = await count(connection, list(tree.below(root)), ATTRIBUTIONS.index(by), day, first_day)
        return ProgressReport(
            campaign,
            day,
            by,
            complete_to,
            unit_progress(stored.plan, stored.targets, tree, root, depth, counts),
        )
