"""Log generations: the way on after a restore has left the broker ahead of the log.

What the broker has and the log lacks is withdrawn: a new generation begins at the first sequence that they
disagree on, partition by partition. Readers learn of it from the control topic before they read on, pass over
what was withdrawn, and refuse to go on if they have taken effects from it. State topics are written anew whole,
since compaction may have removed what a withdrawn event replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from tiendo_common.errors import Retry
from tiendo_common.eventlog.kafka import wire
from tiendo_common.eventlog.kafka.connection import Broker, said, start, stop
from tiendo_common.eventlog.kafka.ends import End, Ends
from tiendo_common.eventlog.kafka.offsets import Offsets
from tiendo_common.eventlog.kafka.publisher import PUBLISHER, generations_begun, say
from tiendo_common.eventlog.port import Partition, Position
from tiendo_common.events.catalogue import TOPICS, owned_by


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An event that the broker has and the log lacks."""

    topic: str
    partition: int
    generation: int
    sequence: int
    body: bytes | None


async def strangers(broker: Broker, pool: asyncpg.Pool, service: str) -> list[Withdrawn]:
    """What the broker has of a service's topics that its log lacks. Raises Retry."""
    return _withdrawn(await _ends(broker, pool, service))


async def begin_generation(
    broker: Broker, pool: asyncpg.Pool, service: str, reason: str
) -> tuple[dict[str, int], list[Withdrawn]]:
    """Begin a new generation of those topics of a service that diverged: it, by topic, and what was withdrawn.

    To be run while no service reads or writes. Publishers that still hold a claim are fenced. Readers are told before
    this returns, since one may start before the publisher. Safe to run again: where nothing diverges, nothing is
    begun. Raises Retry.
    """
    ends = await _ends(broker, pool, service)
    diverged = sorted({end.partition.topic for end in ends if end.strangers})
    begun: dict[str, int] = {}
    places = {broker.at(end.partition): end.partition for end in ends if end.partition.topic in set(diverged)}
    offsets = Offsets(broker, "generations")
    try:
        last = {places[at]: offset for at, offset in (await offsets.end(places)).items()}
    except KafkaError as error:
        raise Retry(f"the broker does not answer: {said(error)}") from error
    finally:
        await offsets.close()
    async with pool.acquire() as connection, connection.transaction():
        for topic in diverged:
            starts = [end.agreed.next for end in ends if end.partition.topic == topic]
            # Above what the broker has seen: a backup that is restored twice does not know of the first time.
            seen = max(each.generation for each in _withdrawn(ends) if each.topic == topic)
            begun[topic] = await connection.fetchval(
                "UPDATE log_partition SET generation = greatest(generation, $2) + 1 WHERE topic = $1 "
                "RETURNING generation",
                topic,
                seen,
            )
            await connection.execute(
                "INSERT INTO log_generation (topic, generation, starts, reason) VALUES ($1, $2, $3, $4)",
                topic,
                begun[topic],
                starts,
                reason,
            )
            facts = TOPICS[topic].kind == "fact"
            for number, start in enumerate(starts):
                await connection.execute(
                    "UPDATE consumer_position SET generation = $4, next = $5, kafka_offset = $6, "
                    "epoch = epoch + 1, owner = NULL, lease_until = NULL "
                    "WHERE consumer = $1 AND topic = $2 AND partition = $3",
                    PUBLISHER,
                    topic,
                    number,
                    begun[topic],
                    start if facts else 1,
                    last[Partition(topic, number)],
                )
    await _announce(broker, pool)
    return begun, _withdrawn(ends)


async def _announce(broker: Broker, pool: asyncpg.Pool) -> None:
    producer = AIOKafkaProducer(**broker.client("generations"), acks="all", enable_idempotence=True)
    try:
        await start(producer)
        try:
            await say(broker, producer, await generations_begun(pool))
        finally:
            await stop(producer)
    except (KafkaError, TimeoutError) as error:
        raise Retry(f"the broker does not answer: {said(error)}") from error


async def _ends(broker: Broker, pool: asyncpg.Pool, service: str) -> list[End]:
    rows = {
        Partition(row["topic"], row["partition"]): Position(
            row["next"], row["generation"], row["kafka_offset"]
        )
        for row in await pool.fetch(
            "SELECT topic, partition, coalesce(done.next, 1) AS next, log_partition.generation, "
            "done.kafka_offset FROM log_partition LEFT JOIN consumer_position AS done "
            "USING (topic, partition) WHERE done.consumer IS NULL OR done.consumer = $1",
            PUBLISHER,
        )
    }
    wanted = {
        Partition(topic.name, number): rows.get(Partition(topic.name, number), Position(1))
        for topic in owned_by(service)
        for number in range(topic.partitions)
    }
    try:
        async with Ends(broker, pool) as ends:
            return await ends.compare(wanted)
    except KafkaError as error:
        raise Retry(f"the broker does not answer: {said(error)}") from error


def _withdrawn(ends: Sequence[End]) -> list[Withdrawn]:
    return [_one(end.partition, record) for end in ends for record in end.strangers]


def _one(partition: Partition, record: ConsumerRecord[bytes, bytes]) -> Withdrawn:
    generation, sequence = wire.place(record.headers)
    return Withdrawn(partition.topic, partition.number, generation, sequence, record.value)
