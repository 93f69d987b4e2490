"""What goes over HTTP of campaigns and their plans."""

from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from tiendo_aggregator.http_schemas import (
    Answered,
    CampaignId,
    Citizens,
    CommuneCode,
    Day,
    GoalName,
    PartId,
    Percent,
    ProvinceCode,
    Text,
    UnitCode,
)
from tiendo_aggregator.http_schemas.contests import ContestDocument
from tiendo_aggregator.http_schemas.units import UnitCode as HamletOrUnitCode
from tiendo_aggregator.rules.calendar import Calendar, Holiday
from tiendo_aggregator.rules.declaring import Declaring
from tiendo_aggregator.rules.going_on import DailyQuota, GoingOn, Stop
from tiendo_aggregator.rules.phases import Phase, PhaseState
from tiendo_aggregator.rules.plan import Campaign, CohortSize, Figure, Over, Plan
from tiendo_aggregator.rules.stretches import brings, stretches
from tiendo_aggregator.storage.plan import StoredCampaign, StoredPlan
from tiendo_common.events.goals import goal_of, in_order
from tiendo_common.events.restatements import Cohort
from tiendo_common.events.state import Goal, Indicator
from tiendo_common.service.documents import Sent, in_words


def _local(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("a local time of day, without an offset")
    return value


class FigureDocument(Sent):
    """A ratio that reports print: `indicator` over `over`, cut (not rounded) after `decimals` decimals."""

    id: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9_]{1,60}$"),
        in_words("small letters, digits and underscores, 60 at most"),
    ]
    indicator: Indicator
    over: Over = Field(description="What it is a share of: the target, the eligible, or another indicator.")
    decimals: Annotated[int, Field(strict=True, ge=0, le=6)]


class CountedHead(Sent):
    """What is counted: an indicator, perhaps narrowed."""

    indicator: Indicator
    level: Literal[1, 2] | None = Field(
        None, description="Only citizens who have this level on the day; left out: both levels."
    )
    cohort: Cohort | None = Field(None, description="Only citizens of this cohort; left out: everybody.")

    @property
    def goal(self) -> str:
        """Its name."""
        return Goal(self.indicator, self.level, self.cohort).name

    @model_serializer(mode="wrap")
    def _what_it_says(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class TargetHead(CountedHead):
    """What is counted for a target, and by when it is due."""

    due: Day | None = Field(
        None,
        description="The target's own last day, before the campaign's; left out: the campaign's last day.",
        examples=["2023-11-30"],
    )

    @property
    def goal(self) -> str:
        """Its name."""
        return Goal(self.indicator, self.level, self.cohort, self.due).name


class TargetDocument(TargetHead):
    """What the whole province must reach, baseline included: a number, or a share of the eligible."""

    value: Citizens | None = Field(None, description="In citizens.")
    percent_of_eligible: Percent | None = Field(
        None,
        description="Of those who are eligible when it is set, without the exempt; of a cohort's, if it has one. "
        "Rounded up to a whole citizen.",
        examples=["80"],
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) == (self.percent_of_eligible is None):
            raise ValueError("send value or percent_of_eligible, one of both")
        return self


class TargetAnswer(TargetHead):
    """What the whole province must reach, and of how many it is a share if it was set as one."""

    value: int
    percent_of_eligible: str | None = None
    eligible: int | None = Field(
        None, description="The citizens who were eligible when the share was taken; left out: it is no share."
    )


class CohortDocument(Sent):
    """How many citizens a cohort has: what its targets are shares of, and are spread by."""

    source: Text = Field(description="Who says so.", examples=["Sở Nội vụ"])
    eligible: dict[CommuneCode, Citizens] = Field(
        description="Of every commune that the campaign has on the first day.", examples=[{"23281": 112}]
    )


class CampaignHead(Sent):
    """A campaign: who, where, when."""

    parent: CampaignId | None = Field(
        None,
        description="The campaign of which it is a part, with days on which that one works and none but its communes.",
    )

    name: Text
    plan_number: Text = Field(examples=["3903/KH-UBND"])
    plan_issued_on: Day
    province: ProvinceCode
    first_day: Day
    last_day: Day
    day_cut_off: Annotated[time, AfterValidator(_local)] = Field(
        description="Local hour after which a day's count is final.", examples=["21:00"]
    )
    days_end_after_midnight: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="Whether day_cut_off, 06:00 at the latest, is an hour of the following date, when shifts past "
        "midnight are over. What they did counts on the day on which they began where lines say so (working_day).",
    )


Weight = Annotated[int, Field(strict=True, ge=0, le=1000)]


class HolidayDocument(Sent):
    """A day that is unlike its weekday, such as one of Tết."""

    day: Day = Field(description="One of the campaign's days.", examples=["2024-02-10"])
    name: Text = Field(examples=["Tết Giáp Thìn"])
    weight: Weight = Field(0, description="How much it is to bring beside other days; 0: nothing.")


class CalendarDocument(Sent):
    """How the work is spread over the days. Without one all days are alike."""

    weekday_weights: Annotated[list[Weight], Field(min_length=7, max_length=7)] = Field(
        [1] * 7,
        description="How much a Monday, Tuesday, …, Sunday is to bring beside the others, in whole numbers.",
        examples=[[2, 2, 2, 2, 2, 1, 0]],
    )
    holidays: Annotated[list[HolidayDocument], Field(max_length=400)] = Field([])

    def calendar(self) -> Calendar:
        """As the rules know it."""
        return Calendar(
            weekday_weights=tuple(self.weekday_weights),
            holidays=tuple(Holiday(**each.model_dump()) for each in self.holidays),
        )

    @classmethod
    def of(cls, calendar: Calendar) -> Self:
        return cls.model_validate(msgspec.to_builtins(calendar, builtin_types=(date,)))


class DeclaringDocument(Sent):
    """Communes that send no records about citizens: they declare their counts each day."""

    cut_off: Annotated[time, AfterValidator(_local)] = Field(
        description="Local hour of the day by which its counts are due.", examples=["16:30"]
    )
    units: Annotated[list[CommuneCode], Field(max_length=5000)] = Field(
        description="Communes of the campaign's first day.", examples=[["23427"]]
    )

    def declaring(self) -> Declaring:
        """As the rules know it: units in the order of their codes."""
        return Declaring(cut_off=self.cut_off, units=tuple(sorted(self.units)))


class PhaseDocument(Sent):
    """A span of the campaign's days that has a name (giai đoạn). Its targets are those that are due on its last day."""

    id: PartId = Field(examples=["sprint"])
    name: Text = Field(examples=["Giai đoạn nước rút"])
    name_en: Text | None = Field(None, description="The same in English, if others are told of it.")
    first_day: Day
    last_day: Day


class StopDocument(Sent):
    """The signed decision that stops a campaign which goes on."""

    number: Text = Field(examples=["310/QĐ-UBND"])
    signed_by: Text
    last_day: Day = Field(description="The last day on which it goes on.")


class DailyDocument(CountedHead):
    """What each day after the last one is to bring the whole province."""

    citizens: Citizens = Field(
        description="Of a day of the greatest weekday weight; others by their weights.", examples=[120]
    )


def _one_a_goal(daily: list[DailyDocument]) -> list[DailyDocument]:
    if len({each.goal for each in daily}) < len(daily):
        raise ValueError("a goal stands there twice")
    return daily


class GoingOnDocument(Sent):
    """It goes on after its last day, until all who are eligible are reached or a decision stops it."""

    indicator: Indicator = Field(description="It is full when as many are reached on this as are eligible.")
    stop: StopDocument | None = None
    daily: Annotated[list[DailyDocument], AfterValidator(_one_a_goal), Field(max_length=20)] = Field(
        [], description="What is asked of the days after the last one; left out: nothing."
    )

    def going_on(self) -> GoingOn:
        """As the rules know it."""
        stop = Stop(**self.stop.model_dump()) if self.stop is not None else None
        daily = tuple(DailyQuota(goal=each.goal, citizens=each.citizens) for each in self.daily)
        return GoingOn(indicator=self.indicator, stop=stop, daily=daily)

    @classmethod
    def of(cls, going_on: GoingOn) -> Self:
        return cls(
            indicator=going_on.indicator,
            stop=None if going_on.stop is None else StopDocument(**msgspec.structs.asdict(going_on.stop)),
            daily=[DailyDocument(citizens=each.citizens, **_counted(each.goal)) for each in going_on.daily],
        )


def _counted(goal: str) -> dict[str, Any]:
    """What a goal counts, whenever it is due."""
    return {name: value for name, value in msgspec.structs.asdict(goal_of(goal)).items() if name != "due"}


def _once(figures: list[FigureDocument]) -> list[FigureDocument]:
    if len({figure.id for figure in figures}) < len(figures):
        raise ValueError("a figure's id stands there twice")
    return figures


def _one_each(targets: list[TargetDocument]) -> list[TargetDocument]:
    goals = [target.goal for target in targets]
    twice = next((goal for goal in goals if goals.count(goal) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} has two targets")
    return targets


class CampaignBody(CampaignHead):
    """All of a campaign's plan but the province's targets."""

    signed_by: Text | None = Field(
        None, description="Who signed the plan.", examples=["Phó Chủ tịch UBND tỉnh"]
    )
    holds_from: Day | None = Field(
        None,
        description="The first day of which this is the plan, today or earlier; days before it keep the plan that they "
        "had. Left out: it is the plan of all days, also of those that are over.",
        examples=["2023-12-01"],
    )
    units: Annotated[list[UnitCode], Field(max_length=5000)] = Field(
        [],
        description="Districts and communes of the first day that it is about, with all below them; what is said of "
        "the province, or of a part of a district, is the sum of these. Left out: all of the province.",
        examples=[["608"]],
    )
    eligible: dict[CommuneCode, Citizens] = Field(
        description="Eligible citizens of every commune that the campaign has on the first day.",
        examples=[{"23281": 5012}],
    )
    eligible_in_hamlets: dict[HamletOrUnitCode, Citizens] = Field(
        {},
        description="How many of their commune's eligible live in hamlets, where it is known; the rest lives in none "
        "that is named. Of hamlets that are there on the campaign's days: PUT /v1/units/hamlets/{province}/{from_day}.",
        examples=[{"23281001": 412}],
    )
    figures: Annotated[list[FigureDocument], AfterValidator(_once)] = Field([])
    calendar: CalendarDocument = Field(default_factory=CalendarDocument)
    set_targets: dict[GoalName, dict[HamletOrUnitCode, Citizens]] = Field(
        {},
        description="Targets of districts, communes and hamlets that are set by hand; what they leave of the target "
        "above them is spread over the communes that are in none, and over the commune's other hamlets. Of hamlets, "
        "those that `eligible_in_hamlets` names.",
        examples=[{"intake": {"612": 40000}}],
    )
    cohorts: dict[Cohort, CohortDocument] = Field(
        {}, description="The sizes of cohorts, where somebody tells them: exempt citizens are among them."
    )
    declaring: DeclaringDocument | None = None
    phases: Annotated[list[PhaseDocument], Field(max_length=100)] = Field(
        [], description="Spans of days with a name; no day is in two, and days may be in none."
    )
    going_on: GoingOnDocument | None = Field(None, description="Left out: it ends on its last day.")
    contests: Annotated[list[ContestDocument], Field(max_length=50)] = Field([])


class CampaignDocument(CampaignBody):
    """A campaign's whole plan."""

    targets: Annotated[list[TargetDocument], AfterValidator(_one_each)]

    def shares(self) -> dict[str, Decimal]:
        """The goals whose targets are percentages of the eligible."""
        return {
            target.goal: target.percent_of_eligible
            for target in self.targets
            if target.percent_of_eligible is not None
        }

    def plan(self, campaign: str) -> Plan:
        """As the rules know it, but for the targets that are shares."""
        return Plan(
            campaign=Campaign(
                id=campaign,
                figures=tuple(Figure(**figure.model_dump()) for figure in self.figures),
                calendar=self.calendar.calendar(),
                declaring=self.declaring.declaring() if self.declaring is not None else None,
                going_on=self.going_on.going_on() if self.going_on is not None else None,
                contests=tuple(each.contest() for each in self.contests),
                phases=tuple(Phase(**phase.model_dump()) for phase in self.phases),
                units=tuple(self.units),
                **self.model_dump(include=set(CampaignHead.model_fields)),
            ),
            targets={target.goal: target.value for target in self.targets if target.value is not None},
            eligible=self.eligible,
            eligible_in_hamlets=self.eligible_in_hamlets,
            set_targets={goal: each for goal, each in self.set_targets.items() if each},
            cohorts={cohort: CohortSize(**each.model_dump()) for cohort, each in self.cohorts.items()},
            signed_by=self.signed_by,
            holds_from=self.holds_from,
        )


class CampaignLine(CampaignHead):
    """A campaign and how far it has come."""

    id: str
    closed_through: date | None = Field(
        description="The last day whose closing progress has been published: final but for late facts."
    )

    @classmethod
    def of(cls, stored: StoredCampaign) -> Self:
        return cls(**_head(stored))


class SubCampaignAnswer(Answered):
    """A campaign that is a part of another."""

    id: str
    name: str
    first_day: date
    last_day: date
    units: list[str] = Field(description="Empty: all that the province has on its first day.")


class CampaignAnswer(CampaignBody):
    """A campaign's whole plan and how far it has come."""

    id: str
    targets: list[TargetAnswer]
    sub_campaigns: list[SubCampaignAnswer] = Field(
        description="The campaigns that are parts of it now, by their first day."
    )
    closed_through: date | None = Field(
        description="The last day whose closing progress has been published: final but for late facts."
    )

    @classmethod
    def of(cls, stored: StoredPlan, sub_campaigns: Sequence[Campaign]) -> Self:
        return cls(
            **_head(stored),
            sub_campaigns=[SubCampaignAnswer.model_validate(each) for each in sub_campaigns],
            signed_by=stored.plan.signed_by,
            holds_from=stored.plan.holds_from,
            units=list(stored.campaign.units),
            targets=[_target(stored.plan, goal) for goal in sorted(stored.plan.targets, key=in_order)],
            eligible=dict(stored.plan.eligible),
            eligible_in_hamlets=dict(stored.plan.eligible_in_hamlets),
            figures=[FigureDocument(**msgspec.structs.asdict(figure)) for figure in stored.campaign.figures],
            set_targets={goal: dict(each) for goal, each in stored.plan.set_targets.items()},
            cohorts={
                cohort: CohortDocument(source=each.source, eligible=dict(each.eligible))
                for cohort, each in stored.plan.cohorts.items()
            },
            calendar=CalendarDocument.of(stored.campaign.calendar),
            going_on=GoingOnDocument.of(stored.campaign.going_on)
            if stored.campaign.going_on is not None
            else None,
            contests=[ContestDocument.of(each) for each in stored.campaign.contests],
            phases=[PhaseDocument(**msgspec.structs.asdict(phase)) for phase in stored.campaign.phases],
            declaring=DeclaringDocument.model_validate(msgspec.structs.asdict(stored.campaign.declaring))
            if stored.campaign.declaring is not None
            else None,
        )


class BroughtAnswer(CountedHead):
    """What the whole province is to bring, by residence, beyond what stood on the day before."""

    citizens: int


class PhaseAnswer(PhaseDocument):
    """A phase, and what the province must reach by its end; or a stretch of days after the campaign's last one."""

    state: PhaseState
    targets: list[TargetAnswer] = Field(
        description="Those due on its last day. Asked for with `phase=`, they go without the day in their names."
    )
    brings: list[BroughtAnswer] = Field(description="Of a stretch: what it is to bring; of others nothing.")


class PhasesAnswer(BaseModel):
    """A campaign's phases, by their first day, and the stretches after its last one that have begun."""

    campaign: str
    phases: list[PhaseAnswer]

    @classmethod
    def of(cls, stored: StoredPlan, today: date) -> Self:
        plan = stored.plan
        after = stretches(plan.campaign, today)
        return cls(
            campaign=plan.campaign.id,
            phases=[
                PhaseAnswer(
                    **msgspec.structs.asdict(phase),
                    state=phase.state(today),
                    targets=[
                        _target(plan, goal)
                        for goal in sorted(plan.targets, key=in_order)
                        if plan.campaign.due(goal) == phase.last_day and phase not in after
                    ],
                    brings=[
                        BroughtAnswer(citizens=citizens, **_counted(goal))
                        for goal, citizens in (brings(plan.campaign, phase) if phase in after else {}).items()
                    ],
                )
                for phase in [*sorted(plan.campaign.phases, key=lambda phase: phase.first_day), *after]
            ],
        )


def _target(plan: Plan, goal: str) -> TargetAnswer:
    share = plan.shares.get(goal)
    return TargetAnswer(
        **msgspec.structs.asdict(goal_of(goal)),
        value=plan.targets[goal],
        percent_of_eligible=None if share is None else str(share.percent),
        eligible=None if share is None else share.eligible,
    )


def _head(stored: StoredCampaign) -> dict[str, Any]:
    fields = {name: getattr(stored.campaign, name) for name in ("id", *CampaignHead.model_fields)}
    return fields | {"closed_through": stored.closed_through}


class CampaignsAnswer(Answered):
    """All campaigns, by their first day."""

    campaigns: list[CampaignLine]
