"""Records as aiokafka unpacks them, without the second one that it makes of each.

For its callers it makes a ConsumerRecord, a frozen dataclass of eleven members, of what it has just unpacked: two
fifths of what unpacking takes, and readers need four of the members, which the unpacked record has. There is no option
for it, so this reaches into the client: written for aiokafka 0.14, above which our requirements do not go.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition


class Record(Protocol):
    """What aiokafka's records of both kinds have, and readers need."""

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class _Fetched(OrderedDict[TopicPartition, Any]):
    """What the client has fetched, by partition. A result that is put in is told to leave its records as they are."""

    def __setitem__(self, at: TopicPartition, result: Any) -> None:
        records = getattr(result, "_partition_records", None)
        if records is not None:
            records._consumer_record = _as_it_is
        super().__setitem__(at, result)


def _as_it_is(_at: TopicPartition, record: Record) -> Record:
    return record


def leave_as_unpacked(client: AIOKafkaConsumer) -> None:
    """Have a started client that has no partition yet deliver records as they were unpacked."""
    client._fetcher._records = _Fetched()
