"""Errors become RFC 9457 answers; none leaves as a bare 500 without a trace in the log."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Problem, Unavailable

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


def answer(problem: Problem) -> JSONResponse:
    """The HTTP answer that says this."""
    headers = {"Retry-After": "1"} if problem.status == 503 else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem.document(), problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    async def on_problem(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return answer(error)

    async def on_fault(request: Request, error: Exception) -> JSONResponse:
        log.warning("the database is away", path=request.scope.get("path"), reason=repr(error))
        return answer(
            Unavailable("The database is away.", remedy="Send the same request again; nothing counts twice.")
        )

    async def on_validation(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fields: list[dict[str, Any]] = [
            {"field": ".".join(str(part) for part in each["loc"][1:]) or "body", "detail": each["msg"]}
            for each in error.errors()
        ]
        first = fields[0]
        return _plain(
            422, "invalid", "A value is not acceptable", f"{first['field']}: {first['detail']}",
            field=first["field"], errors=fields,
        )  # fmt: skip

    async def on_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _plain(error.status_code, "http", str(error.detail), str(error.detail), headers=error.headers)

    async def on_anything(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", path=request.scope.get("path"), exc_info=error)
        return _plain(500, "unexpected", "An error of ours", "The error was logged; please report it.")

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    for fault in PASSING_FAULTS:
        app.add_exception_handler(fault, on_fault)
    app.add_exception_handler(Exception, on_anything)


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
