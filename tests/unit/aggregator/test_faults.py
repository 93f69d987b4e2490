"""What was wrong with dossiers is counted for who had taken them, each fault once."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import msgspec

from tests.support.aggregator import restated, segment
from tiendo_aggregator.rules.counting import LEAN, add_up, fold
from tiendo_aggregator.rules.faults import CORRECTED, REJECTED, VOIDED
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import encode

D = date(2023, 11, 11)
TAKEN = segment(D, "23281", collecting="23284")


def told(
    indicator: Any, change: str, after: list[Any], before: list[Any], known: int = 1, **more: Any
) -> bytes:
    """The body of a restatement of this change."""
    event = restated(indicator, after, before, known=D + timedelta(known)).event
    data = msgspec.structs.replace(event.data, change=change, **more)  # type: ignore[attr-defined]
    return encode(msgspec.structs.replace(event, data=data))


def faults(*bodies: bytes) -> Counter[Any]:
    found = EventDecoder(LEAN).decode_all(list(bodies))
    assert found is not None
    return Counter(add_up([fold(found[:1]), fold(found[1:])]).faults)


def test_a_void_and_a_correction_are_counted_from_the_topic_of_intakes_alone() -> None:
    assert faults(
        told("intake", "voided", [], [TAKEN]),
        told("approved", "voided", [], [TAKEN]),
        told("intake", "corrected", [segment(D, "23281")], [TAKEN], known=2),
        told("approved", "corrected", [segment(D, "23281")], [TAKEN], known=2),
    ) == Counter({("23284", D + timedelta(1), VOIDED): 1, ("23284", D + timedelta(2), CORRECTED): 1})


def test_a_dossier_that_is_turned_down_is_one_fault_whether_it_was_approved_before_or_not() -> None:
    rejected: dict[str, Any] = {"rejected_before": (), "rejected_after": (TAKEN,)}
    assert faults(
        told("approved", "rejected", [TAKEN], [TAKEN], **rejected),
        told("approved", "revoked", [], [TAKEN]),
    ) == Counter({("23284", D + timedelta(1), REJECTED): 2})


def test_what_is_no_fault_is_none() -> None:
    assert not faults(
        *(told("intake", change, [TAKEN], [TAKEN]) for change in ("recorded", "upgraded", "moved"))
    )
    assert not faults(*(told("approved", change, [TAKEN], [TAKEN]) for change in ("approved", "moved")))
    assert not faults(told("activated", "deactivated", [], [TAKEN]))


def test_a_second_void_after_it_was_taken_again_is_a_second_fault() -> None:
    void = told("intake", "voided", [], [TAKEN])
    assert faults(void, void)["23284", D + timedelta(1), VOIDED] == 2
