"""The REST interface of measures: indicators beyond accounts, told by other systems."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from tiendo_aggregator.http_schemas import AnyUnitCode
from tiendo_aggregator.http_schemas.measures import (
    MeasureAnswer,
    MeasuredAnswer,
    MeasureDocument,
    MeasuredUnitAnswer,
    MeasureId,
    MeasuresAnswer,
    StandingsDocument,
    TakenAnswer,
    ToldStandingAnswer,
    ToldStandingsAnswer,
)
from tiendo_aggregator.routes.questions import AsOf, Depth, InPath, KnownAt, OneUnit, OnTree, Planner, Reader
from tiendo_aggregator.use_cases.measures import Measures
from tiendo_common.service.auth import ApiKey, requires

Teller = Annotated[ApiKey, Depends(requires("measure:write"))]
OneMeasure = Annotated[MeasureId, Path(description="The measure's id.")]


def make_measures_router(measures: Measures) -> APIRouter:
    """The routes of measures."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}/measures", tags=["measures"])

    @router.put("/{measure}", summary="Make this a measure of the campaign")
    async def put_measure(
        campaign: InPath, measure: OneMeasure, document: MeasureDocument, planner: Planner
    ) -> MeasureAnswer:
        """The same again changes nothing; another one is the next version, and the one before still holds for what
        was known before."""
        return MeasureAnswer.of(await measures.put(campaign, document.measure(measure), planner.name))

    @router.post("/{measure}/standings", summary="Tell where units stand")
    async def post_standings(
        campaign: InPath, measure: OneMeasure, document: StandingsDocument, teller: Teller
    ) -> TakenAnswer:
        """A standing is where a unit was at the end of a day. Told again it changes nothing, told otherwise it corrects
        what was told; it is never added to anything."""
        standings = [each.standing() for each in document.standings]
        return TakenAnswer.model_validate(await measures.tell(campaign, measure, standings, teller))

    @router.get("/{measure}/standings", summary="All that was told, with corrections")
    async def get_standings(
        campaign: InPath, measure: OneMeasure, _reader: Reader, unit: AnyUnitCode | None = None
    ) -> ToldStandingsAnswer:
        told = await measures.told(campaign, measure, unit)
        return ToldStandingsAnswer(standings=[ToldStandingAnswer.of(each) for each in told])

    @router.get("", summary="Where a unit and those below it stand on each measure")
    async def get_measures(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
        depth: Depth = 0,
    ) -> MeasuresAnswer:
        """The newest standing up to a day. A unit of which nothing was told has the sum of those below it, and says how
        many of its communes are in that."""
        report = await measures.report(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, depth=depth
        )
        return MeasuresAnswer(
            campaign=report.campaign,
            as_of=report.as_of,
            known_at=report.known_at,
            tree=report.tree,
            measures=[
                MeasuredAnswer(
                    id=each.measure.id,
                    name=each.measure.name,
                    out_of=each.measure.out_of,
                    decimals=each.measure.decimals,
                    adds_up=each.measure.adds_up,
                    decision=each.measure.decision,
                    version=each.version,
                    units=[MeasuredUnitAnswer.model_validate(unit) for unit in each.units],
                )
                for each in report.measures
            ],
        )

    return router
