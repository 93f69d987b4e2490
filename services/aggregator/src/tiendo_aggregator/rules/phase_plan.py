"""A phase seen as a campaign: its days, and the targets that are due within them under the names that they have in it.

So whatever is told of a campaign is told of a phase in the same way: it begins with what stood at the end of the day
before it, and what it owes is spread over its own days.
"""

import msgspec

from tiendo_aggregator.rules.phases import Phase
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets
from tiendo_common.events.goals import goal_of


def goal_in_phase(goal: str, campaign: Campaign, phase: Phase) -> str | None:
    """The name of one of the campaign's goals within the phase: without a day if it is due at the phase's end, as a
    campaign's goals have none that are due at its end. None: it is due before the phase or after it."""
    due = campaign.due(goal)
    if due == phase.last_day:
        return msgspec.structs.replace(goal_of(goal), due=None).name
    return goal if phase.first_day <= due < phase.last_day else None


def campaign_of_phase(campaign: Campaign, phase: Phase) -> Campaign:
    """The campaign as it is for the phase alone: what is said of it as a whole is left out."""
    return msgspec.structs.replace(
        campaign,
        first_day=phase.first_day,
        last_day=phase.last_day,
        phases=(),
        going_on=None,
        contests=(),
    )


def plan_of_phase(plan: Plan, targets: UnitTargets, phase: Phase) -> tuple[Plan, UnitTargets]:
    """The plan as it is for the phase alone; `targets` of units likewise."""
    names = {goal: goal_in_phase(goal, plan.campaign, phase) for goal in plan.targets}
    campaign = campaign_of_phase(plan.campaign, phase)
    own = {name: plan.targets[goal] for goal, name in names.items() if name is not None}
    of_units = {
        (unit, name): value
        for (unit, goal), value in targets.items()
        if (name := names.get(goal)) is not None
    }
    return msgspec.structs.replace(plan, campaign=campaign, targets=own, set_targets={}, shares={}), of_units
