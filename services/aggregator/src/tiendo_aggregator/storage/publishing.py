"""What progress has been published, and which days are closed."""

from collections.abc import Sequence
from datetime import date, timedelta

from tiendo_common.eventlog.port import Connection
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.state import ProgressPublication, ProgressPublished, TargetSet

_decoder = EventDecoder([ProgressPublished])
_target_decoder = EventDecoder([TargetSet])


async def may_publish(connection: Connection) -> bool:
    """Whether this replica is the one that publishes, until the end of the transaction."""
    answer: bool = await connection.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtext('aggregator progress'))"
    )
    return answer


async def published(
    connection: Connection, keys: Sequence[str], pause: timedelta
) -> tuple[dict[str, ProgressPublication], set[str]]:
    """What was last published under these keys, and the keys for which that is less than `pause` ago.

    Read from our own log, where the newest event of a key stands: right after a restart too, and when
    another replica published it.
    """
    documents, fresh = {}, set()
    for key, body, is_fresh in await connection.fetch(
        "SELECT key, body, appended_at > now() - $2::interval FROM log_progress WHERE key = ANY($1)",
        keys,
        pause,
    ):
        documents[key] = _decoder.decode(body).data
        if is_fresh:
            fresh.add(key)
    return documents, fresh


async def published_targets(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """The targets that were last published under these keys."""
    return {
        key: _target_decoder.decode(body).data.value
        for key, body in await connection.fetch("SELECT key, body FROM log_targets WHERE key = ANY($1)", keys)
    }


async def close_day(connection: Connection, campaign: str, day: date) -> bool:
    """Note that a day is closed; false if it already was."""
    status = await connection.execute(
        "INSERT INTO closed_day (campaign, day) VALUES ($1, $2) ON CONFLICT DO NOTHING", campaign, day
    )
    return status == "INSERT 0 1"
