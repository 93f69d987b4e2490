"""Routes of counts that communes declare."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from tiendo_aggregator.http_schemas import CommuneCode, Day
from tiendo_aggregator.http_schemas.declared import (
    DeclarationDocument,
    DeclaredAnswer,
    DeclaredHistoryAnswer,
    DeclaredReportAnswer,
)
from tiendo_aggregator.routes.questions import AsOf, Depth, InPath, KnownAt, OneUnit, OnTree, Reader
from tiendo_aggregator.use_cases.declared import Declarations
from tiendo_common.service.auth import ApiKey, requires

Declarer = Annotated[ApiKey, Depends(requires("declared:write"))]
Commune = Annotated[CommuneCode, Path(description="A commune's code on that day.")]
OneDay = Annotated[Day, Path(description="The day at whose end the counts stand.")]


def make_declared_router(declarations: Declarations) -> APIRouter:
    """The routes by which communes without records report."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}/declared", tags=["declared"])

    @router.get("", summary="Declared counts of a day beside the records; who is late, who did not report")
    async def get_declared(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
        depth: Depth = 0,
    ) -> DeclaredReportAnswer:
        """Declared counts are never added to those of records. A unit above communes has the sums of those that
        declared, and the records of these same communes."""
        report = await declarations.report(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, depth=depth
        )
        return DeclaredReportAnswer.model_validate(report)

    @router.put("/{unit}/{day}", summary="Declare a commune's counts of a day")
    async def put_declared(
        campaign: InPath, unit: Commune, day: OneDay, document: DeclarationDocument, declarer: Declarer
    ) -> DeclaredAnswer:
        """The same again changes nothing. A correction is a further revision: what was said before stays readable,
        and holds for what was known before."""
        declared = await declarations.declare(
            campaign, unit, day, document.declared(), document.source, declarer
        )
        return DeclaredAnswer.model_validate(declared)

    @router.get("/{unit}/{day}", summary="Every revision of a commune's report of a day")
    async def get_revisions(
        campaign: InPath, unit: Commune, day: OneDay, _reader: Reader
    ) -> DeclaredHistoryAnswer:
        """Corrections never overwrite."""
        return DeclaredHistoryAnswer(
            campaign=campaign,
            unit=unit,
            day=day,
            revisions=[
                DeclaredAnswer.model_validate(each)
                for each in await declarations.history(campaign, unit, day)
            ],
        )

    return router
