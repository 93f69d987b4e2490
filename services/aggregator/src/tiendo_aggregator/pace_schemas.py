"""What goes over HTTP of days: revisions, quotas, pace."""

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tiendo_aggregator.http_schemas import Level
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
    by: Attribution
    closed_through: date | None
    days: list[DayRevisionAnswer] = Field(
        description="From the day before the campaign to the last closed day; none while no day is closed."
    )


class PaceAnswer(_Answered):
    """A unit and all below it on one indicator, in citizens. The day is over: what is needed is counted from the
    next one. Values count where citizens live, `done` where the work was done."""

    target: int = Field(description="To be reached by the last day, baseline included.")
    baseline: int = Field(description="Reached at the end of the day before the campaign.")
    value: int = Field(description="Reached at the end of the day.")
    owed: int = Field(description="target − baseline; 0 where the baseline is past the target.")
    actual: int = Field(description="value − baseline.")
    planned: int = Field(description="The part of `owed` that the calendar plans by the end of the day.")
    gap: int = Field(description="planned − actual; negative when ahead.")
    percent_of_plan: str | None = Field(
        description="actual of planned, cut at one decimal; null while nothing is planned.", examples=["84.3"]
    )
    quota: int = Field(description="The part of `owed` that is planned for the day itself.")
    done: int = Field(description="Net change of the day, credited to those who did the work.")
    last_7_days: int = Field(description="Net change in the seven days that end with this one.")
    remaining: int = Field(description="target − value; 0 once it is reached.")
    days_left: int = Field(description="Days after this one to which the calendar gives work.")
    needed_per_day: int | None = Field(
        description="The catch-up quota: remaining ÷ days_left, rounded up so that it suffices; null when something "
        "is missing and no day is left.",
        examples=[6641],
    )
    needed_next_day: int | None = Field(
        description="The next day's part of what is missing, by its weight; null after the last day."
    )


class UnitPaceAnswer(_Answered):
    """How fast one unit goes, on the indicators of which it has a target."""

    code: str
    name: str
    level: Level
    parent: str | None
    indicators: dict[Indicator, PaceAnswer]


class PacesAnswer(_Asked):
    """A unit and those below it against the plan."""

    units: list[UnitPaceAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )


class DayPlanAnswer(_Answered):
    """One day of the campaign."""

    day: date
    weight: int
    holiday: str | None
    quota: int = Field(description="As planned from the first day; all quotas sum to `owed` exactly.")
    planned: int = Field(description="The quotas up to this day.")
    done: int | None = Field(description="Net change, credited to those who did the work; null: to come.")
    needed: int | None = Field(
        description="The day's part of what is missing now; these sum to `remaining` exactly. Null: the day is over."
    )


class IndicatorQuotasAnswer(_Answered):
    """One indicator: where it stands, and each day."""

    pace: PaceAnswer
    days: list[DayPlanAnswer]


class QuotasAnswer(_Asked):
    """The daily quotas of one unit, on the indicators of which it has a target."""

    unit: str
    indicators: dict[Indicator, IndicatorQuotasAnswer]
