"""Activation's REST interface."""

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from tiendo_activation import storage
from tiendo_activation.http_schemas import AccountAnswer, ActivationLine, FailureCount, submission
from tiendo_activation.use_cases import Accounts, find_account
from tiendo_common.service.auth import ApiKey, requires
from tiendo_common.service.documents import in_words
from tiendo_common.service.kit import Kit
from tiendo_common.service.line_routes import add_line_routes
from tiendo_common.service.tallies import Tallies, add_tally_route

Reader = Annotated[ApiKey, Depends(requires("activation:read"))]

_encode = msgspec.json.Encoder().encode


def make_router(kit: Kit, accounts: Accounts, tallies: Tallies) -> APIRouter:
    """All routes of the service."""
    router = APIRouter()
    add_line_routes(
        router,
        "activations",
        ActivationLine,
        scope="activation:write",
        understand=submission,
        submit=accounts.submit,
        summary="An activation was tried, or an account switched off or on",
    )

    @router.get("/v1/accounts/{record_id}", tags=["accounts"], summary="An account as it stands")
    async def account(record_id: UUID, _reader: Reader) -> Response:
        found = await find_account(kit.pool, str(record_id))
        answer = AccountAnswer(
            record_id=str(record_id),
            version=found.version,
            activated=bool(found.segments) and found.segments[-1].until_day is None,
            dossier=found.dossier,
            segments=found.segments,
        )
        return Response(_encode(answer), media_type="application/json")

    @router.get(
        "/v1/failures", tags=["accounts"], summary="Failed attempts by reason, and what became of them"
    )
    async def failures(
        _reader: Reader,
        first_day: Annotated[date, Query(description="Business day of the first attempts counted.")],
        last_day: Annotated[date, Query(description="Business day of the last attempts counted.")],
        unit: Annotated[
            str | None,
            Query(pattern="^[0-9]{2,10}$", description="Only attempts that this unit helped with."),
            in_words("a unit's code, digits only"),
        ] = None,
    ) -> Response:
        counts = [
            FailureCount(reason=reason, attempts=attempts, accounts=people, activated_since=since)
            for reason, attempts, people, since in await storage.count_failures(
                kit.pool, first_day, last_day, unit
            )
        ]
        return Response(_encode({"failures": counts}), media_type="application/json")

    add_tally_route(router, tallies)
    return router
