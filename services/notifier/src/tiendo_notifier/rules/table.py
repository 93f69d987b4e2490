"""The table of rules: what each one means, when it fires, how bad it is.

A rule looks at one target (campaign, unit, indicator) at the closing of one day. It says only how that closing looks;
what follows for the incident is the same for all rules (see `life`). `docs/alerts.md` has the same table for officers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Literal, get_args

from tiendo_notifier.rules.plan import Figures, Subject
from tiendo_notifier.rules.shares import Part
from tiendo_notifier.rules.thresholds import Thresholds

RuleName = Literal[
    "behind_pace",
    "at_risk",
    "forecast_miss",
    "stalled",
    "quota_missed",
    "target_missed",
    "not_reported",
    "activations_failing",
    "data_quality",
    "stalled_live",
]


class Severity(IntEnum):
    """How bad it is. The names are the contract, the numbers only their order."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


class Condition(Enum):
    """How one closing looks under a rule. BETWEEN is too good to fire, too bad to clear. SILENT: the rule has nothing
    to say of this closing, and everything stays as it was."""

    BAD = "bad"
    BETWEEN = "between"
    CLEAR = "clear"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    `condition` looks at a closing. `patience` is how many bad ones in a row make it fire. `severity` weighs a bad
    closing that is the `run`-th in a row. `explain` says what was looked at. `of_days`: it says of days that they were
    missed, so late records can unsay it (see `revisions`); the others look at how things stand, which the next closing
    sets right. `of_last_day`: of days before a target's last one it says nothing but that it was reached.
    `on_idle_days`: it speaks also on a day to which the plan gives no work. `about`: of which figures it speaks.
    """

    name: RuleName
    condition: Callable[[Figures, Thresholds], Condition]
    patience: Callable[[Thresholds], int]
    severity: Callable[[Figures, int, Thresholds], Severity]
    explain: Callable[[Figures], str]
    of_days: bool = False
    of_last_day: bool = False
    on_idle_days: bool = False
    about: Subject = "target"


def _worth_a_call(missing: int, seen: Figures, limits: Thresholds) -> bool:
    """Whether it is about enough people, and about enough of the target: the larger of the two counts."""
    return missing >= limits.least_gap and missing * 100 >= limits.least_gap_percent * seen.target


def _started(seen: Figures, limits: Thresholds) -> bool:
    """Whether so much was due by now that being late with it means something. Rounded as the plan is: all units of a
    campaign start on one day."""
    return seen.planned >= limits.start_percent * max(0, seen.target - seen.baseline) // 100


def pace_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Behind pace*: since the campaign began, under 90% of the plan so far, by a gap worth a call. Clear: 95% of the
    plan, or the campaign's target, is reached."""
    if seen.reached or seen.actual * 100 >= limits.behind_clear_percent * seen.planned:
        return Condition.CLEAR
    if not _started(seen, limits):
        return Condition.SILENT
    behind = seen.actual * 100 < limits.behind_percent * seen.planned
    return Condition.BAD if behind and _worth_a_call(seen.gap, seen, limits) else Condition.BETWEEN


def pace_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the share of the plan reached: from 75% a notice, from 50% a warning, under that critical."""
    return _under(seen.actual, seen.planned, limits.behind_warning_percent, limits.behind_critical_percent)


def risk_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*At risk*: each day left needs at least 150% of what a working day brought of late (the last seven days), and
    what going on so would leave missing is worth a call, as is what the plan so far lacks: a slow week of a unit that
    is on plan is no risk. Clear: up to 120%."""
    if seen.reached:
        return Condition.CLEAR
    if seen.recent is None or seen.needed_per_day is None or not _started(seen, limits):
        return Condition.SILENT
    needed = seen.needed_per_day * seen.recent_days * 100
    recent = max(0, seen.recent)
    if needed <= limits.risk_clear_percent * recent:
        return Condition.CLEAR
    left = seen.target - seen.value - recent * seen.days_left // seen.recent_days
    slow = needed >= limits.risk_percent * recent
    worth = _worth_a_call(left, seen, limits) and _worth_a_call(seen.gap, seen, limits)
    return Condition.BAD if slow and worth else Condition.BETWEEN


def risk_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the same share: from 200% a warning, from 400% critical."""
    needed = (seen.needed_per_day or 0) * seen.recent_days * 100
    recent = max(0, seen.recent or 0)
    if needed >= limits.risk_critical_percent * recent:
        return Severity.CRITICAL
    return Severity.WARNING if needed >= limits.risk_warning_percent * recent else Severity.NOTICE


def forecast_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Forecast miss*: the upper end of the forecast's 80% interval is under the target by a gap worth a call, as is
    what the plan so far lacks: a forecast from a few citizens misses a small target easily. Clear: it is at 102% of the
    target or above."""
    if seen.reached:
        return Condition.CLEAR
    if seen.expected_high is None or not _started(seen, limits):
        return Condition.SILENT
    if seen.expected_high * 100 >= limits.forecast_clear_percent * seen.target:
        return Condition.CLEAR
    missing = seen.target - seen.expected_high
    worth = _worth_a_call(missing, seen, limits) and _worth_a_call(seen.gap, seen, limits)
    return Condition.BAD if worth else Condition.BETWEEN


def forecast_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the share of the target at that upper end: from 90% a notice, from 70% a warning, under that critical."""
    high = seen.expected_high or 0
    return _under(high, seen.target, limits.forecast_warning_percent, limits.forecast_critical_percent)


def stalled_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Stalled*, of a unit that is judged at its cut-off: for at least one whole working day nothing was done, in four
    times as long as usually passes between two citizens, and so many would usually have come as are worth a call.
    Clear: something was done."""
    if seen.reached or seen.done > 0:
        return Condition.CLEAR
    if not seen.works or not seen.usual_days:
        return Condition.SILENT
    missed = max(limits.stalled_gaps, limits.least_gap) * seen.usual_days
    return Condition.BAD if seen.idle_days * seen.usual >= missed else Condition.BETWEEN


def stalled_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the working days without anything: two a warning, four critical."""
    if seen.idle_days >= limits.stalled_critical_days:
        return Severity.CRITICAL
    return Severity.WARNING if seen.idle_days >= limits.stalled_warning_days else Severity.NOTICE


def quota_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Quota missed*: less than half of the day's quota was done, by a shortfall worth a call. Clear: 90% of it was
    done. A day without a quota says nothing; a unit that has reached the campaign's target misses nothing."""
    if seen.reached:
        return Condition.CLEAR
    if not seen.quota or not _started(seen, limits):
        return Condition.SILENT
    if seen.done * 100 >= limits.quota_clear_percent * seen.quota:
        return Condition.CLEAR
    # A day's shortfall is a day's: what it is of the whole target says nothing.
    bad = seen.done * 100 < limits.quota_percent * seen.quota and seen.shortfall >= limits.least_gap
    return Condition.BAD if bad else Condition.BETWEEN


def quota_severity(_seen: Figures, run: int, limits: Thresholds) -> Severity:
    """A notice; a warning from the seventh day in a row on."""
    return Severity.WARNING if run >= limits.quota_warning_closings else Severity.NOTICE


def missed_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Target missed*: the last day is over and the target isn't reached, by a gap worth a call. Before that day it
    says nothing."""
    if seen.reached:
        return Condition.CLEAR
    if seen.day_number < seen.days:
        return Condition.SILENT
    return Condition.BAD if _worth_a_call(seen.target - seen.value, seen, limits) else Condition.BETWEEN


def missed_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the share of the target reached: from 95% a notice, from 80% a warning, under that critical."""
    return _under(seen.value, seen.target, limits.missed_warning_percent, limits.missed_critical_percent)


def reported_condition(seen: Figures, _limits: Thresholds) -> Condition:
    """*Not reported*: a unit that declares its counts had not by the day's cut-off, which is never the same as zero.
    Clear: it had."""
    if seen.unreported_days is None:
        return Condition.SILENT
    return Condition.BAD if seen.unreported_days else Condition.CLEAR


def reported_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the working days in a row: two a warning, four critical."""
    days = seen.unreported_days or 0
    if days >= limits.unreported_critical_days:
        return Severity.CRITICAL
    return Severity.WARNING if days >= limits.unreported_warning_days else Severity.NOTICE


def failing_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Activations failing*: one reason made at least 15 points more of the attempts of the last three days fail than
    it usually does, and so many more as are worth a call. Clear: less than 5 points, or none failed. Too few attempts,
    of late or before, say nothing."""
    part = most_over(seen.attempts)
    if part is None or not seen.works:
        return Condition.SILENT
    if not any(each.recent for each in seen.attempts or ()):
        return Condition.CLEAR
    if min(part.recent_all, part.usual_all) < limits.failing_attempts:
        return Condition.SILENT
    if not _over(part, limits.failing_clear_points):
        return Condition.CLEAR
    more = part.recent * part.usual_all - part.usual * part.recent_all
    worth = more >= limits.least_gap * part.usual_all
    return Condition.BAD if worth and _over(part, limits.failing_points) else Condition.BETWEEN


def failing_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the same points: 30 a warning, 50 critical."""
    part = most_over(seen.attempts)
    assert part is not None
    if _over(part, limits.failing_critical_points):
        return Severity.CRITICAL
    return Severity.WARNING if _over(part, limits.failing_warning_points) else Severity.NOTICE


def most_over(parts: Sequence[Part] | None) -> Part | None:
    """The kind whose share is furthest over its usual one; None: there is none."""
    return max(
        parts or (),
        key=lambda part: part.recent * part.usual_all - part.usual * part.recent_all,
        default=None,
    )


def _over(part: Part, points: int) -> bool:
    """Whether its share is at least so many points of a hundred over its usual one. In whole numbers: nothing is
    rounded."""
    over = part.recent * part.usual_all - part.usual * part.recent_all
    return over * 100 >= points * part.recent_all * part.usual_all


def _explain_failing(seen: Figures) -> str:
    part = most_over(seen.attempts)
    if part is None:
        return "no attempt failed"
    return (
        f"{part.recent} of {part.recent_all} attempts of late failed for {part.kind}, {part.usual} of "
        f"{part.usual_all} before"
    )


def quality_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Data quality*: of the dossiers taken in the last three days, as many were voided, corrected or turned down in
    them as its bound says, and enough for a call. Clear: each is under half of its bound. What was found now may be
    wrong since long ago: it is held against what is taken now, since that is what can still be done better."""
    worst = worst_fault(seen, limits)
    if worst is None or not seen.works:
        return Condition.SILENT
    part, bound = worst
    if not _at_least(part, bound, limits.quality_clear_percent):
        return Condition.CLEAR
    enough = part.recent >= limits.quality_faults and part.recent_all >= limits.quality_records
    return Condition.BAD if enough and _at_least(part, bound, 100) else Condition.BETWEEN


def quality_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the same bound: twice as many a warning, four times critical."""
    worst = worst_fault(seen, limits)
    assert worst is not None
    if _at_least(*worst, limits.quality_critical_percent):
        return Severity.CRITICAL
    return Severity.WARNING if _at_least(*worst, limits.quality_warning_percent) else Severity.NOTICE


def worst_fault(seen: Figures, limits: Thresholds) -> tuple[Part, int] | None:
    """The kind of fault that is furthest over its bound, and the bound, as a percentage; None: there is none."""
    bounds = {
        "voided": limits.voided_percent,
        "corrected": limits.corrected_percent,
        "rejected": limits.rejected_percent,
    }
    return max(
        ((part, bounds[part.kind]) for part in seen.records or ()),
        key=lambda each: Fraction(each[0].recent, each[1]),
        default=None,
    )


def _at_least(part: Part, bound: int, percent: int) -> bool:
    """Whether its share is at least this percentage of its bound."""
    return part.recent > 0 and part.recent * 10_000 >= bound * percent * part.recent_all


def _explain_quality(seen: Figures) -> str:
    told = [f"{part.recent} {part.kind}" for part in seen.records or () if part.recent]
    taken = next((part.recent_all for part in seen.records or ()), 0)
    return f"{', '.join(told) or 'nothing wrong'}, {taken} taken of late"


def live_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Stalled*, of a unit that reports live, judged each minute: in working time nothing has come for half an hour,
    and in four times as long as usually lies between two citizens. Clear: something has."""
    if seen.silent_minutes is None or seen.usual_minutes is None or not seen.works:
        return Condition.SILENT
    return Condition.BAD if seen.silent_minutes >= allowed_minutes(seen, limits) else Condition.CLEAR


def live_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the same time: twice as long a warning, four times critical."""
    silent, allowed = seen.silent_minutes or 0, allowed_minutes(seen, limits)
    if silent >= limits.live_critical_times * allowed:
        return Severity.CRITICAL
    return Severity.WARNING if silent >= limits.live_warning_times * allowed else Severity.NOTICE


def allowed_minutes(seen: Figures, limits: Thresholds) -> int:
    """For so many minutes of working time nothing may come."""
    return max(limits.live_minutes, limits.stalled_gaps * (seen.usual_minutes or 0))


def _under(value: int, whole: int, warning: int, critical: int) -> Severity:
    share = value * 100
    if share >= warning * whole:
        return Severity.NOTICE
    return Severity.WARNING if share >= critical * whole else Severity.CRITICAL


RULES: dict[RuleName, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "target_missed",
            missed_condition,
            lambda _limits: 1,
            missed_severity,
            lambda seen: f"{seen.value} of the target of {seen.target}",
            of_days=True,
            of_last_day=True,
            on_idle_days=True,  # a campaign may end on a Sunday
        ),
        Rule(
            "forecast_miss",
            forecast_condition,
            lambda limits: limits.forecast_closings,
            forecast_severity,
            lambda seen: f"at best {seen.expected_high} of the target of {seen.target} expected",
        ),
        Rule(
            "at_risk",
            risk_condition,
            lambda limits: limits.risk_closings,
            risk_severity,
            lambda seen: (
                f"{seen.needed_per_day} needed a day, {seen.recent} in {seen.recent_days} days of late"
            ),
        ),
        Rule(
            "behind_pace",
            pace_condition,
            lambda limits: limits.behind_closings,
            pace_severity,
            lambda seen: f"{seen.actual} of the {seen.planned} planned by now",
        ),
        Rule(
            "stalled",
            stalled_condition,
            lambda _limits: 1,
            stalled_severity,
            lambda seen: (
                f"nothing for {seen.idle_days} working days, {seen.usual} in the {seen.usual_days} before"
            ),
        ),
        Rule(
            "quota_missed",
            quota_condition,
            lambda limits: limits.quota_closings,
            quota_severity,
            lambda seen: f"{seen.done} done of the day's quota of {seen.quota}",
            of_days=True,
        ),
        Rule(
            "not_reported",
            reported_condition,
            lambda _limits: 1,
            reported_severity,
            lambda seen: f"no report by the cut-off, {seen.unreported_days} days in a row",
            about="report",
        ),
        Rule(
            "activations_failing",
            failing_condition,
            lambda _limits: 1,
            failing_severity,
            _explain_failing,
            about="attempts",
        ),
        Rule(
            "data_quality",
            quality_condition,
            lambda _limits: 1,
            quality_severity,
            _explain_quality,
            about="records",
        ),
        Rule(
            "stalled_live",
            live_condition,
            lambda _limits: 1,
            live_severity,
            lambda seen: (
                f"nothing for {seen.silent_minutes} minutes, one in {seen.usual_minutes} minutes before"
            ),
            about="live",
        ),
    )
}
#: Those that speak of each kind of figures.
RULES_ABOUT: Mapping[Subject, Sequence[Rule]] = {
    subject: [rule for rule in RULES.values() if rule.about == subject] for subject in get_args(Subject)
}


def reached_early(seen: Figures, limits: Thresholds) -> bool:
    """*Reached early*: the target is met while working days are left, ahead of the plan by as much as is worth a call.
    Good news, told once."""
    early = bool(seen.target) and seen.reached and seen.days_left >= limits.early_days
    return early and _worth_a_call(-seen.gap, seen, limits)
