"""The routes of rounds in which population data are re-checked."""

from typing import Annotated

from fastapi import APIRouter, Path

from tiendo_aggregator.http_schemas import CommuneCode
from tiendo_aggregator.http_schemas.rechecks import (
    RecheckAnswer,
    RecheckDocument,
    RecheckHistoryAnswer,
    RechecksAnswer,
    RoundAnswer,
    RoundDocument,
    RoundId,
    RoundProgressAnswer,
)
from tiendo_aggregator.routes.declared import Declarer
from tiendo_aggregator.routes.questions import (
    AsOf,
    Depth,
    InPath,
    KnownAt,
    OneUnit,
    OnTree,
    Planner,
    Reader,
)
from tiendo_aggregator.use_cases.rechecks import Rechecks

OneRound = Annotated[RoundId, Path(description="The round's id.")]
Commune = Annotated[CommuneCode, Path(description="A commune's code on the round's first day.")]


def make_rechecks_router(rechecks: Rechecks) -> APIRouter:
    """Rounds, and reports of them."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}/rechecks", tags=["rechecks"])

    @router.put("/{round}", summary="Make this a round of re-checks")
    async def put_round(
        campaign: InPath, round: OneRound, document: RoundDocument, planner: Planner
    ) -> RoundAnswer:
        """The same again changes nothing; another one is the next version, and the one before still holds for what was
        known before. What was reported of units that it no longer has is kept."""
        return RoundAnswer.of(await rechecks.put(campaign, document.round(round), planner.name))

    @router.put(
        "/{round}/units/{unit}", summary="Say that a commune has been gone over, and what was corrected"
    )
    async def put_recheck(
        campaign: InPath, round: OneRound, unit: Commune, document: RecheckDocument, declarer: Declarer
    ) -> RecheckAnswer:
        """The same again changes nothing. Anything else is a further revision: what was said before stays readable, and
        holds for what was known before."""
        report = await rechecks.report(
            campaign,
            round,
            unit,
            document.done_on,
            document.checked_by,
            document.rules_corrections(),
            declarer,
        )
        return RecheckAnswer.model_validate(report)

    @router.get("/{round}/units/{unit}", summary="Every revision of what was said of a commune")
    async def get_history(
        campaign: InPath, round: OneRound, unit: Commune, _reader: Reader
    ) -> RecheckHistoryAnswer:
        """Corrections never overwrite."""
        return RecheckHistoryAnswer(
            revisions=[
                RecheckAnswer.model_validate(each) for each in await rechecks.history(campaign, round, unit)
            ]
        )

    @router.get("", summary="How far each round is, who is outstanding, and what was corrected")
    async def get_rechecks(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
        depth: Depth = 0,
    ) -> RechecksAnswer:
        """A commune is done from the day on which it was gone over. After a reorganisation, once all of its parts that
        the round goes over are done."""
        report = await rechecks.progress(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, depth=depth
        )
        return RechecksAnswer(
            campaign=report.campaign,
            as_of=report.as_of,
            known_at=report.known_at,
            tree=report.tree,
            rounds=[RoundProgressAnswer.of(each) for each in report.rounds],
        )

    return router
