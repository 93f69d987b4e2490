"""Set and look up thresholds; every version is kept, with who set it and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date

import asyncpg
import msgspec

from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid, NotFound
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import CampaignPublication
from tiendo_common.service.auth import ApiKey
from tiendo_notifier.rules import policies as rules
from tiendo_notifier.rules.policies import Document, Policy
from tiendo_notifier.rules.rhythm import Rhythm, check_rhythm
from tiendo_notifier.rules.table import RULES
from tiendo_notifier.rules.thresholds import Thresholds, check, check_reachable
from tiendo_notifier.storage import policies as storage
from tiendo_notifier.storage.policies import WHOLE, Stored
from tiendo_notifier.use_cases.reference import Reference

NAMES = tuple(field.name for field in fields(Thresholds))


@dataclass(frozen=True, slots=True)
class Holding:
    """What holds at a place, and what it comes from, the farthest first."""

    policy: Policy
    sources: Sequence[Stored]


class InForce:
    """What is set for some campaigns at one moment, looked up by unit."""

    def __init__(self, reference: Reference, stored: Iterable[Stored]) -> None:
        self._reference = reference
        self._stored = {(each.campaign, each.unit): each for each in stored}
        self._parted = {campaign for campaign, unit in self._stored if unit != WHOLE}
        self._made: dict[tuple[str, tuple[str, ...]], Policy] = {}

    @classmethod
    async def read(
        cls, connection: Connection | asyncpg.Pool, reference: Reference, campaigns: Iterable[str]
    ) -> "InForce":
        return cls(reference, await storage.in_force(connection, list(campaigns)))

    def sources(self, campaign: str, unit: str | None, day: date) -> list[Stored]:
        """What is set for the unit and above it, the farthest first."""
        # Where nothing is set below the campaign, nobody need look at who is above whom.
        parted = unit is not None and campaign in self._parted
        above = [code for code, _ in self._reference.line(unit, day)] if unit and parted else []
        places = [WHOLE, *reversed(above)]
        return [stored for place in places if (stored := self._stored.get((campaign, place)))]

    def of(self, campaign: str, unit: str | None, day: date) -> Policy:
        """What holds for the unit on that day's tree."""
        sources = self.sources(campaign, unit, day)
        key = campaign, tuple(each.unit for each in sources)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _policy(sources)
        return made

    def places(self, campaign: str) -> list[str]:
        """The units for which something is set; empty: the whole campaign."""
        return [unit for at, unit in self._stored if at == campaign]

    def any_live(self, campaign: str, day: date) -> bool:
        """Whether any unit of the campaign reports live."""
        places = {None, *(place or None for place in self.places(campaign))}
        return any(self.of(campaign, place, day).rhythm.reports == "live" for place in places)

    def with_one(self, one: Stored) -> "InForce":
        """The same, had this been set, too."""
        return InForce(self._reference, [*self._stored.values(), one])


class Policies:
    """Sets and reads what holds where."""

    def __init__(self, pool: asyncpg.Pool, reference: Reference, clock: Clock) -> None:
        self._pool = pool
        self._reference = reference
        self._clock = clock

    async def get(self, campaign: str, unit: str | None) -> Holding:
        """What holds for the unit (none: for the campaign). Raises NotFound."""
        day = self._day(self._campaign(campaign, unit))
        found = await InForce.read(self._pool, self._reference, [campaign])
        return Holding(found.of(campaign, unit, day), found.sources(campaign, unit, day))

    async def versions(self, campaign: str) -> list[Stored]:
        """All that was ever set in the campaign, oldest first. Raises NotFound."""
        self._campaign(campaign, None)
        return await storage.versions(self._pool, campaign)

    async def put(
        self, campaign: str, unit: str | None, document: Document, key: ApiKey, reason: str
    ) -> Holding:
        """Set what holds for the unit and all below it from the next closing on. Raises NotFound; OutOfBounds; Invalid,
        naming the field, if the numbers would make no sense there or anywhere below."""
        known = self._campaign(campaign, unit)
        day = self._day(known)
        above = self._reference.codes_above(unit, day) if unit is not None else ()
        key.check_unit(unit, above, field="unit")
        _check_document(document)
        text = msgspec.json.encode(document).decode()
        async with self._pool.acquire() as connection, connection.transaction():
            await storage.lock(connection, campaign)
            before = await InForce.read(connection, self._reference, [campaign])
            wanted = Stored(campaign, unit or WHOLE, 0, text, key.name, reason, self._clock.now())
            self._check(before.with_one(wanted), known, unit, day)
            await storage.add(connection, campaign, wanted.unit, text, key.name, reason, wanted.at)
        return await self.get(campaign, unit)

    def check_all(
        self, policies: InForce, campaign: CampaignPublication, documents: Mapping[str, Document]
    ) -> None:
        """Raise what `put` would, were all of these set."""
        for unit, document in documents.items():
            self._campaign(campaign.campaign, unit or None)
            _check_document(document)
        self._check(policies, campaign, None, self._day(campaign))

    def _campaign(self, campaign: str, unit: str | None) -> CampaignPublication:
        known = self._reference.campaigns.get(campaign)
        if known is None:
            raise NotFound(f"There is no campaign {campaign!r}.", field="campaign")
        if unit is not None and not self._reference.is_in(unit, known.province, self._day(known)):
            raise NotFound(
                f"{unit!r} is no unit of {known.name}.",
                field="unit",
                remedy="Send a code of the campaign's tree, or leave it out for the whole campaign.",
            )
        return known

    def _day(self, campaign: CampaignPublication) -> date:
        """The day whose tree is meant: today's, within the campaign."""
        return min(max(self._clock.today(), campaign.first_day), campaign.last_day)

    def _check(self, found: InForce, campaign: CampaignPublication, unit: str | None, day: date) -> None:
        days = (campaign.last_day - campaign.first_day).days + 1
        for place in found.places(campaign.campaign):
            above = {code for code, _ in self._reference.line(place, day)} if place else set()
            if unit is not None and unit not in above:
                continue
            where = f"as it would hold for {place}" if place else "as it would hold for the campaign"
            held = found.of(campaign.campaign, place or None, day)
            limits = held.thresholds
            check(limits, where=where)
            check_rhythm(held.rhythm, where=where)
            targets = self._reference.largest_target(campaign.campaign, place or None)
            check_reachable(limits, target=targets, days=days, where=where)


def _policy(sources: Sequence[Stored]) -> Policy:
    return rules.in_force(
        [(each.unit, each.version, msgspec.json.decode(each.document, type=Document)) for each in sources]
    )


def _check_document(document: Document) -> None:
    known = {field.name for field in fields(Rhythm)}
    for name in document.rhythm:
        if name not in known:
            raise Invalid(
                f"A rhythm has no {name!r}.",
                field=f"rhythm.{name}",
                remedy=f"It has {', '.join(sorted(known))}.",
            )
    try:
        msgspec.convert(document.rhythm, Rhythm)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("`$")[2].strip("`.") or "rhythm"
        raise Invalid(f"{error}.", field=f"rhythm.{field}", remedy="docs/alerts.md has examples.") from None
    unknown = sorted(set(document.thresholds) - set(NAMES))
    if unknown:
        raise Invalid(
            f"There is no threshold {unknown[0]!r}.",
            field=f"thresholds.{unknown[0]}",
            remedy=f"There are {', '.join(NAMES)}.",
        )
    if document.off is not None and set(document.off) == set(RULES):
        raise Invalid(
            "All rules would be off: nobody would ever hear of anything.",
            field="off",
            remedy="Leave one on; a silence with an end stills the others for a while.",
        )
