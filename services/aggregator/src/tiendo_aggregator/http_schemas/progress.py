"""What goes over HTTP of progress."""

from datetime import date
from typing import Literal

from pydantic import (
    AwareDatetime,
    Field,
)

from tiendo_aggregator.http_schemas import Answered, Level
from tiendo_aggregator.rules.counting import Attribution
from tiendo_common.events.state import Indicator


class StandingAnswer(Answered):
    """A unit and all below it on one indicator. A citizen counts once, at the level held on the day."""

    value: int = Field(description="Citizens at the end of the day asked for, both levels.")
    level_1: int
    level_2: int
    baseline: int = Field(description="Citizens at the end of the day before the campaign, or the phase.")
    since_baseline: int
    target: int | None = Field(description="To be reached by its last day; null if the plan sets none.")
    eligible: int | None = Field(
        description="Without those who are exempt; null for a unit that the plan doesn't know. Of a hamlet as planned."
    )
    exempt: int | None = Field(
        description="Citizens whom signed decisions exempt on the day asked for; null for a hamlet: decisions name "
        "communes."
    )
    planned: int | None = Field(description="The plan's eligible, the exempt among them.")
    over_eligible: bool = Field(
        description="More are reached than are eligible: shown as it is, to be looked into."
    )


class RatioAnswer(Answered):
    """One of the campaign's figures for this unit."""

    id: str
    numerator: int
    denominator: int | None
    percent: str | None = Field(
        description="Cut, not rounded, at the figure's own decimals; null when there is nothing to divide by.",
        examples=["69.8"],
    )
    over_100: bool = Field(
        description="More than the whole of the eligible: shown as it is, to be looked into."
    )


class UnitProgressAnswer(Answered):
    """Where one unit stands. A hamlet of which the plan says nothing has counts only; a commune's numbers hold its
    hamlets' and those that name none."""

    code: str
    name: str
    level: Level
    parent: str | None
    indicators: dict[Indicator, StandingAnswer]
    figures: list[RatioAnswer]


class StageAnswer(Answered):
    """The campaign is past its last day, and was to go on."""

    state: Literal["going_on", "full", "stopped"]
    since: date = Field(description="The day after its last one.")
    indicator: Indicator
    full_since: date | None = Field(
        description="From the end of this day on all who are eligible have been reached, without a break."
    )
    stopped_on: date | None


class ProgressAnswer(Answered):
    """Where a unit and those below it stand. Every number is exact."""

    campaign: str
    as_of: date
    tree: date = Field(description="The units are those of this day.")
    known_at: date | None = Field(
        description="Counted is what was known at the end of this day; null: all that is known now."
    )
    by: Attribution
    phase: str | None = Field(
        description="Told of this phase: what it began with is `baseline`; null: of all."
    )
    going_on: StageAnswer | None = Field(
        description="Null: it isn't past its last day, or its plan doesn't go on after it."
    )
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is counted; null right after a start."
    )
    units: list[UnitProgressAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )
