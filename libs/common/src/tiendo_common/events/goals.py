"""The names of goals: read, and put in order."""

import functools
import re
from datetime import date
from typing import get_args

import msgspec

from tiendo_common.events.restatements import Cohort
from tiendo_common.events.state import Goal, Indicator

INDICATOR_NAMES: tuple[Indicator, ...] = get_args(Indicator)
COHORTS: tuple[Cohort, ...] = get_args(Cohort)


#: What a name is, for those who sent another one.
WORDS = (
    f"an indicator ({', '.join(INDICATOR_NAMES)}), or one narrowed by :level-1 or :level-2, a cohort, and the day by "
    "which it is due, in this order: activated:level-2:officials:by-2023-11-30"
)

_NAME = re.compile(
    f"({'|'.join(INDICATOR_NAMES)})(?::level-([12]))?(?::({'|'.join(COHORTS)}))?"
    r"(?::by-([0-9]{4}-[0-9]{2}-[0-9]{2}))?"
)


@functools.lru_cache(4096)
def goal_of(name: str) -> Goal:
    """The goal of this name. Raises ValueError if there is none."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not {WORDS}")
    indicator, level, cohort, due = found.groups()
    return msgspec.convert(
        {
            "indicator": indicator,
            "level": int(level) if level else None,
            "cohort": cohort,
            "due": date.fromisoformat(due) if due else None,
        },
        Goal,
    )


def in_order(name: str) -> tuple[int, int, int, date]:
    """Goals as lists have them: by indicator; the whole one first, then by level, cohort and day."""
    goal = goal_of(name)
    return (
        INDICATOR_NAMES.index(goal.indicator),
        goal.level or 0,
        COHORTS.index(goal.cohort) + 1 if goal.cohort is not None else 0,
        # The whole campaign before the periods in it.
        goal.due or date.min,
    )
