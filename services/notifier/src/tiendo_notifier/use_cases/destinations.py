"""Keep the destinations. One belongs to whoever may act on all units that it tells of; one that tells of everything, to
keys that are not bound to units."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import asyncpg

from tiendo_common.clock import Clock
from tiendo_common.errors import Conflict, Invalid, NotFound
from tiendo_common.eventlog.port import Connection
from tiendo_common.service.auth import ApiKey, OutOfBounds
from tiendo_notifier.channels import journal
from tiendo_notifier.channels.ways import Ways
from tiendo_notifier.channels.webhooks import check_secret, generate_secret
from tiendo_notifier.errors import BuiltIn
from tiendo_notifier.rules.letters import Language
from tiendo_notifier.rules.messages import Message
from tiendo_notifier.storage import deliveries, destinations, outbox
from tiendo_notifier.storage.destinations import Stored, Wanted
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.telling import compose

PING = Message("Tin thử: kênh này nhận được cảnh báo.", "A test: alerts get here.")


class Destinations:
    """Makes, replaces and removes where alerts go."""

    def __init__(self, pool: asyncpg.Pool, reference: Reference, ways: Ways, clock: Clock) -> None:
        self._pool = pool
        self._reference = reference
        self._ways = ways
        self._clock = clock

    def check_units(self, key: ApiKey, units: Sequence[str | None] | None, field: str) -> None:
        """Raise OutOfBounds, naming the field, unless the key may act on each of these units (None: all there are)."""
        today = self._clock.today()
        for unit in [None] if units is None else units:
            above = self._reference.codes_above(unit, today) if unit is not None else ()
            key.check_unit(unit, above, field=field)

    def may_keep(self, key: ApiKey, units: Sequence[str] | None) -> bool:
        """Whether the key may act on each of these units (None: all there are)."""
        try:
            self.check_units(key, units, "units")
        except OutOfBounds:
            return False
        return True

    async def put(self, name: str, wanted: Wanted, secret: str | None, key: ApiKey) -> Stored:
        """Make or replace one. Raises Invalid, RefusedAddress, BuiltIn, OutOfBounds."""
        _refuse_built_in(name)
        if secret is not None:
            check_secret(secret)
        unknown = [code for code in wanted.units or [] if not self._reference.is_unit(code)]
        if unknown:
            raise Invalid(
                f"No unit has the code {', '.join(map(repr, unknown[:5]))}.",
                field="units",
                remedy="Send codes of the administrative tree.",
            )
        self.check_units(key, wanted.units, "units")
        if wanted.addressed and not wanted.units:
            raise Invalid(
                "Only what is addressed to its units is wanted, and no unit is named: nothing would ever be told.",
                field="addressed",
                remedy="Name the units, or leave `addressed` out.",
            )
        await self._ways.check(wanted.url, cast("Language | None", wanted.language), secret)
        stored = await self._store(name, wanted, secret, key)
        # Where nothing is signed nobody needs to know it; a webhook that is put in its place may bring its own.
        return stored if self._ways.is_signed(wanted.url) else stored._replace(generated=None)

    async def _store(self, name: str, wanted: Wanted, secret: str | None, key: ApiKey) -> Stored:
        async with self._pool.acquire() as connection, connection.transaction():
            before = await destinations.hold(connection, name)
            if before is not None:
                self.check_units(key, before, "name")
            return await destinations.put(connection, name, wanted, secret, generate_secret())

    @asynccontextmanager
    async def _held(self, name: str, key: ApiKey) -> AsyncIterator[Connection]:
        """A transaction in which the destination stays what it is. Raises NotFound, OutOfBounds."""
        async with self._pool.acquire() as connection, connection.transaction():
            units = await destinations.hold(connection, name)
            if units is None:
                raise NotFound(f"There is no destination {name!r}.", remedy="PUT makes one.")
            self.check_units(key, units, "name")
            yield connection

    async def rotate(self, name: str, secret: str | None, keep_hours: int, key: ApiKey) -> str | None:
        """Sign with a new secret and, for so many hours, with the one before as well, so that the receiver can change
        over at leisure. The secret, if it was generated. Raises NotFound, Invalid, BuiltIn, OutOfBounds."""
        _refuse_built_in(name)
        if secret is not None:
            check_secret(secret)
        fresh = secret or generate_secret()
        async with self._held(name, key) as connection:
            await destinations.rotate(connection, name, fresh, keep_hours)
        return None if secret is not None else fresh

    async def ping(self, name: str, key: ApiKey) -> str:
        """Send a test message there, whatever it subscribes to; the message's id. Raises NotFound, Conflict,
        OutOfBounds."""
        now = self._clock.now()
        async with self._held(name, key) as connection:
            if await connection.fetchval(
                "SELECT disabled IS NOT NULL FROM destination WHERE name = $1", name
            ):
                raise Conflict(
                    f"The destination {name!r} is disabled.", field="name", remedy="PUT switches it on again."
                )
            message = compose("ping", now, {"destination": name, "message": PING})
            await outbox.put(connection, [message], [(message.id, None, name)], [])
        return message.id

    async def redeliver(self, delivery: int, key: ApiKey) -> int:
        """Send a delivery's message there once more, under the same id; the new delivery's id. Raises NotFound,
        OutOfBounds."""
        told = await deliveries.told(self._pool, delivery)
        again = None
        if told is not None:
            async with self._held(told.destination, key) as connection:
                # What it told then, too: a destination of that name may have told of other units.
                self.check_units(key, told.units, "id")
                again = await deliveries.again_by_hand(connection, delivery)
        if again is None:
            raise NotFound(
                f"There is no delivery {delivery} whose destination is there and switched on.",
                remedy="GET /v1/deliveries lists them; PUT switches a destination on again.",
            )
        return again

    async def delete(self, name: str, key: ApiKey) -> None:
        """Remove one. Raises NotFound, BuiltIn, OutOfBounds."""
        _refuse_built_in(name)
        async with self._held(name, key) as connection:
            await destinations.delete(connection, name)


def _refuse_built_in(name: str) -> None:
    if name == journal.NAME:
        raise BuiltIn(
            f"The destination {name!r} comes with the service and cannot be changed.",
            field="name",
            remedy="Choose another name.",
        )
