"""Silences and maintenance windows: made and ended by officers, seen by whoever reads incidents."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from tiendo_common.service.auth import ApiKey, requires
from tiendo_notifier.http_schemas import silences as http
from tiendo_notifier.use_cases.silences import Silences

Reader = Annotated[ApiKey, Depends(requires("incident:read"))]
Officer = Annotated[ApiKey, Depends(requires("incident:write"))]


def make_silence_router(silences: Silences) -> APIRouter:
    """The routes of silences."""
    router = APIRouter(prefix="/v1/silences", tags=["silences"])

    @router.get("", summary="Where nobody is told at the moment")
    async def listed(
        _reader: Reader,
        all_: Annotated[bool, Query(alias="all", description="Those that are over, too.")] = False,
    ) -> http.SilencesOut:
        """Those that hold and those to come, newest first; with `all`, the newest 500."""
        found = await silences.listed(all_=all_)
        return http.SilencesOut(silences=[http.SilenceOut.model_validate(each) for each in found])

    @router.post("", summary="Tell nobody for a while", status_code=201)
    async def add(wanted: http.SilenceIn, officer: Officer) -> http.SilenceOut:
        """Everything is judged and put on record as ever. What is still bad when the silence is over is told then."""
        made = await silences.add(
            wanted.kind,
            wanted.campaign,
            wanted.unit,
            wanted.rules,
            wanted.from_,
            wanted.until,
            officer,
            wanted.reason,
        )
        return http.SilenceOut.model_validate(made)

    @router.delete("/{identifier}", summary="End one now", status_code=204)
    async def end(
        identifier: Annotated[UUID, Path(description="The silence's id.")], officer: Officer
    ) -> None:
        """It stays on record with who ended it."""
        await silences.end(str(identifier), officer)

    return router
