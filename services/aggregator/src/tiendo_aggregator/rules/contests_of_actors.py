"""What contests of actors off the tree are ranked by: the assignments of each group."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from tiendo_aggregator.rules.assignments import Assignment, schedule_of
from tiendo_aggregator.rules.contests import Contest, Runner
from tiendo_aggregator.rules.plan import Campaign


def in_contest(contest: Contest, assignments: Iterable[Assignment]) -> list[Assignment]:
    """Those that count in it: of its goal, with some of its days."""
    return [
        each
        for each in assignments
        if each.goal == contest.goal
        and each.from_day <= contest.last_day
        and contest.first_day <= each.to_day
    ]


def runners_of_actors(
    contest: Contest,
    campaign: Campaign,
    assignments: Iterable[Assignment],
    work: Mapping[tuple[str, date], int],
    day: date,
) -> list[Runner]:
    """Each group with what is due of its actors' `assignments` by the contest's last day, and what their teams had done
    of them at the ends of all days from its eve to `day`. `work` is of an assignment and a day; what was done before
    the eve is on it."""
    due: defaultdict[str, int] = defaultdict(int)
    done: defaultdict[tuple[str, date], int] = defaultdict(int)
    days = [contest.eve + timedelta(days=n) for n in range(max(0, (day - contest.eve).days) + 1)]
    for each in assignments:
        due[each.actor] += each.due(schedule_of(each, campaign), contest.last_day)
        for on in days:
            done[each.actor, on] += work.get((each.id, on), 0)
    runners = []
    for group in contest.groups:
        ends, reached = [], 0
        for on in days:
            reached += sum(done[actor, on] for actor in group.actors)
            ends.append(reached)
        runners.append(Runner(group, None, sum(due[actor] for actor in group.actors), ends))
    return runners
