"""Lines of facts: decoded one by one, answered one by one, in one JSON shape for single and bulk requests."""

import difflib
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from itertools import islice
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from tiendo_common.clock import local_day, local_time
from tiendo_common.errors import Invalid, Problem
from tiendo_common.identity import PERSONAL_NUMBER_LENGTH
from tiendo_common.nights import check_working_day
from tiendo_common.observability import metrics
from tiendo_common.service import problems
from tiendo_common.service.asked import flat_member_twice, twice
from tiendo_common.service.bodies import (
    BYTE_ORDER_MARK,
    JSON_TYPES,
    MAX_BODY,
    MAX_SINGLE,
    NDJSON,
    NDJSON_TYPES,
    WORK,
    Rooms,
    announced,
    check_media_type,
    read_blocks,
    read_body,
    split_lines,
)
from tiendo_common.service.packed import Packed

#: The end of the text. `$` alone would also match before a line break that ends it.
END = r"$(?!\n)"
#: No control characters: neither the database nor a log line can hold all of them.
PRINTABLE = r"^[^\x00-\x1f\x7f]+" + END

#: Somebody's phone or personal number: nine digits or more, also in groups as people write them.
PERSONS_NUMBER = r"[0-9](?:[ .-]?[0-9]){8}"

#: What a field is to say, in words: under this key of a type's `Meta.extra`.
WORDS = "in words"
_NAME_IN_WORDS = {WORDS: "text of 1 to 100 characters, without control characters"}
_MOMENT_IN_WORDS = {WORDS: "a moment with its offset, like 2023-11-12T08:00:00+07:00"}

UnitCode = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=10,
        pattern=r"^[0-9]+" + END,
        description="Official code.",
        extra={WORDS: "an official code as text, digits only"},
    ),
]
Team = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=rf"^(?!.*{PERSONS_NUMBER})[^\x00-\x1f\x7f]+" + END,
        description="What the team is called. It is published: no person's name or number.",
        extra={
            WORDS: "text of 1 to 100 characters, without control characters or a number of nine digits: it is published"
        },
    ),
]
#: Times outside these years are slips, and cannot all be turned into a day here.
YEARS = range(1900, 3000)


class FactLine(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """What every line about a citizen says. A field that we don't know is a slip, not something to pass over."""

    line_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            pattern=PRINTABLE,
            description="Unique per API key, for ever.",
            extra=_NAME_IN_WORDS,
        ),
    ]
    citizen_id: Annotated[
        str,
        Meta(
            description="Personal number, 12 digits. Hashed on arrival; never stored or logged.",
            extra={WORDS: "the 12 digits as text, with the zeros in front"},
        ),
    ]
    occurred_at: Annotated[
        datetime, Meta(tz=True, description="RFC 3339, with its offset.", extra=_MOMENT_IN_WORDS)
    ]
    campaign: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, extra=_NAME_IN_WORDS)]
    working_day: Annotated[
        date | None,
        Meta(
            description="The day on which it counts: that of occurred_at in Vietnam, which is meant if it is left out; "
            "or, before 06:00, the day before it, on whose evening the shift began.",
            examples=["2023-11-11"],
            extra={WORDS: "a day, like 2023-11-11"},
        ),
    ] = None

    @property
    def day(self) -> date:
        """The business day on which it counts."""
        return self.working_day or local_day(self.occurred_at)

    @property
    def shift_began_on(self) -> date | None:
        """The working day, if it is the one before that of `occurred_at`."""
        if self.working_day is None or self.working_day == local_day(self.occurred_at):
            return None
        return self.working_day


LineT = TypeVar("LineT", bound=FactLine)

#: Lines of one bulk request that share a transaction. A single request waits for the partitions that a
#: chunk has locked: 39 ms at the 99th percentile beside chunks of 1,000, 99 ms beside 5,000.
CHUNK = 1000

#: What the decoder says, and what we say instead.
_COMPLAINTS = (
    (re.compile(r"^Expected `[^`]*` of length >= "), "There is too little of it."),
    (re.compile(r"^Expected `[^`]*` of length <= "), "There is too much of it."),
    (re.compile(r"^Expected `[^`]*` with a timezone component$"), "This moment lacks its offset."),
    (
        re.compile(r"^Invalid RFC3339 encoded "),
        "There is no such moment, or it is not written as RFC 3339 says.",
    ),
    (re.compile(r"^Number out of range$"), "This number is out of range."),
)
_ENUM = re.compile(r"^Invalid enum value ", re.DOTALL)
_PATTERN = re.compile(r"^Expected `[^`]*` matching regex ")
_TYPE = re.compile(r"^Expected `([^`]*)`, got `([^`]*)`$")
#: What JSON's types are called.
_TYPES = {
    "int": "a whole number",
    "float": "a number with a fraction",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "an array",
    "object": "an object",
}
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
#: Names of fields that may be repeated: others could be, or hold, a personal number.
_NAME = re.compile(rf"(?!.*{PERSONS_NUMBER})[A-Za-z_][A-Za-z0-9_-]{{0,63}}")


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
    problem: dict[str, Any] | None = None


def naming_the_day(differs: tuple[str, ...], shift_began_on: date | None) -> tuple[str, ...]:
    """The fields in which a line differs, with the one that says its day: not `occurred_at` where that isn't it."""
    if shift_began_on is None:
        return differs
    return tuple("working_day" if name == "occurred_at" else name for name in differs)


def rejected(line_id: str | None, problem: Problem) -> Answer:
    """The answer to a line that has this problem."""
    return Answer(line_id=line_id, status="rejected", problem=problem.document())


class LineDecoder(Generic[LineT]):
    """Decodes lines of one kind; errors name the field."""

    def __init__(self, line: type[LineT]) -> None:
        self._decoder = msgspec.json.Decoder(line)
        fields = _described(line).fields
        self._fields = {field.name: field.type for field in fields}
        self._required = sum(field.required for field in fields)

    def decode(self, raw: bytes) -> LineT:
        """Raises Invalid, whose text repeats no value of the line: it could be a personal number."""
        try:
            line = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise self._problem(str(error)) from None
        except msgspec.DecodeError as error:
            raise _no_json(raw, error) from None
        except UnicodeDecodeError:
            raise _no_utf_8() from None
        except RecursionError:
            raise Invalid("The line is nested too deeply.", remedy="Send flat objects.") from None
        if (name := flat_member_twice(raw, self._required)) is not None:
            raise twice(name)
        if line.occurred_at.year not in YEARS:
            raise Invalid(
                f"No fact is from the year {line.occurred_at.year}.",
                field="occurred_at",
                remedy="Send the moment at which it happened.",
            )
        if line.working_day is not None:
            check_working_day(line.working_day, local_time(line.occurred_at))
        if len(line.citizen_id) == PERSONAL_NUMBER_LENGTH:
            for field, text in (("line_id", line.line_id), ("campaign", line.campaign)):
                if line.citizen_id in text:
                    raise Invalid(
                        f"The {field} contains the personal number, and is kept.",
                        field=field,
                        remedy="Send an identifier that says nothing about the citizen.",
                    )
        return line

    def _problem(self, text: str) -> Invalid:
        """What a decoder's complaint says, in our words."""
        if unknown := _UNKNOWN.search(text):
            return self._unknown(unknown.group(1))
        missing = _MISSING.search(text)
        found = _PLACE.search(text) or missing
        place = found.group(1) if found else None
        text = _PLACE.sub("", text)
        field, _, item = (place or "").partition("[")
        meant = _meant(self._fields[field], item=bool(item)) if field in self._fields else ""
        if missing:
            text = f"The line has no field {place!r}."
        elif _ENUM.search(text):
            text = f"This is not {meant}."
        elif _PATTERN.search(text):
            text = f"This must be {meant}."
        elif wrong := _TYPE.search(text):
            text = f"This is {_TYPES.get(wrong.group(2), wrong.group(2))}, which does not belong here."
        else:
            text = next((ours for theirs, ours in _COMPLAINTS if theirs.search(text)), text)
        return Invalid(
            text, field=place, remedy=f"Send {meant}." if meant else "Send one JSON object a line."
        )

    def _unknown(self, name: str) -> Invalid:
        if not _NAME.fullmatch(name):
            return Invalid(
                "The line has a field that is not known here.",
                remedy=f"Leave it out. The fields are {', '.join(self._fields)}.",
            )
        near = difflib.get_close_matches(name.lower(), self._fields, n=1)
        return Invalid(
            f"There is no field {name!r} in this kind of line.",
            field=name,
            remedy=f"Did you mean {near[0]!r}?"
            if near
            else f"Leave it out. The fields are {', '.join(self._fields)}.",
        )


def _described(line: type[FactLine]) -> msgspec.inspect.StructType:
    described = msgspec.inspect.type_info(line)
    assert isinstance(described, msgspec.inspect.StructType)
    return described


def _meant(kind: msgspec.inspect.Type, *, item: bool = False) -> str:
    """What values of a type are accepted: those of a list, or what is said of it; of an array, what stands in it
    if `item`."""
    match kind:
        case msgspec.inspect.LiteralType(values=values):
            listed = f"one of {', '.join(str(value) for value in values)}"
            return f"{listed}, as a number" if isinstance(values[0], int) else listed
        case msgspec.inspect.Metadata(extra={"in words": words}):
            return str(words)
        case msgspec.inspect.Metadata(type=inner):
            return _meant(inner, item=item)
        case msgspec.inspect.VarTupleType(item_type=inner):
            return _meant(inner) if item else f"an array; in it, {_meant(inner)}"
        case msgspec.inspect.UnionType(types=types):
            return next((words for each in types if (words := _meant(each, item=item))), "")
    return ""


def _no_utf_8() -> Invalid:
    return Invalid("The line is not UTF-8.", remedy="Send UTF-8.")


def _no_json(raw: bytes, error: msgspec.DecodeError) -> Invalid:
    """What is wrong with a line that cannot be read at all. The decoder looks at bytes, and at their encoding in text
    only: UTF-16, say, it takes for bad JSON."""
    if not raw.strip():
        return Invalid("The line is empty.", remedy="Send one JSON object.")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return _no_utf_8()
    return Invalid(f"The line is not JSON: {error}", remedy="Send one JSON object a line.")


class _Id(msgspec.Struct):
    line_id: Annotated[str, Meta(min_length=1, max_length=100)]
    citizen_id: Any = None


_id_decoder = msgspec.json.Decoder(_Id)
_encoder = msgspec.json.Encoder()


def line_id_of(raw: bytes) -> str | None:
    """The id of a line that could not be decoded as a whole, if that much can be read and be repeated."""
    try:
        found = _id_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    citizen = str(found.citizen_id)
    return None if len(citizen) >= PERSONAL_NUMBER_LENGTH - 1 and citizen in found.line_id else found.line_id


async def answer_single(
    request: Request,
    kind: str,
    decoder: LineDecoder[LineT],
    handle: Callable[[LineT], Awaitable[Answer]],
) -> Response:
    """Answer a request that carries one line: 201 for a new fact, 200 for one on record before, else the
    status of the line's problem. Raises Invalid, TooLarge, UnsupportedMedia."""
    check_media_type(request, JSON_TYPES)
    body = await read_body(request, MAX_SINGLE)
    answer = await handle(decoder.decode(body.removeprefix(BYTE_ORDER_MARK)))
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
    rooms: Rooms,
) -> Response:
    """Answer a request that carries many lines (NDJSON): one answer a line, in the order of the lines.

    Lines are handled in that order, some at a time, so that a large request delays nobody for long. What
    was answered before the database went away is on record; sending everything again is harmless. Raises
    Invalid, TooLarge, UnsupportedMedia for what is wrong with the request as a whole, Busy if there is no room
    for it.
    """
    check_media_type(request, NDJSON_TYPES)
    answered, packed = Counter[str](), Packed()
    async with rooms.room(announced(request, MAX_BODY) + WORK) as room:
        blocks = await read_blocks(request, MAX_BODY)
        lines = split_lines(blocks)
        while some := list(islice(lines, CHUNK)):
            room.shrink(sum(len(block) for block in blocks) + WORK)
            answers = await _answer_some(some, decoder, handle)
            answered.update(answer.status for answer in answers)
            packed.add(_encoder.encode_lines(answers))
    for outcome, count in answered.items():
        metrics.LINES.labels(kind, outcome).inc(count)
    return packed.response(request, NDJSON)


async def _answer_some(
    lines: list[tuple[int, bytes]],
    decoder: LineDecoder[LineT],
    handle: Callable[[list[LineT]], Awaitable[list[Answer]]],
) -> list[Answer]:
    """The answers to numbered lines, in their order."""
    answers: list[Answer] = []
    numbers: list[int] = []
    readable: list[LineT] = []
    for number, raw in lines:
        try:
            readable.append(decoder.decode(raw))
            numbers.append(number)
        except Invalid as problem:
            # An id that is itself unacceptable is not repeated.
            line_id = None if problem.field == "line_id" else line_id_of(raw)
            answer = rejected(line_id, problem)
            answer.line = number
            answers.append(answer)
    handled = await handle(readable)
    for number, answer in zip(numbers, handled, strict=True):
        answer.line = number
    answers += handled
    answers.sort(key=lambda answer: answer.line)
    return answers


def documented(line: type[FactLine], *, bulk: bool = False) -> dict[str, Any]:
    """What OpenAPI says of a request body that we read ourselves."""
    return {"requestBody": {"required": True, "content": _content(line, bulk)}}


def documented_answers(*, bulk: bool = False) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the good answers to lines."""
    content = _content(Answer, bulk)
    if bulk:
        return {200: {"description": "One answer a line, in the order of the lines.", "content": content}}
    return {
        201: {"description": "Accepted.", "content": content},
        200: {"description": "On record before.", "content": content},
    }


def _content(described: type[msgspec.Struct], bulk: bool) -> dict[str, Any]:
    schema = msgspec.json.schema(described)["$defs"][described.__name__]
    return {NDJSON if bulk else "application/json": {"schema": schema}}
