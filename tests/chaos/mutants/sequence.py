"""The sequences in the records' headers are not looked at: whatever the broker hands over takes effect."""

from collections.abc import Sequence
from typing import Any

from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.port import Chunk, Partition, Position


async def _chunk(
    self: KafkaLogReader, _client: Any, partition: Partition, records: Sequence[Any]
) -> Chunk | None:
    """As the real one, but for dropping what is below the position and noticing what is above it."""
    ours = [record for record in records if record.headers]
    if not ours:
        return None
    sequences = [wire.place(record.headers)[1] for record in ours]
    after = Position(max(sequences) + 1, self._at[partition].generation, records[-1].offset + 1)
    return Chunk(partition, sequences, [record.value or b"" for record in ours], after)


KafkaLogReader._chunk = _chunk  # type: ignore[method-assign,assignment]
