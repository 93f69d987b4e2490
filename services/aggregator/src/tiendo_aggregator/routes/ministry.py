"""Routes of the ministry's figures."""

from typing import Annotated

from fastapi import APIRouter, Path

from tiendo_aggregator.http_schemas import AnyUnitCode, Day
from tiendo_aggregator.http_schemas.ministry import (
    ChoiceAnswer,
    ChoiceDocument,
    ImportAnswer,
    ImportDocument,
    MinistryAnswer,
)
from tiendo_aggregator.routes.questions import AsOf, InPath, KnownAt, OneUnit, OnTree, Planner, Reader
from tiendo_aggregator.use_cases.ministry import Ministry
from tiendo_common.events.state import Indicator

FiguresDay = Annotated[Day, Path(description="The day at whose end the figures stand.")]


def make_ministry_router(ministry: Ministry) -> APIRouter:
    """Imports, comparisons, choices."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}/ministry", tags=["ministry"])

    @router.get("", summary="The ministry's figures beside the records; which one the signed report uses")
    async def get_ministry(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
    ) -> MinistryAnswer:
        """Only of units of which it gave figures as of exactly this day. Claims that don't reconcile are listed as
        such, not mended."""
        report = await ministry.report(campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit)
        return MinistryAnswer.model_validate(report)

    @router.put("/{as_of}", summary="Import the ministry's figures as of a day")
    async def put_figures(
        campaign: InPath, as_of: FiguresDay, document: ImportDocument, planner: Planner
    ) -> ImportAnswer:
        """All at once or nothing. The same again changes nothing; others are a further revision."""
        imported = await ministry.put(
            campaign, as_of, document.counts(), document.asserted(), document.source, planner.name
        )
        return ImportAnswer.model_validate(imported)

    @router.put(
        "/{as_of}/choices/{unit}/{indicator}", summary="Choose the figure that the signed report prints"
    )
    async def put_choice(
        campaign: InPath,
        as_of: FiguresDay,
        unit: AnyUnitCode,
        indicator: Indicator,
        document: ChoiceDocument,
        planner: Planner,
    ) -> ChoiceAnswer:
        """Kept with who chose and why; a later choice is a further revision."""
        choice = await ministry.choose(
            campaign, as_of, unit, indicator, document.use, document.reason, planner.name
        )
        return ChoiceAnswer.model_validate(choice)

    return router
