"""The last word on a day says, beside what was reached, what the campaign's last day is expected to show."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from tiendo_aggregator.rules.forecast import outlook
from tiendo_aggregator.rules.plan import Plan, UnitTargets
from tiendo_aggregator.rules.progress import eligible_below, sum_up
from tiendo_aggregator.rules.units import Tree
from tiendo_common.events.state import ExpectedEnd, Indicator, ProgressPublication

EndKey = tuple[str, Indicator]


def expected_ends(
    plan: Plan,
    targets: UnitTargets,
    exempt: Mapping[str, int],
    tree: Tree,
    root: str,
    day: date,
    changes: Iterable[tuple[str, tuple[Indicator, date], int]],
) -> dict[EndKey, ExpectedEnd]:
    """The forecast of each target, from the net changes up to the end of `day`; none while there is none.

    `exempt` are the exempt of communes by then. `changes` are those of the units themselves by day; what came before
    the campaign stands on the day before it.
    """
    campaign = plan.campaign
    eve = campaign.first_day - timedelta(days=1)
    days = [campaign.first_day + timedelta(days=n) for n in range(max(0, (day - eve).days))]
    sums = sum_up(tree, root, changes)
    eligible = eligible_below(plan, exempt, tree, root)
    schedule = campaign.schedule
    answer: dict[EndKey, ExpectedEnd] = {}
    for unit, indicator in targets:
        steps = [sums.get((unit, (indicator, each)), 0) for each in days]
        value = sums.get((unit, (indicator, eve)), 0) + sum(steps)
        seen = outlook(
            schedule,
            campaign.calendar,
            len(schedule.weights),
            steps,
            value,
            None,  # When it is met is not published: no need to look a year ahead.
            eligible[unit].number if unit in eligible else None,
        )
        if seen is not None:
            answer[unit, indicator] = ExpectedEnd(final=seen.final, low=seen.low, high=seen.high)
    return answer


def with_expected_ends(
    documents: Sequence[ProgressPublication], ends: Mapping[EndKey, ExpectedEnd]
) -> list[ProgressPublication]:
    """The documents with the forecasts that there are."""
    indicators: tuple[Indicator, ...] = ("intake", "approved", "activated")
    answer = []
    for document in documents:
        told = {
            indicator: msgspec.structs.replace(getattr(document, indicator), expected=end)
            for indicator in indicators
            if (end := ends.get((document.unit, indicator))) is not None
        }
        answer.append(msgspec.structs.replace(document, **told))
    return answer
