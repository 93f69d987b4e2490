"""When an account counts as activated: the written table, cell by cell, and what holds for every history."""

import itertools
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_activation import rules
from tiendo_activation.errors import NotActivated
from tiendo_activation.rules import Duplicate, Result, Switched, decide, latest, segments
from tiendo_common.events.restatements import DossierSegment, Segment, deltas

D = date(2023, 11, 11)
HOME, AWAY, THIRD = "23341", "23344", "23347"


def day(number: int) -> date:
    return D + timedelta(days=number)


def switched(number: int, on: bool = True, collecting: str | None = AWAY) -> Switched:
    return Switched(day(number), on, day(number), collecting, "home" if collecting else None, None)


def approved(
    since: int, until: int | None = None, *, level: int = 2, residence: str = HOME, approved: bool = True
) -> DossierSegment:
    return DossierSegment(
        from_day=day(since),
        until_day=None if until is None else day(until),
        level=1 if level == 1 else 2,
        residence=residence,
        collecting=residence,
        channel="fixed",
        cohorts=("workers",),
        team="Tổ 3",
        approved=approved,
    )


# --- the table ------------------------------------------------------------------------------------------------

STATES: dict[str, tuple[Switched, ...]] = {
    "never on": (),
    "on": (switched(1),),
    "off": (switched(1), switched(2, on=False)),
}


def the_table() -> list[tuple[Result, str, str]]:
    """Row, column and cell as the rules' docstring has them; `failed` is no switch and tested with storage."""
    assert rules.__doc__ is not None
    lines = [line[4:] for line in rules.__doc__.splitlines() if line.startswith("    ")]
    names: dict[str, Result] = {
        "succeeded": "succeeded",
        "deactivated": "deactivated",
        "reactivated": "reactivated",
    }
    return [
        (names[line.split()[0]], column, cell)
        for line in lines[1:]
        if line.split()[0] != "failed"
        for column, cell in zip(STATES, line.split()[1:], strict=True)
    ]


def test_the_table_is_whole() -> None:
    assert len(the_table()) == 9


@pytest.mark.parametrize(("result", "column", "cell"), the_table())
def test_the_table_is_what_happens(result: Result, column: str, cell: str) -> None:
    line = switched(5, on=result != "deactivated")
    if cell == "NotActivated":
        with pytest.raises(NotActivated) as caught:
            decide(STATES[column], result, line)
        assert caught.value.retryable
        return
    outcome = decide(STATES[column], result, line)
    assert isinstance(outcome, Duplicate) if cell == "D" else outcome == cell


# --- single rules ---------------------------------------------------------------------------------------------


def test_a_second_activation_names_what_it_says_otherwise() -> None:
    said = Switched(day(4), True, day(9), THIRD, "online", "Tổ 9")
    assert decide((switched(1),), "succeeded", said) == Duplicate(
        ("occurred_at", "collecting_unit", "channel", "team")
    )
    assert decide((switched(1),), "succeeded", Switched(day(1), True, day(9), AWAY, "home")) == Duplicate()


@pytest.mark.parametrize("first", ["dossier", "switch"])
def test_it_counts_from_the_first_day_on_which_both_hold(first: str) -> None:
    dossier, switch = (approved(2), switched(5)) if first == "dossier" else (approved(5), switched(2))
    [part] = segments([dossier], [switch])
    assert (part.from_day, part.until_day) == (day(5), None)


def test_an_activation_waits_for_its_approval() -> None:
    assert segments([approved(0, approved=False)], [switched(1)]) == ()
    [part] = segments([approved(0, 3, approved=False), approved(3)], [switched(1)])
    assert part.from_day == day(3)


def test_nothing_counts_without_a_dossier_or_a_switch() -> None:
    assert segments([], [switched(1)]) == ()
    assert segments([approved(0)], []) == ()


def test_the_work_is_credited_to_the_unit_that_helped() -> None:
    [part] = segments([approved(0)], [Switched(day(1), True, day(1), THIRD, "mobile", "Tổ 9")])
    assert (part.residence, part.collecting, part.channel, part.team) == (HOME, THIRD, "mobile", "Tổ 9")


def test_who_needed_no_help_counts_where_they_live_also_after_a_move() -> None:
    parts = segments([approved(0, 4), approved(4, residence=AWAY)], [switched(1, collecting=None)])
    assert [(part.residence, part.collecting, part.channel) for part in parts] == [
        (HOME, HOME, "online"),
        (AWAY, AWAY, "online"),
    ]


def test_an_upgrade_and_a_move_of_the_dossier_are_followed() -> None:
    parts = segments([approved(0, 3, level=1), approved(3, 6), approved(6, residence=AWAY)], [switched(1)])
    assert [(part.from_day, part.until_day, part.level, part.residence) for part in parts] == [
        (day(1), day(3), 1, HOME),
        (day(3), day(6), 2, HOME),
        (day(6), None, 2, AWAY),
    ]


def test_days_on_which_nothing_that_counts_changed_are_one_segment() -> None:
    parts = segments([approved(0, 3), approved(3)], [switched(1)])
    assert [(part.from_day, part.until_day) for part in parts] == [(day(1), None)]


def test_switching_off_and_on_again_leaves_the_days_between_out() -> None:
    switches = [switched(1), switched(4, on=False), switched(6, collecting=THIRD)]
    parts = segments([approved(0)], switches)
    assert [(part.from_day, part.until_day, part.collecting) for part in parts] == [
        (day(1), day(4), AWAY),
        (day(6), None, THIRD),
    ]


def test_on_and_off_on_one_day_never_counted() -> None:
    assert segments([approved(0)], [switched(1), switched(1, on=False)]) == ()


def test_a_revoked_approval_takes_the_days_after_it_away_and_a_new_one_gives_them_back() -> None:
    dossier = [approved(0, 3), approved(3, 5, approved=False), approved(5)]
    parts = segments(dossier, [switched(1)])
    assert [(part.from_day, part.until_day) for part in parts] == [(day(1), day(3)), (day(5), None)]


# --- every history --------------------------------------------------------------------------------------------

days = st.integers(0, 9).map(day)
switches = st.lists(
    st.builds(
        Switched,
        days,
        st.booleans(),
        days,
        st.sampled_from([None, AWAY, THIRD]),
        st.sampled_from([None, "home"]),
    ),
    max_size=7,
)


@st.composite
def dossiers(draw: st.DrawFn) -> list[DossierSegment]:
    """As intake makes them: seamless, the last one open."""
    starts = sorted(draw(st.sets(st.integers(0, 9), max_size=5)))
    return [
        approved(
            start,
            until,
            level=draw(st.sampled_from([1, 2])),
            residence=draw(st.sampled_from([HOME, AWAY])),
            approved=draw(st.booleans()),
        )
        for start, until in itertools.zip_longest(starts, starts[1:])
    ]


def is_on(all_switches: list[Switched], moment: date) -> bool:
    """Whether the phone is on at the end of a day: the last word up to then."""
    state = False
    for switch in sorted(all_switches, key=lambda switch: switch.day):
        if switch.day <= moment:
            state = switch.on
    return state


@given(dossiers(), switches)
def test_each_day_counts_if_the_dossier_is_approved_and_the_account_on(
    dossier: list[DossierSegment], some: list[Switched]
) -> None:
    parts = segments(dossier, some)
    for number in range(12):
        moment = day(number)
        holding = [
            part
            for part in dossier
            if part.from_day <= moment and (part.until_day is None or moment < part.until_day)
        ]
        counted = [
            part
            for part in parts
            if part.from_day <= moment and (part.until_day is None or moment < part.until_day)
        ]
        if holding and holding[0].approved and is_on(some, moment):
            [part] = counted
            assert (part.level, part.residence) == (holding[0].level, holding[0].residence)
        else:
            assert counted == []


@given(dossiers(), switches)
def test_segments_are_ordered_and_touching_ones_differ(
    dossier: list[DossierSegment], some: list[Switched]
) -> None:
    parts = segments(dossier, some)
    for part in parts:
        assert part.until_day is None or part.from_day < part.until_day
    for one, other in itertools.pairwise(parts):
        assert one.until_day is not None
        assert one.until_day <= other.from_day
        if one.until_day == other.from_day:
            assert (one.level, one.residence, one.collecting, one.channel, one.team) != (
                other.level,
                other.residence,
                other.collecting,
                other.channel,
                other.team,
            )


@given(
    dossiers(),
    st.lists(st.builds(Switched, days, st.booleans(), days), max_size=6, unique_by=lambda one: one.day),
    st.randoms(),
)
def test_switches_of_different_days_come_to_the_same_in_any_order(
    dossier: list[DossierSegment], some: list[Switched], dice: object
) -> None:
    shuffled = list(some)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert segments(dossier, shuffled) == segments(dossier, some)
    assert latest(shuffled) == latest(some)


@given(st.lists(st.tuples(dossiers(), switches), min_size=1, max_size=5))
def test_restatements_telescope_to_the_last_state(
    states: list[tuple[list[DossierSegment], list[Switched]]],
) -> None:
    folded: Counter[tuple[date, Segment]] = Counter()
    before: tuple[Segment, ...] = ()
    for dossier, some in states:
        after = segments(dossier, some)
        for sign, parts in ((1, after), (-1, before)):
            for moment, n, part in deltas(parts):
                folded[moment, part] += sign * n
        before = after
    last: Counter[tuple[date, Segment]] = Counter()
    for moment, n, part in deltas(before):
        last[moment, part] += n
    assert {cell: n for cell, n in folded.items() if n} == {cell: n for cell, n in last.items() if n}


results = st.sampled_from(["succeeded", "deactivated", "reactivated"])


@given(st.lists(st.tuples(results, days), max_size=10))
def test_a_line_told_twice_is_accepted_once(lines: list[tuple[Result, date]]) -> None:
    """Of what a system sends again at once, nothing is accepted again."""
    accepted: tuple[Switched, ...] = ()
    for result, moment in lines:
        switch = Switched(moment, result != "deactivated", moment)
        try:
            outcome = decide(accepted, result, switch)
        except NotActivated:
            continue
        if not isinstance(outcome, Duplicate) and latest((*accepted, switch)) == switch:
            accepted = (*accepted, switch)
            assert isinstance(decide(accepted, result, switch), Duplicate)
