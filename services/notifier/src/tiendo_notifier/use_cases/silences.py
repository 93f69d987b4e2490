"""Silences: for a while, for a reason, with a name to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import asyncpg

from tiendo_common.clock import VIETNAM, Clock, new_event_id
from tiendo_common.errors import Conflict, Invalid, NotFound
from tiendo_common.service.auth import ApiKey
from tiendo_notifier.storage import silences as storage
from tiendo_notifier.storage.silences import Silence
from tiendo_notifier.use_cases.reference import Reference

#: One that lasts longer is a rule that should be off.
LONGEST = timedelta(days=90)


def covering(
    found: Sequence[Silence], campaign: str, line: Sequence[str], rules: Sequence[str]
) -> str | None:
    """Why nobody is told of a unit (with those above it) under these rules, if a silence says so. One that names rules
    covers what no other rule has a part in."""
    for silence in found:
        if silence.campaign not in (None, campaign):
            continue
        if silence.unit is not None and silence.unit not in line:
            continue
        if silence.rules is not None and not set(rules) <= set(silence.rules):
            continue
        until = silence.until_at.astimezone(VIETNAM)
        return (
            f"{silence.kind} {silence.id} by {silence.author} until {until:%Y-%m-%d %H:%M}: {silence.reason}"
        )
    return None


class Silences:
    """Makes, ends and lists them."""

    def __init__(self, pool: asyncpg.Pool, reference: Reference, clock: Clock) -> None:
        self._pool = pool
        self._reference = reference
        self._clock = clock

    async def add(
        self,
        kind: Literal["silence", "maintenance"],
        campaign: str | None,
        unit: str | None,
        rules: Sequence[str] | None,
        from_at: datetime | None,
        until_at: datetime,
        key: ApiKey,
        reason: str,
    ) -> Silence:
        """Make one. Raises Invalid, naming the field; OutOfBounds."""
        now = self._clock.now()
        begin = (from_at or now).astimezone(UTC)
        until_at = until_at.astimezone(UTC)
        if campaign is not None and campaign not in self._reference.campaigns:
            raise Invalid(
                f"There is no campaign {campaign!r}.", field="campaign", remedy="Leave it out for all."
            )
        if unit is not None and not self._reference.is_unit(unit):
            raise Invalid(
                f"No unit has the code {unit!r}.",
                field="unit",
                remedy="Send a code of the administrative tree.",
            )
        self._check_unit(key, unit, "unit")
        if until_at <= max(begin, now):
            raise Invalid(
                f"It would be over before it begins: it is {now.astimezone(VIETNAM):%Y-%m-%d %H:%M} now.",
                field="until",
                remedy="Send an instant after `from` and after now.",
            )
        if until_at - begin > LONGEST:
            raise Invalid(
                f"It would last more than {LONGEST.days} days.",
                field="until",
                remedy="Choose an earlier end, or switch the rule off in the campaign's policy.",
            )
        silence = Silence(
            new_event_id(),
            kind,
            campaign,
            unit,
            None if rules is None else sorted(set(rules)),
            begin,
            until_at,
            key.name,
            reason,
            now,
        )
        await storage.add(self._pool, silence)
        return silence

    async def end(self, identifier: str, key: ApiKey) -> None:
        """End one now. What it kept back is told at the next closing if it is still bad. Raises NotFound, Conflict,
        OutOfBounds."""
        silence = await storage.get(self._pool, identifier)
        if silence is None:
            raise NotFound(f"There is no silence {identifier}.")
        self._check_unit(key, silence.unit, "id")
        if not await storage.end(self._pool, identifier, self._clock.now(), key.name):
            raise Conflict(f"The silence {identifier} is over already.", field="id")

    async def listed(self, *, all_: bool) -> Sequence[Silence]:
        """Those that hold or are to come, or the newest of all, newest first."""
        return await storage.listed(self._pool, self._clock.now(), all_=all_)

    def _check_unit(self, key: ApiKey, unit: str | None, field: str) -> None:
        above = self._reference.codes_above(unit, self._clock.today()) if unit is not None else ()
        key.check_unit(unit, above, field=field)
