"""What goes over HTTP of revisions."""

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tiendo_aggregator.rules.counting import Attribution
from tiendo_common.events.state import Indicator


class _Answered(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _Asked(_Answered):
    """What every answer about a campaign repeats of the question."""

    campaign: str
    as_of: date = Field(description="End of this day.")
    known_at: date | None = Field(
        description="Counted is what was known at the end of this day; null: all that is known now."
    )
    by: Attribution
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is counted; null right after a start."
    )


class LevelsAnswer(_Answered):
    """Citizens by the level they have; they sum to `value`. A change may be negative."""

    value: int
    level_1: int
    level_2: int


class RevisedAnswer(_Answered):
    """The standing at the end of a day."""

    then: LevelsAnswer = Field(description="As known at the end of that day.")
    now: LevelsAnswer = Field(description="As known at `known_at`.")
    change: LevelsAnswer


class LateAnswer(_Answered):
    """What became known after the day it belongs to."""

    known_day: date
    indicator: Indicator
    change: LevelsAnswer = Field(description="Net change of the day's own count.")


class DayRevisionAnswer(_Answered):
    """A closed day. The day before the campaign stands for all before it: its revision is one of the baseline."""

    day: date
    indicators: dict[Indicator, RevisedAnswer]
    late: list[LateAnswer]


class RevisionsAnswer(_Asked):
    """What late records did to closed days."""

    unit: str
    closed_through: date | None
    days: list[DayRevisionAnswer] = Field(
        description="From the day before the campaign to the last closed day; none while no day is closed."
    )
