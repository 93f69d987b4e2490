"""What late records did to days that were over."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import asyncpg

from tiendo_aggregator.rules.counting import ATTRIBUTIONS, Attribution
from tiendo_aggregator.rules.rebasing import divisions
from tiendo_aggregator.rules.revisions import DayRevision, day_revisions
from tiendo_aggregator.storage.counting import changes
from tiendo_aggregator.use_cases.scope import Scopes


@dataclass(frozen=True, slots=True)
class RevisionReport:
    """The revisions of one unit and all below it, as it is on `as_of`. `days` is empty while no day of the campaign is
    closed. `divided_on`: the last day on which it was divided by shares, or came of such a division; its days begin
    with that one, since nobody had a place in a part before it."""

    campaign: str
    unit: str
    as_of: date
    known_at: date | None
    by: Attribution
    closed_through: date | None
    complete_to: datetime | None
    divided_on: date | None
    days: list[DayRevision]


class Revisions:
    """Closed days, as known at their end and as known later."""

    def __init__(self, pool: asyncpg.Pool, scopes: Scopes) -> None:
        self._pool = pool
        self._scopes = scopes

    async def report(
        self, campaign: str, *, as_of: date | None, known_at: date | None, unit: str | None, by: Attribution
    ) -> RevisionReport:
        """The closed days up to `as_of`, and up to `known_at`. Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, unit=unit)
        plan = scope.stored.campaign
        eve = plan.first_day - timedelta(days=1)
        closed = scope.stored.closed_through
        days: list[DayRevision] = []
        if closed is not None:
            later = plan.day_end.later
            last = min(closed, scope.day, known_at - later if known_at is not None else closed)
            async with self._pool.acquire() as connection:
                found = await changes(
                    connection,
                    scope.codes,
                    ATTRIBUTIONS.index(by),
                    eve,
                    last,
                    known_at,
                )
            days = day_revisions(eve, last, found, ends_after=later)
        divided_on = None
        if by == "residence":
            inside = scope.tree.below(scope.root)
            cuts = [each.day for each in divisions(scope.followed, eve) if each.cuts(inside)]
            divided_on = max(cuts, default=None)
        return RevisionReport(
            campaign,
            scope.root,
            scope.day,
            known_at,
            by,
            closed,
            scope.complete_to,
            divided_on,
            [each for each in days if divided_on is None or each.day >= divided_on],
        )
