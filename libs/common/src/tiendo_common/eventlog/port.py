"""What the event log promises, whatever carries it (docs/architecture.md, "The event log").

Appending happens inside the business transaction: the facts and their events become durable together or
not at all. Within a partition, sequences are gapless and in commit order. A position is the *next*
sequence to read; a consumer stores it in the transaction of its effects, so each event takes effect once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

import asyncpg

from tiendo_common.events.envelope import Event

#: What the hot path needs of a database connection; one that a pool handed out serves as well.
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class Partition(NamedTuple):
    """One ordered sequence of events."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on reading a partition.

    `generation` rises when a log is declared to be a new one (after a restore from backup). `offset` is
    the broker's address of `next`, null where unknown or where the log has no broker.
    """

    next: int
    generation: int = 1
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record that a broker holds in our topic and that no log of ours wrote: it has no sequence."""

    offset: int
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive events of one partition, oldest first, starting at the position that was asked for.

    On fact topics `sequences` has no gaps. On state topics superseded events are missing. `after` is the
    position to store once the chunk has taken effect. `foreign` were found among them; a chunk may have
    nothing else, and then its sequence does not move. `appended`: when the oldest of them was appended, in
    seconds of the epoch; None where that is unknown.
    """

    partition: Partition
    sequences: Sequence[int]
    bodies: Sequence[bytes]
    after: Position
    foreign: Sequence[Foreign] = ()
    appended: float | None = None


@dataclass(frozen=True, slots=True)
class Watermark:
    """Everything that was acknowledged up to `complete_to` stands below `next` of each partition."""

    complete_to: datetime
    next: tuple[int, ...]
    generation: int = 1


class NewEvent(NamedTuple):
    """An event to append. `key` is the compaction key on state topics and unused on fact topics."""

    topic: str
    event: Event
    key: str | None = None


class EventLog(Protocol):
    """The writing side, one for each producing service."""

    async def append(self, connection: Connection, events: Sequence[NewEvent]) -> None:
        """Append in the caller's open transaction, as its last statements before commit.

        Partition rows are locked from here to the commit, so that sequence order is commit order; whoever
        locks business rows must have done so before. READ COMMITTED is required.
        """
        ...

    async def heads(self) -> dict[str, list[int]]:
        """The next sequence of every partition of every topic that the service owns."""
        ...

    async def publish_watermark(self, complete_to: datetime) -> None:
        """Say that everything acknowledged up to `complete_to` has been appended."""
        ...


class LogReader(Protocol):
    """The reading side: one for each consumer, which alone calls it."""

    async def fetch(
        self, positions: Mapping[Partition, Position], limit: int, *, wait: float | None = None
    ) -> list[Chunk]:
        """Up to about `limit` events from these positions.

        `wait`: return after so many seconds at the latest, empty if nothing new was seen. None: look
        thoroughly, and be empty only if all that could be read when the call began has been returned.

        Raises Retry while a topic cannot be read, Gap when a fact topic lacks a sequence, Diverged when a
        position lies in what was withdrawn from the log since.
        """
        ...

    async def watermark(self, topic: str) -> Watermark | None:
        """The newest watermark of a topic that has come here, or None before the first."""
        ...

    def show_progress(self, positions: Mapping[Partition, Position]) -> None:
        """Let outside tools see how far the consumer has got, in the background. They alone look there."""
        ...

    async def close(self) -> None:
        """Give up connections. A reader that is used again afterwards connects again."""
        ...
