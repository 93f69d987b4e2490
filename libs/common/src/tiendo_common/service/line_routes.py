"""The two routes of a kind of line: one line, or many."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request, Response

from tiendo_common.errors import Problem
from tiendo_common.service.auth import ApiKey, requires
from tiendo_common.service.coalescing import Coalescer
from tiendo_common.service.lines import (
    Answer,
    FactLine,
    LineDecoder,
    answer_bulk,
    answer_single,
    documented,
    documented_answers,
    rejected,
)

LineT = TypeVar("LineT", bound=FactLine)
SubmissionT = TypeVar("SubmissionT")


def add_line_routes(
    router: APIRouter,
    name: str,
    line_type: type[LineT],
    *,
    scope: str,
    understand: Callable[[str, LineT], SubmissionT],
    submit: Callable[[Sequence[SubmissionT]], Awaitable[list[Answer]]],
    summary: str,
) -> None:
    """Add `POST /v1/<name>` and `POST /v1/<name>/bulk`.

    `understand` turns a line of the named submitter into what `submit` takes, or raises a Problem; `submit`
    answers many at once, in order. Single requests that arrive together share one call of it.
    """
    decoder = LineDecoder(line_type)
    coalescer = Coalescer(submit)
    writer = Annotated[ApiKey, Depends(requires(scope))]

    async def post_line(request: Request, key: ApiKey) -> Response:
        async def handle(line: LineT) -> Answer:
            return await coalescer.submit(understand(key.name, line))

        return await answer_single(request, name, decoder, handle)

    async def post_lines(request: Request, key: ApiKey) -> Response:
        async def handle(lines: list[LineT]) -> list[Answer]:
            refused: dict[int, Answer] = {}
            understood: list[SubmissionT] = []
            for place, line in enumerate(lines):
                try:
                    understood.append(understand(key.name, line))
                except Problem as problem:
                    refused[place] = rejected(line.line_id, problem)
            answers = iter(await submit(understood))
            return [refused.get(place) or next(answers) for place in range(len(lines))]

        return await answer_bulk(request, name, decoder, handle, request.app.state.kit.rooms)

    for endpoint in (post_line, post_lines):
        endpoint.__annotations__["key"] = writer
    router.add_api_route(
        f"/v1/{name}",
        post_line,
        methods=["POST"],
        tags=["lines"],
        summary=summary,
        status_code=201,
        openapi_extra=documented(line_type),
        responses=documented_answers(),
        response_class=Response,
    )
    router.add_api_route(
        f"/v1/{name}/bulk",
        post_lines,
        methods=["POST"],
        tags=["lines"],
        summary=f"{summary}: many, as NDJSON",
        openapi_extra=documented(line_type, bulk=True),
        responses=documented_answers(bulk=True),
        response_class=Response,
    )
