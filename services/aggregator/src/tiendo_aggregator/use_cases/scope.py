"""What a question about a campaign is about: which unit, which day, known when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from tiendo_aggregator.rules.units import Tree
from tiendo_aggregator.storage.plan import StoredPlan
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True)
class Scope:
    """A question that can be answered. `known_at` None: all that is known now."""

    stored: StoredPlan
    tree: Tree
    root: str
    day: date
    today: date
    known_at: date | None
    complete_to: datetime | None


class Scopes:
    """Turns what was asked into what is counted, the same way for every figure."""

    def __init__(
        self, plans: Plans, units: Units, clock: Clock, complete_to: Callable[[], datetime | None]
    ) -> None:
        self._plans = plans
        self._units = units
        self._clock = clock
        self._complete_to = complete_to

    async def of(
        self, campaign: str, *, as_of: date | None, known_at: date | None, unit: str | None
    ) -> Scope:
        """`unit` (the campaign's province unless said) at the end of `as_of` (today), as known at the end of
        `known_at`, against the plan that held then.

        Counts every fact of the units that the tree of `as_of` has below `unit`. A fact at a code that the
        tree of that day lacks belongs to a unit that was reorganised away since: which unit has it now is
        for the mapping of that reorganisation to say, and no campaign before 2025-01-01 has such facts.

        Raises UnknownCampaign; Invalid for a unit outside the tree of that day or outside the province, and for
        a `known_at` that is still to come: the answer would be another one when asked again.
        """
        stored = await self._plans.get(campaign, known_at)
        province = stored.campaign.province
        today = self._clock.today()
        day = as_of if as_of is not None else today
        if known_at is not None and known_at > today:
            raise Invalid(
                f"What will be known at the end of {known_at} is not known on {today}.",
                field="known_at",
                remedy=f"Ask for {today} or a day before it; without known_at all that is known counts.",
            )
        root = unit if unit is not None else province
        tree = self._units.gazetteer.require(root, day, field="unit" if unit is not None else "as_of")
        if province not in tree.up_to(root, province):
            raise Invalid(
                f"Unit {root} is not in the province of the campaign, {province}.",
                field="unit",
                remedy=f"Leave unit out, or choose one below {province}.",
            )
        # Before the counts are read: they hold at least what was complete by then.
        return Scope(stored, tree, root, day, today, known_at, self._complete_to())
