"""What a line does to a dossier: the written table, cell by cell, and what holds for every history."""

import itertools
from collections import Counter
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_common.events.restatements import DossierSegment, Segment, deltas
from tiendo_intake import rules
from tiendo_intake.errors import NoDossier
from tiendo_intake.rules import (
    Accepted,
    Action,
    Correction,
    Decided,
    Duplicate,
    Fact,
    Moved,
    Taken,
    Upgraded,
    Void,
    approved_segments,
    decide,
    intake_segments,
    segments,
)

D = date(2023, 11, 11)
HOME, AWAY, THIRD = "23341", "23344", "23347"


def day(number: int) -> date:
    return D + timedelta(days=number)


def taken(level: int = 1, number: int = 0, residence: str = HOME, collecting: str = HOME) -> Taken:
    return Taken(day(number), 1 if level == 1 else 2, residence, collecting, "mobile", ("workers",), "Tổ 3")


# --- the table ------------------------------------------------------------------------------------------------

#: One history for each column of the table; those with a dossier stand at level 1.
STATES: dict[str, tuple[Fact, ...] | None] = {
    "none": None,
    "pending": (taken(),),
    "approved": (taken(), Decided(day(1), True)),
    "rejected": (taken(), Decided(day(1), False, "photo")),
    "voided": (),
}
#: One line for each row.
ACTIONS: dict[str, Action] = {
    "intake, same/lower": taken(1, 5, AWAY),
    "intake, level 1→2": taken(2, 5),
    "approved": Decided(day(5), True),
    "rejected": Decided(day(5), False, "papers"),
    "move": Moved(day(5), AWAY),
    "move to same unit": Moved(day(5), HOME),
    "correct": Correction(residence=AWAY),
    "correct to the same": Correction(residence=HOME, level=1),
    "void": Void(),
}


def the_table() -> list[tuple[str, str, str]]:
    """Row, column and cell as the rules' docstring has them."""
    assert rules.__doc__ is not None
    lines = [line[4:] for line in rules.__doc__.splitlines() if line.startswith("    ")]
    columns = lines[0].split("state")[1].split()
    width = lines[0].index("none")
    return [
        (line[:width].strip(), column, cell)
        for line in lines[1:]
        for column, cell in zip(columns, line[width:].split(), strict=True)
    ]


def test_the_table_has_a_row_for_every_line_and_a_column_for_every_state() -> None:
    rows = {row for row, _, _ in the_table()}
    columns = {column for _, column, _ in the_table()}
    assert rows == set(ACTIONS)
    assert columns == set(STATES)


@pytest.mark.parametrize(("row", "column", "cell"), the_table())
def test_the_table_is_what_happens(row: str, column: str, cell: str) -> None:
    facts = STATES[column]
    if cell == "NoDossier":
        with pytest.raises(NoDossier) as caught:
            decide(facts, ACTIONS[row])
        assert caught.value.retryable
        return
    outcome = decide(facts, ACTIONS[row])
    if cell == "D":
        assert isinstance(outcome, Duplicate)
    else:
        assert isinstance(outcome, Accepted)
        assert outcome.change == cell


def history(*actions: Action) -> tuple[Fact, ...] | None:
    """The facts in force after these lines; those that change nothing change nothing."""
    facts: tuple[Fact, ...] | None = None
    for action in actions:
        try:
            outcome = decide(facts, action)
        except NoDossier:
            continue
        if isinstance(outcome, Accepted):
            facts = outcome.facts
    return facts


# --- single rules ---------------------------------------------------------------------------------------------


def test_a_second_intake_names_what_it_says_otherwise() -> None:
    outcome = decide((taken(),), Taken(day(3), 1, AWAY, THIRD, "home", (), None))
    assert outcome == Duplicate(
        ("residence_unit", "collecting_unit", "team", "channel", "cohorts", "occurred_at")
    )
    assert decide((taken(2),), taken(1)) == Duplicate(("level",))
    assert decide((taken(),), taken()) == Duplicate()


def test_an_upgrade_keeps_the_approval_and_credits_whoever_took_it() -> None:
    facts = history(
        taken(1), Decided(day(1), True), Taken(day(4), 2, HOME, THIRD, "home", ("workers",), "Tổ 9")
    )
    first, approved, upgraded = segments(facts or ())
    assert [part.approved for part in (first, approved, upgraded)] == [False, True, True]
    assert [part.level for part in (first, approved, upgraded)] == [1, 1, 2]
    assert (upgraded.from_day, upgraded.collecting, upgraded.channel, upgraded.team) == (
        day(4),
        THIRD,
        "home",
        "Tổ 9",
    )
    assert (upgraded.residence, upgraded.cohorts) == (HOME, ("workers",))


def test_an_upgrade_names_what_it_did_not_take_over() -> None:
    outcome = decide((taken(1),), Taken(day(4), 2, AWAY, THIRD, "home", ("elderly",), None))
    assert isinstance(outcome, Accepted)
    assert outcome.differs == ("residence_unit", "cohorts")


@pytest.mark.parametrize("early", [Moved(day(-9), AWAY), Decided(day(-9), True), taken(2, -9, HOME, AWAY)])
def test_nothing_holds_before_the_day_of_the_intake(early: Action) -> None:
    [part] = segments(history(taken(1), early) or ())
    assert part.from_day == D
    assert (part.residence, part.level, part.approved) != (HOME, 1, False)


def test_a_correction_rewrites_from_the_start_and_leaves_later_facts_alone() -> None:
    facts = history(
        taken(1),
        Decided(day(1), True),
        Moved(day(2), AWAY),
        Correction(residence=THIRD, collecting=AWAY, channel="home", cohorts=("elderly",)),
    )
    parts = segments(facts or ())
    assert [part.residence for part in parts] == [THIRD, THIRD, AWAY]
    assert {(part.collecting, part.channel, part.cohorts) for part in parts} == {(AWAY, "home", ("elderly",))}
    assert [part.approved for part in parts] == [False, True, True]


def test_a_level_corrected_downwards_takes_the_upgrade_back() -> None:
    facts = history(taken(1), taken(2, 3, collecting=AWAY), Correction(level=1))
    assert facts == (taken(1),)
    assert history(taken(1), taken(2, 3), Correction(level=1), taken(2, 6)) is not None


def test_a_level_corrected_upwards_makes_a_later_upgrade_meaningless() -> None:
    facts = history(taken(1), taken(2, 3, collecting=AWAY), Correction(level=2))
    [part] = segments(facts or ())
    assert (part.level, part.collecting) == (2, HOME)


def test_a_void_empties_all_days_and_the_citizen_can_be_taken_again() -> None:
    facts = history(taken(2), Decided(day(1), True), Moved(day(2), AWAY), Void())
    assert facts == ()
    assert segments(()) == ()
    again = history(taken(2), Decided(day(1), True), Void(), taken(1, 7, AWAY))
    assert again == (taken(1, 7, AWAY),)
    [part] = segments(again)
    assert not part.approved


def test_a_fact_told_again_is_a_duplicate_though_others_came_since() -> None:
    facts = history(
        taken(1),
        Moved(day(2), AWAY),
        Moved(day(4), THIRD),
        Decided(day(1), True),
        Decided(day(6), False, "x"),
    )
    assert facts is not None
    for fact in facts[1:]:
        assert isinstance(fact, Moved | Decided)
        assert decide(facts, fact) == Duplicate()


def test_a_decision_told_with_another_day_or_reason_names_them() -> None:
    facts = STATES["rejected"]
    assert decide(facts, Decided(day(4), False, "papers")) == Duplicate(("occurred_at", "reason"))
    assert decide(STATES["approved"], Decided(day(1), True, "after all")) == Duplicate(("reason",))


def test_a_rejection_from_before_the_approval_revokes_nothing() -> None:
    facts = (taken(), Decided(day(5), True))
    outcome = decide(facts, Decided(day(3), False, "photo"))
    assert isinstance(outcome, Accepted)
    assert outcome.change == "rejected"
    states = [(part.decided, part.approved) for part in segments(outcome.facts)]
    assert states == [(False, False), (True, False), (True, True)]


def test_an_approval_counts_again_from_its_own_day_after_a_revocation() -> None:
    facts = history(taken(), Decided(day(1), True), Decided(day(3), False, "x"), Decided(day(6), True))
    approved = approved_segments(segments(facts or ()))
    assert [(part.from_day, part.until_day) for part in approved] == [(day(1), day(3)), (day(6), None)]
    [whole] = intake_segments(segments(facts or ()))
    assert (whole.from_day, whole.until_day) == (D, None)


# --- every history --------------------------------------------------------------------------------------------

days = st.integers(-2, 9).map(day)
units = st.sampled_from([HOME, AWAY, THIRD])
levels = st.sampled_from([1, 2])
channels = st.sampled_from(["fixed", "mobile", "home", "online"])
cohorts = st.sampled_from([(), ("workers",), ("elderly", "workers")])
takes = st.builds(Taken, days, levels, units, units, channels, cohorts, st.sampled_from([None, "Tổ 3"]))
decisions = st.builds(Decided, days, st.booleans(), st.sampled_from([None, "photo"]))
moves = st.builds(Moved, days, units)
corrections = st.builds(
    Correction,
    st.none() | levels,
    st.none() | units,
    st.none() | units,
    st.none() | channels,
    st.none() | cohorts,
)
actions = takes | decisions | moves | corrections | st.just(Void())
histories = st.lists(actions, max_size=12)


def on(
    parts: tuple[DossierSegment, ...] | tuple[Segment, ...], moment: date
) -> DossierSegment | Segment | None:
    """The part that holds on a day; it must be one."""
    found = [
        part
        for part in parts
        if part.from_day <= moment and (part.until_day is None or moment < part.until_day)
    ]
    assert len(found) <= 1
    return found[0] if found else None


def truth(facts: tuple[Fact, ...], moment: date) -> tuple[int, str, str, bool] | None:
    """Level, residence, collecting and approval on a day: each fact looked at on its own, by hand."""
    if not facts or moment < facts[0].day:
        return None
    first = facts[0]
    assert isinstance(first, Taken)
    level, residence, collecting, approved = first.level, first.residence, first.collecting, False
    for fact in sorted(facts[1:], key=lambda fact: fact.day):
        if fact.day <= moment:
            if isinstance(fact, Upgraded) and level == 1:
                level, collecting = 2, fact.collecting
            if isinstance(fact, Moved):
                residence = fact.residence
            if isinstance(fact, Decided):
                approved = fact.approved
    return level, residence, collecting, approved


@given(histories)
def test_segments_are_ordered_seamless_and_different_from_their_neighbours(lines: list[Action]) -> None:
    facts = history(*lines)
    parts = segments(facts or ())
    if not facts:
        assert parts == ()
        return
    assert parts[0].from_day == facts[0].day
    assert parts[-1].until_day is None
    for one, other in itertools.pairwise(parts):
        assert one.until_day == other.from_day
        assert one.from_day < other.from_day
        assert msgspec.structs.replace(one, from_day=other.from_day, until_day=other.until_day) != other


@given(histories)
def test_segments_say_of_each_day_what_the_facts_say(lines: list[Action]) -> None:
    facts = history(*lines) or ()
    parts = segments(facts)
    for number in range(-3, 12):
        part = on(parts, day(number))
        said = None
        if part is not None:
            assert isinstance(part, DossierSegment)
            said = (part.level, part.residence, part.collecting, part.approved)
        assert said == truth(facts, day(number))


@given(histories)
def test_the_two_indicators_count_what_the_dossier_says(lines: list[Action]) -> None:
    parts = segments(history(*lines) or ())
    taken_parts, approved_parts = intake_segments(parts), approved_segments(parts)
    for number in range(-3, 12):
        part = on(parts, day(number))
        for public, counts in (
            (on(taken_parts, day(number)), part is not None),
            (on(approved_parts, day(number)), isinstance(part, DossierSegment) and part.approved),
        ):
            assert (public is not None) == counts
            if public is not None and part is not None:
                assert (public.level, public.residence, public.collecting, public.channel, public.team) == (
                    part.level,
                    part.residence,
                    part.collecting,
                    part.channel,
                    part.team,
                )
    for one, other in itertools.pairwise(taken_parts):
        assert one.until_day == other.from_day
        assert (one.level, one.residence, one.collecting, one.channel, one.team) != (
            other.level,
            other.residence,
            other.collecting,
            other.channel,
            other.team,
        )


@given(histories)
def test_changes_telescope_to_the_last_state(lines: list[Action]) -> None:
    """Whoever adds deltas(after) and takes away deltas(before) of each change ends with the last state."""
    folded: Counter[tuple[str, date, int, str, str]] = Counter()
    facts: tuple[Fact, ...] | None = None
    for action in lines:
        try:
            outcome = decide(facts, action)
        except NoDossier:
            continue
        if isinstance(outcome, Accepted):
            before, after = segments(facts or ()), segments(outcome.facts)
            facts = outcome.facts
            for indicator, view in (("intake", intake_segments), ("approved", approved_segments)):
                for sign, dossier in ((1, after), (-1, before)):
                    for moment, n, part in deltas(view(dossier)):
                        folded[indicator, moment, part.level, part.residence, part.collecting] += sign * n
    last: Counter[tuple[str, date, int, str, str]] = Counter()
    parts = segments(facts or ())
    for indicator, view in (("intake", intake_segments), ("approved", approved_segments)):
        for moment, n, part in deltas(view(parts)):
            last[indicator, moment, part.level, part.residence, part.collecting] += n
    assert {cell: n for cell, n in folded.items() if n} == {cell: n for cell, n in last.items() if n}


@given(histories, actions)
def test_a_line_told_twice_changes_something_once(lines: list[Action], action: Action) -> None:
    facts = history(*lines)
    try:
        outcome = decide(facts, action)
    except NoDossier:
        return
    if isinstance(outcome, Accepted):
        assert isinstance(decide(outcome.facts, action), Duplicate)


@given(takes, st.lists(decisions | moves, max_size=6, unique_by=lambda fact: fact.day), st.randoms())
def test_facts_of_different_days_come_to_the_same_in_any_order(
    first: Taken, later: list[Decided | Moved], dice: object
) -> None:
    shuffled = list(later)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert segments((first, *shuffled)) == segments((first, *later))


@given(histories)
def test_the_first_fact_in_force_is_the_intake_and_the_only_one(lines: list[Action]) -> None:
    facts = history(*lines)
    assert not facts or [isinstance(fact, Taken) for fact in facts] == [True] + [False] * (len(facts) - 1)
