"""Pace: what the plan expects by now, what is there, and what each day left must bring.

Coverage counts where citizens live, so values, baselines and gaps are by residence. Quotas count where the work is
done, so `done` is by collecting unit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from tiendo_aggregator.rules.calendar import Schedule, catch_up, catch_up_quotas, quotas
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.plan import Campaign, UnitTargets
from tiendo_aggregator.rules.progress import sum_up
from tiendo_aggregator.rules.units import Tree


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one unit's own rows say of one goal: citizens at the end of a day, of the same weekday before, and of the
    day before the campaign."""

    unit: str
    goal: str
    value: int
    week_ago: int
    baseline: int


@dataclass(frozen=True, slots=True)
class Pace:
    """A unit and all below it on one goal, in citizens; `days_left` after this day, to which the plan gives work.

    `owed` is target − baseline, 0 where the baseline is past the target; `planned` and `quota` spread it by the
    calendar. `gap` is planned − actual: negative when ahead. `percent_of_plan` is cut at one decimal, null while
    nothing is planned yet. `needed_per_day`: see CatchUp. `needed_next_day` is the next day's part of what is
    missing, None after the last day.
    """

    target: int
    baseline: int
    value: int
    owed: int
    actual: int
    planned: int
    gap: int
    percent_of_plan: str | None
    quota: int
    done: int
    last_7_days: int
    remaining: int
    days_left: int
    needed_per_day: int | None
    needed_next_day: int | None


@dataclass(frozen=True, slots=True)
class UnitPace:
    """The paces of a unit on the goals of which it has a target; of an indicator as a whole under its own name."""

    code: str
    name: str
    level: str
    parent: str | None
    indicators: Mapping[str, Pace]


def unit_paces(
    campaign: Campaign,
    targets: UnitTargets,
    tree: Tree,
    root: str,
    depth: int,
    as_of: date,
    goals: Sequence[str],
    readings: Iterable[Reading],
    done: Iterable[tuple[str, str, int]],
) -> list[UnitPace]:
    """`root` and its descendants down to `depth`, each before its children. A unit without a target has no pace."""
    schedules = {goal: campaign.schedule_of(goal) for goal in goals}
    left = {goal: schedule.after(as_of) for goal, schedule in schedules.items()}
    rows = [(each.unit, each.goal, (each.value, each.week_ago, each.baseline)) for each in readings]
    values, weeks, baselines = (
        sum_up(tree, root, ((unit, goal, numbers[place]) for unit, goal, numbers in rows))
        for place in range(3)
    )
    work = sum_up(tree, root, done)
    answer = []
    for code in tree.below(root, depth):
        paces = {}
        for goal in goals:
            key = code, goal
            target = targets.get(key)
            if target is not None:
                paces[goal] = pace(
                    schedules[goal],
                    left[goal],
                    as_of,
                    target,
                    baselines[key],
                    values[key],
                    weeks[key],
                    work[key],
                )
        unit = tree.units[code]
        answer.append(UnitPace(code, unit.name, unit.level, unit.parent, paces))
    return answer


def pace(
    schedule: Schedule,
    left: Schedule,
    as_of: date,
    target: int,
    baseline: int,
    value: int,
    week_ago: int,
    done: int,
) -> Pace:
    """Where one count stands at the end of `as_of`; `left` is what is left of `schedule` then."""
    owed = max(0, target - baseline)
    actual = value - baseline
    planned = schedule.planned(owed, as_of)
    needed = catch_up(target, value, left)
    return Pace(
        target=target,
        baseline=baseline,
        value=value,
        owed=owed,
        actual=actual,
        planned=planned,
        gap=planned - actual,
        percent_of_plan=cut_percent(actual, planned, 1),
        quota=schedule.quota(owed, as_of),
        done=done,
        last_7_days=value - week_ago,
        remaining=needed.remaining,
        days_left=needed.days_left,
        needed_per_day=needed.per_day,
        needed_next_day=needed.next_day,
    )


@dataclass(frozen=True, slots=True)
class DayPlan:
    """One day of a campaign. `planned` and `quota` as the plan spread them from the first day; `done` is None of days
    to come, `needed` (the day's part of what is missing now) of days that are over."""

    day: date
    weight: int
    holiday: str | None
    quota: int
    planned: int
    done: int | None
    needed: int | None


def day_plans(
    campaign: Campaign, goal: str, as_of: date, owed: int, remaining: int, done: Mapping[date, int]
) -> list[DayPlan]:
    """Every day on which the goal is worked for; `remaining` is what is missing at the end of `as_of`."""
    names = {holiday.day: holiday.name for holiday in campaign.calendar.holidays}
    schedule = campaign.schedule_of(goal)
    still = dict(catch_up_quotas(remaining, schedule.after(as_of)))
    answer = []
    planned = 0
    for (day, weight), quota in zip(schedule.days(), quotas(owed, schedule.weights), strict=True):
        planned += quota
        answer.append(
            DayPlan(
                day,
                weight,
                names.get(day),
                quota,
                planned,
                done.get(day, 0) if day <= as_of else None,
                still.get(day),
            )
        )
    return answer
