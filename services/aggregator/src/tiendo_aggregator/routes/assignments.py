"""The REST interface of actors off the tree and their assignments."""

from typing import Annotated

from fastapi import APIRouter, Path

from tiendo_aggregator.http_schemas.assignments import (
    ActorAnswer,
    ActorDocument,
    AssignmentDocument,
    AssignmentsAnswer,
    AssignmentVersionAnswer,
    AssignmentVersionsAnswer,
    Id,
)
from tiendo_aggregator.routes.questions import AsOf, InPath, KnownAt, Planner, Reader
from tiendo_aggregator.use_cases.assignments import Assignments


def make_assignments_router(assignments: Assignments) -> APIRouter:
    """The routes of who off the tree has what to do."""
    router = APIRouter(prefix="/v1/campaigns/{campaign}", tags=["assignments"])

    @router.put(
        "/actors/{actor}", summary="Make this the actor: a department, school, company, union or team"
    )
    async def put_actor(
        campaign: InPath,
        actor: Annotated[Id, Path(description="The actor's id.")],
        document: ActorDocument,
        planner: Planner,
    ) -> ActorAnswer:
        """The same again changes nothing; another one is the next version."""
        return ActorAnswer.of(await assignments.put_actor(campaign, document.actor(actor), planner.name))

    @router.put("/assignments/{assignment}", summary="Make this the assignment, with the five clears")
    async def put_assignment(
        campaign: InPath,
        assignment: Annotated[Id, Path(description="The assignment's id.")],
        document: AssignmentDocument,
        planner: Planner,
    ) -> AssignmentVersionAnswer:
        """Work of its teams is counted from the lines of intake and activation that name them, also such as came before
        it was assigned. The same again changes nothing; another one is the next version."""
        version = await assignments.put(campaign, document.assignment(assignment), planner.name)
        return AssignmentVersionAnswer.of(version)

    @router.get("/assignments/{assignment}", summary="Every version of an assignment")
    async def get_versions(
        campaign: InPath,
        assignment: Annotated[Id, Path(description="The assignment's id.")],
        _reader: Reader,
    ) -> AssignmentVersionsAnswer:
        """Oldest first: the last one holds."""
        found = await assignments.history(campaign, assignment)
        return AssignmentVersionsAnswer(versions=[AssignmentVersionAnswer.of(each) for each in found])

    @router.get(
        "/assignments", summary="How far actors and assignments are, ranked; and what nobody was assigned"
    )
    async def get_assignments(
        campaign: InPath, _reader: Reader, as_of: AsOf = None, known_at: KnownAt = None
    ) -> AssignmentsAnswer:
        """Outside the territorial sum: what teams do is counted for the units where they do it, too."""
        return AssignmentsAnswer.of(await assignments.report(campaign, as_of=as_of, known_at=known_at))

    return router
