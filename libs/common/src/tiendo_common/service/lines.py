"""Lines of facts: decoded one by one, answered one by one, in one JSON shape for single and bulk requests."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from tiendo_common.errors import Invalid, Problem
from tiendo_common.observability import metrics
from tiendo_common.service import problems
from tiendo_common.service.bodies import MAX_BODY, MAX_SINGLE, NDJSON, read_body, split_lines

#: No control characters: neither the database nor a log line can hold all of them.
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class FactLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every line about a citizen says."""

    line_id: Annotated[
        str,
        Meta(min_length=1, max_length=100, pattern=PRINTABLE, description="Unique per API key, for ever."),
    ]
    citizen_id: Annotated[
        str, Meta(description="Personal number, 12 digits. Hashed on arrival; never stored or logged.")
    ]
    occurred_at: Annotated[datetime, Meta(tz=True, description="RFC 3339, with its offset.")]
    campaign: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]


LineT = TypeVar("LineT", bound=FactLine)

#: Lines of one bulk request that share a transaction. A single request waits for the partitions that a
#: chunk has locked: 39 ms at the 99th percentile beside chunks of 1,000, 99 ms beside 5,000.
CHUNK = 1000

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")


class Answer(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What became of a line.

    `accepted`: it is on record and will be counted. `duplicate`: it, or what it says, was on record
    before; `differs` names the fields in which it says something else, which were not taken over.
    `rejected`: the problem says why; if it is `retryable`, the same line may be sent again later.
    """

    line: int = 0
    line_id: str | None = None
    status: Literal["accepted", "duplicate", "rejected"]
    record_id: str | None = None
    differs: tuple[str, ...] = ()
    problem: dict[str, object] | None = None


def rejected(line_id: str | None, problem: Problem) -> Answer:
    """The answer to a line that has this problem."""
    return Answer(line_id=line_id, status="rejected", problem=problem.document())


class LineDecoder(Generic[LineT]):
    """Decodes lines of one kind; errors name the field."""

    def __init__(self, line: type[LineT]) -> None:
        self._decoder = msgspec.json.Decoder(line)

    def decode(self, raw: bytes) -> LineT:
        """Raises Invalid."""
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            text = str(error)
            place = _PLACE.search(text) or _MISSING.search(text)
            raise Invalid(_PLACE.sub("", text), field=place.group(1) if place else None) from None
        except msgspec.DecodeError as error:
            raise Invalid(f"The line is not JSON: {error}", remedy="Send one JSON object a line.") from None
        except UnicodeDecodeError:
            raise Invalid("The line is not UTF-8.", remedy="Send UTF-8.") from None


class _Id(msgspec.Struct):
    line_id: str


_id_decoder = msgspec.json.Decoder(_Id)
_encoder = msgspec.json.Encoder()


def line_id_of(raw: bytes) -> str | None:
    """The id of a line that could not be decoded as a whole, if that much can be read."""
    try:
        return _id_decoder.decode(raw).line_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


async def answer_single(
    request: Request,
    kind: str,
    decoder: LineDecoder[LineT],
    handle: Callable[[LineT], Awaitable[Answer]],
) -> Response:
    """Answer a request that carries one line: 201 for a new fact, 200 for one on record before, else the
    status of the line's problem. Raises Invalid, TooLarge."""
    answer = await handle(decoder.decode(await read_body(request, MAX_SINGLE)))
    metrics.LINES.labels(kind, answer.status).inc()
    if answer.problem is not None:
        status = answer.problem["status"]
        assert isinstance(status, int)
        return Response(_encoder.encode(answer.problem), status, media_type=problems.MEDIA_TYPE)
    status = 201 if answer.status == "accepted" else 200
    return Response(_encoder.encode(answer), status, media_type="application/json")


async def answer_bulk(
    request: Request,
    kind: str,
    decoder: LineDecoder[LineT],
    handle: Callable[[list[LineT]], Awaitable[list[Answer]]],
) -> Response:
    """Answer a request that carries many lines (NDJSON): one answer a line, in the order of the lines.

    Lines are handled in that order, some at a time, so that a large request delays nobody for long. What
    was answered before the database went away is on record; sending everything again is harmless. Raises
    Invalid, TooLarge for what is wrong with the request as a whole.
    """
    answers: list[Answer] = []
    lines = split_lines(await read_body(request, MAX_BODY))
    while some := list(islice(lines, CHUNK)):
        numbers: list[int] = []
        readable: list[LineT] = []
        for number, raw in some:
            try:
                readable.append(decoder.decode(raw))
                numbers.append(number)
            except Invalid as problem:
                answer = rejected(line_id_of(raw), problem)
                answer.line = number
                answers.append(answer)
        handled = await handle(readable)
        for number, answer in zip(numbers, handled, strict=True):
            answer.line = number
        answers += handled
    answers.sort(key=lambda answer: answer.line)
    for outcome, count in Counter([answer.status for answer in answers]).items():
        metrics.LINES.labels(kind, outcome).inc(count)
    return Response(_encoder.encode_lines(answers), media_type=NDJSON)


def documented(line: type[FactLine], *, bulk: bool = False) -> dict[str, Any]:
    """What OpenAPI says of a request body that we read ourselves."""
    schema = msgspec.json.schema(line)["$defs"][line.__name__]
    media_type = NDJSON if bulk else "application/json"
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}
