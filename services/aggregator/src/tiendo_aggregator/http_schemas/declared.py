"""What goes over HTTP of counts that communes declare."""

from datetime import date

from pydantic import AwareDatetime, Field

from tiendo_aggregator.http_schemas import Answered, Citizens, Level, Text
from tiendo_aggregator.http_schemas.pace import LevelsAnswer
from tiendo_aggregator.rules.declared import Counts, State, check_count
from tiendo_common.errors import Invalid
from tiendo_common.events.state import Indicator
from tiendo_common.service.documents import Sent


class CountDocument(Sent):
    """Citizens at the end of the day, those from before the campaign included."""

    value: Citizens
    level_1: Citizens | None = Field(None, description="Both levels, which sum to the value; or neither.")
    level_2: Citizens | None = None


class DeclarationDocument(Sent):
    """A commune's counts of a day: cumulative, and whole. A correction says all of it again."""

    source: Text = Field(
        description="Where the commune has them from, in its own words.", examples=["Báo cáo nhanh hằng ngày"]
    )
    counts: dict[Indicator, CountDocument] = Field(
        description="What it counts. An indicator that is left out is not reported; that isn't zero.",
        examples=[{"intake": {"value": 2950, "level_1": 700, "level_2": 2250}, "activated": {"value": 2004}}],
    )

    def declared(self) -> Counts:
        """As the rules know it. Raises Invalid, naming the field."""
        if not self.counts:
            raise Invalid(
                "Nothing is declared.",
                field="counts",
                remedy="Name at least one indicator; a count of nobody is a value of 0.",
            )
        return {
            indicator: check_count(f"counts.{indicator}", each.value, each.level_1, each.level_2)
            for indicator, each in self.counts.items()
        }


class DeclaredCountAnswer(Answered):
    """Citizens, or a difference of such; the levels are null where they are not told apart."""

    value: int
    level_1: int | None
    level_2: int | None


class DeclaredAnswer(Answered):
    """What a commune declared of a day."""

    unit: str
    day: date
    revision: int = Field(description="Counts from 1; the newest stands, the others are kept.")
    counts: dict[Indicator, DeclaredCountAnswer]
    source: str
    declared_by: str = Field(description="The API key's name.")
    declared_at: AwareDatetime
    known_day: date
    late: bool = Field(description="Whether the first revision came after the cut-off.")


class DeclaredHistoryAnswer(Answered):
    """Every revision of a report, oldest first; none if nothing was declared."""

    campaign: str
    unit: str
    day: date
    revisions: list[DeclaredAnswer]


class BesideAnswer(Answered):
    """A declared figure beside the records of the same communes. They are never added."""

    communes: int = Field(description="How many communes it is declared by.")
    of_divided: int = Field(
        description="In how many communes of the tree is a part, by shares, of what one declared that has been divided "
        "since; its records are parted with it."
    )
    declared: DeclaredCountAnswer
    records: LevelsAnswer = Field(description="What the citizens' records of these communes say.")
    difference: DeclaredCountAnswer = Field(description="declared − records.")


class UnitDeclaredAnswer(Answered):
    """A unit and all below it."""

    code: str
    name: str
    level: Level
    parent: str | None
    state: State | None = Field(
        description="Of a commune that owes a report or gave one. not_reported is not zero; awaited: not due yet. Null "
        "also on a later tree, where no single report is of this unit."
    )
    states: dict[State, int] = Field(description="How many communes of the day are in which state.")
    newest: DeclaredAnswer | None = Field(description="What the commune itself declared.")
    indicators: dict[Indicator, BesideAnswer]


class ReporterAnswer(Answered):
    """A commune whose report came late, or not at all."""

    code: str
    name: str
    declared_at: AwareDatetime | None = Field(description="When the newest revision came; null: none did.")


class DeclaredReportAnswer(Answered):
    """What was declared of a day, and what was not."""

    campaign: str
    as_of: date
    known_at: date | None = Field(description="As known at the end of this day; null: all that is known now.")
    tree: date = Field(description="The units are those of this day.")
    due: AwareDatetime | None = Field(description="The cut-off; null: on that day nobody owes a report.")
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is in the records' counts."
    )
    late: list[ReporterAnswer] = Field(description="All late communes of the unit, as they were on the day.")
    not_reported: list[ReporterAnswer] = Field(
        description="All communes of the unit without a report, as they were on the day."
    )
    units: list[UnitDeclaredAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )
