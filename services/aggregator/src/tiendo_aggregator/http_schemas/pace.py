"""What goes over HTTP of days: revisions, quotas, pace, forecasts, ranks."""

from datetime import date
from typing import Literal, Self

from pydantic import AwareDatetime, Field

from tiendo_aggregator.http_schemas import Answered, GoalName, Level
from tiendo_aggregator.rules.counting import Attribution
from tiendo_aggregator.storage.plan import PlanVersion
from tiendo_common.events.state import Indicator


class _Asked(Answered):
    """What every answer about a campaign repeats of the question."""

    campaign: str
    as_of: date = Field(description="End of this day.")
    known_at: date | None = Field(
        description="Counted is what was known at the end of this day; null: all that is known now."
    )
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is counted; null right after a start."
    )


class _OfPhase(_Asked):
    """What is told of a campaign or of one of its phases."""

    phase: str | None = Field(
        description="The phase that is told of as if it were all: it begins with what stood on the day before it. "
        "Null: the campaign."
    )


class LevelsAnswer(Answered):
    """Citizens by the level they have; they sum to `value`. A change may be negative."""

    value: int
    level_1: int
    level_2: int


class RevisedAnswer(Answered):
    """The standing at the end of a day."""

    then: LevelsAnswer = Field(description="As known at the end of that day.")
    now: LevelsAnswer = Field(description="As known at `known_at`.")
    change: LevelsAnswer


class LateAnswer(Answered):
    """What became known after the day it belongs to."""

    known_day: date
    indicator: Indicator
    change: LevelsAnswer = Field(description="Net change of the day's own count.")


class DayRevisionAnswer(Answered):
    """A closed day. The day before the campaign stands for all before it: its revision is one of the baseline."""

    day: date
    indicators: dict[Indicator, RevisedAnswer]
    late: list[LateAnswer]


class RevisionsAnswer(_Asked):
    """What late records did to closed days."""

    unit: str
    by: Attribution
    closed_through: date | None
    divided_on: date | None = Field(
        description="The last day on which this unit was divided by shares, or came of such a division; null: there is "
        "none. Its days begin with that one: before it, nobody had a place in one part. Ask for the unit that was "
        "divided with `as_of` before that day. Parts that came of a division by hamlet have all their days."
    )
    days: list[DayRevisionAnswer] = Field(
        description="From the day before the campaign, or `divided_on`, to the last closed day; none while no day is "
        "closed."
    )


class PaceAnswer(Answered):
    """A unit and all below it on one goal, in citizens. The day is over: what is needed is counted from the
    next one. Values count where citizens live, `done` where the work was done."""

    target: int = Field(description="To be reached by the goal's last day, baseline included.")
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


class UnitPaceAnswer(Answered):
    """How fast one unit goes, on the goals of which it has a target: indicators as a whole under their own names."""

    code: str
    name: str
    level: Level
    parent: str | None
    indicators: dict[GoalName, PaceAnswer]


class PacesAnswer(_OfPhase):
    """A unit and those below it against the plan."""

    units: list[UnitPaceAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )


class DayPlanAnswer(Answered):
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


class IndicatorQuotasAnswer(Answered):
    """One goal: where it stands, and each day on which it is worked for."""

    pace: PaceAnswer
    days: list[DayPlanAnswer]


class QuotasAnswer(_OfPhase):
    """The daily quotas of one unit, on the goals of which it has a target."""

    unit: str
    indicators: dict[GoalName, IndicatorQuotasAnswer]


class TargetMetAnswer(Answered):
    """The day at whose end the target is expected to be met; null: not within a year."""

    expected: date | None
    earliest: date | None = Field(description="Of the 80% interval.")
    latest: date | None = Field(description="Of the 80% interval.")


class OutlookAnswer(Answered):
    """What is expected at the end of the day that is told of, in citizens: rounded, unlike every count."""

    final: int = Field(description="Rounded to the nearest.")
    low: int = Field(description="Of the 80% interval, rounded down.")
    high: int = Field(description="Of the 80% interval, rounded up.")
    per_day: int = Field(description="The pace of late, on a day of average weight, rounded.")
    weekday_percents: list[int] = Field(
        description="What a Monday, Tuesday, …, Sunday brings beside a day of average weight, rounded."
    )
    days_seen: int = Field(description="Days of the campaign that it is told from.")
    target_met: TargetMetAnswer | None = Field(description="Null: it is met already.")


class IndicatorForecastAnswer(Answered):
    """One goal of one unit."""

    due: date = Field(description="Its last day: the campaign's, or an earlier one.")
    through: date = Field(
        description="The day that is told of: `due`; while the campaign goes on after it, the day on which a decision "
        "stops it, or 30 days ahead."
    )
    value: int = Field(description="Reached at the end of the day.")
    target: int
    target_met: bool
    forecast: OutlookAnswer | None
    why_none: str | None = Field(description="Why there is no forecast; null: there is one.")


class ForecastAnswer(_OfPhase):
    """What is expected of one unit if things go on as of late."""

    unit: str
    last_day: date
    indicators: dict[GoalName, IndicatorForecastAnswer]


class ToldAnswer(Answered):
    """What would have been told of the unit, rounded."""

    forecast: int
    low: int
    high: int
    planned_pace: int | None = Field(description="From there on as planned; null without a target.")
    straight_line: int = Field(description="From there on as on average since the first day.")


class MissedAnswer(Answered):
    """How far a way of forecasting was off."""

    error: int = Field(description="Told − actual, in citizens, of the unit.")
    error_percent: str | None = Field(
        description="Of what the campaign brought the unit; cut at one decimal."
    )
    communes_percent: str | None = Field(
        description="The communes' errors without sign, summed, of what it brought them; cut at one decimal."
    )


class OriginAnswer(Answered):
    """The forecast at the end of one day, from what was known then, held against what came."""

    number: int = Field(description="Which day of the campaign it was, from 1.")
    day: date
    days_ahead: int
    told: ToldAnswer
    actual: int
    forecast: MissedAnswer
    planned_pace: MissedAnswer | None
    straight_line: MissedAnswer
    interval_holds: bool = Field(description="Whether the unit's actual figure lay in its 80% interval.")
    communes: int
    communes_inside: int = Field(description="Communes whose actual figure lay in their 80% intervals.")
    coverage_percent: str | None = Field(description="communes_inside of communes; 80 would be right.")


class BacktestAnswer(_Asked):
    """How wrong the forecasts would have been, beside two naive ways of telling."""

    unit: str
    through: date = Field(description="The day that was to be told: the last one, or `as_of` before it.")
    indicators: dict[GoalName, list[OriginAnswer]] = Field(
        description="Told at the ends of days 10, 20, 30 and 40, of those that are over: of `through`, or of a goal's "
        "own last day."
    )


class RankedAnswer(Answered):
    """A unit's place."""

    code: str
    name: str
    rank: int = Field(description="By exact share of the target, 1 the best. Equal shares share a rank.")
    value: int
    target: int
    percent: str = Field(description="value of target, cut at one decimal.")
    since_yesterday: int | None = Field(description="Places won; negative: lost. Null: not begun by then.")
    since_last_week: int | None = Field(description="Likewise, in seven days.")
    met_on: date | None = Field(
        description="From the end of this day on the target has been met without a break; the day before the campaign "
        "if it was met before. Null: it isn't met."
    )
    finished: int | None = Field(description="Place in the order of finish; null: not met by the last day.")


class RankingAnswer(Answered):
    """Units by rank, then code."""

    units: list[RankedAnswer]
    best: list[str] = Field(description="Codes of the first places, with all that tie.")
    low: list[str] = Field(description="Codes of the last places, the last one first, with all that tie.")
    finish: list[str] = Field(description="Who met the target by the last day, the first one first.")
    unranked: list[str] = Field(description="Units with a target of 0: there is no share of it.")


class RanksAnswer(_OfPhase):
    """The ranks of the units of one level."""

    unit: str
    level: Literal["district", "commune", "hamlet"]
    indicators: dict[GoalName, RankingAnswer]


class PlanVersionAnswer(Answered):
    """A plan as it was put."""

    version: int
    known_day: date = Field(description="The business day on which it was put.")
    plan_number: str
    plan_issued_on: date
    signed_by: str | None = Field(description="null: the plan doesn't say.")
    holds_from: date | None = Field(description="The first day of which it is the plan; null: of all days.")
    targets: dict[GoalName, int] = Field(description="Of the province.")

    @classmethod
    def of(cls, version: PlanVersion) -> Self:
        campaign = version.plan.campaign
        return cls(
            version=version.version,
            known_day=version.known_day,
            plan_number=campaign.plan_number,
            plan_issued_on=campaign.plan_issued_on,
            signed_by=version.plan.signed_by,
            holds_from=version.plan.holds_from,
            targets=dict(version.plan.targets),
        )


class PlanVersionsAnswer(Answered):
    """Every plan of a campaign that was put, oldest first: the last one is in force."""

    campaign: str
    versions: list[PlanVersionAnswer]


class SideAnswer(Answered):
    """A campaign that is compared, in the province where it runs."""

    campaign: str
    name: str
    unit: str
    first_day: date
    last_day: date
    target: int | None = Field(description="Of the indicator, baseline included; null: its plan sets none.")
    baseline: int = Field(description="Reached at the end of the day before the campaign.")
    complete_to: AwareDatetime | None


class DayStandingAnswer(Answered):
    """The end of one day of one campaign."""

    day: date
    value: int
    gained: int = Field(description="value − baseline.")
    percent_of_target: str | None = Field(
        description="Cut at one decimal; null without a target.", examples=["70.6"]
    )


class NumberedDayAnswer(Answered):
    """The n-th day of each campaign."""

    number: int = Field(description="1 is the first day.")
    standings: list[DayStandingAnswer | None] = Field(
        description="In the order of `campaigns`; null: that day of the campaign is still to come."
    )


class SideBySideAnswer(Answered):
    """Campaigns set against each other by the day of each."""

    indicator: Indicator
    known_at: date | None
    campaigns: list[SideAnswer]
    days: list[NumberedDayAnswer]
