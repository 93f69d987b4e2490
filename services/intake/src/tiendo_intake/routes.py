"""Intake's REST interface."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Response

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
from tiendo_intake.use_cases import IntakeDesk, find_dossier, find_history

Reader = Annotated[ApiKey, Depends(requires("intake:read"))]

_encode = msgspec.json.Encoder().encode


def make_router(kit: Kit, desk: IntakeDesk, tallies: Tallies) -> APIRouter:
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

    add_tally_route(router, tallies)
    return router
