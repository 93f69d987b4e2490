"""Counts and times every request by its route template."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiendo_common.observability import metrics


class ObserveRequests:
    """ASGI middleware. The route is a template, so no unit, record or person ends up in a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.REQUESTS.labels(scope["method"], route, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(scope["method"], route).observe(time.perf_counter() - started)
