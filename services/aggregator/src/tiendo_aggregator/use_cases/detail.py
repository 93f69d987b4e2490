"""An instance counts one way from its first event on: counters of which some hold more than others would be wrong."""

import asyncpg

from tiendo_aggregator.rules.detail import Detail
from tiendo_aggregator.storage.detail import settled_detail
from tiendo_common.errors import CannotStart


async def settle_detail(pool: asyncpg.Pool, wanted: Detail) -> None:
    """Raise CannotStart if the instance was begun to count otherwise."""
    settled = await settled_detail(pool, wanted)
    if settled != wanted:
        raise CannotStart(
            f"TIENDO_COUNTS is {wanted}, and this instance was begun with {settled}, which its counters hold. "
            f"Set TIENDO_COUNTS={settled}; or let an aggregator with a schema of its own count the log anew."
        )
