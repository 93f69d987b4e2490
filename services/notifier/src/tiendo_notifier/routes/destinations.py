"""Where alerts go, and how they got there."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from tiendo_common.errors import NotFound
from tiendo_common.service.auth import ApiKey, requires
from tiendo_notifier.http_schemas import Text
from tiendo_notifier.http_schemas import destinations as http
from tiendo_notifier.routes import Limit, next_cursor
from tiendo_notifier.storage.reading import Lists
from tiendo_notifier.use_cases.destinations import Destinations

#: Whoever looks after destinations: those of its units only, also to look at, since they hold people's addresses.
Keeper = Annotated[ApiKey, Depends(requires("destination:write"))]
Name = Annotated[http.DestinationName, Path(description="The destination's name.")]


def make_destinations_router(lists: Lists, destinations: Destinations) -> APIRouter:
    """These routes."""
    router = APIRouter(prefix="/v1")

    @router.get("/destinations", tags=["destinations"], summary="Where alerts go")
    async def all_destinations(keeper: Keeper) -> http.Destinations:
        """All destinations, by name. `log` comes with the service. A key that is bound to units sees those that tell of
        nothing else."""
        rows = [row for row in await lists.destinations() if destinations.may_keep(keeper, row.units)]
        return http.Destinations(destinations=[http.Destination.of(row) for row in rows])

    @router.get("/destinations/{name}", tags=["destinations"], summary="One destination")
    async def destination(name: Name, keeper: Keeper) -> http.Destination:
        """Without its secret, which is shown only when it is generated."""
        row = await _one(name)
        destinations.check_units(keeper, row.units, "name")
        return http.Destination.of(row)

    @router.put(
        "/destinations/{name}",
        tags=["destinations"],
        summary="Make or replace a destination",
        responses={201: {"model": http.DestinationKept, "description": "It is new."}},
    )
    async def put_destination(
        name: Name, wanted: http.DestinationIn, response: Response, keeper: Keeper
    ) -> http.DestinationKept:
        """Alerts that open from now on are posted there as Standard Webhooks (standardwebhooks.com). A
        destination that was disabled is switched on again. A key that is bound to units names `units` within these."""
        stored = await destinations.put(name, wanted.wanted(), wanted.secret, keeper)
        response.status_code = 201 if stored.created else 200
        kept = http.Destination.of(await _one(name))
        return http.DestinationKept(**kept.model_dump(), secret=stored.generated)

    @router.delete(
        "/destinations/{name}", tags=["destinations"], summary="Remove a destination", status_code=204
    )
    async def delete_destination(name: Name, keeper: Keeper) -> None:
        """What is on its way there ends as failed; the delivery log stays."""
        await destinations.delete(name, keeper)

    @router.post("/destinations/{name}/secret", tags=["destinations"], summary="Change over to a new secret")
    async def rotate(name: Name, wanted: http.SecretIn, keeper: Keeper) -> http.DestinationKept:
        """Everything is signed with the new one and, for `keep_hours`, with the one before as well."""
        generated = await destinations.rotate(name, wanted.secret, wanted.keep_hours, keeper)
        kept = http.Destination.of(await _one(name))
        return http.DestinationKept(**kept.model_dump(), secret=generated)

    @router.post("/destinations/{name}/ping", tags=["destinations"], summary="Send a test", status_code=202)
    async def ping(name: Name, keeper: Keeper) -> http.Sending:
        """A message of the type `ping` is on its way; the delivery log tells how it went."""
        return http.Sending(message_id=UUID(await destinations.ping(name, keeper)), delivery=None)

    @router.post(
        "/deliveries/{identifier}/redelivery", tags=["destinations"], summary="Send it again", status_code=202
    )
    async def redeliver(
        identifier: Annotated[int, Path(ge=1, lt=2**63, description="The delivery's id.")], keeper: Keeper
    ) -> http.Sending:
        """The same message under the same id, whatever became of it: whoever has it knows it by its id."""
        again = await destinations.redeliver(identifier, keeper)
        return http.Sending(message_id=None, delivery=again)

    @router.get("/deliveries", tags=["destinations"], summary="What was sent where, and how it went")
    async def deliveries(
        keeper: Keeper,
        destination: Annotated[Text | None, Query(description="The destination's name.")] = None,
        state: Annotated[http.DeliveryState | None, Query(description="Only these.")] = None,
        limit: Limit = 100,
        cursor: Annotated[
            int | None, Query(ge=1, lt=2**63, description="`next_cursor` of the page before.")
        ] = None,
    ) -> http.Deliveries:
        """The delivery log, newest first. A key that is bound to units sees that of its own destinations."""
        own = None
        if keeper.units is not None:
            every = await lists.destinations()
            own = [row.name for row in every if destinations.may_keep(keeper, row.units)]
        rows = await lists.deliveries(limit, cursor, own, destination=destination, state=state)
        return http.Deliveries(
            deliveries=[http.Delivery.of(row) for row in rows], next_cursor=next_cursor(rows, limit)
        )

    async def _one(name: str) -> Any:
        rows = await lists.destinations(name)
        if not rows:
            raise NotFound(f"There is no destination {name!r}.", remedy="PUT makes one.")
        return rows[0]

    return router
