"""The route of the funnel."""

from typing import Annotated

from fastapi import APIRouter, Query

from tiendo_aggregator.http_schemas.funnel import FunnelAnswer
from tiendo_aggregator.http_schemas.measures import MeasureId
from tiendo_aggregator.routes.questions import AsOf, Depth, InPath, KnownAt, OneUnit, OnTree, Reader
from tiendo_aggregator.use_cases.funnel import Funnels

Cards = Annotated[
    MeasureId | None,
    Query(description="The measure that tells how many hold a valid chip card.", examples=["chip_cards"]),
]


def make_funnel_router(funnels: Funnels) -> APIRouter:
    """From eligible to activated."""
    router = APIRouter()

    @router.get(
        "/v1/campaigns/{campaign}/funnel",
        tags=["progress"],
        summary="From eligible to activated: who waits where, and for how long",
    )
    async def get_funnel(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
        depth: Depth = 0,
        cards: Cards = None,
    ) -> FunnelAnswer:
        """Every number is as of the end of the day: somebody who waited then and does so no more is among those who
        waited. Cards are counted by another system, which tells them as a measure."""
        report = await funnels.report(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, depth=depth, cards=cards
        )
        return FunnelAnswer.model_validate(report)

    return router
