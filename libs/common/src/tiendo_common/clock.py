"""The only place that asks what time it is, and the only source of random identifiers.

Business days are days in Asia/Ho_Chi_Minh, which has had a fixed offset of +07:00 since 1975.
"""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Protocol

import uuid_utils

from tiendo_common.errors import Invalid, Problem

VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")


def local_day(instant: datetime) -> date:
    """The business day of an aware instant."""
    return instant.astimezone(VIETNAM).date()


def local_time(instant: datetime) -> datetime:
    """What clocks here show at an aware instant, without an offset."""
    return instant.astimezone(VIETNAM).replace(tzinfo=None)


def epoch_seconds() -> float:
    """The machine's time, for the age of what travels; business never asks for it."""
    return time.time()


def new_record_id() -> str:
    """A random identifier for a citizen's record: says nothing about the citizen or the time."""
    return str(uuid_utils.uuid4())


def new_event_id() -> str:
    """A UUIDv7: unique, and near in an index to others made at about the same time."""
    return str(uuid_utils.uuid7())


class ClockWentBackwards(Problem):
    """A driven clock was asked to go back: facts already carry the later day as the day they were known."""

    status = 409
    code = "clock-went-backwards"
    title = "The clock only moves forward"


class Clock(Protocol):
    """What a service may ask about time."""

    @property
    def driven(self) -> bool:
        """Whether `POST /v1/clock` moves it."""
        ...

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    def today(self) -> date:
        """The present business day."""
        ...


class WallClock:
    """The machine's own clock."""

    driven = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def today(self) -> date:
        return local_day(self.now())


class DrivenClock:
    """A clock that stands still until it is moved, so that a past campaign can be lived day by day."""

    driven = True

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._today = local_day(self._now)

    def now(self) -> datetime:
        return self._now

    def today(self) -> date:
        return self._today

    def check(self, now: datetime) -> None:
        """Raise ClockWentBackwards unless `now` is at or after the present instant, Invalid if absurdly so."""
        if now >= DRIVEN_END:
            raise Invalid(f"The clock goes no further than {DRIVEN_END.isoformat()}.", field="now")
        if now < self._now:
            raise ClockWentBackwards(
                f"The clock stands at {self._now.isoformat()}; {now.isoformat()} is earlier.",
                field="now",
                remedy="Send an instant at or after the present one.",
            )

    def move_to(self, now: datetime) -> None:
        self.check(now)
        self._now = now.astimezone(UTC)
        self._today = local_day(self._now)


# Where a driven clock stands before anybody has moved it: before every campaign on record.
DRIVEN_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
#: Where it stops: well before instants that have no day, or none with a margin after it.
DRIVEN_END = datetime(3000, 1, 1, tzinfo=UTC)
