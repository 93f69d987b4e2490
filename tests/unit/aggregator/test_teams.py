"""The fold of work by team says what the counters say of who did the work, team by team."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aggregator import restated, segment
from tiendo_aggregator.rules.counting import COLLECTING, LEAN, Folded, add_up, fold, totals
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import encode

D = date(2023, 11, 11)
days = st.integers(0, 5).map(lambda n: D + timedelta(n))
segments = st.lists(
    st.builds(
        lambda day, length, level, unit, team: segment(
            day,
            "23281",
            until=day + timedelta(length) if length else None,
            level=level,
            collecting=unit,
            team=team,
        ),
        days,
        st.integers(0, 4),
        st.sampled_from([1, 2]),
        st.sampled_from(["23281", "23284"]),
        st.sampled_from([None, "Tổ 1", "Tổ 2"]),
    ),
    max_size=3,
)


changes = st.tuples(st.sampled_from(["intake", "approved", "activated"]), segments, segments, days).filter(
    lambda change: bool(change[1] or change[2])
)


def folded(events: list[Any]) -> Folded:
    """As the consumer folds them."""
    decoded = EventDecoder(LEAN).decode_all([encode(event) for event in events])
    assert decoded is not None
    return fold(decoded)


@given(st.lists(changes, max_size=6), st.integers(0, 6))
def test_a_team_has_what_the_counters_would_have_of_its_segments_alone(told: list[Any], cut: int) -> None:
    events = [
        restated(indicator, after, before, known=known).event for indicator, after, before, known in told
    ]

    def alone(team: str) -> Counter[Any]:
        """The counters' cells of who did the work, of segments of one team."""
        its = [
            msgspec.structs.replace(
                event,
                data=msgspec.structs.replace(
                    event.data,  # type: ignore[attr-defined]
                    before=tuple(s for s in event.data.before if s.team == team),  # type: ignore[attr-defined]
                    after=tuple(s for s in event.data.after if s.team == team),  # type: ignore[attr-defined]
                ),
            )
            for event in events
        ]
        cells = totals(folded(its)).items()
        return Counter({(cell[0], *cell[2:]): n for cell, n in cells if cell[1] == COLLECTING})

    by_team = add_up([folded(events[:cut]), folded(events[cut:])]).teams
    assert {team for _, team, *_ in by_team} <= {"Tổ 1", "Tổ 2"}
    for team in ("Tổ 1", "Tổ 2"):
        mine = {(unit, *rest): n for (unit, each, *rest), n in by_team.items() if each == team and n}
        assert mine == dict(alone(team))
