"""How events and words about the log look on the broker.

An event's value is its CloudEvents document, the same bytes as everywhere (structured mode). Beside it travel
three headers; a record that lacks them is foreign. Downstream services that keep the highest (generation,
sequence) of each partition and drop what isn't above it see each event once.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

#: Decimal digits, so that every tool can show them. Their order is fixed: readers look at fixed places.
SEQUENCE, GENERATION = "sequence", "generation"
CONTENT_TYPE = ("content-type", b"application/cloudevents+json; charset=UTF-8")

Headers = list[tuple[str, bytes]]


class NotOurs(ValueError):
    """A record without a valid sequence: no log of ours wrote it."""


def headers(generation: int, sequence: int) -> Headers:
    """The headers of an event."""
    return [(SEQUENCE, b"%d" % sequence), (GENERATION, b"%d" % generation), CONTENT_TYPE]


def place(found: Sequence[tuple[str, bytes | None]]) -> tuple[int, int]:
    """Generation and sequence, from the headers of one record. Raises NotOurs."""
    try:
        (first, sequence), (second, generation) = found[:2]
        if first != SEQUENCE or second != GENERATION:
            raise ValueError
        if not (sequence and generation and sequence.isdigit() and generation.isdigit()):
            raise ValueError
        answer = int(generation), int(sequence)
    except ValueError:
        raise NotOurs("the record has no headers sequence and generation of ours") from None
    if not (0 < answer[0] < 2**31 and 0 < answer[1] < 2**62):
        raise NotOurs("the record's sequence or generation is out of range")
    return answer


class Watermarked(msgspec.Struct, frozen=True, kw_only=True, tag="watermark", tag_field="kind"):
    """Everything of a topic that was acknowledged up to `complete_to` stands below `next`."""

    topic: str
    generation: int
    complete_to: datetime
    next: tuple[int, ...]


class GenerationBegun(msgspec.Struct, frozen=True, kw_only=True, tag="generation", tag_field="kind"):
    """From `starts` on, by partition, the sequences of earlier generations were withdrawn."""

    topic: str
    generation: int
    starts: tuple[int, ...]
    reason: str


Word = Watermarked | GenerationBegun

encode_word = msgspec.json.Encoder().encode
decode_word = msgspec.json.Decoder(Word).decode


def key_of(word: Word) -> bytes:
    """What the control topic is compacted by: a topic's newest watermark, and each of its generations."""
    if isinstance(word, Watermarked):
        return f"watermark/{word.topic}".encode()
    return f"generation/{word.topic}/{word.generation}".encode()
