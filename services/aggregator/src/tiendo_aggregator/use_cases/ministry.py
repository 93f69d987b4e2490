"""The ministry's figures: imported, compared, chosen from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from tiendo_aggregator.rules.declared import Counts
from tiendo_aggregator.rules.ministry import (
    CheckedClaim,
    Choice,
    Claim,
    Import,
    UnitCompared,
    Used,
    check_claims,
    check_import,
    compare,
    placed,
)
from tiendo_aggregator.storage.ministry import (
    add_choice,
    add_import,
    lock_ministry,
    newest_choices,
    newest_import,
)
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.progress import standings
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_common.clock import local_day
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator

#: Of the units of a tree: it has four levels at most.
_ALL_LEVELS = 10


@dataclass(frozen=True, slots=True)
class MinistryReport:
    """The ministry's figures of a unit and those below it beside the records, on the tree of a day. `imported` None:
    there are none as of `as_of`."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date
    complete_to: datetime | None
    imported: Import | None
    units: Sequence[UnitCompared]
    claims: Sequence[CheckedClaim]


class Ministry:
    """Keeps what the ministry says, and what was chosen to be printed; changes no count."""

    def __init__(self, pool: asyncpg.Pool, scopes: Scopes, origin: Origin) -> None:
        self._pool = pool
        self._scopes = scopes
        self._origin = origin

    async def put(
        self,
        campaign: str,
        as_of: date,
        figures: Mapping[str, Counts],
        claims: Sequence[Claim],
        source: str,
        by: str,
    ) -> Import:
        """Take the figures as of a day. The same again changes nothing; others are the next revision. Raises
        UnknownCampaign; Invalid for a day to come, or units that aren't the campaign's."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=None, unit=None)
        if as_of > scope.today:
            raise Invalid(
                f"{as_of} is still to come.",
                field="as_of",
                remedy=f"Send figures as of {scope.today} or before.",
            )
        check_import(figures, claims, scope.tree, scope.root)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_ministry(connection, campaign)
            before = await newest_import(connection, campaign, as_of)
            if before is not None and (before.figures, tuple(before.claims), before.source) == (
                figures,
                tuple(claims),
                source,
            ):
                return before
            now = self._origin.clock.now()
            new = Import(
                as_of,
                1 if before is None else before.revision + 1,
                source,
                figures,
                claims,
                by,
                now,
                local_day(now),
            )
            await add_import(connection, campaign, new)
        return new

    async def choose(
        self, campaign: str, as_of: date, unit: str, indicator: Indicator, use: Used, reason: str, by: str
    ) -> Choice:
        """Say which figure the signed report as of a day uses. The same again changes nothing. Raises UnknownCampaign;
        Invalid where the ministry gave no figure to choose from."""
        await self._scopes.of(campaign, as_of=as_of, known_at=None, unit=unit)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_ministry(connection, campaign)
            imported = await newest_import(connection, campaign, as_of)
            if imported is None or indicator not in imported.figures.get(unit, {}):
                raise Invalid(
                    f"The ministry gave no figure of {indicator} for unit {unit} as of {as_of}.",
                    field="indicator",
                    remedy="The records' figure is printed; import the ministry's to have a choice.",
                )
            before = (await newest_choices(connection, campaign, as_of)).get((unit, indicator))
            if before is not None and (before.use, before.reason) == (use, reason):
                return before
            now = self._origin.clock.now()
            choice = Choice(
                unit,
                indicator,
                1 if before is None else before.revision + 1,
                use,
                reason,
                by,
                now,
                local_day(now),
            )
            await add_choice(connection, campaign, as_of, choice)
        return choice

    async def report(
        self,
        campaign: str,
        *,
        as_of: date | None,
        known_at: date | None,
        tree: date | None,
        unit: str | None,
    ) -> MinistryReport:
        """The figures as of exactly that day beside the records. Raises what `Scopes.of` raises."""
        scope = await self._scopes.of(campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            imported = await newest_import(connection, campaign, scope.day, known_at)
            choices = await newest_choices(connection, campaign, scope.day, known_at)
            units = await standings(
                connection,
                scope.stored,
                scope.followed,
                root=scope.root,
                by="residence",
                as_of=scope.day,
                known_at=known_at,
                depth=_ALL_LEVELS,
            )
        figures = placed(imported.figures, choices, scope.day, scope.followed) if imported is not None else {}
        claims = imported.claims if imported is not None else ()
        return MinistryReport(
            campaign,
            scope.day,
            known_at,
            scope.on,
            scope.complete_to,
            imported,
            compare(figures, units),
            check_claims(claims, figures, scope.day, scope.followed, units),
        )
