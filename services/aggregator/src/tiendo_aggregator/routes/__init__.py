"""The aggregator's REST interface."""

from datetime import date
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response

from tiendo_aggregator.http_schemas import ProvinceCode
from tiendo_aggregator.http_schemas.plan import (
    CampaignAnswer,
    CampaignDocument,
    CampaignLine,
    CampaignsAnswer,
    PhasesAnswer,
)
from tiendo_aggregator.http_schemas.progress import ProgressAnswer
from tiendo_aggregator.http_schemas.proof import (
    RECONCILIATION_BODY,
    DifferenceAnswer,
    ReconciliationRequest,
    VerdictAnswer,
)
from tiendo_aggregator.http_schemas.units import ListedHamletsAnswer, UnitAnswer, UnitsAnswer
from tiendo_aggregator.routes.questions import (
    AsOf,
    By,
    Depth,
    InPath,
    InPhase,
    KnownAt,
    OneUnit,
    OnTree,
    Planner,
    Reader,
)
from tiendo_aggregator.rules.checksum import printed
from tiendo_aggregator.use_cases.plan import Plans, tag
from tiendo_aggregator.use_cases.progress import Progress
from tiendo_aggregator.use_cases.reconciliation import Reconciliation, Span
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.clock import Clock, local_time
from tiendo_common.errors import Invalid
from tiendo_common.service.bodies import WORK, Rooms, announced, read_body

#: A plan names every commune of a province: some hundred, so this is ample.
MAX_PLAN = 1024 * 1024
#: Of two tallies the part about some units, some sixty bytes a cell: a large province is compared in many.
MAX_TALLIES = 8 * 1024 * 1024
MAX_DIFFERING = 1000
MAX_UNITS = 1000

_encode = msgspec.json.Encoder().encode
_tallies = msgspec.json.Decoder(ReconciliationRequest)


def make_router(
    clock: Clock,
    units: Units,
    plans: Plans,
    progress: Progress,
    reconciliation: Reconciliation,
    rooms: Rooms,
) -> APIRouter:
    """The routes of units as they are, campaigns, progress and proof."""
    router = APIRouter()

    @router.get("/v1/units", tags=["units"], summary="Units of the tree of a day")
    async def find_units(
        _reader: Reader,
        as_of: Annotated[date | None, Query(description="The day; today unless said.")] = None,
        code: Annotated[str | None, Query(description="Exactly this code.")] = None,
        parent: Annotated[str | None, Query(description="Directly below this code.")] = None,
        search: Annotated[
            str | None,
            Query(max_length=100, description="Part of the name, without regard to case or accents."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_UNITS, description="At most so many.")] = 200,
    ) -> UnitsAnswer:
        day = as_of or clock.today()
        found = units.find(day, code=code, parent=parent, search=search)
        return UnitsAnswer(
            as_of=day,
            total=len(found),
            cut=len(found) > limit,
            units=[UnitAnswer.of(each) for each in found[:limit]],
        )

    @router.get("/v1/units/hamlets/{province}", tags=["units"], summary="A province's hamlets")
    async def list_hamlets(
        province: Annotated[ProvinceCode, Path(description="On that day.")],
        _reader: Reader,
        as_of: Annotated[date | None, Query(description="The day; today unless said.")] = None,
    ) -> ListedHamletsAnswer:
        """All of them on a day; PUT /v1/units/hamlets/{province}/{from_day} brings them."""
        day = as_of or clock.today()
        found = units.hamlets(province, day)
        return ListedHamletsAnswer(
            province=province, as_of=day, hamlets=[UnitAnswer.of(each) for each in found]
        )

    @router.put(
        "/v1/campaigns/{campaign}",
        tags=["campaigns"],
        summary="Make this the campaign's plan",
    )
    async def put_campaign(
        campaign: InPath,
        document: CampaignDocument,
        response: Response,
        _planner: Planner,
        if_match: Annotated[
            str | None,
            Header(
                description="The ETag of the plan that was changed: refused with 412 if there is a newer one."
            ),
        ] = None,
    ) -> CampaignAnswer:
        """The province's targets are spread to its communes by their eligible citizens, by largest remainder; those of
        a cohort by its own citizens, if the plan tells how many it has.

        Where `eligible_in_hamlets` says how many of a commune's eligible live in which hamlet, its targets are spread
        over these in the same way; who lives in none that is named takes a share like a hamlet's. Nothing of that is
        published, and nobody is judged by it.

        The same document again changes nothing. A changed one is published where it changed; a target once
        given to a unit can be changed but not withdrawn; one of a hamlet can.
        """
        stored = await plans.put(document.plan(campaign), document.shares(), if_match)
        response.headers["ETag"] = tag(stored.version)
        return CampaignAnswer.of(stored, await plans.sub_campaigns(campaign))

    @router.get("/v1/campaigns", tags=["campaigns"], summary="All campaigns")
    async def list_campaigns(_reader: Reader) -> CampaignsAnswer:
        return CampaignsAnswer(campaigns=[CampaignLine.of(each) for each in await plans.all()])

    @router.get("/v1/campaigns/{campaign}", tags=["campaigns"], summary="A campaign's plan")
    async def get_campaign(campaign: InPath, response: Response, _reader: Reader) -> CampaignAnswer:
        """The plan in force. Its ETag goes into If-Match of a change that is made from it."""
        stored = await plans.get(campaign)
        response.headers["ETag"] = tag(stored.version)
        return CampaignAnswer.of(stored, await plans.sub_campaigns(campaign))

    @router.get("/v1/campaigns/{campaign}/phases", tags=["campaigns"], summary="A campaign's phases")
    async def get_phases(campaign: InPath, _reader: Reader) -> PhasesAnswer:
        """Their days and targets. `phase=` asks for the progress, pace, quotas, forecast and ranks of one."""
        stored = await plans.get(campaign)
        return PhasesAnswer.of(stored, stored.campaign.day_end.going_on(local_time(clock.now())))

    @router.get(
        "/v1/campaigns/{campaign}/progress",
        tags=["progress"],
        summary="Where a unit and those below it stand",
        response_model=ProgressAnswer,
    )
    async def get_progress(
        campaign: InPath,
        _reader: Reader,
        as_of: AsOf = None,
        known_at: KnownAt = None,
        tree: OnTree = None,
        unit: OneUnit = None,
        by: By = "residence",
        depth: Depth = 0,
        phase: InPhase = None,
    ) -> Response:
        """Sums over the units of a day, whose codes and names may differ from today's. On a tree later than that of
        the campaign's first day, the campaign's units are what they have become by the reorganisations in force."""
        report = await progress.report(
            campaign,
            as_of=as_of,
            known_at=known_at,
            tree=tree,
            unit=unit,
            by=by,
            depth=depth,
            phase=phase,
        )
        # The country has 3,321 communes: to check and copy what the rules made would take longer than all of the rest.
        return Response(_encode(report), media_type="application/json")

    @router.post(
        "/v1/reconciliations",
        tags=["proof"],
        summary="Compare the counters with the producers' records",
        openapi_extra=RECONCILIATION_BODY,
    )
    async def reconcile(request: Request, reader: Reader) -> VerdictAnswer:
        """Nothing has to stand still: both sides are brought to the same events by the log between them. Large
        tallies go in pieces, each with the span of codes that it is about; so no unit is left out unseen. What an admin
        compares is remembered: GET /v1/reconciliations."""
        # Decoded, a cell takes some four times the room.
        async with rooms.room(4 * announced(request, MAX_TALLIES) + WORK):
            try:
                asked = _tallies.decode(await read_body(request, MAX_TALLIES))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Invalid(str(error), field="body") from error
            span = Span(asked.units_from, asked.units_before)
            verdict = await reconciliation.compare(
                asked.campaign, asked.tallies, span, remember=reader.may("admin")
            )
        return VerdictAnswer(
            campaign=verdict.campaign,
            clean=verdict.clean,
            compared=verdict.compared,
            breakdowns=verdict.breakdowns,
            teams=verdict.teams,
            totals=dict(verdict.totals),
            checksum_records=printed(verdict.checksum_records),
            checksum_counters=printed(verdict.checksum_counters),
            differing_count=len(verdict.differing),
            differing=[
                DifferenceAnswer(
                    indicator=each.indicator,
                    attribution=each.attribution,
                    unit=each.unit,
                    unit_name=units.gazetteer.name(each.unit, each.day),
                    level=each.level,
                    day=each.day,
                    dimension=each.dimension,
                    value=each.value,
                    records=each.records,
                    counters=each.counters,
                )
                for each in verdict.differing[:MAX_DIFFERING]
            ],
        )

    return router
