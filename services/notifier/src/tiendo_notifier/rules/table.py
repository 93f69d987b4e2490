"""The table of rules: what each one means, when it opens, how bad it is.

A rule looks at one (campaign, unit, indicator) at the closing of one day. It says only how that closing
looks; what follows for the incident is the same for all rules (see `life`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal

from tiendo_notifier.rules.plan import Figures

RuleName = Literal["daily_quota_missed", "behind_pace"]


class Severity(IntEnum):
    """How bad it is. The names are the contract, the numbers only their order."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


class Condition(Enum):
    """How one closing looks under a rule. BETWEEN is too good to open an incident, too bad to close one."""

    BAD = "bad"
    BETWEEN = "between"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers in the rules. They are stored with each decision."""

    #: behind pace: bad under this share of the plan, clear from that one on
    behind_percent: int = 90
    clear_percent: int = 95
    #: behind pace: closings in a row before anybody is called
    behind_closings: int = 3
    #: behind pace: a gap worth a call has at least so many citizens, and this share of the target
    least_gap: int = 10
    least_gap_percent: int = 1
    #: behind pace: a warning under this share of the plan, critical under that one
    pace_warning_percent: int = 75
    pace_critical_percent: int = 50
    #: daily quota: a warning from this share of the quota missing, critical from that one
    shortfall_warning_percent: int = 25
    shortfall_critical_percent: int = 50
    #: daily quota: fewer citizens missing than this are a notice, whatever their share
    small_shortfall: int = 10
    #: daily quota: a longer run of missed days is one step more severe
    missed_in_a_row: int = 3


DEFAULTS = Thresholds()


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    `condition` looks at a closing. `patience` is how many bad ones in a row open an incident. `severity`
    weighs a bad closing that is the `run`-th in a row.
    """

    name: RuleName
    condition: Callable[[Figures, Thresholds], Condition]
    patience: Callable[[Thresholds], int]
    severity: Callable[[Figures, int, Thresholds], Severity]
    explain: Callable[[Figures], str]


def quota_condition(seen: Figures, _limits: Thresholds) -> Condition:
    """*Daily quota missed*: less was done on the day than its quota. Clear: the quota was met.

    A unit that has reached the campaign's target owes nothing more, so it misses nothing.
    """
    return Condition.BAD if seen.shortfall > 0 and not seen.reached else Condition.CLEAR


def quota_severity(seen: Figures, run: int, limits: Thresholds) -> Severity:
    """By the share of the quota that is missing: under 25% a notice, under 50% a warning, else critical.

    Under 10 citizens it is a notice whatever the share. One step more when more than 3 days in a row missed.
    """
    share = seen.shortfall * 100
    if seen.shortfall < limits.small_shortfall or share < limits.shortfall_warning_percent * seen.quota:
        severity = Severity.NOTICE
    elif share < limits.shortfall_critical_percent * seen.quota:
        severity = Severity.WARNING
    else:
        severity = Severity.CRITICAL
    one_more = run > limits.missed_in_a_row and severity < Severity.CRITICAL
    return Severity(severity + 1) if one_more else severity


def pace_condition(seen: Figures, limits: Thresholds) -> Condition:
    """*Behind pace*: since the campaign began, under 90% of the plan so far, by a gap worth a call: at least
    10 citizens and 1% of the target. Clear: 95% of the plan, or the campaign's target, is reached.
    """
    if seen.reached or seen.actual * 100 >= limits.clear_percent * seen.planned:
        return Condition.CLEAR
    behind = seen.actual * 100 < limits.behind_percent * seen.planned
    worth_a_call = seen.gap >= limits.least_gap and seen.gap * 100 >= limits.least_gap_percent * seen.target
    return Condition.BAD if behind and worth_a_call else Condition.BETWEEN


def pace_severity(seen: Figures, _run: int, limits: Thresholds) -> Severity:
    """By the share of the plan reached: from 75% a notice, from 50% a warning, under that critical."""
    share = seen.actual * 100
    if share >= limits.pace_warning_percent * seen.planned:
        return Severity.NOTICE
    return Severity.WARNING if share >= limits.pace_critical_percent * seen.planned else Severity.CRITICAL


RULES: dict[RuleName, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "daily_quota_missed",
            quota_condition,
            lambda _limits: 1,
            quota_severity,
            lambda seen: f"{seen.done} done of the day's quota of {seen.quota}",
        ),
        Rule(
            "behind_pace",
            pace_condition,
            lambda limits: limits.behind_closings,
            pace_severity,
            lambda seen: f"{seen.actual} of the {seen.planned} planned by now",
        ),
    )
}
