"""What goes over HTTP of contests."""

from datetime import date
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field

from tiendo_aggregator.http_schemas import Answered, ContestDocument
from tiendo_aggregator.use_cases.contests import ContestReport


class PlacedAnswer(Answered):
    """A group's place. Numbers are of those who live in its units."""

    id: str
    name: str
    rank: int | None = Field(
        description="1 the best; equal ones share a rank. Null: not begun, or the measure says nothing of it: nothing "
        "is due, nobody is eligible, the target isn't met."
    )
    value: int
    gained: int = Field(description="Since the day before the contest.")
    target: int
    eligible: int = Field(description="Without the exempt.")
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
