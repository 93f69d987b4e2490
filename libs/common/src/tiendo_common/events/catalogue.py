"""Which events exist and which topic carries them. The files in `contracts/` are generated from here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from tiendo_common.errors import UnknownEvent
from tiendo_common.events import declarations, restatements, state
from tiendo_common.events.envelope import PARTITIONS, Event, Header, header_decoder

EventT = TypeVar("EventT", bound=msgspec.Struct)


@dataclass(frozen=True)
class Topic:
    """A named, partitioned sequence of events.

    A fact topic is kept whole and gapless; a state topic keeps the newest event of each key. `consumers`
    are the services that may read it: the database grants and the broker's rules follow from this list.
    """

    name: str
    owner: str
    kind: Literal["fact", "state"]
    consumers: tuple[str, ...]
    events: tuple[type[Event], ...]
    purpose: str
    restricted: bool = False

    @property
    def partitions(self) -> int:
        """State topics are small and read whole: one partition keeps their order total."""
        return PARTITIONS if self.kind == "fact" else 1


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            "intake", "intake", "fact", ("aggregator",), (restatements.IntakeRestated,),
            "Dossiers taken, upgraded, moved, corrected, voided.",
        ),
        Topic(
            "approval", "intake", "fact", ("aggregator",), (restatements.ApprovalRestated,),
            "Decisions on dossiers, and what later changes do to approved ones.",
        ),
        Topic(
            "dossier", "intake", "fact", ("activation",), (restatements.DossierRestated,),
            "The whole dossier at every version, with the keyed hash of its citizen.", restricted=True,
        ),
        Topic(
            "activation", "activation", "fact", ("aggregator",),
            (restatements.AccountRestated, restatements.AttemptFailed),
            "Accounts switched on and off, and attempts that failed.",
        ),
        Topic(
            "units", "aggregator", "state", ("intake", "activation", "notifier"), (state.UnitPublished,),
            "The administrative tree, each code with the spans of days in which it is valid.",
        ),
        Topic(
            "campaigns", "aggregator", "state", ("intake", "activation", "notifier"),
            (state.CampaignPublished,), "Campaigns: where and when.",
        ),
        Topic(
            "targets", "aggregator", "state", ("notifier",), (state.TargetSet,),
            "What each unit must reach.",
        ),
        Topic(
            "progress", "aggregator", "state", ("notifier",), (state.ProgressPublished,),
            "Each unit's newest totals, at most once a second, and the last word on each day.",
        ),
        Topic(
            "declared", "aggregator", "state", ("notifier",),
            (declarations.CountsDeclared, declarations.DeclarationsClosed),
            "What communes without records declared of each day, and who had not by its cut-off.",
        ),
    )
}  # fmt: skip


def owned_by(service: str) -> list[Topic]:
    """The topics that a service appends to."""
    return [topic for topic in TOPICS.values() if topic.owner == service]


def type_of(event: type[msgspec.Struct]) -> str:
    """The CloudEvents type of an event class, or of one with only the members that a reader needs."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


#: What the decoder raises for bytes that are no document of ours.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class EventDecoder(Generic[EventT]):
    """Decodes the events of some topics.

    A body that is no valid event of its stated type is poison: `decode` raises msgspec.DecodeError, and
    the caller dead-letters it. A type that this build does not know raises UnknownEvent: it is somebody's
    newer contract, not poison, and skipping it would lose a count.
    """

    def __init__(self, events: Iterable[type[EventT]]) -> None:
        classes = tuple(events)
        self._known = {type_of(cls) for cls in classes}
        union: Any = classes[0]
        for cls in classes[1:]:
            union = union | cls
        self._decoder: msgspec.json.Decoder[EventT] = msgspec.json.Decoder(union)

    def decode_all(self, bodies: Sequence[bytes]) -> list[EventT] | None:
        """All of them if all are readable, in two thirds of the time that one by one takes; else None."""
        try:
            return list(map(self._decoder.decode, bodies))
        except _UNREADABLE:
            return None

    def decode(self, body: bytes) -> EventT:
        try:
            return self._decoder.decode(body)
        except _UNREADABLE as error:
            try:
                header = header_decoder.decode(body)
            except _UNREADABLE:
                header = Header("")
            if header.type not in self._known and header.type.startswith("vn.tiendo."):
                raise UnknownEvent(f"event {header.id} has the unknown type {header.type}") from None
            raise msgspec.DecodeError(str(error)) from None
