"""Offsets committed to a group, so that outside tools can show a consumer's lag. Nobody reads them back."""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from tiendo_common.eventlog.kafka.connection import REQUEST_TIMEOUT, Broker, start, stop

log = structlog.get_logger(__name__)


class GroupOffsets:
    """Commits in the background, from a client of its own, which is assigned once and fetches nothing.

    A client of a group whose assignment is changed under way breaks: its coordinator's task fails an
    assertion and every later call raises (aiokafka 0.14, tried). So the one that reads is in no group.
    """

    def __init__(self, broker: Broker, group: str) -> None:
        self._broker = broker
        self._group = group
        self._client: AIOKafkaConsumer | None = None
        self._topics: set[str] = set()
        self._committing: asyncio.Task[None] | None = None

    def show(self, offsets: Mapping[TopicPartition, int], counts: Mapping[str, int]) -> None:
        """Commit these, unless the last ones are still under way: then the next call will. `counts`: the
        partitions of each topic."""
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit(offsets, counts))

    async def close(self) -> None:
        task, self._committing = self._committing, None
        if task is not None:
            # Cancelled in the middle, the client would leave a task behind that nobody waits for.
            await asyncio.wait({task}, timeout=2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._disconnect()

    async def _commit(self, offsets: Mapping[TopicPartition, int], counts: Mapping[str, int]) -> None:
        try:
            async with asyncio.timeout(2 * REQUEST_TIMEOUT):
                if not counts.keys() <= self._topics:
                    await self._disconnect()
                    self._client = await self._connect(counts)
                    self._topics = set(counts)
                assert self._client is not None
                await self._client.commit(dict(offsets))
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.info("offsets not shown to tools", group=self._group, reason=str(error))
            await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client, self._topics = self._client, None, set()
        if client is not None:
            await stop(client)

    async def _connect(self, counts: Mapping[str, int]) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(
            **self._broker.client(f"{self._group}-group"), group_id=self._group, enable_auto_commit=False
        )
        places = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
        client.assign(places)
        client.pause(*places)
        await start(client)
        return client
