"""What goes over HTTP of contests."""

from datetime import date
from typing import Annotated, Any, Self

import msgspec
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tiendo_aggregator.http_schemas import (
    Answered,
    Day,
    GoalName,
    PartId,
    Text,
    UnitCode,
)
from tiendo_aggregator.http_schemas.assignments import Id
from tiendo_aggregator.rules.contests import Contest, Group, Measure
from tiendo_aggregator.use_cases.contests import ContestReport
from tiendo_common.service.documents import Sent


class GroupDocument(Sent):
    """Who takes part together: units or actors, one of both, and of the same kind in all groups of a contest."""

    id: PartId
    name: Text = Field(examples=["Cụm phường trung tâm"])
    units: Annotated[list[UnitCode], Field(max_length=500)] = Field(
        [], description="Districts and communes of the campaign's first day, with all below them."
    )
    actors: Annotated[list[Id], Field(max_length=500)] = Field(
        [],
        description="Actors off the tree, with all of their assignments of this indicator on the contest's days.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.units) == bool(self.actors):
            raise ValueError("send units or actors, at least 1 of one of both")
        return self

    @model_serializer(mode="wrap")
    def _what_it_says(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value}

    @classmethod
    def of(cls, group: Group) -> Self:
        return cls(id=group.id, name=group.name, units=list(group.units), actors=list(group.actors))


class ContestDocument(Sent):
    """A contest between groups (thi đua): of units, by residence, or of actors, by what their teams do."""

    id: PartId
    name: Text = Field(examples=["Thi đua giữa các cụm phường"])
    measure: Measure = Field(
        description="share: of the target, baseline included; per_1000: citizens gained on its days of each 1,000 who "
        "are eligible; finish: who met the target first. Of actors the target is what their assignments have due by "
        "the contest's last day, and there is no per_1000."
    )
    indicator: GoalName
    first_day: Day
    last_day: Day
    groups: Annotated[list[GroupDocument], Field(min_length=2, max_length=200)]

    def contest(self) -> Contest:
        """As the rules know it."""
        fields = self.model_dump(exclude={"groups", "indicator"})
        groups = tuple(
            Group(id=each.id, name=each.name, units=tuple(each.units), actors=tuple(each.actors))
            for each in self.groups
        )
        return Contest(**fields, goal=self.indicator, groups=groups)

    @classmethod
    def of(cls, contest: Contest) -> Self:
        fields = msgspec.structs.asdict(contest)
        goal, groups = fields.pop("goal"), fields.pop("groups")
        return cls(
            **fields,
            indicator=goal,
            groups=[GroupDocument.of(each) for each in groups],
        )


class PlacedAnswer(Answered):
    """A group's place. Numbers are of those who live in its units; or of what its actors' teams did of their
    assignments, also before the contest."""

    id: str
    name: str
    rank: int | None = Field(
        description="1 the best; equal ones share a rank. Null: not begun, or the measure says nothing of it: nothing "
        "is due, nobody is eligible, the target isn't met."
    )
    value: int
    gained: int = Field(description="Since the day before the contest.")
    target: int
    eligible: int | None = Field(description="Without the exempt. Null: a group of actors.")
    percent: str | None = Field(description="value of target, cut at one decimal.")
    per_1000: str | None = Field(description="gained of each 1,000 who are eligible, cut at two decimals.")
    met_on: date | None = Field(
        description="From the end of this day on the target has been met without a break; the day before the contest "
        "if it was met before."
    )


class ContestAnswer(BaseModel):
    """A contest and how it stands."""

    contest: ContestDocument
    day: date = Field(description="At the end of this day: `as_of`, or the contest's last one.")
    groups: list[PlacedAnswer] = Field(description="By rank.")


class ContestsAnswer(BaseModel):
    """All contests of a campaign."""

    campaign: str
    as_of: date
    known_at: date | None
    complete_to: AwareDatetime | None
    contests: list[ContestAnswer]

    @classmethod
    def of(cls, report: ContestReport) -> Self:
        return cls(
            campaign=report.campaign,
            as_of=report.as_of,
            known_at=report.known_at,
            complete_to=report.complete_to,
            contests=[
                ContestAnswer(
                    contest=ContestDocument.of(each.contest),
                    day=each.day,
                    groups=[PlacedAnswer.model_validate(group) for group in each.groups],
                )
                for each in report.contests
            ],
        )
