"""What goes over HTTP of actors off the tree and their assignments."""

from datetime import date
from typing import Annotated, Literal, Self

import msgspec
from pydantic import AwareDatetime, Field, StringConstraints

from tiendo_aggregator.http_schemas import Answered, Day, GoalName, Text
from tiendo_aggregator.http_schemas.units import UnitCode
from tiendo_aggregator.rules.assignments import Actor, ActorKind, Assignment, NamedTeam, Quota
from tiendo_aggregator.storage.assignments import Version
from tiendo_aggregator.use_cases.assignments import AssignmentReport
from tiendo_common.events.state import Indicator
from tiendo_common.service.documents import Sent, in_words

Id = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$"),
    in_words("small letters, digits, hyphens and underscores, 63 at most, beginning with a letter or digit"),
]
TeamName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="As the lines of intake and activation name it.", examples=["Đoàn trường Duy Tân"]),
    in_words("text of 1 to 100 characters without control characters"),
]
Some = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]


class ActorDocument(Sent):
    """Somebody off the tree who works in the campaign, and who answers for it."""

    kind: ActorKind
    name: Text = Field(examples=["Tỉnh đoàn Kon Tum"])
    answers: Text = Field(description="Who answers for it.", examples=["Bí thư Tỉnh đoàn"])

    def actor(self, id_: str) -> Actor:
        """As the rules know it."""
        return Actor(id=id_, **self.model_dump())


class ActorAnswer(ActorDocument):
    """An actor as it was put."""

    id: str
    version: int = Field(description="Counts from 1; the newest holds, the others are kept.")
    known_day: date

    @classmethod
    def of(cls, version: Version[Actor]) -> Self:
        return cls(
            **msgspec.structs.asdict(version.paper), version=version.version, known_day=version.known_day
        )


class TeamDocument(Sent):
    """A team whose work is counted for the assignment."""

    team: TeamName
    unit: UnitCode | None = Field(
        None,
        description="The collecting unit at which it works, as lines name it: a commune's team is none of its "
        "hamlets'. Left out: wherever in the province.",
    )


class QuotaDocument(Sent):
    """The pace due: so many citizens of each person, on every day to which the calendar gives work, or in all."""

    citizens: Some
    every: Literal["day", "assignment"] = Field(description="`assignment`: in all, spread by the calendar.")
    people: Some = Field(1, description="How many people carry it: each official guides 10 citizens.")


class AssignmentDocument(Sent):
    """The five clears: person, task, pace due, result, who answers."""

    actor: Id
    person: Text = Field(description="Who carries it.", examples=["Tổ trưởng tổ công nghệ số cộng đồng"])
    task: Text = Field(examples=["Hướng dẫn cài đặt và kích hoạt tài khoản"])
    indicator: GoalName = Field(
        description="What is counted: an indicator as a whole, or of one level.",
        examples=["activated", "activated:level-2"],
    )
    teams: Annotated[list[TeamDocument], Field(min_length=1, max_length=2000)]
    from_day: Day
    to_day: Day = Field(description="The last day that counts.")
    quota: QuotaDocument
    result: Text = Field(
        description="What must be there in the end.", examples=["1.200 tài khoản mức độ 2 đã kích hoạt"]
    )
    answers: Text = Field(description="Who answers for it.", examples=["Bí thư Đoàn trường"])

    def assignment(self, id_: str) -> Assignment:
        """As the rules know it."""
        fields = self.model_dump(exclude={"indicator", "teams", "quota"})
        return Assignment(
            id=id_,
            goal=self.indicator,
            teams=tuple(NamedTeam(**each.model_dump()) for each in self.teams),
            quota=Quota(**self.quota.model_dump()),
            **fields,
        )


class AssignmentAnswer(AssignmentDocument):
    """An assignment as it was put."""

    id: str

    @classmethod
    def of(cls, assignment: Assignment) -> Self:
        fields = msgspec.to_builtins(assignment)
        return cls.model_validate({"indicator": fields.pop("goal"), **fields})


class AssignmentVersionAnswer(Answered):
    """An assignment as it was put on a day."""

    version: int = Field(description="Counts from 1; the newest holds, the others are kept.")
    known_day: date
    put_by: str = Field(description="The API key's name.")
    assignment: AssignmentAnswer

    @classmethod
    def of(cls, version: Version[Assignment]) -> Self:
        return cls(
            version=version.version,
            known_day=version.known_day,
            put_by=version.put_by,
            assignment=AssignmentAnswer.of(version.paper),
        )


class AssignmentVersionsAnswer(Answered):
    """Every version of an assignment, oldest first."""

    versions: list[AssignmentVersionAnswer]


class AssignmentStandingAnswer(Answered):
    """How far an assignment is, or all of an actor's on one indicator, in citizens."""

    indicator: GoalName = Field(validation_alias="goal")
    due: int = Field(description="In all.")
    due_by_now: int = Field(description="By the end of the day.")
    value: int = Field(description="Done by its teams on its days.")
    done: int = Field(description="Of these on the day itself.")
    gap: int = Field(description="due_by_now − value; negative when ahead.")
    percent: str = Field(description="value of due, cut at one decimal.", examples=["84.3"])
    rank: int | None = Field(
        description="By exact share of what is due in all, 1 the best, among those of the same indicator. Equal shares "
        "share a rank. Null: not begun."
    )


class ActorStandingAnswer(Answered):
    """An actor, and how far it is on each indicator of which something is assigned to it."""

    id: str
    kind: ActorKind
    name: str
    answers: str
    standings: list[AssignmentStandingAnswer]


class StandingAssignmentAnswer(Answered):
    """An assignment and how far it is."""

    assignment: AssignmentAnswer
    standing: AssignmentStandingAnswer


class TeamWorkAnswer(Answered):
    """What a team did on the campaign's days that no assignment counts."""

    unit: str
    team: str
    done: dict[Indicator, int]


class AssignmentsAnswer(Answered):
    """Actors off the tree, their assignments, and what nobody was assigned."""

    campaign: str
    as_of: date = Field(description="End of this day.")
    known_at: date | None = Field(
        description="Counted and assigned is what was known at the end of this day; null: all that is known now."
    )
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is counted; null right after a start."
    )
    actors: list[ActorStandingAnswer]
    assignments: list[StandingAssignmentAnswer]
    unassigned_count: int
    unassigned: list[TeamWorkAnswer] = Field(description="The first 1000, by unit and team.")
    without_team: dict[Indicator, int] = Field(
        description="Done on the campaign's days without a team's name."
    )

    @classmethod
    def of(cls, report: AssignmentReport) -> Self:
        return cls(
            campaign=report.campaign,
            as_of=report.as_of,
            known_at=report.known_at,
            complete_to=report.complete_to,
            actors=[
                ActorStandingAnswer(
                    **msgspec.structs.asdict(each.actor),
                    standings=[AssignmentStandingAnswer.model_validate(one) for one in each.standings],
                )
                for each in report.actors
            ],
            assignments=[
                StandingAssignmentAnswer(
                    assignment=AssignmentAnswer.of(assignment),
                    standing=AssignmentStandingAnswer.model_validate(standing),
                )
                for assignment, standing in report.assignments
            ],
            unassigned_count=len(report.unassigned),
            unassigned=[TeamWorkAnswer.model_validate(each) for each in report.unassigned[:1000]],
            without_team=dict(report.without_team),
        )
