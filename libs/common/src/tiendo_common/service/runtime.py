"""The life of a service: start, serve, drain, stop."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import Depends, FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AwareDatetime, BaseModel, Field

from tiendo_common.database.migrate import migrate
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import BadKeys, CannotStart, Conflict
from tiendo_common.observability import logging as logs
from tiendo_common.service import problems
from tiendo_common.service.asked import Asked
from tiendo_common.service.auth import Admin
from tiendo_common.service.bodies import MAX_BODY, LimitBodies
from tiendo_common.service.dead_letter_routes import add_dead_letter_routes
from tiendo_common.service.documents import Sent
from tiendo_common.service.kit import Kit
from tiendo_common.service.observing import ObserveRequests
from tiendo_common.service.settings import ServiceSettings

log = structlog.get_logger(__name__)

Wire = Callable[[Kit], None]


class ClockMove(Sent):
    """Where a driven clock shall go: never back."""

    now: AwareDatetime


class ClockReading(BaseModel):
    """An instant, and the business day that it falls on."""

    now: AwareDatetime
    today: str
    driven: bool = Field(description="Whether POST /v1/clock moves it.")


class Runtime:
    """Starts what the service needs in the background, so that /livez answers from the first moment."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.missing: str | None = "the database has not answered yet"
        #: Whether something that nothing here brings back is gone; `give_up` ends the process then.
        self.failed = False
        self.give_up: Callable[[], None] = lambda: None
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect, migrate, run the start steps, then the background tasks. Retries passing faults."""
        kit = self.kit
        await kit.pool
        pause = 0.1
        while True:
            try:
                await self._prepare()
                break
            except PASSING_FAULTS as error:
                self.missing = f"the database: {error}"
                log.warning("waiting for the database", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        for name, task in [*kit.background, ("gauges", kit.measure)]:
            self._spawn(name, task)
        self.missing = None
        log.info("started", service=kit.service, port=kit.settings.port)

    async def _prepare(self) -> None:
        """All that comes before the background tasks; harmless to do again."""
        kit = self.kit
        applied = await migrate(kit.settings.database_url, kit.service)
        if applied:
            log.info("migrated", revisions=applied)
        if kit.stored_clock is not None:
            await kit.stored_clock.load()
        self.missing = "the start steps have not run yet"
        for step in kit.started:
            await step()

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def watched() -> None:
            try:
                await work()
            except Exception:
                log.exception("a background part failed", part=name)
            finally:
                if not self._stopping:
                    log.error("a background part ended", part=name)
                    self.missing = f"{name} failed; see the log"
                    self.fail()

        self._tasks.append(asyncio.create_task(watched(), name=name))

    def fail(self) -> None:
        """End the process with a failure, after the requests under way: whoever keeps it running starts it again."""
        self.failed = True
        self.give_up()

    async def stop(self) -> None:
        """Stop the background tasks, newest first, then close the connections."""
        self._stopping = True
        for task in reversed(self._tasks):
            while not task.done():
                # Again, since a library under it may have answered the first one with an error of its own.
                task.cancel()
                await asyncio.wait({task}, timeout=1)
        if self.kit.control is not None:
            await self.kit.control.close()
        with contextlib.suppress(*PASSING_FAULTS):
            await asyncio.wait_for(self.kit.pool.close(), 5)
        log.info("stopped", service=self.kit.service)

    def unready(self) -> list[str]:
        """What is missing."""
        if self.missing is not None:
            return [self.missing]
        return [reason for check in self.kit.readiness if (reason := check()) is not None]


def build_app(service: str, settings: ServiceSettings, wire: Wire, *, description: str = "") -> FastAPI:
    """The service's ASGI application. Nothing is connected before its lifespan begins."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async def start() -> None:
            try:
                await runtime.start()
            except CannotStart as error:
                log.error("the start failed", reason=str(error))
                runtime.fail()
            except Exception:
                log.exception("the start failed")
                runtime.fail()

        starting = asyncio.create_task(start())
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await runtime.stop()

    app = FastAPI(
        title=f"Tiendo {service}",
        version="1",
        description=description,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        dependencies=[Depends(Asked())],
        responses=dict.fromkeys(("4XX", 422, 503), problems.DOCUMENTED),
    )
    kit = Kit.make(service, settings, app)
    runtime = Runtime(kit)
    app.state.kit = kit
    app.state.runtime = runtime
    problems.install(app)
    app.add_middleware(LimitBodies, limit=MAX_BODY, below=kit.body_limits)
    app.add_middleware(ObserveRequests)
    _add_shared_routes(app, runtime)
    wire(kit)
    if kit.consumers:
        add_dead_letter_routes(kit)
    return app


def _add_shared_routes(app: FastAPI, runtime: Runtime) -> None:
    kit = runtime.kit

    @app.get(
        "/livez",
        tags=["operation"],
        summary="Whether the process answers",
    )
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @app.get(
        "/readyz",
        tags=["operation"],
        summary="Whether all that the service needs is there",
        responses={
            503: {"description": "Not yet; says what is missing.", "content": {"application/json": {}}}
        },
    )
    async def readyz() -> JSONResponse:
        missing = runtime.unready()
        return JSONResponse(
            {"status": "unready" if missing else "ready", "missing": missing}, 503 if missing else 200
        )

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Metrics in Prometheus' text format",
        response_class=PlainTextResponse,
    )
    async def metrics_() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/clock", tags=["operation"], summary="The service's time")
    async def clock() -> ClockReading:
        return ClockReading(now=kit.clock.now(), today=kit.clock.today().isoformat(), driven=kit.clock.driven)

    @app.post("/v1/clock", tags=["operation"], summary="Move a driven clock forward")
    async def move_clock(move: ClockMove, _admin: Admin) -> ClockReading:
        if kit.stored_clock is None:
            raise Conflict(
                "This service runs on the wall clock.", remedy="Start it with the clock set to driven."
            )
        await kit.stored_clock.move_to(move.now)
        for follow in kit.moved:
            await follow()
        return await clock()

    @app.get("/v1/log", tags=["operation"], summary="The next sequence of each partition of its topics")
    async def heads(_admin: Admin) -> dict[str, Any]:
        return {"topics": {name: {"next": next_} for name, next_ in (await kit.log.heads()).items()}}

    @app.get("/v1/positions", tags=["operation"], summary="How far each of its consumers has got")
    async def positions(_admin: Admin) -> dict[str, Any]:
        return {
            "consumers": {consumer.name: await consumer.positions() for consumer in kit.consumers},
            "complete_to": {consumer.name: _iso(consumer.complete_to) for consumer in kit.consumers},
        }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant is not None else None


def serve(service: str, settings: ServiceSettings, wire: Wire, *, description: str = "") -> None:
    """Run the service until SIGTERM or SIGINT; requests under way finish first. Exits 1 if it cannot start or a part
    of it fails."""
    logs.configure(service, settings.log_level)
    # A chunk of lines makes tens of thousands of objects that hold no cycles: looking for some after every
    # 700 of them took 7% of the time. What was imported is looked through no more.
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 50)
    try:
        uvloop.run(_serve(service, settings, wire, description))
    except BadKeys as error:
        raise SystemExit(f"{service} cannot start: {error}") from None


class _Server(uvicorn.Server):
    """Ends with status 0 when told to stop: uvicorn's own raises the signal once more after its drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _serve(service: str, settings: ServiceSettings, wire: Wire, description: str) -> None:
    app = build_app(service, settings, wire, description=description)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.grace,
        timeout_keep_alive=60,
    )
    server = _Server(config)

    def give_up() -> None:
        server.should_exit = True

    app.state.runtime.give_up = give_up
    await server.serve()
    if app.state.runtime.failed:
        raise SystemExit(1)
