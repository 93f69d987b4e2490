"""The funnel: where citizens are between eligible and activated, and how long those wait who wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.detail import Fold
from tiendo_aggregator.rules.funnel import UnitFunnel, funnels
from tiendo_aggregator.rules.rebasing import rebased_sums, require_whole
from tiendo_aggregator.storage.passages import since_when
from tiendo_aggregator.use_cases.measures import Measures
from tiendo_aggregator.use_cases.progress import standings
from tiendo_aggregator.use_cases.scope import Scopes


@dataclass(frozen=True, slots=True)
class FunnelReport:
    """A unit and what is below it, as of the end of a day, as known at the end of `known_at` (None: now), on the tree
    of a day. `cards`: the measure that told who holds a card."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    complete_to: datetime | None
    cards: str | None
    units: Sequence[UnitFunnel]


class Funnels:
    """Asks for all that a funnel is made of, in one snapshot."""

    def __init__(self, pool: asyncpg.Pool, scopes: Scopes, measures: Measures, fold: Fold) -> None:
        self._pool = pool
        self._scopes = scopes
        self._measures = measures
        self._fold = fold

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        tree: date | None,
        unit: str | None,
        depth: int,
        cards: str | None,
    ) -> FunnelReport:
        """The funnel of a unit and those below it. Raises what `Scopes.of` raises; UnknownMeasure for `cards`;
        NotCounted."""
        self._fold.require_all("who waits where, and for how long,")
        scope = await self._scopes.of(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, hamlets="always"
        )
        require_whole(scope.followed, scope.tree.below(scope.root, depth), scope.day)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            units = await standings(
                connection,
                scope.stored,
                scope.followed,
                root=scope.root,
                by="residence",
                as_of=scope.day,
                known_at=known_at,
                depth=depth,
            )
            found = await since_when(connection, scope.codes, scope.day, known_at)
            told = [] if cards is None else await self._measures.of_scope(connection, cards, scope, depth)
        return FunnelReport(
            campaign,
            scope.day,
            known_at,
            scope.on,
            scope.complete_to,
            cards,
            funnels(units, told, scope.tree, scope.root, scope.day, rebased_sums(found, scope.followed)),
        )
