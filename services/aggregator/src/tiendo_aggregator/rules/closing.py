"""The last word on a day says, beside what was reached, what each target's last day is expected to show, and how far
the targets of narrowed goals are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from tiendo_aggregator.rules.forecast import outlook
from tiendo_aggregator.rules.plan import Plan, UnitTargets
from tiendo_aggregator.rules.progress import ceilings, sum_up
from tiendo_aggregator.rules.units import Tree
from tiendo_common.events.goals import goal_of, in_order
from tiendo_common.events.state import ExpectedEnd, NarrowedProgress, ProgressPublication


def still_due(plan: Plan, day: date) -> list[str]:
    """The goals of the plan whose last day is not over before `day`: of others nothing more is told."""
    return sorted((goal for goal in plan.targets if plan.campaign.due(goal) >= day), key=in_order)


def with_targets(
    documents: Sequence[ProgressPublication],
    plan: Plan,
    targets: UnitTargets,
    exempt: Mapping[str, int],
    tree: Tree,
    root: str,
    day: date,
    changes: Iterable[tuple[str, tuple[str, date], int]],
    done: Iterable[tuple[str, str, int]],
) -> list[ProgressPublication]:
    """The documents with what there is to say of their units' targets.

    `exempt` are the exempt of communes by the end of `day`. `changes` are the net changes of units themselves by goal
    and day; what came before the campaign stands on the day before it. `done` is the day's work by goal.
    """
    campaign = plan.campaign
    eve = campaign.first_day - timedelta(days=1)
    days = [campaign.first_day + timedelta(days=n) for n in range(max(0, (day - eve).days))]
    sums, work = sum_up(tree, root, changes), sum_up(tree, root, done)
    ends: defaultdict[str, dict[str, ExpectedEnd]] = defaultdict(dict)
    narrowed: defaultdict[str, list[NarrowedProgress]] = defaultdict(list)
    for name in still_due(plan, day):
        goal, schedule = goal_of(name), campaign.schedule_of(name)
        could = ceilings(plan, name, exempt, tree, root)
        for document in documents:
            unit = document.unit
            target = targets.get((unit, name))
            if target is None:
                continue
            baseline = sums.get((unit, (name, eve)), 0)
            steps = [sums.get((unit, (name, each)), 0) for each in days]
            value = baseline + sum(steps)
            seen = outlook(
                schedule,
                campaign.calendar,
                len(schedule.weights),
                steps,
                value,
                None,  # When it is met is not published: no need to look a year ahead.
                could.get(unit),
            )
            end = None if seen is None else ExpectedEnd(final=seen.final, low=seen.low, high=seen.high)
            if goal.narrowed:
                told = NarrowedProgress(
                    goal=goal,
                    target=target,
                    value=value,
                    baseline=baseline,
                    done=work[unit, name],
                    expected=msgspec.UNSET if end is None else end,
                )
                narrowed[unit].append(told)
            elif end is not None:
                ends[unit][name] = end
    return [_with(document, ends[document.unit], narrowed[document.unit]) for document in documents]


def _with(
    document: ProgressPublication, ends: Mapping[str, ExpectedEnd], narrowed: Sequence[NarrowedProgress]
) -> ProgressPublication:
    told = {
        indicator: msgspec.structs.replace(getattr(document, indicator), expected=end)
        for indicator, end in ends.items()
    }
    return msgspec.structs.replace(document, **told, narrowed=tuple(narrowed) if narrowed else msgspec.UNSET)
