"""The REST interface of contests."""

from fastapi import APIRouter

from tiendo_aggregator.http_schemas.contests import ContestsAnswer
from tiendo_aggregator.routes.questions import AsOf, InPath, KnownAt, Reader
from tiendo_aggregator.use_cases.contests import Contests


def make_contests_router(contests: Contests) -> APIRouter:
    """The route of how contests stand; they are part of the plan."""
    router = APIRouter()

    @router.get("/v1/campaigns/{campaign}/contests", tags=["pace"], summary="How the contests stand")
    async def get_contests(
        campaign: InPath, _reader: Reader, as_of: AsOf = None, known_at: KnownAt = None
    ) -> ContestsAnswer:
        """Groups of units by the stated measure, on the stated days; after a contest's last day, as they stood then."""
        return ContestsAnswer.of(await contests.report(campaign, as_of=as_of, known_at=known_at))

    return router
