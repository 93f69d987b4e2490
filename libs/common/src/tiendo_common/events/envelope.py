"""The envelope: CloudEvents 1.0 in JSON, the same bytes wherever an event travels.

An event never carries a personal number, a name or a phone number. Its position in the log (topic,
partition, sequence) travels beside it, not inside.
"""

from datetime import datetime
from typing import Literal
from zlib import crc32

import msgspec

#: How many partitions a fact topic has. Fixed for good: a record's partition is its order.
PARTITIONS = 16


def partition_of(partition_key: str, partitions: int = PARTITIONS) -> int:
    """The partition that holds every event of this key, in every process and for ever."""
    return crc32(partition_key.encode()) % partitions


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    gc=False,
):
    """The attributes that all events share; `type` is the tag of the concrete class.

    `subject` is the code of the unit that the event is about, `time` when the service accepted the fact,
    `partitionkey` what keeps related events in order, `campaign` where a fact came from: provenance,
    never part of a count.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    partitionkey: str
    campaign: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


encoder = msgspec.json.Encoder()


def encode(event: Event) -> bytes:
    """The bytes that travel."""
    return encoder.encode(event)


class Header(msgspec.Struct, frozen=True):
    """Just enough of an event to say what it is."""

    type: str
    id: str = ""


header_decoder = msgspec.json.Decoder(Header)
