"""What goes over HTTP of the ministry's figures."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, Field

from tiendo_aggregator.http_schemas import Answered, AnyUnitCode, Level, Text
from tiendo_aggregator.http_schemas.declared import CountDocument, DeclaredCountAnswer
from tiendo_aggregator.http_schemas.pace import LevelsAnswer
from tiendo_aggregator.rules.declared import Counts, check_count
from tiendo_aggregator.rules.ministry import Claim, Used
from tiendo_aggregator.rules.plan import Over
from tiendo_common.events.state import Indicator
from tiendo_common.service.documents import Sent

Percent = Annotated[Decimal, Field(ge=0, le=1000, max_digits=9, decimal_places=6)]


class ClaimDocument(Sent):
    """A share that the document asserts in words. It is kept, also when it doesn't reconcile."""

    unit: AnyUnitCode
    says: Text = Field(examples=["hơn 70%"])
    indicator: Indicator
    over: Over
    at_least: Percent | None = Field(None, description="In percent: what the words mean at least.")
    at_most: Percent | None = Field(None, description="In percent: what the words mean at most.")


class ImportDocument(Sent):
    """The ministry's figures as of a day, whole: cumulative, those from before the campaign included."""

    source: Text = Field(description="The document or system that gives them.", examples=["C06, 21/9/2023"])
    figures: dict[AnyUnitCode, dict[Indicator, CountDocument]] = Field(
        {}, description="By unit, at any level."
    )
    claims: Annotated[list[ClaimDocument], Field(max_length=200)] = Field([])

    def counts(self) -> dict[str, Counts]:
        """As the rules know it. Raises Invalid, naming the field."""
        return {
            unit: {
                indicator: check_count(f"figures.{unit}.{indicator}", each.value, each.level_1, each.level_2)
                for indicator, each in by_indicator.items()
            }
            for unit, by_indicator in self.figures.items()
        }

    def asserted(self) -> tuple[Claim, ...]:
        """As the rules know it."""
        return tuple(Claim(**each.model_dump()) for each in self.claims)


class ImportAnswer(Answered):
    """An import. Others as of the same day are further revisions; none is overwritten."""

    as_of: date
    revision: int
    source: str
    imported_by: str = Field(description="The API key's name.")
    imported_at: AwareDatetime
    known_day: date


class ChoiceDocument(Sent):
    """Which figure the signed report prints, and why."""

    use: Used
    reason: Text


class ChoiceAnswer(Answered):
    """A choice. A later one doesn't overwrite it."""

    unit: str
    indicator: Indicator
    revision: int
    use: Used
    reason: str
    chosen_by: str = Field(description="The API key's name.")
    chosen_at: AwareDatetime
    known_day: date


class ComparedAnswer(Answered):
    """One indicator of one unit."""

    ministry: DeclaredCountAnswer
    records: LevelsAnswer
    difference: DeclaredCountAnswer = Field(description="ministry − records.")
    used: Used = Field(
        description="What the signed report prints: the records' figure unless chosen otherwise."
    )
    choice: ChoiceAnswer | None
    of_divided: bool = Field(
        description="A part, by shares, of what the ministry said of a unit that has been divided since is in it."
    )


class UnitComparedAnswer(Answered):
    """A unit of which the ministry gave figures."""

    code: str
    name: str
    level: Level
    parent: str | None
    indicators: dict[Indicator, ComparedAnswer]


class ClaimAnswer(Answered):
    """A claim as it was made."""

    unit: str
    says: str
    indicator: Indicator
    over: Over
    at_least: Decimal | None
    at_most: Decimal | None


class CheckedClaimAnswer(Answered):
    """A claim, held against the figures; shares in percent, cut at two decimals."""

    claim: ClaimAnswer
    records: str | None = Field(examples=["65.36"])
    ministry: str | None
    reconciles: bool | None = Field(
        description="Whether every known share lies in its bounds; null: none is known."
    )


class MinistryAnswer(Answered):
    """The ministry's figures beside the records."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date = Field(description="The units are those of this day.")
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is in the records' counts."
    )
    imported: ImportAnswer | None = Field(description="Null: nothing was imported as of this day.")
    units: list[UnitComparedAnswer] = Field(description="Each before those below it.")
    claims: list[CheckedClaimAnswer]
