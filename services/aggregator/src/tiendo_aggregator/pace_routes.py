"""The REST interface of revisions."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from tiendo_aggregator.http_schemas import CampaignId
from tiendo_aggregator.pace_schemas import RevisionsAnswer
from tiendo_aggregator.rules.counting import Attribution
from tiendo_aggregator.use_cases.revisions import Revisions
from tiendo_common.service.auth import ApiKey, requires

Reader = Annotated[ApiKey, Depends(requires("progress:read"))]
InPath = Annotated[CampaignId, Path(description="The campaign's id.")]
AsOf = Annotated[date | None, Query(description="End of this day; today unless said.")]
KnownAt = Annotated[
    date | None, Query(description="As known at the end of this day; all that is known unless said.")
]
OneUnit = Annotated[str | None, Query(description="The campaign's province unless said.")]
By = Annotated[Attribution, Query(description="Where citizens live, or the unit that did the work.")]


def make_pace_router(revisions: Revisions) -> APIRouter:
    """The routes of what a campaign's days say."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}")

    @router.get("/revisions", tags=["progress"], summary="What late records did to closed days")
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

    return router
