"""The plan: quotas and what remains to be done."""

from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tiendo_notifier.rules.plan import Calendar, Figures, figures, needed_per_day

FIRST = date(2023, 11, 11)
KON_TUM = Calendar(date(2023, 11, 11), date(2023, 12, 30))


def closing(
    day: date = date(2023, 12, 7), *, target: int = 1000, baseline: int = 0, value: int = 0, done: int = 0
) -> Figures:
    return figures(KON_TUM, day, target=target, baseline=baseline, value=value, done=done)


@given(
    owed=st.integers(0, 10**7),
    weights=st.lists(st.integers(0, 9), min_size=1, max_size=100).filter(any),
)
def test_quotas_sum_to_exactly_what_is_owed_and_follow_the_days_weights(
    owed: int, weights: list[int]
) -> None:
    calendar = Calendar(FIRST, FIRST + timedelta(len(weights) - 1), tuple(weights))
    seen = [
        figures(calendar, FIRST + timedelta(n), target=owed, baseline=0, value=0, done=0)
        for n in range(len(weights))
    ]
    assert sum(each.quota for each in seen) == owed == seen[-1].planned
    for each, weight in zip(seen, weights, strict=True):
        assert abs(each.quota - Fraction(owed * weight, sum(weights))) < 1
        assert each.days_left == sum(later > 0 for later in weights[each.day_number :])


def test_without_weights_all_days_are_alike() -> None:
    flat = Calendar(KON_TUM.first_day, KON_TUM.last_day, (3,) * 50)
    for day in (date(2023, 11, 11), date(2023, 12, 7), date(2023, 12, 30)):
        assert closing(day, target=1007) == figures(flat, day, target=1007, baseline=0, value=0, done=0)


@given(missing=st.integers(-100, 10**6), days_left=st.integers(1, 100))
def test_doing_what_is_needed_each_day_left_is_enough_and_one_less_is_not(
    missing: int, days_left: int
) -> None:
    needed = needed_per_day(missing, days_left)
    assert needed is not None
    assert needed * days_left >= missing
    assert missing <= 0 or (needed - 1) * days_left < missing


def test_kon_tum_needed_6641_activations_a_day_on_day_27() -> None:
    seen = closing(target=335_512, value=182_769)
    assert (seen.day_number, seen.days, seen.days_left, seen.needed_per_day) == (27, 50, 23, 6_641)


def test_on_the_last_day_nothing_can_be_needed_per_day_any_more() -> None:
    assert closing(date(2023, 12, 30), value=999).needed_per_day is None
    assert closing(date(2023, 12, 30), value=1000).needed_per_day == 0


def test_a_baseline_past_the_target_leaves_nothing_to_plan() -> None:
    seen = closing(target=100, baseline=120, value=119)
    assert (seen.quota, seen.planned, seen.shortfall, seen.needed_per_day, seen.reached) == (0, 0, 0, 0, True)


def test_a_day_without_a_quota_cannot_fall_short_even_when_voids_outnumber_the_work() -> None:
    assert closing(date(2023, 11, 11), target=10, done=-3).shortfall == 0


def test_both_ends_belong_to_the_campaign() -> None:
    assert date(2023, 11, 11) in KON_TUM
    assert date(2023, 12, 30) in KON_TUM
    assert date(2023, 11, 10) not in KON_TUM
    assert date(2023, 12, 31) not in KON_TUM
