"""What goes over HTTP of those who are exempt, and of those who remain."""

from datetime import date
from typing import Annotated, Self

import msgspec
from pydantic import AwareDatetime, Field

from tiendo_aggregator.http_schemas import Answered, CommuneCode, Day, Level, Text
from tiendo_aggregator.rules.exemptions import Exempted, ExemptionDecision, Reason
from tiendo_aggregator.rules.remaining import Remaining
from tiendo_aggregator.use_cases.exemptions import ListedDecision
from tiendo_common.events.state import Indicator
from tiendo_common.service.documents import Sent

Some = Annotated[int, Field(strict=True, ge=1, le=200_000_000)]
Words = Annotated[
    Text | None, Field(description="The reason in words; only with the reason `other`, which needs them.")
]


class ExemptedLine(Sent):
    """Citizens of one commune whom the decision exempts for one reason."""

    unit: CommuneCode = Field(description="A commune's code on `from_day`.", examples=["23281"])
    citizens: Some
    reason: Reason
    words: Words = None


class DecisionHead(Sent):
    """The paper."""

    number: Text = Field(examples=["15/QĐ-UBND"])
    signed_by: Text = Field(examples=["Chủ tịch UBND tỉnh"])
    from_day: Day = Field(description="The first day on which it holds; one of the campaign's.")
    document: Text = Field(description="Where the paper is kept.", examples=["Hồ sơ 15-2023, Văn phòng UBND"])


class DecisionDocument(DecisionHead):
    """A signed decision: it exempts citizens, or withdraws an earlier decision whole. Never overwritten."""

    lines: Annotated[list[ExemptedLine], Field(min_length=1, max_length=5000)] = Field(
        description="Whom it exempts."
    )

    def decision(self, by: str, at: AwareDatetime, known_day: date) -> ExemptionDecision:
        """As the rules know it."""
        return ExemptionDecision(
            number=self.number,
            signed_by=self.signed_by,
            from_day=self.from_day,
            document=self.document,
            lines=tuple(Exempted(**each.model_dump()) for each in self.lines),
            withdraws=None,
            entered_by=by,
            entered_at=at,
            known_day=known_day,
        )


class WithdrawalDocument(DecisionHead):
    """A signed decision by which an earlier one no longer exempts anybody, from its day on."""

    withdraws: Text = Field(description="The number of the earlier decision.", examples=["15/QĐ-UBND"])

    def decision(self, by: str, at: AwareDatetime, known_day: date) -> ExemptionDecision:
        """As the rules know it."""
        return ExemptionDecision(
            number=self.number,
            signed_by=self.signed_by,
            from_day=self.from_day,
            document=self.document,
            lines=(),
            withdraws=self.withdraws,
            entered_by=by,
            entered_at=at,
            known_day=known_day,
        )


class DecisionAnswer(DecisionHead):
    """A decision as it was entered."""

    lines: list[ExemptedLine]
    withdraws: str | None
    entered_by: str = Field(description="The API key's name.")
    entered_at: AwareDatetime
    known_day: date

    @classmethod
    def of(cls, decision: ExemptionDecision) -> Self:
        return cls.model_validate(msgspec.to_builtins(decision))


class ListedDecisionAnswer(Answered):
    """A decision, and whether it holds."""

    decision: DecisionAnswer
    in_force: bool = Field(description="Whether it exempts anybody at the end of `as_of`.")
    withdrawn_by: str | None = Field(
        description="The decision that ends it, from that one's `from_day` on; null: none."
    )

    @classmethod
    def of(cls, listed: ListedDecision) -> Self:
        return cls(
            decision=DecisionAnswer.of(listed.decision),
            in_force=listed.in_force,
            withdrawn_by=listed.withdrawn_by,
        )


class DecisionsAnswer(Answered):
    """A campaign's decisions, by the day from which they hold."""

    campaign: str
    as_of: date
    known_at: date | None
    decisions: list[ListedDecisionAnswer]


class RemainingLine(Sent):
    """Citizens who are not reached, for one reason."""

    reason: Reason
    citizens: Some
    words: Words = None


class RemainingDocument(Sent):
    """Who is not reached in a commune at the end of the day, by reason: all of them, not what the day brought."""

    source: Text = Field(description="Who says so.", examples=["Công an xã, rà soát từng hộ"])
    lines: Annotated[list[RemainingLine], Field(max_length=200)] = Field(
        description="One for each reason; empty says that nobody remains for a reason.",
        examples=[[{"reason": "abroad", "citizens": 12}]],
    )

    def remaining(self) -> list[Remaining]:
        """As the rules know it."""
        return [Remaining(**each.model_dump()) for each in self.lines]


class RemainingReportAnswer(Answered):
    """A commune's report."""

    unit: str
    indicator: Indicator
    day: date
    revision: int = Field(description="Counts from 1; the newest stands, the others are kept.")
    lines: list["RemainingLineAnswer"]
    source: str
    reported_by: str = Field(description="The API key's name.")
    reported_at: AwareDatetime
    known_day: date


class RemainingLineAnswer(Answered):
    """A line of it."""

    reason: Reason
    citizens: int
    words: str | None


class RemainingReportsAnswer(Answered):
    """Every revision of a commune's report of a day, oldest first."""

    revisions: list[RemainingReportAnswer]


class OtherReasonAnswer(Answered):
    """Citizens who remain for a reason in words."""

    words: str
    citizens: int


class ExplainedAnswer(Answered):
    """One indicator of one unit."""

    reached: int
    remaining: int | None = Field(
        description="eligible − reached; null for a unit that the plan doesn't know."
    )
    explained: int | None = Field(
        description="Of whom a reason is told; null: no commune of it has reported, which is not zero."
    )
    by_reason: dict[Reason, int]
    other: list[OtherReasonAnswer]
    unexplained: int | None = Field(description="remaining − explained.")
    over_eligible: bool = Field(description="More are reached than are eligible: to be looked into.")
    over_explained: bool = Field(description="More are explained than remain: to be looked into.")
    reported: int = Field(description="How many of its communes have reported.")
    communes: int
    of_divided: int = Field(
        description="In how many of its communes is a part, by shares, of what was reported of one that has been "
        "divided since."
    )
    oldest_day: date | None = Field(description="Of the reports in it, the oldest one's day.")


class UnitRemainingAnswer(Answered):
    """Who remains in one unit."""

    code: str
    name: str
    level: Level
    parent: str | None
    eligible: int | None = Field(description="planned − exempt: what coverage is a share of.")
    exempt: int | None = Field(description="By signed decisions in force.")
    planned: int | None = Field(description="The plan's eligible; null for a unit that it doesn't know.")
    indicators: dict[Indicator, ExplainedAnswer]


class RemainingAnswer(Answered):
    """Who remains, and why. Nothing is clipped: what cannot be is shown and flagged."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date = Field(description="The units are those of this day.")
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is counted; null right after a start."
    )
    units: list[UnitRemainingAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )
