"""Stretches: the days after the last one of a campaign that goes on and says what each of them is to bring.

Four weeks each, from the day after the last one on; what stops the campaign cuts its last stretch short. A stretch is
seen as a campaign, as a phase is: it begins with what stood on the day before it, and what its days are to bring beyond
that is spread over them by the calendar. Who has reached everybody owes nothing more.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec

from tiendo_aggregator.rules.calendar import Schedule
from tiendo_aggregator.rules.going_on import STRETCHES
from tiendo_aggregator.rules.phase_plan import campaign_of_phase
from tiendo_aggregator.rules.phases import Phase
from tiendo_aggregator.rules.plan import Campaign, Plan, UnitTargets, unit_targets
from tiendo_aggregator.rules.units import Tree

#: Every weekday is in each the same number of times.
LENGTH = timedelta(days=28)
_ONE_DAY = timedelta(days=1)


def stretch_of(campaign: Campaign, day: date) -> Phase | None:
    """The stretch that a day is in; None: it is none of the days of which the plan says what they are to bring."""
    if not campaign.daily or day <= campaign.last_day or not campaign.works_on(day):
        return None
    number = (day - campaign.last_day - _ONE_DAY) // LENGTH + 1
    first_day = campaign.last_day + _ONE_DAY + (number - 1) * LENGTH
    last_day = first_day + LENGTH - _ONE_DAY
    return Phase(
        id=f"{STRETCHES}{number}",
        name=f"Sau đợt cao điểm, chặng {number}",
        name_en=f"After the last day, stretch {number}",
        first_day=first_day,
        last_day=last_day if campaign.works_until is None else min(last_day, campaign.works_until),
    )


def stretches(campaign: Campaign, today: date) -> list[Phase]:
    """Those that have begun, in their order."""
    found: list[Phase] = []
    day = campaign.last_day + _ONE_DAY
    while day <= today and (stretch := stretch_of(campaign, day)) is not None:
        found.append(stretch)
        day = stretch.last_day + _ONE_DAY
    return found


def day_weights(campaign: Campaign) -> tuple[int, ...]:
    """The weights of all days of a stretch that is seen as this campaign: nothing is asked after a stop."""
    weights = campaign.schedule.weights
    return weights + (0,) * (LENGTH.days - len(weights))


def brings(campaign: Campaign, stretch: Phase) -> dict[str, int]:
    """What the stretch is to bring in the whole province, by goal; nothing if the calendar gives it no work.

    What is stated is of a day of the greatest weekday weight; a day of half that weight is to bring half of it.
    """
    weight = Schedule.of(campaign.calendar, stretch.first_day, stretch.last_day).ends[-1]
    if not weight:
        return {}
    heaviest = max(campaign.calendar.weekday_weights)
    return {each.goal: each.citizens * weight // heaviest for each in campaign.daily}


def plan_of_stretch(plan: Plan, tree: Tree, stretch: Phase) -> tuple[Plan, UnitTargets]:
    """The plan as it is for the stretch alone; `tree` is that of the campaign's first day. Its targets, and those of
    units, are what is to be brought beyond what stood on the eve: see `reaching`."""
    campaign = campaign_of_phase(plan.campaign, stretch)
    own = msgspec.structs.replace(
        plan, campaign=campaign, targets=brings(plan.campaign, stretch), set_targets={}, shares={}
    )
    return own, unit_targets(own, tree)


def reaching(
    brought: UnitTargets,
    eves: Mapping[tuple[str, str], int],
    ceilings: Mapping[str, Mapping[str, int]],
) -> dict[tuple[str, str], int]:
    """What each unit must reach by the end of a stretch, so that it brings so much beyond what stood on the eve
    (`eves`): no more than can be reached at all, `ceilings` by goal and unit."""
    answer = {}
    for (unit, goal), citizens in brought.items():
        eve = eves.get((unit, goal), 0)
        most = ceilings[goal].get(unit)
        answer[unit, goal] = eve + citizens if most is None else max(eve, min(eve + citizens, most))
    return answer
