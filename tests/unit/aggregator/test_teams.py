"""The fold of work by team says what the counters say of who did the work, team by team."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aggregator import restated, segment
from tiendo_aggregator.consumer import Teams
from tiendo_aggregator.rules.counting import COLLECTING, COUNTED, fold, totals
from tiendo_aggregator.rules.teams import NOBODYS, TeamDecoder, TeamIntake, fold_teams
from tiendo_common.errors import UnknownEvent
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Chunk, Foreign, Partition, Position
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


@given(st.lists(changes, max_size=6))
def test_a_team_has_what_the_counters_would_have_of_its_segments_alone(told: list[Any]) -> None:
    events = [
        restated(indicator, after, before, known=known).event for indicator, after, before, known in told
    ]
    bodies = [encode(event) for event in events]

    def work(only: str) -> Counter[Any]:
        """The counters' cells of who did the work, of segments of one team."""
        alone = [
            msgspec.structs.replace(
                event,
                data=msgspec.structs.replace(
                    event.data,  # type: ignore[attr-defined]
                    before=tuple(s for s in event.data.before if s.team == only),  # type: ignore[attr-defined]
                    after=tuple(s for s in event.data.after if s.team == only),  # type: ignore[attr-defined]
                ),
            )
            for event in events
        ]
        decoded = EventDecoder(COUNTED).decode_all([encode(event) for event in alone])
        cells = totals(fold(decoded or ())).items()
        return Counter({(cell[0], *cell[2:]): n for cell, n in cells if cell[1] == COLLECTING})

    found = TeamDecoder().decode_all(bodies)
    assert found is not None
    by_team = fold_teams(found)
    for team in ("Tổ 1", "Tổ 2"):
        mine = {(unit, *rest): n for (unit, each, *rest), n in by_team.items() if each == team}
        assert mine == {cell: n for cell, n in work(team).items() if n}


def test_what_names_no_team_is_passed_over_unread_and_the_rest_is_judged_as_ever() -> None:
    decoder = TeamDecoder()
    alone = encode(restated("intake", [segment(D, "23281")], known=D).event)
    helped = encode(restated("intake", [segment(D, "23281", team="Tổ 1")], known=D).event)
    assert decoder.decode(alone) is decoder.decode(b"no event at all") is NOBODYS
    assert isinstance(decoder.decode(helped), TeamIntake)
    assert len(decoder.decode_all([alone, helped, b"no event at all"]) or ()) == 1
    assert decoder.decode_all([helped[:-5]]) is None
    with pytest.raises(msgspec.DecodeError):
        decoder.decode(helped[:-5])
    with pytest.raises(UnknownEvent):
        decoder.decode(helped.replace(b"intake-restated.v1", b"intake-restated.v2"))


def test_what_no_log_of_ours_wrote_is_left_to_the_counters() -> None:
    broken = encode(restated("intake", [segment(D, "23281", team="Tổ 1")], known=D).event)[:-5]
    foreign = Foreign(7, "no sequence", b"x")
    chunk = Chunk(Partition("intake", 0), [1], [broken], Position(2), (foreign,))
    batch = Batch([chunk])
    assert len(batch.rejected) == 1
    assert Teams().prepare(batch) == ({}, {})
    assert [(letter.sequence, letter.body) for letter in batch.rejected] == [(1, broken)]
