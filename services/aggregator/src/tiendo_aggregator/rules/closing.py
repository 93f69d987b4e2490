"""The last word on a day says, beside what was reached, what each target's last day is expected to show, how far
the targets of narrowed goals are, what late records have made of the days before, how attempts to activate
went, and what was wrong with dossiers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import get_args

import msgspec

from tiendo_aggregator.rules.faults import FAULTS, Fault
from tiendo_aggregator.rules.forecast import outlook
from tiendo_aggregator.rules.plan import Plan, UnitTargets
from tiendo_aggregator.rules.progress import ceilings, sum_up
from tiendo_aggregator.rules.stretches import day_weights, reaching
from tiendo_aggregator.rules.units import Tree
from tiendo_common.events.goals import goal_of, in_order
from tiendo_common.events.restatements import FailureReason
from tiendo_common.events.state import (
    Attempts,
    ExpectedEnd,
    FailedFor,
    Goal,
    IndicatorProgress,
    NarrowedProgress,
    ProgressPublication,
    Records,
    RevisedDay,
)

#: Late records are told of so many days back: for as long, closings go on after the last day.
REVISED_DAYS = timedelta(days=7)


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
    done: Iterable[tuple[str, tuple[str, date], int]],
    told: Mapping[tuple[str, date], ProgressPublication],
    stretch: tuple[Plan, UnitTargets] | None = None,
) -> list[ProgressPublication]:
    """The documents with what there is to say of their units' targets, and of what the `stretch` is to bring that `day`
    is in.

    `exempt` are the exempt of communes by the end of `day`. `changes` are the net changes of units themselves by goal
    and day; what came before the campaign stands on the day before it. `done` is the work by goal and day; `told` are
    the last words on days, by unit: both of `day`'s and the REVISED_DAYS before.
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
                narrow = NarrowedProgress(
                    goal=goal,
                    target=target,
                    value=value,
                    baseline=baseline,
                    done=work[unit, (name, day)],
                    expected=msgspec.UNSET if end is None else end,
                )
                narrowed[unit].append(narrow)
            elif end is not None:
                ends[unit][name] = end
    if stretch is not None:
        for unit, each in _of_stretch(*stretch, exempt, tree, root, eve, day, sums, work):
            narrowed[unit].append(each)
    revised = _revised(plan, targets, day, sums, work, told)
    return [
        _with(document, ends[document.unit], narrowed[document.unit], revised[document.unit])
        for document in documents
    ]


def _of_stretch(
    plan: Plan,
    brought: UnitTargets,
    exempt: Mapping[str, int],
    tree: Tree,
    root: str,
    before: date,
    day: date,
    sums: Mapping[tuple[str, tuple[str, date]], int],
    work: Mapping[tuple[str, tuple[str, date]], int],
) -> Iterator[tuple[str, NarrowedProgress]]:
    """What there is to say of each unit in a stretch: goals that are due on its last day, also if that is after a stop,
    which so gives them no other name. `sums` begin with what came up to the day `before`."""
    campaign, schedule = plan.campaign, plan.campaign.schedule
    weights = day_weights(campaign)
    due = campaign.first_day + timedelta(days=len(weights) - 1)
    eve = campaign.first_day - timedelta(days=1)
    earlier = [before + timedelta(days=n) for n in range((eve - before).days + 1)]
    days = [campaign.first_day + timedelta(days=n) for n in range((day - eve).days)]
    could = {goal: ceilings(plan, goal, exempt, tree, root) for goal in plan.targets}
    eves = {key: sum(sums.get((key[0], (key[1], each)), 0) for each in earlier) for key in brought}
    for (unit, goal), target in reaching(brought, eves, could).items():
        baseline = eves[unit, goal]
        steps = [sums.get((unit, (goal, each)), 0) for each in days]
        value = baseline + sum(steps)
        seen = outlook(
            schedule, campaign.calendar, len(schedule.weights), steps, value, None, could[goal].get(unit)
        )
        yield (
            unit,
            NarrowedProgress(
                goal=msgspec.structs.replace(goal_of(goal), due=due),
                target=target,
                value=value,
                baseline=baseline,
                done=work.get((unit, (goal, day)), 0),
                expected=msgspec.UNSET
                if seen is None
                else ExpectedEnd(final=seen.final, low=seen.low, high=seen.high),
                from_day=campaign.first_day,
                day_weights=msgspec.UNSET if len(set(weights)) == 1 else weights,
            ),
        )


def _revised(
    plan: Plan,
    targets: UnitTargets,
    day: date,
    sums: Mapping[tuple[str, tuple[str, date]], int],
    work: Mapping[tuple[str, tuple[str, date]], int],
    told: Mapping[tuple[str, date], ProgressPublication],
) -> defaultdict[str, list[RevisedDay]]:
    """What late records have made of the days before, by unit. Whatever was said to be revised is said until it is too
    long ago, also where it is again as it was: whoever reads knows of a day what it was last told."""
    eve = plan.campaign.first_day - timedelta(days=1)
    revised: defaultdict[str, list[RevisedDay]] = defaultdict(list)
    for name in still_due(plan, day - REVISED_DAYS):
        goal, due = goal_of(name), plan.campaign.due(name)
        for unit in [unit for unit, of in targets if of == name]:
            baseline = value = sums.get((unit, (name, eve)), 0)
            each = eve
            while each < min(due, day - timedelta(days=1)):
                each += timedelta(days=1)
                value += sums.get((unit, (name, each)), 0)
                said = _said(told.get((unit, each)), goal)
                if said is None:
                    continue
                before = told.get((unit, day - timedelta(days=1)))
                done = work.get((unit, (name, each)), 0)
                same = (said.value, said.baseline, said.done) == (value, baseline, done)
                if not same or (before is not None and _speaks_of(before, goal, each)):
                    revised[unit].append(
                        RevisedDay(goal=goal, day=each, value=value, baseline=baseline, done=done)
                    )
    return revised


def _said(closing: ProgressPublication | None, goal: Goal) -> IndicatorProgress | NarrowedProgress | None:
    """What a day's last word said of a goal; None: nothing."""
    if closing is None:
        return None
    if not goal.narrowed:
        whole: IndicatorProgress = getattr(closing, goal.indicator)
        return whole
    told = () if closing.narrowed is msgspec.UNSET else closing.narrowed
    return next((each for each in told if each.goal == goal), None)


def _speaks_of(closing: ProgressPublication, goal: Goal, day: date) -> bool:
    """Whether it said that the day was revised."""
    told = () if closing.revised is msgspec.UNSET else closing.revised
    return any((each.goal, each.day) == (goal, day) for each in told)


def with_attempts(
    documents: Sequence[ProgressPublication],
    tree: Tree,
    root: str,
    attempts: Iterable[tuple[str, FailureReason | None, int]],
) -> list[ProgressPublication]:
    """The documents, each with its unit's attempts to activate if any failed. `attempts` are those of units themselves,
    by reason; None: they succeeded."""
    sums = sum_up(tree, root, attempts)
    answer = []
    for document in documents:
        failed = tuple(
            FailedFor(reason=reason, attempts=n)
            for reason in get_args(FailureReason)
            if (n := sums.get((document.unit, reason), 0)) > 0
        )
        if failed:
            activated = sums.get((document.unit, None), 0)
            document = msgspec.structs.replace(
                document, attempts=Attempts(activated=activated, failed=failed)
            )
        answer.append(document)
    return answer


def with_records(
    documents: Sequence[ProgressPublication],
    tree: Tree,
    root: str,
    faults: Iterable[tuple[str, Fault | None, int]],
) -> list[ProgressPublication]:
    """The documents, each with what became of its unit's dossiers if anything was wrong with one. `faults` are those of
    units themselves, by kind; None: what they took, without what was voided since."""
    sums = sum_up(tree, root, faults)
    answer = []
    for document in documents:
        found = {fault: sums.get((document.unit, fault), 0) for fault in FAULTS}
        if any(found.values()):
            taken = max(0, sums.get((document.unit, None), 0)) + found["voided"]
            document = msgspec.structs.replace(document, records=Records(taken=taken, **found))
        answer.append(document)
    return answer


def _with(
    document: ProgressPublication,
    ends: Mapping[str, ExpectedEnd],
    narrowed: Sequence[NarrowedProgress],
    revised: Sequence[RevisedDay],
) -> ProgressPublication:
    told = {
        indicator: msgspec.structs.replace(getattr(document, indicator), expected=end)
        for indicator, end in ends.items()
    }
    return msgspec.structs.replace(
        document,
        **told,
        narrowed=tuple(narrowed) if narrowed else msgspec.UNSET,
        revised=tuple(revised) if revised else msgspec.UNSET,
    )
