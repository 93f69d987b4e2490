"""Compares what the broker holds at the end of a partition with the log, before anything more is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import Broker, start, stop
from tiendo_common.eventlog.kafka.offsets import Offsets
from tiendo_common.eventlog.port import Partition, Position
from tiendo_common.events.catalogue import TOPICS


@dataclass(frozen=True, slots=True)
class End:
    """How a partition's end on the broker relates to the log.

    `agreed`: the position after the last event that both have. `strangers`: events on the broker, of this
    generation, that the log does not have: it was restored to before them.
    """

    partition: Partition
    agreed: Position
    strangers: Sequence[ConsumerRecord[bytes, bytes]]


class Ends:
    """Reads the ends of partitions. Use as an async context manager."""

    def __init__(self, broker: Broker, pool: asyncpg.Pool) -> None:
        self._broker = broker
        self._pool = pool
        self._offsets = Offsets(broker, "ends")

    async def __aenter__(self) -> "Ends":
        self._client = AIOKafkaConsumer(
            **self._broker.client("ends"),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
        )
        await start(self._client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        try:
            await self._offsets.close()
        finally:
            await stop(self._client)

    async def compare(self, positions: Mapping[Partition, Position]) -> list[End]:
        """From what was last known to be published, and from the beginning if that is gone.

        Ahead of a position may be what was sent and not noted: it is compared byte for byte, so that nothing
        is sent twice without need. Behind it the broker may have lost what it had acknowledged: then all that
        it still has is looked through, and the rest is to be sent again. Raises KafkaError.
        """
        places = {self._broker.at(partition): partition for partition in positions}
        first, end = await self._offsets.first(places), await self._offsets.end(places)
        ends: dict[Partition, End] = {}
        reading: dict[TopicPartition, int] = {}
        for at, partition in places.items():
            position = positions[partition]
            offset, agreed = position.offset, position.next
            if offset is None or not first[at] <= offset <= end[at]:
                offset, agreed = first[at], 1
            ends[partition] = End(partition, Position(agreed, position.generation, offset), [])
            if offset < end[at]:
                reading[at] = offset
        self._client.assign(list(reading))
        for at, offset in reading.items():
            self._client.seek(at, offset)
        while any([await self._client.position(at) < end[at] for at in reading]):
            for at, records in (await self._client.getmany(timeout_ms=500, max_records=2000)).items():
                partition = places[at]
                compared = await self._compared(partition, positions[partition].generation, records)
                for record, sequence in compared:
                    ends[partition] = _after(ends[partition], record, sequence)
        return list(ends.values())

    async def _compared(
        self,
        partition: Partition,
        generation: int,
        records: Sequence[ConsumerRecord[bytes, bytes]],
    ) -> list[tuple[ConsumerRecord[bytes, bytes], int | None]]:
        """Records of this generation, or a later one, with their sequence; None if the log lacks them."""
        places = []
        for record in records:
            try:
                place = wire.place(record.headers)
            except wire.NotOurs:
                continue  # readers set it aside
            if place[0] >= generation:
                places.append((record, *place))
        table = f"log_{partition.topic}"
        stored = {
            row["seq"]: row["body"]
            for row in await self._pool.fetch(
                f"SELECT seq, body FROM {table} WHERE partition = $1 AND seq = ANY($2::bigint[])",  # noqa: S608
                partition.number,
                [sequence for _, _, sequence in places],
            )
        }
        newest: dict[bytes, int] = {}
        if TOPICS[partition.topic].kind == "state":
            missing = {
                record.key.decode() for record, _, sequence in places if record.key and sequence not in stored
            }
            newest = {
                row["key"].encode(): row["seq"]
                for row in await self._pool.fetch(
                    f"SELECT key, seq FROM {table} WHERE key = ANY($1)",  # noqa: S608
                    sorted(missing),
                )
            }
        answer: list[tuple[ConsumerRecord[bytes, bytes], int | None]] = []
        for record, its_generation, sequence in places:
            # Of a state topic the log keeps only the newest event of a key: an older one was there, too. One of a
            # key that the log does not know, or knows an older one of, was lost by the log.
            superseded = sequence not in stored and sequence < newest.get(record.key or b"", 0)
            same = its_generation == generation and (superseded or stored.get(sequence) == record.value)
            answer.append((record, sequence if same else None))
        return answer


def _after(end: End, record: ConsumerRecord[bytes, bytes], sequence: int | None) -> End:
    """What is known once one more record was compared."""
    if sequence is None:
        return replace(end, strangers=[*end.strangers, record])
    if sequence >= end.agreed.next and not end.strangers:
        return replace(end, agreed=Position(sequence + 1, end.agreed.generation, record.offset + 1))
    return end
