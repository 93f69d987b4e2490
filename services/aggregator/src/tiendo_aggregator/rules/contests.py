"""Contests (thi đua): groups ranked by a stated measure on stated days of a campaign.

A group is of units, by the citizens who live there, or of actors off the tree, by what their assignments count.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Literal

import msgspec

from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.ranks import met_on, places
from tiendo_aggregator.rules.units import Tree
from tiendo_common.errors import Invalid
from tiendo_common.events.goals import goal_of

#: Share of the target; citizens gained of each 1,000 who are eligible; the day on which the target was met. Of actors
#: the target is what their assignments have due by the contest's last day.
Measure = Literal["share", "per_1000", "finish"]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part together: districts and communes of the campaign's first day, with all below them; or `actors`."""

    id: str
    name: str
    units: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """Groups side by side, on days of the campaign, both included."""

    id: str
    name: str
    measure: Measure
    goal: str
    first_day: date
    last_day: date
    groups: tuple[Group, ...]

    @property
    def eve(self) -> date:
        """The day at whose end it begins."""
        return self.first_day - timedelta(days=1)

    @property
    def of_actors(self) -> bool:
        """Whether its groups are of actors; else they are of units."""
        return any(group.actors for group in self.groups)


def communes_of(group: Group, tree: Tree) -> list[str]:
    """The communes of a group on the tree of the campaign's first day."""
    return [code for unit in group.units for code in tree.below(unit) if tree.units[code].level == "commune"]


def check_contests(
    contests: Sequence[Contest],
    first_day: date,
    last_day: date,
    goals: Mapping[str, int],
    tree: Tree,
    province: str,
) -> None:
    """Raise Invalid, naming the field, unless each contest is on days of the campaign and of a goal that its groups
    have: of units, none of whose communes is in two, one with a target; of actors, none of whom is in two, one that is
    counted by team."""
    inside = set(tree.below(province)) - {province}
    for place, contest in enumerate(contests):
        field = f"contests.{place}"
        if any(other.id == contest.id for other in contests[:place]):
            raise Invalid(
                f"Two contests are called {contest.id!r}.",
                field=f"{field}.id",
                remedy="Give each its own id.",
            )
        if not first_day <= contest.first_day <= contest.last_day <= last_day:
            raise Invalid(
                f"{contest.first_day} to {contest.last_day} are not days of the campaign, one after the other.",
                field=f"{field}.first_day" if contest.first_day < first_day else f"{field}.last_day",
                remedy=f"Send days from {first_day} to {last_day}, first_day first.",
            )
        if contest.of_actors:
            _check_actors(contest, field)
            continue
        if contest.goal not in goals:
            raise Invalid(
                f"The plan has no target of {contest.goal}.",
                field=f"{field}.indicator",
                remedy=f"Send one of {', '.join(goals) or 'those that you set in targets'}; or set that target.",
            )
        _check_groups(contest, field, inside, tree)


def _check_groups(contest: Contest, field: str, inside: set[str], tree: Tree) -> None:
    taken: dict[str, str] = {}
    _check_ids(contest, field)
    for place, group in enumerate(contest.groups):
        at = f"{field}.groups.{place}"
        for number, unit in enumerate(group.units):
            if unit not in inside:
                raise Invalid(
                    f"{unit} is no district or commune of the campaign.",
                    field=f"{at}.units.{number}",
                    remedy="GET /v1/units?as_of= with the campaign's first day tells the units of that day.",
                )
            for code in communes_of(Group(id=group.id, name=group.name, units=(unit,)), tree):
                if code in taken:
                    raise Invalid(
                        f"{tree.units[code].name} ({code}) would be in {taken[code]!r} and in {group.id!r}."
                        if taken[code] != group.id
                        else f"{tree.units[code].name} ({code}) is in {group.id!r} twice.",
                        field=f"{at}.units.{number}",
                        remedy="Let each commune be in one group, once.",
                    )
                taken[code] = group.id


def _check_ids(contest: Contest, field: str) -> None:
    for place, group in enumerate(contest.groups):
        if any(other.id == group.id for other in contest.groups[:place]):
            raise Invalid(
                f"Two groups are called {group.id!r}.",
                field=f"{field}.groups.{place}.id",
                remedy="Give each its own id.",
            )


def _check_actors(contest: Contest, field: str) -> None:
    if contest.measure == "per_1000":
        raise Invalid(
            "Nobody is eligible at an actor: of its citizens there is no thousand.",
            field=f"{field}.measure",
            remedy="Send share or finish.",
        )
    goal = goal_of(contest.goal)
    if goal.cohort is not None or goal.due is not None:
        raise Invalid(
            f"Teams are not counted by cohort, and a contest has days of its own: {contest.goal}.",
            field=f"{field}.indicator",
            remedy="Send an indicator, with :level-1 or :level-2 if only that level counts.",
        )
    _check_ids(contest, field)
    taken: dict[str, str] = {}
    for place, group in enumerate(contest.groups):
        at = f"{field}.groups.{place}"
        if group.units:
            raise Invalid(
                f"The group {group.id!r} is of units, another one of actors.",
                field=f"{at}.units",
                remedy="Make a contest for each: residents and work done are not compared.",
            )
        for number, actor in enumerate(group.actors):
            if actor in taken:
                raise Invalid(
                    f"{actor} would be in {taken[actor]!r} and in {group.id!r}."
                    if taken[actor] != group.id
                    else f"{actor} is in {group.id!r} twice.",
                    field=f"{at}.actors.{number}",
                    remedy="Let each actor be in one group, once.",
                )
            taken[actor] = group.id


def check_known(contests: Sequence[Contest], actors: Collection[str], campaign: str) -> None:
    """Raise Invalid, naming the field, for an actor that is none of the campaign's."""
    for place, contest in enumerate(contests):
        for number, group in enumerate(contest.groups):
            for at, actor in enumerate(group.actors):
                if actor not in actors:
                    raise Invalid(
                        f"{campaign} has no actor {actor!r}.",
                        field=f"contests.{place}.groups.{number}.actors.{at}",
                        remedy=f"PUT /v1/campaigns/{campaign}/actors/{actor} makes one, once the campaign is there.",
                    )


@dataclass(frozen=True, slots=True)
class Runner:
    """A group's numbers: who is eligible (None: it is of actors), what is due, what stood at the ends of all days from
    the contest's eve."""

    group: Group
    eligible: int | None
    target: int
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class Placed:
    """A group's place: equal ones share a rank, and as many ranks are left out after them. `gained` since the eve of
    the contest. `percent` of the target is cut at one decimal, `per_1000` at two. `met_on`: from the end of that day on
    the target has been met without a break. `rank` None: the contest has not begun, or the measure says nothing of it
    (nothing is due, nobody is eligible, the target isn't met)."""

    id: str
    name: str
    rank: int | None
    value: int
    gained: int
    target: int
    eligible: int | None
    percent: str | None
    per_1000: str | None
    met_on: date | None


def standing(contest: Contest, runners: Sequence[Runner], day: date) -> list[Placed]:
    """The groups at the end of `day`, no later than the contest's last one, by rank, then as they are listed."""
    scores: dict[str, Fraction] = {}
    met: dict[str, date | None] = {}
    for each in runners:
        key = each.group.id
        gained = each.ends[-1] - each.ends[0]
        met[key] = met_on(each.ends, each.target, contest.eve) if each.target else None
        if day < contest.first_day:
            continue
        if contest.measure == "share" and each.target:
            scores[key] = Fraction(each.ends[-1], each.target)
        elif contest.measure == "per_1000" and each.eligible:
            scores[key] = Fraction(1000 * gained, each.eligible)
        elif contest.measure == "finish" and (finished := met[key]) is not None:
            scores[key] = Fraction(-finished.toordinal())
    ranks = places(scores, best_first=True)
    placed = [
        Placed(
            each.group.id,
            each.group.name,
            ranks.get(each.group.id),
            each.ends[-1],
            each.ends[-1] - each.ends[0],
            each.target,
            each.eligible,
            cut_percent(each.ends[-1], each.target, 1),
            # A tenth of a percent is one of a thousand.
            cut_percent(10 * (each.ends[-1] - each.ends[0]), each.eligible, 2) if each.eligible else None,
            met[each.group.id],
        )
        for each in runners
    ]
    return sorted(placed, key=lambda each: (each.rank is None, each.rank))
