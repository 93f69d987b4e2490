"""Errors become RFC 9457 answers; none leaves as a bare 500 without a trace in the log."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Problem, Unavailable
from tiendo_common.service.bodies import UNREAD, BodyTooLarge, too_large

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: How OpenAPI describes every answer that says no.
DOCUMENTED: dict[str, Any] = {
    "description": "A problem (RFC 9457)",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string", "description": "What kind of problem; stable."},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string", "description": "What was wrong this time."},
                    "field": {"type": "string", "description": "The field that was wrong."},
                    "remedy": {"type": "string", "description": "What to do about it."},
                    "retryable": {
                        "type": "boolean",
                        "description": "Whether the same request can succeed later, unchanged.",
                    },
                },
            }
        }
    },
}


class _LastAnswer(JSONResponse):
    """Closes the connection, but only after the client has had a moment to read the answer: what it still
    sends is dropped meanwhile, since closing on somebody who is sending takes the answer away from them."""

    #: Seconds until the connection is closed on a client that goes on sending.
    PATIENCE = 2.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def hold_open(message: Message) -> None:
            last = message["type"] == "http.response.body"
            await send({**message, "more_body": True} if last else message)

        await super().__call__(scope, receive, hold_open)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.PATIENCE):
                while UNREAD in scope:
                    with contextlib.suppress(HTTPException):
                        await receive()
        await send({"type": "http.response.body", "body": b""})


def answer(problem: Problem) -> JSONResponse:
    """The HTTP answer that says this."""
    document = problem.document()
    if problem.status == 413:
        return _LastAnswer(document, problem.status, {"Connection": "close"}, MEDIA_TYPE)
    headers = {"Retry-After": str(problem.retry_after)} if problem.status == 503 else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(document, problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    async def on_problem(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return answer(error)

    async def on_fault(request: Request, error: Exception) -> JSONResponse:
        log.warning("the database is away", route=_route(request), reason=repr(error))
        return answer(
            Unavailable("The database is away.", remedy="Send the same request again; nothing counts twice.")
        )

    async def on_missing_table(request: Request, error: Exception) -> JSONResponse:
        log.warning("asked before the start is done", route=_route(request), reason=str(error))
        return answer(Unavailable("The service is still starting.", remedy="Send the same request again."))

    async def on_disconnect(_request: Request, _error: Exception) -> JSONResponse:
        # Nobody hears this answer; it says in the metrics what happened.
        return _plain(400, "incomplete", "The request broke off", "The body ended before its time.")

    async def on_validation(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fields: list[dict[str, Any]] = [
            {
                "field": ".".join(str(part) for part in each["loc"][1:]) or "body",
                # What a validator of ours says, without the library's word for who said it.
                "detail": each["msg"].removeprefix("Value error, "),
            }
            for each in error.errors()
        ]
        first = fields[0]
        return _plain(
            422, "invalid", "A value is not acceptable", f"{first['field']}: {first['detail']}",
            field=first["field"], errors=fields,
        )  # fmt: skip

    async def on_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 413:
            return answer(too_large(error.limit if isinstance(error, BodyTooLarge) else None))
        return _plain(error.status_code, "http", str(error.detail), str(error.detail), headers=error.headers)

    async def on_anything(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", route=_route(request), exc_info=error)
        return _plain(500, "unexpected", "An error of ours", "The error was logged; please report it.")

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(asyncpg.UndefinedTableError, on_missing_table)
    for fault in PASSING_FAULTS:
        app.add_exception_handler(fault, on_fault)
    app.add_exception_handler(Exception, on_anything)


def _route(request: Request) -> str | None:
    """The route's template: a path may hold what must not be logged."""
    return getattr(request.scope.get("route"), "path", None)


def _plain(
    status: int, code: str, title: str, detail: str, *, headers: Any = None, **more: object
) -> JSONResponse:
    document = {
        "type": f"urn:tiendo:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "retryable": status >= 500,
        **more,
    }
    return JSONResponse(document, status, headers, MEDIA_TYPE)
