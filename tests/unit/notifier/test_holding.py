"""What is kept back: under a silence, together with its siblings, or because it flaps."""

from hypothesis import given
from hypothesis import strategies as st

from tiendo_notifier.rules.holding import Circumstances, flapping, kept_back, names_again, together
from tiendo_notifier.rules.life import Decision, News, Standing
from tiendo_notifier.rules.table import Severity

NOWHERE = Circumstances()


def decided(tell: News | None) -> Decision:
    return Decision("opened", "behind_pace", Severity.WARNING, "", (), tell)


def test_a_third_of_the_children_and_three_at_least_are_told_together_until_fewer_than_a_quarter() -> None:
    assert [together(9, n, were=False) for n in (2, 3)] == [False, True]
    assert [together(102, n, were=False) for n in (33, 34)] == [False, True]
    assert [together(3, n, were=False) for n in (2, 3)] == [False, True]
    assert [together(102, n, were=True) for n in (25, 26)] == [False, True]
    assert not together(2, 1, were=True)


@given(children=st.integers(1, 400), in_trouble=st.integers(0, 400))
def test_what_forms_does_not_end_at_once(children: int, in_trouble: int) -> None:
    if together(children, in_trouble, were=False):
        assert together(children, in_trouble, were=True)


def test_those_who_join_are_named_three_days_after_the_last_message() -> None:
    assert [names_again(1, days) for days in (None, 0, 2, 3, 9)] == [False, False, False, True, True]
    assert not names_again(0, 9)


def test_three_openings_in_a_week_flap_until_the_last_has_stood_for_three_days() -> None:
    often = Standing(openings=(10, 12, 15))
    assert [flapping(often, day) for day in (15, 16, 17, 18)] == [True, True, True, False]
    assert not flapping(Standing(openings=(10, 15)), 15)
    assert not flapping(Standing(openings=(1, 8, 15)), 15)


def test_what_is_kept_back_says_why() -> None:
    flaps = Standing(openings=(10, 12, 15))
    calm = Standing(openings=(15,))
    assert kept_back(decided(None), flaps, 15, Circumstances("a silence")) is None
    assert kept_back(decided("opened"), calm, 15, NOWHERE) is None
    assert kept_back(decided("opened"), calm, 15, Circumstances("a silence", "610")) == "a silence"
    assert "about 610" in str(kept_back(decided("opened"), calm, 15, Circumstances(None, "610")))
    assert "days 10, 12, 15" in str(kept_back(decided("worsened"), flaps, 15, NOWHERE))
    # Good news of what was told is told.
    assert kept_back(decided("resolved"), flaps, 15, Circumstances(None, "610")) is None
