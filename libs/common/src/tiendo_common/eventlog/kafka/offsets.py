"""Asks brokers where partitions begin and end."""

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from tiendo_common.eventlog.kafka.connection import Broker, start, stop, undisturbed


class Offsets:
    """On a connection of its own: on one that fetches, a question waits behind the fetch, which the broker holds
    open until something comes (half a second, measured). Raises KafkaError."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = name
        self._client: AIOKafkaConsumer | None = None

    async def first(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the oldest record there still is."""
        found: dict[TopicPartition, int] = {}
        if partitions:
            found = await undisturbed((await self._connected()).beginning_offsets(list(partitions)))
        return found

    async def end(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that the next record will have."""
        found: dict[TopicPartition, int] = {}
        if partitions:
            found = await undisturbed((await self._connected()).end_offsets(list(partitions)))
        return found

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await stop(client)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = AIOKafkaConsumer(
                **self._broker.client(f"{self._name}-offsets"),
                enable_auto_commit=False,
                isolation_level="read_committed",
            )
            await start(client)
            self._client = client
        return self._client
