"""The fold: whatever happened on the way, counters hold the last state of every record."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aggregator import restated, segment
from tiendo_aggregator.rules.counting import (
    ATTRIBUTIONS,
    COHORT,
    COUNTED,
    INDICATORS,
    LEAN,
    Counted,
    Folded,
    Lean,
    breakdowns,
    fold,
    totals,
)
from tiendo_aggregator.rules.totals_alone import BARE, Bare, fold_totals
from tiendo_common.clock import new_event_id
from tiendo_common.errors import UnknownEvent
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import encode
from tiendo_common.events.restatements import AttemptFailed, FailedAttempt, Segment, deltas
from tiendo_common.events.state import Indicator

D = date(2023, 11, 11)
decoder = EventDecoder[Counted](COUNTED)
lean_decoder = EventDecoder[Lean](LEAN)
bare_decoder = EventDecoder[Bare](BARE)

units = st.sampled_from(["23281", "23284", "23427"])
segments = st.builds(
    lambda day, length, level, residence, collecting, cohorts: segment(
        D + timedelta(day),
        residence,
        until=D + timedelta(day + length) if length else None,
        level=level,
        collecting=collecting,
        cohorts=cohorts,
    ),
    st.integers(0, 9),
    st.integers(0, 5),
    st.sampled_from([1, 2]),
    units,
    units,
    st.sampled_from([(), ("students",), ("students", "ethnic_minorities")]),
)
states = st.lists(segments, max_size=3)


def read(events: Sequence[NewEvent]) -> list[Counted]:
    """Through the bytes that travel."""
    return [decoder.decode(encode(new.event)) for new in events]


@given(
    st.lists(st.tuples(st.sampled_from(INDICATORS), st.lists(states, min_size=1, max_size=4)), max_size=5),
    st.randoms(),
)
def test_counters_hold_the_last_state_in_whatever_order_events_come(
    lives: list[tuple[Indicator, list[list[Segment]]]], random: object
) -> None:
    events = []
    expected: Counter[tuple[str, int, date, int, int]] = Counter()
    for indicator, life in lives:
        for before, after in zip([[], *life], life, strict=False):
            if before or after:
                events.append(restated(indicator, after, before, known=D))
        for day, n, each in deltas(life[-1]):
            for attribution, unit in enumerate((each.residence, each.collecting)):
                expected[unit, attribution, day, INDICATORS.index(indicator), each.level] += n
    random.shuffle(events)  # type: ignore[attr-defined]
    counted = totals(fold(read(events)))
    assert {(u, a, day, i, lv): n for (u, a, day, _, i, lv), n in counted.items()} == {
        cell: n for cell, n in expected.items() if n
    }
    # So does the road that the consumers take.
    lean = lean_decoder.decode_all([encode(new.event) for new in events])
    assert lean is not None
    assert fold(lean) == fold(read(events))
    # And of totals that of those who count nothing else.
    bare = bare_decoder.decode_all([encode(new.event) for new in events])
    assert bare is not None
    alone = fold_totals(bare)
    assert totals(alone) == counted
    assert alone == Folded({boundary: (n,) for boundary, (n, *_) in fold(lean).counts.items() if n})


def test_where_a_citizen_lives_and_who_did_the_work_are_counted_apart() -> None:
    cells = totals(fold(read([restated("approved", [segment(D, "23281", collecting="23427")], known=D)])))
    approved = INDICATORS.index("approved")
    assert cells == {
        ("23281", ATTRIBUTIONS.index("residence"), D, D, approved, 2): 1,
        ("23427", ATTRIBUTIONS.index("collecting"), D, D, approved, 2): 1,
    }


def test_an_upgrade_leaves_one_level_and_enters_the_other_on_its_day() -> None:
    later = D + timedelta(3)
    before = [segment(D, "23281", level=1)]
    after = [segment(D, "23281", level=1, until=later), segment(later, "23281", level=2)]
    cells = totals(fold(read([restated("intake", after, before, known=later)])))
    assert {(day, level): n for (_, a, day, _, _, level), n in cells.items() if a == 0} == {
        (later, 1): -1,
        (later, 2): 1,
    }


def test_a_void_empties_the_record() -> None:
    taken = [segment(D, "23281", cohorts=("students",))]
    events = read([restated("intake", taken, known=D), restated("intake", [], taken, known=D)])
    assert totals(fold(events)) == {}
    assert breakdowns(fold(events)) == {}


def test_what_became_known_later_stays_apart_from_what_was_known_then() -> None:
    taken = [segment(D, "23281")]
    events = [
        restated("intake", taken, known=D),
        restated("intake", [], taken, known=D + timedelta(9)),
    ]
    cells = totals(fold(read(events)))
    assert {(known, n) for (_, _, _, known, _, _), n in cells.items()} == {(D, 1), (D + timedelta(9), -1)}


def test_a_citizen_counts_once_by_channel_and_once_in_each_cohort() -> None:
    taken = [segment(D, "23281", cohorts=("students", "ethnic_minorities"))]
    cells = breakdowns(fold(read([restated("intake", taken, known=D)])))
    assert sorted((a, dimension, value) for (_, a, _, _, _, _, dimension, value) in cells) == sorted(
        (a, dimension, value)
        for a in (0, 1)
        for dimension, value in [(0, "mobile"), (COHORT, "students"), (COHORT, "ethnic_minorities")]
    )
    assert set(cells.values()) == {1}


def test_a_failed_attempt_is_known_and_counted_nowhere() -> None:
    like = restated("activated", [segment(D, "23281")], known=D).event
    failed = AttemptFailed(
        id=new_event_id(),
        source="/vn/test",
        subject="23281",
        time=like.time,
        partitionkey="record",
        data=FailedAttempt(
            record_id=None,
            reason="network",
            occurred_at=like.time,
            known_day=D,
            collecting=None,
            channel=None,
        ),
    )
    assert fold([decoder.decode(encode(failed))]) == Folded()
    assert fold([lean_decoder.decode(encode(failed))]) == Folded()
    assert fold_totals([bare_decoder.decode(encode(failed))]) == Folded()


def test_an_event_of_a_newer_contract_is_not_passed_over() -> None:
    body = encode(restated("intake", [segment(D, "23281")], known=D).event)
    with pytest.raises(UnknownEvent):
        decoder.decode(body.replace(b"intake-restated.v1", b"intake-restated.v2"))
