"""Routes of trees and reorganisations."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from tiendo_aggregator.http_schemas import Day, ProvinceCode
from tiendo_aggregator.http_schemas.units import (
    AppliedAnswer,
    EditionAnswer,
    EditionDocument,
    HamletsAnswer,
    HamletsDocument,
    ReorganisationAnswer,
    ReorganisationDocument,
    ReorganisationsAnswer,
)
from tiendo_aggregator.routes.questions import Reader
from tiendo_aggregator.use_cases.reorganisation import UnitChanges
from tiendo_common.service.auth import Admin

DryRun = Annotated[bool, Query(description="Only say what would happen; write nothing.")]

#: A country's mapping has ten thousand rows of some hundred bytes.
MAX_UNITS_BODY = 8 * 1024 * 1024


def make_units_router(changes: UnitChanges) -> APIRouter:
    """Routes by which units change."""
    router = APIRouter(tags=["units"])

    @router.put("/v1/units/editions/{from_day}", summary="Bring a whole tree")
    async def put_edition(
        from_day: Annotated[Day, Path(description="The first day on which the tree holds.")],
        document: EditionDocument,
        admin: Admin,
        dry_run: DryRun = False,
    ) -> EditionAnswer:
        """It holds until the next edition's first day, in place of what held there; the same tree again changes
        nothing. What units became is for a reorganisation to say: POST /v1/reorganisations."""
        result = await changes.put_edition(from_day, document.rows(), dry_run=dry_run, by=admin.name)
        return EditionAnswer.of(result, dry_run=dry_run)

    @router.put("/v1/units/hamlets/{province}/{from_day}", summary="Bring a province's hamlets")
    async def put_hamlets(
        province: Annotated[ProvinceCode, Path(description="On that day.")],
        from_day: Annotated[Day, Path(description="The first day on which the list holds.")],
        document: HamletsDocument,
        admin: Admin,
        dry_run: DryRun = False,
    ) -> HamletsAnswer:
        """Lines may then name a hamlet where they named a commune, and are counted at both. The list holds until the
        province's next one; hamlets that it leaves out have ended, and no list makes one never have been. Alerts
        and what is published of progress are of communes; a hamlet has a target where a plan says how many live there.
        The same list again changes nothing."""
        result = await changes.put_hamlets(
            province, from_day, document.sent(), dry_run=dry_run, by=admin.name
        )
        return HamletsAnswer.of(result, dry_run=dry_run)

    @router.post("/v1/reorganisations", summary="Go over from one tree to the next")
    async def post_reorganisation(
        document: ReorganisationDocument, admin: Admin, dry_run: DryRun = False
    ) -> ReorganisationAnswer:
        """Look at it first with `dry_run`: what happens to which unit, what has no place, what needs a rule, and
        where each campaign would stand before and after. It is applied whole or not at all. No count is rewritten:
        figures as of earlier days keep the tree of their day, and DELETE takes everything back."""
        asked = document.asked()
        if dry_run:
            outcome = await changes.look_at(asked)
        else:
            outcome = await changes.apply(asked, document.resolution, by=admin.name)
        return ReorganisationAnswer.of(outcome, dry_run=dry_run)

    @router.get("/v1/reorganisations", summary="All reorganisations, also those taken back")
    async def list_reorganisations(_reader: Reader) -> ReorganisationsAnswer:
        return ReorganisationsAnswer(
            reorganisations=[AppliedAnswer.model_validate(each) for each in await changes.all()]
        )

    @router.delete("/v1/reorganisations/{id}", summary="Take a reorganisation back")
    async def undo_reorganisation(
        id_: Annotated[int, Path(alias="id", ge=1, lt=2**31)], admin: Admin
    ) -> AppliedAnswer:
        """Everything is then as it was before it. Sent again, it changes nothing."""
        return AppliedAnswer.model_validate(await changes.undo(id_, by=admin.name))

    return router
