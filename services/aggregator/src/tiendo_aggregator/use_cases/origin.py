"""What every event of this service says of itself."""

from dataclasses import dataclass
from typing import Any

from tiendo_common.clock import Clock, new_event_id


@dataclass(frozen=True)
class Origin:
    """Where our events come from, and the clock that dates them."""

    source: str
    clock: Clock

    def attributes(self, subject: str, key: str, campaign: str | None = None) -> dict[str, Any]:
        """The attributes of a new event about the unit `subject`; events of one `key` stay in order."""
        attributes: dict[str, Any] = {
            "id": new_event_id(),
            "source": self.source,
            "subject": subject,
            "time": self.clock.now(),
            "partitionkey": key,
        }
        return attributes if campaign is None else attributes | {"campaign": campaign}
