"""The position is written unconditionally: whatever it was, and whoever owns the partition by now."""

from collections.abc import Mapping

from tiendo_common.eventlog.claims import Claims
from tiendo_common.eventlog.port import Connection, Partition, Position


async def advance(
    self: Claims,
    connection: Connection,
    since: Mapping[Partition, Position],
    to: Mapping[Partition, Position],
) -> None:
    """As the real one does it, but for `AND old.epoch = new.epoch AND old.next = new.expected`."""
    await connection.execute(
        "UPDATE consumer_position AS old SET next = new.next, generation = new.generation, "
        "kafka_offset = new.kafka_offset "
        "FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::int[], $6::bigint[]) "
        "AS new (topic, partition, next, generation, kafka_offset) "
        "WHERE old.consumer = $1 AND old.topic = new.topic AND old.partition = new.partition",
        self.name,
        [partition.topic for partition in to],
        [partition.number for partition in to],
        [position.next for position in to.values()],
        [position.generation for position in to.values()],
        [position.offset for position in to.values()],
    )


Claims.advance = advance  # type: ignore[method-assign]
