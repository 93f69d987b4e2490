"""Ranks with ties, order of finish, movement."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tiendo_aggregator.rules.ranks import Runner, places, ranking

EVE = date(2023, 11, 10)
LAST = EVE + timedelta(50)


def day(number: int) -> date:
    return EVE + timedelta(number)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 5), min_size=1))
def test_a_place_is_one_more_than_how_many_are_better(scores: dict[str, int]) -> None:
    assert places(scores, best_first=True) == {
        code: 1 + sum(other > score for other in scores.values()) for code, score in scores.items()
    }
    assert places(scores, best_first=False) == {
        code: 1 + sum(other < score for other in scores.values()) for code, score in scores.items()
    }


def test_equal_shares_share_a_rank_though_their_numbers_differ() -> None:
    runners = [
        Runner("d", "D", 9, [0, 3]),
        Runner("a", "A", 300, [0, 100]),
        Runner("c", "C", 100_000_000, [0, 33_333_333]),  # prints 33.3 as well, and is less
        Runner("b", "B", 100, [0, 50]),
        Runner("e", "E", 10, [0, 0]),
        Runner("f", "F", 0, [0, 4]),
    ]
    found = ranking(runners, EVE, LAST, day(1), shown=2)
    assert [(each.code, each.rank, each.percent) for each in found.units] == [
        ("b", 1, "50.0"),
        ("a", 2, "33.3"),
        ("d", 2, "33.3"),
        ("c", 4, "33.3"),
        ("e", 5, "0.0"),
    ]
    assert (found.best, found.low, found.unranked) == (["b", "a", "d"], ["e", "c"], ["f"])


def test_ties_at_the_edge_are_all_named() -> None:
    runners = [Runner(code, code, 10, [n]) for code, n in (("a", 5), ("b", 5), ("c", 5), ("d", 9))]
    found = ranking(runners, EVE, LAST, EVE, shown=1)
    assert (found.best, found.low) == (["d"], ["c", "b", "a"])
    assert {each.since_yesterday for each in found.units} == {None}


def test_places_won_and_lost_are_counted_since_yesterday_and_last_week() -> None:
    a = Runner("a", "A", 100, [0, 1, 2, 3, 4, 5, 6, 7, 20])
    b = Runner("b", "B", 100, [0, 9, 9, 9, 9, 9, 9, 9, 10])
    c = Runner("c", "C", 100, [0, 0, 0, 0, 0, 0, 0, 8, 15])
    found = {each.code: each for each in ranking([a, b, c], EVE, LAST, day(8), shown=1).units}
    assert {
        code: (each.rank, each.since_yesterday, each.since_last_week) for code, each in found.items()
    } == {
        "a": (1, 2, 1),  # third yesterday, second last week
        "c": (2, 0, 1),
        "b": (3, -2, -2),
    }
    sixth = ranking(
        [Runner(each.code, each.name, 100, each.ends[:7]) for each in (a, b, c)], EVE, LAST, day(6), shown=1
    )
    assert [each.since_last_week for each in sixth.units] == [None] * 3


def test_the_order_of_finish_is_by_the_day_from_which_the_target_stayed_met() -> None:
    last = day(4)
    runners = [
        Runner("early", "", 10, [0, 10, 12, 12, 12, 12]),
        Runner("fell", "", 10, [0, 11, 9, 10, 10, 10]),  # voids took it below for a day
        Runner("also", "", 10, [0, 0, 0, 10, 10, 11]),
        Runner("before", "", 10, [10, 10, 10, 10, 10, 10]),
        Runner("late", "", 10, [0, 0, 0, 0, 9, 10]),
        Runner("lost", "", 10, [0, 10, 10, 10, 10, 9]),
    ]
    found = ranking(runners, EVE, last, day(5), shown=1)
    units = {each.code: (each.met_on, each.finished) for each in found.units}
    assert units == {
        "before": (EVE, 1),
        "early": (day(1), 2),
        "fell": (day(3), 3),
        "also": (day(3), 3),
        "late": (day(5), None),
        "lost": (None, None),
    }
    assert found.finish == ["before", "early", "also", "fell"]
