"""Routes of the proof that stands: what was last compared, and the log folded anew."""

from typing import Annotated

from fastapi import APIRouter, Query

from tiendo_aggregator.http_schemas import CampaignId
from tiendo_aggregator.http_schemas.proof import (
    DifferingAnswer,
    ProofAnswer,
    ProofsAnswer,
    RebuildDocument,
    RebuiltAnswer,
)
from tiendo_aggregator.routes.questions import Reader
from tiendo_aggregator.rules.checksum import printed
from tiendo_aggregator.use_cases.rebuild import Rebuild
from tiendo_aggregator.use_cases.reconciliation import Reconciliation
from tiendo_common.service.auth import Admin


def make_proof_router(reconciliation: Reconciliation, rebuild: Rebuild) -> APIRouter:
    """Standing comparisons and rebuilds."""
    router = APIRouter(tags=["proof"])

    @router.get("/v1/reconciliations", summary="When each unit was last compared, and what differed")
    async def get_proofs(
        campaign: Annotated[CampaignId, Query(description="The campaign whose units are asked about.")],
        _reader: Reader,
    ) -> ProofsAnswer:
        """Comparisons are made by whoever posts tallies: `tiendo up` does so all the time."""
        unchecked, found = await reconciliation.proven(campaign)
        return ProofsAnswer(
            campaign=campaign,
            clean=not unchecked and not any(each.differing for each in found),
            oldest=min((each.checked_at for each in found), default=None),
            unchecked=unchecked,
            units=[ProofAnswer.model_validate(each) for each in found],
        )

    @router.post("/v1/rebuilds", summary="Fold the whole log anew and hold it against the live counters")
    async def post_rebuild(document: RebuildDocument, admin: Admin) -> RebuiltAnswer:
        """Nothing stands still meanwhile, and nothing is changed unless `repair_because` orders it. It reads the whole
        log: some ten seconds a million events."""
        rebuilt = await rebuild.run(
            by=admin.name, province=document.province, repair_because=document.repair_because
        )
        return RebuiltAnswer(
            province=rebuilt.province,
            events=rebuilt.events,
            equal=not rebuilt.differing,
            repaired=rebuilt.repaired,
            checksum_live=printed(rebuilt.checksum_live),
            checksum_rebuilt=printed(rebuilt.checksum_rebuilt),
            differing=rebuilt.differing,
            named=[DifferingAnswer(unit=unit, day=day) for unit, day in rebuilt.named],
        )

    return router
