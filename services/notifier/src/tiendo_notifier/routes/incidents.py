"""Incidents, what decided about them, and which rules help."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from tiendo_common.errors import NotFound
from tiendo_common.service.auth import ApiKey, requires
from tiendo_notifier.http_schemas import Text
from tiendo_notifier.http_schemas import incidents as http
from tiendo_notifier.routes import Campaign, Limit, next_cursor
from tiendo_notifier.rules.table import RuleName
from tiendo_notifier.storage.reading import Lists
from tiendo_notifier.use_cases.incidents import Incidents

Officer = Annotated[ApiKey, Depends(requires("incident:write"))]
Reader = Annotated[ApiKey, Depends(requires("incident:read"))]
Unit = Annotated[Text | None, Query(description="The unit's code: this unit, not those below it.")]
Rule = Annotated[RuleName | None, Query(description="The rule's name.")]
Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the page before.")]
Identifier = Annotated[UUID, Path(description="The incident's id.")]


def make_incidents_router(lists: Lists, taking: Incidents) -> APIRouter:
    """These routes."""
    router = APIRouter(prefix="/v1")

    @router.get("/incidents", tags=["incidents"], summary="Who is in trouble, and what would help")
    async def incidents(
        _reader: Reader,
        campaign: Campaign = None,
        unit: Unit = None,
        rule: Rule = None,
        state: Annotated[http.IncidentState | None, Query(description="Only these.")] = None,
        unresolved: Annotated[bool, Query(description="Only those that are not over.")] = False,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> http.Incidents:
        """Incidents with their steps, newest first. At most one is open for each campaign, unit and indicator."""
        rows = await lists.incidents(
            limit, cursor, rule, unresolved=unresolved, campaign=campaign, unit=unit, state=state
        )
        return http.Incidents(
            incidents=[http.Incident.of(*row) for row in rows],
            next_cursor=next_cursor([incident for incident, _, _ in rows], limit),
        )

    @router.get("/incidents/{identifier}", tags=["incidents"], summary="One incident")
    async def incident(identifier: Identifier, _reader: Reader) -> http.Incident:
        """With its steps and who has taken it on."""
        return http.Incident.of(*await _incident(identifier))

    @router.post("/incidents/{identifier}/acknowledgement", tags=["incidents"], summary="Take it on")
    async def acknowledge(
        identifier: Identifier, taken: http.AcknowledgementIn, officer: Officer
    ) -> http.Incident:
        """No level above is told any more. It lapses when the incident worsens."""
        await taking.acknowledge(identifier, officer, taken.note)
        return http.Incident.of(*await _incident(identifier))

    @router.get("/decisions", tags=["incidents"], summary="Why somebody was told, or was not")
    async def decisions(
        _reader: Reader,
        campaign: Campaign = None,
        unit: Unit = None,
        day: Annotated[date | None, Query(description="The business day decided about.")] = None,
        rule: Rule = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> http.Decisions:
        """Every evaluation that decided anything, with its inputs, newest first. A day on which all was well
        before and after leaves no decision."""
        rows = await lists.decisions(limit, cursor, day, rule, campaign=campaign, unit=unit)
        return http.Decisions(
            decisions=[http.Decision.of(*row) for row in rows],
            next_cursor=next_cursor([decision for decision, _ in rows], limit),
        )

    @router.get("/rules", tags=["incidents"], summary="Which rules help, and which are noise")
    async def rules(_reader: Reader, campaign: Campaign = None) -> http.RulesOut:
        """What became of the incidents of each rule that ever fired."""
        found = await taking.by_rule(campaign)
        return http.RulesOut(rules=[http.RuleFigures.model_validate(each) for each in found])

    async def _incident(identifier: UUID) -> Any:
        rows = await lists.incidents(1, None, id=identifier)
        if not rows:
            raise NotFound(f"There is no incident {identifier}.")
        return rows[0]

    return router
