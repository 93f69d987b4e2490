"""The event model counts right whatever happens in which order: every interleaving, against the services' rules.

The counters are folded from what the rules publish; what they must come to is worked out from the accepted
lines alone (`tests/support/event_model.py`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise, permutations
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.event_model import (
    DAYS,
    Cell,
    Citizen,
    Counts,
    Found,
    ToActivation,
    ToIntake,
    Told,
    add,
    day,
    explore,
    fold_last_states,
    sane,
    truth,
)
from tiendo_activation.rules import Result, Switched
from tiendo_aggregator.rules.counting import ATTRIBUTIONS, INDICATORS, Counted, fold, totals
from tiendo_common.events.restatements import (
    AccountRestated,
    AccountRestatement,
    ApprovalRestated,
    ApprovalRestatement,
    DossierSegment,
    IntakeRestated,
    IntakeRestatement,
    Segment,
)
from tiendo_intake.rules import Correction, Decided, Level, Moved, Taken, Void


def take(on: int, level: Level = 1, unit: str = "A") -> ToIntake:
    return ToIntake(f"take level {level} at {unit} on {on}", Taken(day(on), level, unit, unit, "mobile"))


def upgrade(on: int, by: str = "C") -> ToIntake:
    return ToIntake(f"upgrade by {by} on {on}", Taken(day(on), 2, "A", by, "fixed"))


def move(on: int, to: str = "B") -> ToIntake:
    return ToIntake(f"move to {to} on {on}", Moved(day(on), to))


def approve(on: int) -> ToIntake:
    return ToIntake(f"approve on {on}", Decided(day(on), True))


def reject(on: int) -> ToIntake:
    return ToIntake(f"reject on {on}", Decided(day(on), False, "photo"))


def correct(
    level: Level | None = None, residence: str | None = None, collecting: str | None = None
) -> ToIntake:
    said = {"level": level, "residence": residence, "collecting": collecting}
    words = ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
    return ToIntake(f"correct {words}", Correction(level, residence, collecting))


VOID = ToIntake("void", Void())


def switch(result: Result, on: int, helper: str | None = None) -> ToActivation:
    return ToActivation(
        f"{result} on {on}", result, Switched(day(on), result != "deactivated", day(on), helper)
    )


def on(when: int, helper: str | None = "B") -> ToActivation:
    return switch("succeeded", when, helper)


def off(when: int) -> ToActivation:
    return switch("deactivated", when)


def on_again(when: int, helper: str | None = None) -> ToActivation:
    return switch("reactivated", when, helper)


@dataclass(frozen=True)
class Case:
    """Lines to try in every order."""

    name: str
    to_intake: Sequence[ToIntake]
    to_activation: Sequence[ToActivation]


LIFE = Case(
    "taken, upgraded, moved, approved",
    [take(1), upgrade(4), move(3), approve(2)],
    [on(2), off(5), on_again(6)],
)
TAKEN_AGAIN = Case(
    "voided and taken again",
    [take(1), move(3), approve(2), VOID, take(6, 2, "C"), approve(7)],
    [on(2), off(5)],
)
CASES = [
    LIFE,
    TAKEN_AGAIN,
    Case(
        "a level corrected up",
        [take(1), upgrade(4), move(3), approve(2), correct(level=2)],
        [on(2), off(5)],
    ),
    Case(
        "a level corrected down",
        [take(1), upgrade(4), approve(2), correct(level=1, collecting="B")],
        [on(2), off(5), on_again(6)],
    ),
    Case(
        "units corrected",
        [take(1), move(4), approve(2), correct(residence="C"), correct(collecting="B")],
        [on(3, helper=None)],
    ),
    Case(
        "voided while switched off",
        [take(1), approve(2), VOID, take(3, 1, "B"), approve(4)],
        [on(2), off(5), on_again(6)],
    ),
    Case(
        "voided twice",
        [take(1), approve(2), VOID, take(3, 2, "B"), ToIntake("void again", Void())],
        [on(2)],
    ),
    Case(
        "approved, revoked, approved",
        [take(1), approve(2), reject(4), approve(6), move(3)],
        [on(2), off(5), on_again(7)],
    ),
    Case(
        "rejected, then approved",
        [take(1), reject(2), approve(4), upgrade(3)],
        [on(1), off(5), on_again(6)],
    ),
    Case(
        "what came before the intake's day",
        [take(5), upgrade(2), move(3), approve(1)],
        [on(6), off(3), on_again(7)],
    ),
    Case(
        "all on one day",
        [take(1), upgrade(1), move(1), approve(1), reject(1)],
        [on(1), off(1), on_again(1)],
    ),
    Case(
        "there and back, unaided",
        [take(1), move(3), move(5, "A"), approve(2)],
        [on(2, helper=None), off(4), on_again(6, "C")],
    ),
    Case(
        "everything once",
        [take(1), approve(2), move(3), upgrade(4), correct(level=2), VOID],
        [on(2)],
    ),
]


def explored(cases: Iterable[Case], **mistake: Any) -> Found:
    return reduce(
        Found.plus, (explore(case.to_intake, case.to_activation, **mistake) for case in cases), Found()
    )


def test_every_interleaving_ends_at_the_truth_and_counts_nobody_twice_on_the_way(
    record_property: Any,
) -> None:
    found = explored(CASES)
    record_property("states", found.states)
    assert found.wrong_orders == 0, found.example
    assert (found.wrong_ends, found.wrong_between) == (0, 0)
    assert found.states > 500_000


def test_a_fold_of_the_state_before_and_after_dated_by_the_change_is_found_wrong() -> None:
    found = explored([LIFE, TAKEN_AGAIN], fold=fold_last_states)
    assert found.wrong_orders > found.orders / 2
    assert found.wrong_ends > 0
    assert found.wrong_between > 0


def test_of_a_wrong_fold_the_shortest_order_that_shows_it_is_named() -> None:
    late_approval = Case("an approval that is told late", [take(1), approve(2), move(3)], [])
    assert explored([late_approval]).example == ()
    found = explored([late_approval], fold=fold_last_states)
    assert found.example == ("take level 1 at A on 1", "move to B on 3", "approve on 2")


@pytest.mark.parametrize(
    ("silent_on", "line"), [("moved", move(4)), ("upgraded", upgrade(4)), ("voided", VOID)]
)
def test_an_activation_that_is_silent_on_a_change_of_the_dossier_is_found_wrong(
    silent_on: str, line: ToIntake
) -> None:
    case = Case("changed after it was activated", [take(1), approve(2), line], [on(3)])
    assert explored([case]).wrong_orders == 0
    found = explored([case], silent_on=frozenset({silent_on}))
    assert found.wrong_ends > 0
    assert set(found.example) == {line.name, *(each.name for each in (take(1), approve(2), on(3)))}


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if len({line.day for line in case.to_intake}) == len(case.to_intake)
        and all(line.day is not None for line in case.to_intake)
    ],
    ids=lambda case: case.name,
)
def test_late_lines_count_like_punctual_ones(case: Case) -> None:
    """The same accepted lines come to the same counts, in whatever order they were accepted."""
    ends: dict[frozenset[ToIntake], set[frozenset[Cell]]] = {}
    for order in permutations(case.to_intake):
        citizen = Citizen()
        for switched in case.to_activation:
            citizen.send(switched)
        for line in order:
            citizen.send(line)
        drain(citizen)
        counts = counted(citizen)
        assert set(counts.values()) <= {1}
        ends.setdefault(frozenset(citizen.desk.accepted), set()).add(frozenset(counts))
    assert {len(each) for each in ends.values()} == {1}


def drain(citizen: Citizen) -> None:
    while citizen.followed < len(citizen.desk.dossiers):
        citizen.follow()


def counted(citizen: Citizen) -> Counts:
    return reduce(add, (told for topic in citizen.topics for told in topic), {})


# --- longer lives, at random -----------------------------------------------------------------------------

#: How fast the machine is says nothing about the model.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

units = st.sampled_from(["A", "B", "C"])
days = st.integers(0, len(DAYS) - 1)
levels = st.sampled_from([1, 2])
lines_to_intake = st.one_of(
    st.builds(take, days, levels, units),
    st.builds(upgrade, days, units),
    st.builds(move, days, units),
    st.builds(approve, days),
    st.builds(reject, days),
    st.builds(correct, st.none() | levels, st.none() | units, st.none() | units),
    st.just(VOID),
)
lines_to_activation = st.builds(
    switch, st.sampled_from(["succeeded", "deactivated", "reactivated"]), days, st.none() | units
)


@dataclass(frozen=True)
class Reads:
    """The aggregator reads one more event of a topic."""

    topic: int


@dataclass(frozen=True)
class Follows:
    """Activation reads a dossier: the next one, or one that it has read before."""

    again: int | None


steps = st.one_of(
    lines_to_intake,
    lines_to_activation,
    st.builds(Reads, st.integers(0, 2)),
    st.builds(Follows, st.none() | st.integers(1, 5)),
)


@settings(UNHURRIED, max_examples=400)
@given(st.builds(take, days, levels, units), st.lists(steps, max_size=40))
def test_any_life_ends_at_the_truth(
    first: ToIntake, rest: list[ToIntake | ToActivation | Reads | Follows]
) -> None:
    citizen = Citizen()
    citizen.send(first)
    read, counts = [0, 0, 0], dict[Cell, int]()
    for step in rest:
        if isinstance(step, Reads):
            if read[step.topic] < len(citizen.topics[step.topic]):
                counts = dict(add(counts, citizen.topics[step.topic][read[step.topic]]))
                read[step.topic] += 1
                assert sane(counts)
        elif isinstance(step, Follows):
            if step.again is None:
                citizen.follow()
            else:
                citizen.follow_again(step.again)
        else:
            citizen.send(step)
    drain(citizen)
    assert counted(citizen) == dict.fromkeys(truth(citizen.desk.accepted, citizen.switches), 1)


@settings(UNHURRIED)
@given(st.builds(take, days, levels, units), st.lists(lines_to_intake | lines_to_activation, max_size=15))
def test_segments_are_in_order_and_say_nothing_twice(
    first: ToIntake, rest: list[ToIntake | ToActivation]
) -> None:
    citizen = Citizen()
    for line in (first, *rest):
        citizen.send(line)
        citizen.follow()
        several: list[Sequence[Segment | DossierSegment]] = [citizen.desk.segments, citizen.account.segments]
        for parts in several:
            assert all(part.until_day is None or part.from_day < part.until_day for part in parts)
            for earlier, later in pairwise(parts):
                assert earlier.until_day is not None
                assert earlier.until_day <= later.from_day
                assert earlier.until_day < later.from_day or place(earlier) != place(later)
        if citizen.desk.segments:
            assert citizen.desk.segments[-1].until_day is None
            assert all(one.until_day == other.from_day for one, other in pairwise(citizen.desk.segments))


def place(part: Segment | DossierSegment) -> dict[str, Any]:
    """What a segment says but for its days."""
    return {**msgspec.structs.asdict(part), "from_day": None, "until_day": None}


@settings(UNHURRIED)
@given(st.builds(take, days, levels, units), st.lists(lines_to_intake | lines_to_activation, max_size=15))
def test_each_event_begins_where_the_one_before_it_ended(
    first: ToIntake, rest: list[ToIntake | ToActivation]
) -> None:
    citizen = Citizen()
    for line in (first, *rest):
        citizen.send(line)
        citizen.follow()
    for topic in citizen.topics:
        assert [told.before for told in topic] == [(), *(told.after for told in topic)][: len(topic)]


@settings(UNHURRIED)
@given(st.builds(take, days, levels, units), st.lists(lines_to_intake | lines_to_activation, max_size=15))
def test_the_aggregator_folds_what_the_model_folds(
    first: ToIntake, rest: list[ToIntake | ToActivation]
) -> None:
    citizen = Citizen()
    for line in (first, *rest):
        citizen.send(line)
        citizen.follow()
    counts: Counter[Cell] = Counter()
    published = [event(told) for topic in citizen.topics for told in topic]
    for (unit, attribution, since, _known, indicator, level), n in totals(fold(published)).items():
        for today in DAYS:
            if since <= today:
                counts[INDICATORS[indicator], ATTRIBUTIONS[attribution], unit, level, today] += n
    assert {cell: n for cell, n in counts.items() if n} == counted(citizen)


def event(told: Told) -> Counted:
    attributes: dict[str, Any] = {
        "id": "1", "source": "/vn/test", "subject": "A", "time": NOON, "partitionkey": "r",
    }  # fmt: skip
    said: dict[str, Any] = {
        "record_id": "r", "version": 1, "occurred_at": NOON, "known_day": DAYS[0],
        "before": told.before, "after": told.after,
    }  # fmt: skip
    if told.indicator == "intake":
        return IntakeRestated(data=IntakeRestatement(change="recorded", **said), **attributes)
    if told.indicator == "approved":
        return ApprovalRestated(data=ApprovalRestatement(change="approved", **said), **attributes)
    return AccountRestated(data=AccountRestatement(change="activated", **said), **attributes)


NOON = datetime(2023, 11, 1, 12, tzinfo=UTC)
