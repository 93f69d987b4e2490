"""Who outside the tree has what to do: actors, their assignments with the five clears, how far they are.

A department, a school, a company, a union or a team isn't in the territorial sum: what its teams do is counted for the
units where they do it, and once more here, beside them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal, TypeVar

import msgspec

from tiendo_aggregator.rules.calendar import Schedule
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.plan import Campaign
from tiendo_aggregator.rules.ranks import places
from tiendo_common.errors import Invalid
from tiendo_common.events.goals import goal_of, in_order

KeyT = TypeVar("KeyT", str, tuple[str, str])

ActorKind = Literal["department", "school", "company", "union", "team"]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody off the tree who works in a campaign. `answers`: who answers for it."""

    id: str
    kind: ActorKind
    name: str
    answers: str


class NamedTeam(msgspec.Struct, frozen=True, kw_only=True):
    """A team as lines name it, at one collecting unit; `unit` None: wherever in the province it works."""

    team: str
    unit: str | None = None

    def meets(self, other: "NamedTeam") -> bool:
        """Whether some work is both's."""
        return self.team == other.team and (None in (self.unit, other.unit) or self.unit == other.unit)


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What is due of each of so many `people`: so many citizens on every working day, or in all."""

    citizens: int
    every: Literal["day", "assignment"]
    people: int = 1

    @property
    def of_all(self) -> int:
        """Of all people together."""
        return self.citizens * self.people


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """The five clears: the `person` who carries it, the `task`, the pace due (`quota`), the `result` that is expected,
    who `answers` for it. Counted is what its `teams` do of the goal, from the first of its days to the last."""

    id: str
    actor: str
    person: str
    task: str
    goal: str
    teams: tuple[NamedTeam, ...]
    from_day: date
    to_day: date
    quota: Quota
    result: str
    answers: str

    def due(self, schedule: Schedule, day: date) -> int:
        """How many citizens are due by the end of `day`; `schedule` has the assignment's days."""
        if self.quota.every == "assignment":
            return schedule.planned(self.quota.of_all, day)
        over = schedule.weights[: schedule.number(day)]
        return self.quota.of_all * sum(weight > 0 for weight in over)


def check_assignment(
    assignment: Assignment, campaign: Campaign, units: set[str], others: Iterable[Assignment]
) -> None:
    """Raise Invalid, naming the field, unless the days are the campaign's and have work, teams do what is counted by
    team, at `units` of the campaign on the first of them, and nothing that another assignment counts already."""
    goal = goal_of(assignment.goal)
    if goal.cohort is not None or goal.due is not None:
        raise Invalid(
            f"Teams are not counted by cohort, and an assignment has days of its own: {assignment.goal}.",
            field="indicator",
            remedy="Send an indicator, with :level-1 or :level-2 if only that level counts.",
        )
    if not campaign.first_day <= assignment.from_day <= assignment.to_day <= campaign.last_day:
        raise Invalid(
            f"{assignment.from_day} to {assignment.to_day} are not days of the campaign, one after the other.",
            field="from_day" if assignment.from_day < campaign.first_day else "to_day",
            remedy=f"Send days from {campaign.first_day} to {campaign.last_day}, from_day first.",
        )
    if not any(schedule_of(assignment, campaign).weights):
        raise Invalid(
            "The calendar gives none of these days any work.",
            field="to_day",
            remedy="Send a span with a working day in it.",
        )
    for place, team in enumerate(assignment.teams):
        if team.unit is not None and team.unit not in units:
            raise Invalid(
                f"{team.unit} is no unit of the campaign on {assignment.from_day}.",
                field=f"teams.{place}.unit",
                remedy=f"GET /v1/units?as_of={assignment.from_day} tells the units of that day; leave it out if the "
                "team works in many.",
            )
        if any(team.meets(other) for other in assignment.teams[:place]):
            raise Invalid(
                f"The team {team.team} is named twice.",
                field=f"teams.{place}",
                remedy="Name each team once; without a unit it is meant wherever it works.",
            )
    for other in others:
        _refuse_counting_twice(assignment, other)


def _refuse_counting_twice(assignment: Assignment, other: Assignment) -> None:
    if other.id == assignment.id or other.goal != assignment.goal:
        return
    if other.to_day < assignment.from_day or assignment.to_day < other.from_day:
        return
    for place, team in enumerate(assignment.teams):
        if any(team.meets(each) for each in other.teams):
            raise Invalid(
                f"What the team {team.team} does of {assignment.goal} is counted for assignment {other.id} on some of "
                "these days.",
                field=f"teams.{place}",
                remedy=f"Let one begin after the other ends ({other.from_day} to {other.to_day}), or leave the team "
                "out of one of both.",
            )


def schedule_of(assignment: Assignment, campaign: Campaign) -> Schedule:
    """The assignment's days with the weights of the campaign's calendar."""
    return Schedule.of(campaign.calendar, assignment.from_day, assignment.to_day)


@dataclass(frozen=True, slots=True)
class Actual:
    """What an assignment's teams have done on its days up to the day that is asked about, and on that day."""

    value: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an assignment, or all of an actor's for one goal, is. Citizens.

    `due` in all and `due_by_now` of it; `gap` is what is due by now and not done (negative: ahead). `percent` of all
    that is due is cut at one decimal. `rank` is by its exact value among those with the same goal that have begun, 1
    the best; equal ones share a rank, and as many ranks are left out after them. None: not begun.
    """

    goal: str
    due: int
    due_by_now: int
    value: int
    done: int
    gap: int
    percent: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class ActorStanding:
    """An actor and how far it is, by goal."""

    actor: Actor
    standings: list[Standing]


def standings(
    assignments: Sequence[Assignment], actuals: Mapping[str, Actual], campaign: Campaign, day: date
) -> tuple[dict[str, Standing], dict[tuple[str, str], Standing]]:
    """How far each assignment is at the end of `day`; and each actor for each goal of its assignments."""
    parts: dict[str, tuple[str, int, int, Actual, bool]] = {}
    sums: defaultdict[tuple[str, str], list[tuple[int, int, Actual, bool]]] = defaultdict(list)
    for each in assignments:
        schedule, actual = schedule_of(each, campaign), actuals.get(each.id, Actual())
        numbers = each.due(schedule, each.to_day), each.due(schedule, day), actual, each.from_day <= day
        parts[each.id] = (each.goal, *numbers)
        sums[each.actor, each.goal].append(numbers)
    together = {
        key: (
            key[1],
            sum(due for due, *_ in of_goal),
            sum(by_now for _, by_now, *_ in of_goal),
            Actual(
                sum(actual.value for *_, actual, _ in of_goal), sum(actual.done for *_, actual, _ in of_goal)
            ),
            any(begun for *_, begun in of_goal),
        )
        for key, of_goal in sums.items()
    }
    return _ranked(parts), _ranked(together)


def _ranked(parts: Mapping[KeyT, tuple[str, int, int, Actual, bool]]) -> dict[KeyT, Standing]:
    ranks: dict[KeyT, int] = {}
    for goal in {goal for goal, *_ in parts.values()}:
        shares = {
            key: Fraction(actual.value, due)
            for key, (each, due, _, actual, begun) in parts.items()
            if each == goal and begun
        }
        ranks |= places(shares, best_first=True)
    return {
        key: Standing(
            goal,
            due,
            by_now,
            actual.value,
            actual.done,
            by_now - actual.value,
            cut_percent(actual.value, due, 1) or "",
            ranks.get(key),
        )
        for key, (goal, due, by_now, actual, _) in parts.items()
    }


def actor_standings(
    actors: Iterable[Actor], found: Mapping[tuple[str, str], Standing]
) -> list[ActorStanding]:
    """Each actor with its goals in order; with none while nothing is assigned to it."""
    return [
        ActorStanding(
            actor,
            [found[key] for key in sorted(found, key=lambda key: in_order(key[1])) if key[0] == actor.id],
        )
        for actor in actors
    ]
