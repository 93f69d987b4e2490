"""Keep the destinations."""

import asyncpg

from tiendo_common.clock import Clock
from tiendo_common.errors import Conflict, Invalid, NotFound
from tiendo_notifier.channels import journal
from tiendo_notifier.channels.mail import SCHEME, Mail
from tiendo_notifier.channels.webhooks import Webhooks, check_secret, generate_secret
from tiendo_notifier.errors import BuiltIn
from tiendo_notifier.rules.messages import Message
from tiendo_notifier.storage import deliveries, destinations, outbox
from tiendo_notifier.storage.destinations import Stored, Wanted
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.telling import compose

PING = Message("Tin thử: kênh này nhận được cảnh báo.", "A test: alerts get here.")


class Destinations:
    """Makes, replaces and removes where alerts go."""

    def __init__(
        self, pool: asyncpg.Pool, reference: Reference, webhooks: Webhooks, mail: Mail, clock: Clock
    ) -> None:
        self._pool = pool
        self._reference = reference
        self._webhooks = webhooks
        self._mail = mail
        self._clock = clock

    async def put(self, name: str, wanted: Wanted, secret: str | None) -> Stored:
        """Make or replace one. Raises Invalid, RefusedAddress, BuiltIn."""
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
        if wanted.addressed and not wanted.units:
            raise Invalid(
                "Only what is addressed to its units is wanted, and no unit is named: nothing would ever be told.",
                field="addressed",
                remedy="Name the units, or leave `addressed` out.",
            )
        if not wanted.url.startswith(SCHEME):
            await self._webhooks.check(wanted.url)
            return await destinations.put(self._pool, name, wanted, secret, generate_secret())
        self._mail.check(wanted.url)
        if secret is not None:
            raise Invalid("Letters are not signed.", field="secret", remedy="Leave it out.")
        stored = await destinations.put(self._pool, name, wanted, None, generate_secret())
        # Nobody needs to know it unless a webhook is put in its place, which may bring its own.
        return stored._replace(generated=None)

    async def rotate(self, name: str, secret: str | None, keep_hours: int) -> str | None:
        """Sign with a new secret and, for so many hours, with the one before as well, so that the receiver can change
        over at leisure. The secret, if it was generated. Raises NotFound, Invalid, BuiltIn."""
        _refuse_built_in(name)
        if secret is not None:
            check_secret(secret)
        fresh = secret or generate_secret()
        if not await destinations.rotate(self._pool, name, fresh, keep_hours):
            raise NotFound(f"There is no destination {name!r}.", remedy="PUT makes one.")
        return None if secret is not None else fresh

    async def ping(self, name: str) -> str:
        """Send a test message there, whatever it subscribes to; the message's id. Raises NotFound."""
        now = self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            known = await connection.fetchval(
                "SELECT disabled IS NULL FROM destination WHERE name = $1", name
            )
            if known is None:
                raise NotFound(f"There is no destination {name!r}.", remedy="PUT makes one.")
            if not known:
                raise Conflict(
                    f"The destination {name!r} is disabled.", field="name", remedy="PUT switches it on again."
                )
            message = compose("ping", now, {"destination": name, "message": PING})
            await outbox.put(connection, [message], [(message.id, None, name)], [])
        return message.id

    async def redeliver(self, delivery: int) -> int:
        """Send a delivery's message there once more, under the same id; the new delivery's id. Raises NotFound."""
        again = await deliveries.again_by_hand(self._pool, delivery)
        if again is None:
            raise NotFound(
                f"There is no delivery {delivery} whose destination is there and switched on.",
                remedy="GET /v1/deliveries lists them; PUT switches a destination on again.",
            )
        return again

    async def delete(self, name: str) -> None:
        """Remove one. Raises NotFound, BuiltIn."""
        _refuse_built_in(name)
        if not await destinations.delete(self._pool, name):
            raise NotFound(f"There is no destination {name!r}.")


def _refuse_built_in(name: str) -> None:
    if name == journal.NAME:
        raise BuiltIn(
            f"The destination {name!r} comes with the service and cannot be changed.",
            field="name",
            remedy="Choose another name.",
        )
