"""Who waits for what since when: the lives of the event model's cases, their lines late and in any order."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.event_model import DAYS, Citizen, Told, Waits, day, reached, right, waits
from tests.unit.test_event_model import CASES, UNHURRIED, VOID, Case, drain
from tests.unit.test_truth_on_two_times import attempt, event, since_when
from tiendo_aggregator.rules import counting
from tiendo_aggregator.rules.counting import APPROVED, PASSAGES, TAKEN, UNKNOWN, fold
from tiendo_intake.rules import approved_segments, intake_segments


@st.composite
def lives(draw: Any) -> Citizen:
    """A case's first line, then the others with attempts that fail among them; activation reads dossiers meanwhile."""
    case: Case = draw(st.sampled_from(CASES))
    first, *lines = case.to_intake
    rest = [*lines, *case.to_activation, *([VOID] if draw(st.booleans()) else [])]
    attempts = draw(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, len(DAYS) - 1)), max_size=3))
    citizen = Citizen()
    citizen.send(first)
    for step in draw(st.permutations([*rest, *attempts])):
        if isinstance(step, tuple):
            citizen.fail(step[0], day(step[1]))
        else:
            citizen.send(step)
        if draw(st.booleans()):
            citizen.follow()
    drain(citizen)
    return citizen


def published(citizen: Citizen) -> list[counting.Counted]:
    return [
        *(event(told, DAYS[0]) for topic in citizen.topics for told in topic),
        *(attempt(each, DAYS[0]) for each in citizen.failures),
    ]


@UNHURRIED
@given(lives(), st.integers(0, 4))
def test_the_fold_knows_who_waits_and_since_when(citizen: Citizen, window: int) -> None:
    lines, switches = citizen.desk.accepted, citizen.switches
    with pytest.MonkeyPatch.context() as patch:
        # So that in nine days some come late.
        patch.setattr(counting, "ACTIVATION_WINDOW", timedelta(days=window))
        folded = fold(published(citizen))
    counts: Counter[Waits] = Counter()
    for today in DAYS:
        for (unit, what, since), n in since_when(folded, today, DAYS[0]).items():
            if PASSAGES[what] in ("taken", "decided"):
                counts["undecided", unit, today, since] += n if PASSAGES[what] == "taken" else -n
            else:
                counts[PASSAGES[what], unit, today, since] += n
    expected: Counter[Waits] = Counter(waits(lines))
    expected.update(reached(lines, switches, timedelta(days=window)))
    expected.update(right(lines, switches, citizen.failures))
    expected.update(
        ("failed_network", each.unit, today, each.day)
        for each in citizen.failures for today in DAYS if each.day <= today
    )  # fmt: skip
    assert {cell: n for cell, n in counts.items() if n} == expected


@UNHURRIED
@given(lives())
def test_what_builds_before_told_is_taken_back_as_they_told_it(citizen: Citizen) -> None:
    """They did not say since when. Then this build voids the dossier: nothing may be left of it."""
    dossier = tuple(msgspec.structs.replace(part, decided=msgspec.UNSET) for part in citizen.desk.segments)
    account = tuple(msgspec.structs.replace(part, since=msgspec.UNSET) for part in citizen.account.segments)
    told = [
        event(each, DAYS[0])
        for each in (
            Told("intake", DAYS[0], (), intake_segments(dossier)),
            Told("approved", DAYS[0], (), approved_segments(dossier)),
            Told("activated", DAYS[0], (), account),
        )
    ]
    assert {since for *_, what, since in fold(told).passages if what not in (TAKEN, APPROVED)} <= {UNKNOWN}
    citizen.desk = replace(citizen.desk, segments=dossier, intakes=(), approvals=())
    citizen.account = replace(citizen.account, segments=account, failures=())
    citizen.activations, citizen.failures = (), ()
    citizen.send(VOID)
    drain(citizen)
    folded = fold([*told, *published(citizen)])
    assert not any(folded.passages.values())
    assert not any(any(counts) for counts in folded.counts.values())
