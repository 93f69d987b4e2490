"""The names of goals: one for each, and read back as the same."""

from datetime import date
from itertools import product

import pytest

from tiendo_common.events.goals import COHORTS, INDICATOR_NAMES, goal_of, in_order
from tiendo_common.events.state import Goal


def test_each_goal_has_one_name_and_an_indicator_as_a_whole_has_its_own() -> None:
    days = (None, date(2023, 11, 30), date(2024, 2, 29))
    goals = [Goal(*each) for each in product(INDICATOR_NAMES, (None, 1, 2), (None, *COHORTS), days)]
    names = [goal.name for goal in goals]
    assert len(set(names)) == len(goals)
    assert [goal_of(name) for name in names] == goals
    assert [goal.name for goal in goals if not goal.narrowed] == list(INDICATOR_NAMES)
    assert (
        Goal("activated", 2, "officials", date(2023, 11, 30)).name
        == "activated:level-2:officials:by-2023-11-30"
    )


def test_lists_have_the_whole_first_then_levels_cohorts_and_days() -> None:
    names = [
        "activated",
        "intake",
        "intake:by-2023-11-30",
        "intake:level-1",
        "intake:level-2:workers",
        "intake:workers",
    ]
    assert sorted(names, key=in_order) == [
        "intake",
        "intake:by-2023-11-30",
        "intake:workers",
        "intake:level-1",
        "intake:level-2:workers",
        "activated",
    ]


@pytest.mark.parametrize(
    "name",
    ["", "cards", "intake:", "intake:level-3", "intake:level-2:level-1", "intake:officials:level-2", "intake:by-1",
     "intake:by-2023-02-30", "intake:mayors", "Intake", "intake\n"],
)  # fmt: skip
def test_what_is_no_name_of_a_goal_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"indicator|day"):
        goal_of(name)
