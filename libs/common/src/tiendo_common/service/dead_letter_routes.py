"""Dead letters over HTTP: looked at, replayed, discarded. For services that have consumers."""

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import asyncpg
import msgspec
import structlog
from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.errors import Conflict, Invalid, Problem, Retry, Stop, Unavailable
from tiendo_common.eventlog import dead_letters
from tiendo_common.eventlog.consumer import Consumer
from tiendo_common.eventlog.dead_letters import KeptLetter, State
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.envelope import header_decoder
from tiendo_common.observability import metrics
from tiendo_common.service.auth import Admin
from tiendo_common.service.documents import in_words
from tiendo_common.service.idempotency import KeysRotated
from tiendo_common.service.kit import Kit
from tiendo_common.service.lines import PERSONS_NUMBER
from tiendo_common.service.person_keys import ROTATED

MAX_PAGE = 500
#: Bytes of a body that are shown.
MAX_SHOWN = 64 * 1024
#: What ids are in the database.
_MOST = 2**63 - 1

log = structlog.get_logger(__name__)


class NotReplayable(Conflict):
    """The letter stays as it is: this build can do nothing with it."""

    code = "not-replayable"
    title = "This dead letter cannot be replayed"


def _check_reason(text: str) -> str:
    if not text.strip():
        raise ValueError("a reason is needed")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("control characters are not kept")
    if re.search(PERSONS_NUMBER, text):
        # As in the names of teams: it is kept for good.
        raise ValueError("nine digits or more are somebody's phone or personal number")
    return text.strip()


Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        description="Why it need not take effect. It is kept: one line, not blank, no person's name or number.",
        examples=["written by hand into the topic during a test"],
    ),
    AfterValidator(_check_reason),
]
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]+$",
        description="A consumer of this service: `GET /v1/positions` names them.",
        examples=["counting"],
    ),
    in_words("1 to 100 characters, none of them NUL"),
]
Id = Annotated[int, Path(ge=1, le=_MOST, description="The letter's id.")]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description=f"Letters at a time, {MAX_PAGE} at most.")]
After = Annotated[int, Field(ge=0, le=_MOST, description="`next_after` of the page before; 0 to begin with.")]


class LetterSummary(BaseModel):
    """A dead letter without its body."""

    id: int = Field(description="Unique in this service.")
    consumer: str = Field(description="Who could not read it.")
    topic: str
    partition: int
    sequence: int | None = Field(description="Its place in the log; null for a record that is not of ours.")
    offset: int | None = Field(description="The broker's place of a record that is not of ours.")
    reason: str = Field(description="What was wrong with it.")
    size: int = Field(description="Bytes of the body.")
    type: str | None = Field(description="The event's type, if that much can be made out.")
    event_id: str | None = Field(description="The event's id, if that much can be made out.")
    at: datetime = Field(description="When it was put aside.")
    state: State
    settled_at: datetime | None
    settled_by: str | None = Field(description="The name of the API key.")
    note: str | None = Field(description="The reason given for discarding it.")


class Body(BaseModel):
    """A letter's body, as far as it is shown."""

    encoding: Literal["text", "base64"] = Field(
        description="`text`: the bytes are UTF-8; `base64`: they are not."
    )
    content: str
    cut: int = Field(
        description=f"Bytes at the end that are left out: no more than {MAX_SHOWN:,} are shown.", ge=0
    )


class Letter(LetterSummary):
    """A dead letter whole."""

    body: Body


class Letters(BaseModel):
    """A page of dead letters, oldest first."""

    letters: list[LetterSummary]
    next_after: int | None = Field(
        description="Send it as `after` for the next page; null: this is the last."
    )
    waiting: dict[str, int] = Field(
        description="How many wait, of each consumer that has any, whatever was asked for."
    )


class Discarding(BaseModel):
    """Why a letter is discarded."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class Several(BaseModel):
    """Which waiting letters: of one consumer, oldest first."""

    model_config = ConfigDict(extra="forbid")

    consumer: Name
    limit: Limit = 100
    after: After = 0


class DiscardingSeveral(Several):
    """Which waiting letters, and why."""

    reason: Reason


class Outcome(BaseModel):
    """What became of one letter."""

    id: int
    state: State
    problem: dict[str, Any] | None = Field(description="Why it is as it was; null: it is settled now.")


class Outcomes(BaseModel):
    """What became of each letter, oldest first."""

    outcomes: list[Outcome]
    settled: int = Field(description="How many of them are settled now.")
    refused: int = Field(description="How many are as they were.")
    next_after: int | None = Field(description="Send it as `after` to go on; null: there are no more.")


def add_dead_letter_routes(kit: Kit) -> None:
    """Give the service `/v1/dead-letters`, and its gauge a value from the first moment."""
    desk = _Desk(kit.pool, kit.consumers)
    kit.started.append(desk.measure)
    kit.measured.append(desk.measure)
    kit.app.include_router(_make_router(desk))


class _Desk:
    """Where letters are settled, one at a time."""

    def __init__(self, pool: asyncpg.Pool, consumers: list[Consumer[Any]]) -> None:
        self.pool = pool
        self._consumers = {consumer.name: consumer for consumer in consumers}
        self._measured = set(self._consumers)
        # A replay holds a connection and may need another one: many at once would wait for each other.
        self._turn = asyncio.Lock()

    async def measure(self) -> None:
        """Bring the gauge up to date, for consumers that are gone as well."""
        waiting = await dead_letters.waiting_by_consumer(self.pool)
        self._measured |= waiting.keys()
        for name in self._measured:
            metrics.DEAD_LETTERS.labels(name).set(waiting.get(name, 0))

    async def check_consumer(self, name: str) -> None:
        """Raise Invalid for a consumer that nobody has heard of. One of an older build may have left letters."""
        if name not in self._consumers and not await dead_letters.has_letters(self.pool, name):
            raise Invalid(
                f"There is no consumer {name!r} here.",
                field="consumer",
                remedy=f"The consumers of this service are {', '.join(sorted(self._consumers))}.",
            )

    async def replay(self, number: int, by: str) -> KeptLetter:
        """Raises NotFound, Conflict and NotReplayable, with the letter as it was; Unavailable."""
        async with self._turn:
            kept = await dead_letters.settle(self.pool, number, "replayed", by=by, effects=self._effects)
        return self._settled(kept)

    async def discard(self, number: int, by: str, reason: str) -> KeptLetter:
        """Raises NotFound and Conflict."""
        return self._settled(await dead_letters.settle(self.pool, number, "discarded", by=by, note=reason))

    async def several(self, which: Several, settle: Callable[[int], Awaitable[KeptLetter]]) -> Outcomes:
        """Settle waiting letters one by one, each in a transaction of its own. Raises Invalid, Unavailable."""
        await self.check_consumer(which.consumer)
        found = await dead_letters.list_letters(
            self.pool, consumer=which.consumer, state="waiting", after=which.after, limit=which.limit
        )
        outcomes = []
        for kept in found:
            try:
                settled = await settle(kept.id)
            except Unavailable:
                raise
            except Problem as problem:
                # Somebody else may have settled it meanwhile.
                now = await dead_letters.find_letter(self.pool, kept.id)
                outcomes.append(Outcome(id=kept.id, state=now.state, problem=problem.document()))
            else:
                outcomes.append(Outcome(id=kept.id, state=settled.state, problem=None))
        refused = sum(outcome.problem is not None for outcome in outcomes)
        return Outcomes(
            outcomes=outcomes,
            settled=len(outcomes) - refused,
            refused=refused,
            next_after=_next_after(found, which.limit),
        )

    @contextlib.asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Whatever was settled meanwhile, the gauge says so at once."""
        try:
            yield
        finally:
            # What is settled is settled: it would be right again some seconds later.
            with contextlib.suppress(*PASSING_FAULTS):
                await self.measure()

    @staticmethod
    def _settled(kept: KeptLetter) -> KeptLetter:
        log.info(
            "dead letter settled",
            letter=kept.id,
            consumer=kept.consumer,
            state=kept.state,
            by=kept.settled_by,
        )
        return kept

    async def _effects(self, connection: Connection, kept: KeptLetter) -> None:
        """What the event should have done. Raises NotReplayable, Conflict, Unavailable: then nothing is written."""
        if kept.letter.sequence is None:
            raise NotReplayable(
                "It is a record in the broker's topic that no log of ours wrote: it has no place among our events.",
                field="id",
                remedy="Discard it, and find out who may write into that topic.",
            )
        consumer = self._consumers.get(kept.consumer)
        if consumer is None:
            raise NotReplayable(
                f"This build runs no consumer {kept.consumer!r}.", field="id", remedy="Discard it."
            )
        try:
            await consumer.replay(connection, kept.letter)
        except msgspec.DecodeError as error:
            raise NotReplayable(
                f"It still cannot be read: {error}",
                field="id",
                remedy="Install a build that can read it and replay it then; or discard it.",
            ) from None
        except Stop as stop:
            raise NotReplayable(
                f"This build cannot go on with it: {stop}",
                field="id",
                remedy="Install a build that can, and replay it then; or discard it.",
            ) from None
        except Retry as error:
            raise Unavailable(
                str(error), remedy="Send the same request again; it takes effect once."
            ) from None
        except asyncpg.CheckViolationError as error:
            if error.constraint_name == ROTATED:
                raise KeysRotated from None
            raise _unwritable(error) from None
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise _unwritable(error) from None


def _unwritable(error: asyncpg.PostgresError) -> NotReplayable:
    # Without the database's details, which repeat the row.
    return NotReplayable(
        f"It can be read, and what it says cannot be written: {error.args[0]}",
        field="id",
        remedy="Discard it, and find out how its producer came to write it.",
    )


def _make_router(desk: _Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

    @router.get("", summary="Events that could not be read")
    async def list_letters(
        _admin: Admin,
        consumer: Annotated[Name | None, Query(description="Only those of this consumer.")] = None,
        state: Annotated[State | None, Query(description="Only those in this state.")] = None,
        after: Annotated[After, Query()] = 0,
        limit: Annotated[Limit, Query()] = 100,
    ) -> Letters:
        """Oldest first, without bodies. An event that several consumers read has a letter of each of them."""
        if consumer is not None:
            await desk.check_consumer(consumer)
        found = await dead_letters.list_letters(
            desk.pool, consumer=consumer, state=state, after=after, limit=limit
        )
        return Letters(
            letters=[LetterSummary(**_about(kept)) for kept in found],
            next_after=_next_after(found, limit),
            waiting=await dead_letters.waiting_by_consumer(desk.pool),
        )

    @router.get("/{number}", summary="One dead letter with its body")
    async def letter(number: Id, _admin: Admin) -> Letter:
        """The body of a dossier holds the keyed hash of its citizen: show it to nobody who need not see it."""
        return _whole(await dead_letters.find_letter(desk.pool, number))

    @router.post("/{number}/replay", summary="Give a dead letter its effects after all")
    async def replay(number: Id, key: Admin) -> Letter:
        """The event takes effect and the letter is settled, or neither. For letters that an installed build can
        now read; one that it cannot stays as it is, and the problem says why. However often and by whomever it
        is asked for, it takes effect once.

        It is safe late and in any order: counters are sums of changes; a dossier's version that was followed by
        another changes nothing; nor do a day's closing figures if a later day of that unit has been judged, and
        the day stays recorded as not judged."""
        async with desk.measured():
            return _whole(await desk.replay(number, key.name))

    @router.post("/{number}/discard", summary="Discard a dead letter with a reason")
    async def discard(number: Id, given: Discarding, key: Admin) -> Letter:
        """For what need never take effect: it cannot be taken back. If it was a fact that the producer has on
        record, counters and records differ from now on, and reconciliation says so."""
        async with desk.measured():
            return _whole(await desk.discard(number, key.name, given.reason))

    @router.post("/replay", summary="Replay waiting dead letters of a consumer")
    async def replay_several(which: Several, key: Admin) -> Outcomes:
        """Oldest first, each by itself, as if asked for one by one: those that cannot be replayed stay as they
        are. If the service breaks off, send the same request again."""
        async with desk.measured():
            return await desk.several(which, lambda number: desk.replay(number, key.name))

    @router.post("/discard", summary="Discard waiting dead letters of a consumer with a reason")
    async def discard_several(which: DiscardingSeveral, key: Admin) -> Outcomes:
        """Oldest first, each by itself, as if asked for one by one."""
        async with desk.measured():
            return await desk.several(which, lambda number: desk.discard(number, key.name, which.reason))

    return router


def _next_after(found: list[KeptLetter], limit: int) -> int | None:
    return found[-1].id if len(found) == limit else None


def _about(kept: KeptLetter) -> dict[str, Any]:
    letter = kept.letter
    kind, event_id = _said(letter.body[: dead_letters.HEAD])
    return {
        "id": kept.id,
        "consumer": kept.consumer,
        "topic": letter.partition.topic,
        "partition": letter.partition.number,
        "sequence": letter.sequence,
        "offset": letter.offset,
        "reason": letter.reason,
        "size": kept.size,
        "type": kind,
        "event_id": event_id,
        "at": kept.at,
        "state": kept.state,
        "settled_at": kept.settled_at,
        "settled_by": kept.settled_by,
        "note": kept.note,
    }


def _whole(kept: KeptLetter) -> Letter:
    return Letter(**_about(kept), body=_shown(kept.letter.body))


def _shown(body: bytes) -> Body:
    part = body[:MAX_SHOWN]
    try:
        body.decode()
    except UnicodeDecodeError:
        return Body(encoding="base64", content=base64.b64encode(part).decode(), cut=len(body) - len(part))
    content = part.decode(errors="ignore")  # the cut may go through a character
    return Body(encoding="text", content=content, cut=len(body) - len(content.encode()))


def _member(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb'"' + name + rb'"\s*:\s*"([\x20\x21\x23-\x5b\x5d-\x7e]{1,200})"')


_TYPE, _EVENT_ID = _member(b"type"), _member(b"id")


def _said(head: bytes) -> tuple[str | None, str | None]:
    """The event's type and id. Where the body is not JSON, or only begins here, the first that look like them."""
    try:
        header = header_decoder.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        kind, event_id = _TYPE.search(head), _EVENT_ID.search(head)
        return kind and kind.group(1).decode(), event_id and event_id.group(1).decode()
    return header.type[:200] or None, header.id[:200] or None
