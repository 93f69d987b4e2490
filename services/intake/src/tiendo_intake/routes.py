"""Intake's REST interface."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Response

from tiendo_common.service.auth import ApiKey, requires
from tiendo_common.service.kit import Kit
from tiendo_common.service.line_routes import add_line_routes
from tiendo_common.service.tallies import Tallies, add_tally_route
from tiendo_intake.http_schemas import (
    AmendmentLine,
    ApprovalLine,
    DossierAnswer,
    HistoryAnswer,
    IntakeLine,
    VersionAnswer,
    amendment_submission,
    approval_submission,
    intake_submission,
)
from tiendo_intake.http_schemas.placing import (
    CommuneCode,
    DivisionDocument,
    PlacementAnswer,
    ReorganisationId,
)
from tiendo_intake.use_cases import IntakeDesk, find_dossier, find_history
from tiendo_intake.use_cases.placing import Placing

Reader = Annotated[ApiKey, Depends(requires("intake:read"))]
Admin = Annotated[ApiKey, Depends(requires("admin"))]
OneReorganisation = Annotated[ReorganisationId, Path(description="Its id in the aggregator.")]
Divided = Annotated[CommuneCode, Path(description="The code of the divided commune on the eve.")]

_encode = msgspec.json.Encoder().encode


def make_router(kit: Kit, desk: IntakeDesk, placing: Placing, tallies: Tallies) -> APIRouter:
    """All routes of the service."""
    router = APIRouter()
    add_line_routes(
        router,
        "intakes",
        IntakeLine,
        scope="intake:write",
        understand=intake_submission,
        submit=desk.submit,
        summary="A dossier was taken, or upgraded to level 2",
    )
    add_line_routes(
        router,
        "approvals",
        ApprovalLine,
        scope="intake:write",
        understand=approval_submission,
        submit=desk.submit,
        summary="A decision on a dossier",
    )
    add_line_routes(
        router,
        "amendments",
        AmendmentLine,
        scope="intake:write",
        understand=amendment_submission,
        submit=desk.submit,
        summary="A move, a correction or a void",
    )

    @router.get("/v1/intakes/{record_id}", tags=["dossiers"], summary="A dossier as it stands")
    async def dossier(record_id: UUID, _reader: Reader) -> Response:
        view = await find_dossier(kit.pool, str(record_id))
        answer = DossierAnswer(
            record_id=view.record.record_id,
            version=view.record.version,
            state=view.state,
            segments=view.record.segments,
        )
        return Response(_encode(answer), media_type="application/json")

    @router.get("/v1/intakes/{record_id}/history", tags=["dossiers"], summary="Every version of a dossier")
    async def history(record_id: UUID, _reader: Reader) -> Response:
        """Corrections never overwrite: what was said before, when, under which key and what it came to, stays."""
        versions = await find_history(kit.pool, str(record_id))
        answer = HistoryAnswer(
            record_id=str(record_id), versions=tuple(VersionAnswer.of(each) for each in versions)
        )
        return Response(_encode(answer), media_type="application/json")

    @router.put(
        "/v1/placements/{reorganisation}/{unit}",
        tags=["placements"],
        summary="Part the records of a divided commune by share",
    )
    async def put_placement(
        reorganisation: OneReorganisation, unit: Divided, document: DivisionDocument, admin: Admin
    ) -> PlacementAnswer:
        """Those who live there on the eve stand in the order of a hash of their record's id, cut at exact quotas; each
        is moved to his part on the day. All of them, or none. The same again changes nothing."""
        return PlacementAnswer.of(await placing.place(document.division(reorganisation, unit), admin.name))

    @router.delete(
        "/v1/placements/{reorganisation}/{unit}", tags=["placements"], summary="Take a placement back"
    )
    async def delete_placement(
        reorganisation: OneReorganisation, unit: Divided, admin: Admin
    ) -> PlacementAnswer:
        """The moves are no longer in force; what happened to the dossiers since is. Sent again, it changes nothing."""
        return PlacementAnswer.of(await placing.undo(reorganisation, unit, admin.name))

    add_tally_route(router, tallies)
    return router
