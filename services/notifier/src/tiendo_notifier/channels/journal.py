"""The log as a channel: one line a transition, in the same queue as every other destination."""

import msgspec
import structlog

from tiendo_notifier.rules.tries import Answer

log = structlog.get_logger(__name__)

#: The name of the destination that comes with the service.
NAME = "log"
URL = "log:"


async def send(message_id: str, notice: str) -> Answer:
    """Write the line; it cannot be refused."""
    document = msgspec.json.decode(notice, type=dict)
    log.warning("alert", message_id=message_id, kind=document["type"], **document["data"])
    return Answer()
