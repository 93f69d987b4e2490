"""What campaigns and closings say, in the words of the rules."""

from collections.abc import Sequence
from typing import get_args

import msgspec

from tiendo_common.events.goals import goal_of
from tiendo_common.events.restatements import FailureReason
from tiendo_common.events.state import (
    Attempts,
    CampaignPublication,
    FailedFor,
    Goal,
    NarrowedProgress,
    ProgressPublication,
    Records,
    RevisedDay,
)
from tiendo_notifier.rules import plan, rhythm
from tiendo_notifier.rules.past import Revision
from tiendo_notifier.rules.shares import ALL, Tally

#: In the place of an indicator: whether a unit that declares its counts had by the cut-off; how its attempts to
#: activate went; what was wrong with its dossiers; whether anything comes from it right now.
REPORT, ATTEMPTS, RECORDS, LIVE = "report", "attempts", "records", "live"
#: Those of which each closing tells how they add up.
ADDED_UP = (ATTEMPTS, RECORDS)


def is_narrowed(indicator: str) -> bool:
    """Whether what a key counts is less than a whole indicator over the whole campaign."""
    return indicator not in (REPORT, LIVE, *ADDED_UP) and goal_of(indicator).narrowed


def calendar_of(campaign: CampaignPublication) -> plan.Calendar:
    """The campaign's days."""
    weights = () if campaign.day_weights is msgspec.UNSET else campaign.day_weights
    return plan.Calendar(campaign.first_day, campaign.last_day, weights)


def tally_of(told: Attempts | Records) -> Tally:
    """The attempts by the reason for which they failed, or the dossiers by what was wrong with them; and all."""
    if isinstance(told, Records):
        return {
            ALL: told.taken,
            "voided": told.voided,
            "corrected": told.corrected,
            "rejected": told.rejected,
        }
    failed = {str(each.reason): each.attempts for each in told.failed}
    return {ALL: told.activated + sum(failed.values())} | failed


def attempts_of(tally: Tally) -> Attempts:
    """The attempts that add up so: what their tally was made of."""
    failed = [(reason, tally[reason]) for reason in get_args(FailureReason) if reason in tally]
    return Attempts(
        activated=tally[ALL] - sum(n for _, n in failed),
        failed=tuple(FailedFor(reason=reason, attempts=n) for reason, n in failed),
    )


def records_of(tally: Tally) -> Records:
    """Likewise the dossiers."""
    return Records(
        taken=tally[ALL],
        voided=tally["voided"],
        corrected=tally["corrected"],
        rejected=tally["rejected"],
    )


def days_of(calendar: plan.Calendar, goal: Goal) -> plan.Calendar:
    """The campaign's days up to the goal's own last one."""
    return calendar if goal.due is None else calendar.until(goal.due)


def days_told(calendar: plan.Calendar, told: NarrowedProgress) -> plan.Calendar:
    """The days on which a narrowed goal is worked for: the campaign's up to its last one, or days after those."""
    if told.from_day is msgspec.UNSET or told.goal.due is None:
        return days_of(calendar, told.goal)
    weights = () if told.day_weights is msgspec.UNSET else told.day_weights
    return plan.Calendar(told.from_day, told.goal.due, weights)


def is_after(indicator: str, calendar: plan.Calendar) -> bool:
    """Whether what a key counts is worked for on days after the campaign's last one."""
    if not is_narrowed(indicator):
        return False
    due = goal_of(indicator).due
    return due is not None and due > calendar.last_day


def revised_days(closing: ProgressPublication) -> Sequence[RevisedDay]:
    return () if closing.revised is msgspec.UNSET else closing.revised


def revisions_of(closing: ProgressPublication, calendar: plan.Calendar, goal: str) -> Sequence[Revision]:
    """What the closing says of the goal's earlier days."""
    if closing.revised is msgspec.UNSET:
        return ()
    by = calendar.number(closing.day)
    return [
        Revision(by, calendar.number(each.day), each.value, each.baseline, each.done)
        for each in closing.revised
        if each.goal.name == goal and each.day in calendar
    ]


def works_of(campaign: CampaignPublication) -> rhythm.Works:
    """On which days people work: those of the campaign to which the plan gives work, and all others."""
    calendar = calendar_of(campaign)
    return lambda day: day not in calendar or calendar.works(calendar.number(day))
