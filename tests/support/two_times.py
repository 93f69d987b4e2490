"""Lives of citizens on two times, and a model of counting them that is too plain to be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.support.aggregator import restated, segment
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.restatements import Segment
from tiendo_common.events.state import Indicator

FIRST = date(2023, 11, 11)
UNITS = ("23281", "23284", "23427")


@dataclass(frozen=True)
class Fact:
    """From `known` on, these are the days of a record on one indicator, whatever was said of it before."""

    record: int
    known: date
    indicator: Indicator
    segments: tuple[Segment, ...]


@st.composite
def _segments(draw: Any) -> tuple[Segment, ...]:
    """One after the other, as a record has them: perhaps none, perhaps with a move or an upgrade."""
    days = sorted(draw(st.sets(st.integers(-3, 12), max_size=3)))
    spans = []
    for place, day in enumerate(days):
        until = days[place + 1] if place + 1 < len(days) else draw(st.sampled_from([None, day + 2]))
        spans.append(
            segment(
                FIRST + timedelta(day),
                draw(st.sampled_from(UNITS)),
                until=None if until is None else FIRST + timedelta(until),
                level=draw(st.sampled_from([1, 2])),
                collecting=draw(st.sampled_from(UNITS)),
            )
        )
    return tuple(spans)


@st.composite
def facts(draw: Any, max_size: int = 12) -> list[Fact]:
    """In accepted order: what is accepted later is known on the same day or later. A fact's own days may lie long
    before it was known, or in between those of others."""
    count = draw(st.integers(0, max_size))
    known = sorted(draw(st.lists(st.integers(-3, 14), min_size=count, max_size=count)))
    return [
        Fact(
            record=draw(st.integers(0, 4)),
            known=FIRST + timedelta(day),
            indicator=draw(st.sampled_from(["intake", "approved", "activated"])),
            segments=draw(_segments()),
        )
        for day in known
    ]


def events(accepted: Sequence[Fact]) -> list[NewEvent]:
    """What the producers publish of it: each time the segments before and after."""
    last: dict[tuple[int, Indicator], tuple[Segment, ...]] = {}
    answer = []
    for fact in accepted:
        before = last.get((fact.record, fact.indicator), ())
        if before or fact.segments:
            answer.append(restated(fact.indicator, fact.segments, before, known=fact.known))
        last[fact.record, fact.indicator] = fact.segments
    return answer


def counted(
    accepted: Sequence[Fact],
    indicator: Indicator,
    level: int,
    units: Sequence[str],
    as_of: date,
    known_at: date,
    *,
    collecting: bool = False,
) -> int:
    """Look at each record as it was last told by the end of `known_at`: is it there at the end of `as_of`?"""
    last = {fact.record: fact for fact in accepted if fact.indicator == indicator and fact.known <= known_at}
    return sum(
        each.from_day <= as_of
        and (each.until_day is None or as_of < each.until_day)
        and each.level == level
        and (each.collecting if collecting else each.residence) in units
        for fact in last.values()
        for each in fact.segments
    )
