"""Follows the restricted topic of dossiers."""

from collections.abc import Sequence

from tiendo_activation.use_cases import Accounts
from tiendo_common.errors import Retry
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.restatements import DossierRestated
from tiendo_common.service.idempotency import Collision


class DossierProjection:
    """Hands each version of a dossier to the accounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._decoder = EventDecoder([DossierRestated])

    def prepare(self, batch: Batch) -> list[DossierRestated]:
        return list(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[list[DossierRestated]]) -> None:
        try:
            await self._accounts.follow(connection, [dossier for work in works for dossier in work])
        except Collision as collision:
            raise Retry(f"an account was opened by a request at the same moment: {collision}") from None
