"""The REST interface of a campaign's days: revisions, quotas, pace, forecasts, ranks."""

from typing import Annotated

from fastapi import APIRouter, Query

from tiendo_aggregator.http_schemas import CampaignId, GoalName
from tiendo_aggregator.http_schemas.pace import (
    BacktestAnswer,
    ForecastAnswer,
    PacesAnswer,
    PlanVersionAnswer,
    PlanVersionsAnswer,
    QuotasAnswer,
    RanksAnswer,
    RevisionsAnswer,
    SideBySideAnswer,
)
from tiendo_aggregator.routes.questions import AsOf, By, Depth, InPath, InPhase, KnownAt, OneUnit, Reader
from tiendo_aggregator.use_cases.forecast import Forecasts, RankedLevel
from tiendo_aggregator.use_cases.pace import Paces
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.revisions import Revisions
from tiendo_aggregator.use_cases.side_by_side import SideBySide
from tiendo_common.events.state import Indicator

OneGoal = Annotated[
    GoalName | None,
    Query(
        description="An indicator as a whole, or one narrowed to a level, a cohort, an earlier last day. Every one of "
        "which there is a target unless said."
    ),
]


def make_pace_router(
    plans: Plans, revisions: Revisions, paces: Paces, forecasts: Forecasts, side_by_side: SideBySide
) -> APIRouter:
    """The routes of what a campaign's days say."""
    of_campaign = APIRouter(prefix="/v1/campaigns/{campaign}")
    sides = APIRouter(prefix="/v1/side-by-side")

    @of_campaign.get("/versions", tags=["campaigns"], summary="Every plan that was put")
    async def get_versions(campaign: InPath, _reader: Reader) -> PlanVersionsAnswer:
        """A changed plan is a further version; `known_at` takes the one that held then."""
        return PlanVersionsAnswer(
            campaign=campaign,
            versions=[PlanVersionAnswer.of(each) for each in await plans.versions(campaign)],
        )

    @of_campaign.get("/revisions", tags=["progress"], summary="What late records did to closed days")
    async def get_revisions(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        unit: OneUnit = None,
        by: By = "residence",
    ) -> RevisionsAnswer:
        """A late record goes to the day on which it was true. What that changed of a day that was over, compared with
        what was known at the day's end, stands here; whose records they are does not."""
        report = await revisions.report(campaign, as_of=as_of, known_at=known_at, unit=unit, by=by)
        return RevisionsAnswer.model_validate(report)

    @of_campaign.get("/quotas", tags=["pace"], summary="A unit's daily quotas, as planned and as needed now")
    async def get_quotas(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        unit: OneUnit = None,
        indicator: OneGoal = None,
        phase: InPhase = None,
    ) -> QuotasAnswer:
        """What is owed, spread over the campaign's days by the weights of its calendar, and what each day that is left
        needs now. Both sum exactly. A unit's quotas are taken from its own numbers: those of the units below it sum to
        the same in the end, and on a single day may differ by less than one for each of them."""
        report = await paces.quotas(
            campaign, as_of=as_of, known_at=known_at, unit=unit, indicator=indicator, phase=phase
        )
        return QuotasAnswer.model_validate(report)

    @of_campaign.get(
        "/pace", tags=["pace"], summary="Planned, actual, gap, and what each day left must bring"
    )
    async def get_pace(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        unit: OneUnit = None,
        indicator: OneGoal = None,
        depth: Depth = 0,
        phase: InPhase = None,
    ) -> PacesAnswer:
        """At the end of a day, on whatever has a target."""
        report = await paces.report(
            campaign,
            as_of=as_of,
            known_at=known_at,
            unit=unit,
            indicator=indicator,
            depth=depth,
            phase=phase,
        )
        return PacesAnswer.model_validate(report)

    @of_campaign.get("/forecast", tags=["pace"], summary="The final figure and the day the target is met")
    async def get_forecast(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        unit: OneUnit = None,
        indicator: OneGoal = None,
        phase: InPhase = None,
    ) -> ForecastAnswer:
        """From the pace of late and the weekdays' pattern, with an 80% interval. It foresees no final spurt and no
        slackening: `/forecast/backtest` says how far off it was."""
        report = await forecasts.forecast(
            campaign, as_of=as_of, known_at=known_at, unit=unit, indicator=indicator, phase=phase
        )
        return ForecastAnswer.model_validate(report)

    @of_campaign.get("/forecast/backtest", tags=["pace"], summary="How wrong the forecasts would have been")
    async def get_backtest(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        unit: OneUnit = None,
        indicator: OneGoal = None,
    ) -> BacktestAnswer:
        """Told at the ends of days 10, 20, 30 and 40 from what was known then, held against what came, beside two naive
        ways: from there on as planned, and from there on as on average so far."""
        report = await forecasts.backtest(
            campaign, as_of=as_of, known_at=known_at, unit=unit, indicator=indicator
        )
        return BacktestAnswer.model_validate(report)

    @of_campaign.get("/ranks", tags=["pace"], summary="Who is ahead, who is low, who has finished, who moved")
    async def get_ranks(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        unit: OneUnit = None,
        indicator: OneGoal = None,
        level: Annotated[
            RankedLevel,
            Query(
                description="Which units below the unit are ranked; hamlets, where a plan says how many live in them."
            ),
        ] = "commune",
        shown: Annotated[int, Query(ge=1, le=1000, description="How many places are best and low.")] = 5,
        phase: InPhase = None,
    ) -> RanksAnswer:
        """By exact share of the target. Earlier ranks are as known now (or at `known_at`), so that late records move
        nobody."""
        report = await forecasts.ranks(
            campaign,
            as_of=as_of,
            known_at=known_at,
            unit=unit,
            indicator=indicator,
            level=level,
            shown=shown,
            phase=phase,
        )
        return RanksAnswer.model_validate(report)

    @sides.get("", tags=["pace"], summary="Campaigns set against each other by the day of each")
    async def get_side_by_side(
        _reader: Reader,
        indicator: Indicator,
        campaign: Annotated[list[CampaignId], Query(min_length=2, max_length=10, description="Two or more.")],
        days: Annotated[
            int | None,
            Query(ge=1, le=800, description="How many; as many as the longest campaign has unless said."),
        ] = None,
        known_at: KnownAt = None,
    ) -> SideBySideAnswer:
        """Each campaign in its own province, against its own target. After its last day it is counted on."""
        report = await side_by_side.report(campaign, indicator=indicator, days=days, known_at=known_at)
        return SideBySideAnswer.model_validate(report)

    router = APIRouter()
    router.include_router(of_campaign)
    router.include_router(sides)
    return router
