"""Keep the destinations."""

import asyncpg

from tiendo_common.errors import Invalid, NotFound
from tiendo_notifier.channels import journal
from tiendo_notifier.channels.webhooks import Webhooks, check_secret, generate_secret
from tiendo_notifier.errors import BuiltIn
from tiendo_notifier.storage import destinations
from tiendo_notifier.storage.destinations import Stored
from tiendo_notifier.use_cases.reference import Reference


class Destinations:
    """Makes, replaces and removes where alerts go."""

    def __init__(self, pool: asyncpg.Pool, reference: Reference, webhooks: Webhooks) -> None:
        self._pool = pool
        self._reference = reference
        self._webhooks = webhooks

    async def put(
        self, name: str, url: str, secret: str | None, units: list[str] | None, rules: list[str] | None
    ) -> Stored:
        """Make or replace one. Raises Invalid, RefusedAddress, BuiltIn."""
        _refuse_built_in(name)
        if secret is not None:
            check_secret(secret)
        unknown = [code for code in units or [] if not self._reference.is_unit(code)]
        if unknown:
            raise Invalid(
                f"No unit has the code {', '.join(map(repr, unknown[:5]))}.",
                field="units",
                remedy="Send codes of the administrative tree.",
            )
        await self._webhooks.check(url)
        return await destinations.put(self._pool, name, url, secret, generate_secret(), units, rules)

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
