"""Routes of those who are exempt by a signed decision, and of those who remain with a reason."""

from typing import Annotated

from fastapi import APIRouter, Path

from tiendo_aggregator.http_schemas import CommuneCode, Day
from tiendo_aggregator.http_schemas.exemptions import (
    DecisionAnswer,
    DecisionDocument,
    DecisionsAnswer,
    ListedDecisionAnswer,
    RemainingAnswer,
    RemainingDocument,
    RemainingReportAnswer,
    RemainingReportsAnswer,
    WithdrawalDocument,
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
from tiendo_aggregator.use_cases.exemptions import Exemptions
from tiendo_aggregator.use_cases.remaining import Remainders
from tiendo_common.clock import Clock, local_day
from tiendo_common.events.state import Indicator

Commune = Annotated[CommuneCode, Path(description="A commune's code on that day.")]
OneDay = Annotated[Day, Path(description="The day at whose end they remain.")]


def make_exemptions_router(clock: Clock, exemptions: Exemptions, remainders: Remainders) -> APIRouter:
    """Decisions, and reports of who remains."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}", tags=["exemptions"])

    @router.post("/exemptions", summary="Enter a signed decision that exempts citizens")
    async def post_exemption(
        campaign: InPath, document: DecisionDocument, planner: Planner
    ) -> DecisionAnswer:
        """It lowers the eligible number from its day on, and nothing else does. All of its lines are taken, or
        none. The same paper again changes nothing; another one under the same number is refused."""
        now = clock.now()
        decision = document.decision(planner.name, now, local_day(now))
        return DecisionAnswer.of(await exemptions.decide(campaign, decision))

    @router.post("/exemptions/withdrawals", summary="Enter a signed decision that withdraws an earlier one")
    async def post_withdrawal(
        campaign: InPath, document: WithdrawalDocument, planner: Planner
    ) -> DecisionAnswer:
        """From its day on nobody is exempt by the earlier one; before, and as known before, they still are."""
        now = clock.now()
        decision = document.decision(planner.name, now, local_day(now))
        return DecisionAnswer.of(await exemptions.decide(campaign, decision))

    @router.get("/exemptions", summary="The decisions that exempt citizens, and those that withdraw them")
    async def get_exemptions(
        campaign: InPath, _reader: Reader, as_of: AsOf = None, known_at: KnownAt = None
    ) -> DecisionsAnswer:
        report = await exemptions.listed(campaign, as_of=as_of, known_at=known_at)
        return DecisionsAnswer(
            campaign=report.campaign,
            as_of=report.as_of,
            known_at=report.known_at,
            decisions=[ListedDecisionAnswer.of(each) for each in report.decisions],
        )

    @router.get("/remaining", summary="Who is not reached, and how much of that is explained")
    async def get_remaining(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
        depth: Depth = 0,
    ) -> RemainingAnswer:
        """Whoever remains stays among the eligible, whatever the reason. A report stands until the commune's next one;
        a unit above communes has their sums, and says how many of them have reported."""
        report = await remainders.answer(
            campaign, as_of=as_of, known_at=known_at, tree=tree, unit=unit, depth=depth
        )
        return RemainingAnswer.model_validate(report)

    @router.put("/remaining/{unit}/{indicator}/{day}", summary="Say who is not reached in a commune, and why")
    async def put_remaining(
        campaign: InPath,
        unit: Commune,
        indicator: Indicator,
        day: OneDay,
        document: RemainingDocument,
        declarer: Declarer,
    ) -> RemainingReportAnswer:
        """The same again changes nothing. A correction is a further revision: what was said before stays readable, and
        holds for what was known before."""
        report = await remainders.report(
            campaign, unit, indicator, day, document.remaining(), document.source, declarer
        )
        return RemainingReportAnswer.model_validate(report)

    @router.get(
        "/remaining/{unit}/{indicator}/{day}", summary="Every revision of a commune's report of a day"
    )
    async def get_reports(
        campaign: InPath, unit: Commune, indicator: Indicator, day: OneDay, _reader: Reader
    ) -> RemainingReportsAnswer:
        """Corrections never overwrite."""
        return RemainingReportsAnswer(
            revisions=[
                RemainingReportAnswer.model_validate(each)
                for each in await remainders.history(campaign, unit, indicator, day)
            ]
        )

    return router
