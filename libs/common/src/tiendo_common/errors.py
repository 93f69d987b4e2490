"""The tree of errors that cross a boundary.

TiendoError
├── BadKeys              a file of keys is not what it must be: the service cannot start with it
├── CannotStart          a setting contradicts what is recorded: the service cannot start with it
├── Problem              somebody asked for what cannot be done; becomes an RFC 9457 answer
└── ConsumerError        what a consumer does with the batch in its hands
    ├── Retry            drop the batch, wait, claim again: the fault is expected to pass
    ├── Fenced           another process owns the partition now: drop the batch, claim again
    └── Stop             going on would make a count wrong: halt until a person has looked
        ├── Gap          a sequence is missing from a fact topic
        ├── UnknownEvent an event of a type or version that this build does not know
        ├── TooMuchPoison more dead letters than may wait for a person
        └── Diverged     the broker holds what the log does not, or the effects what was withdrawn
"""

from typing import Any, ClassVar


class TiendoError(Exception):
    """Every error of ours."""


class BadKeys(TiendoError):
    """A file of keys that cannot be used: names the file and the place in it, never a key."""


class CannotStart(TiendoError):
    """What the service was started with contradicts what its database holds: names the setting and the remedy."""


class Problem(TiendoError):
    """An error that its receiver can act on: names the field and the remedy (RFC 9457).

    Subclasses set `status` (HTTP), `code` (last part of the problem's type) and `title`.
    `retryable` says whether the same request can succeed later without being changed, `retry_after` in how
    many seconds at the earliest.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be carried out"
    retryable: ClassVar[bool] = False
    retry_after: ClassVar[int] = 1

    def __init__(self, detail: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.remedy = remedy

    def document(self) -> dict[str, Any]:
        """The problem as a JSON object; absent members are left out."""
        answer: dict[str, Any] = {
            "type": f"urn:tiendo:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field is not None:
            answer["field"] = self.field
        if self.remedy is not None:
            answer["remedy"] = self.remedy
        answer["retryable"] = self.retryable
        return answer


class Invalid(Problem):
    """A value is missing, malformed or out of range."""

    status = 422
    code = "invalid"
    title = "A value is not acceptable"


class NotFound(Problem):
    """The named thing does not exist."""

    status = 404
    code = "not-found"
    title = "No such thing"


class Conflict(Problem):
    """The request is well formed but contradicts what is recorded."""

    status = 409
    code = "conflict"
    title = "This contradicts what is recorded"


class TooLarge(Problem):
    """The request is bigger than the service accepts in one piece."""

    status = 413
    code = "too-large"
    title = "The request is too large"


class Unavailable(Problem):
    """A part that the service needs is away; nothing was lost and the same request may be sent again."""

    status = 503
    code = "unavailable"
    title = "Not available at the moment"
    retryable = True


class ConsumerError(TiendoError):
    """What a consumer must do with the batch in its hands."""


class Retry(ConsumerError):
    """The fault is expected to pass."""


class Fenced(ConsumerError):
    """Another process owns the partition: nothing of this batch may be written."""


class Stop(ConsumerError):
    """Going on would make a count wrong.

    `where` is the partition (topic, number) that may not go on; None: none may.
    """

    def __init__(self, reason: str, where: tuple[str, int] | None = None) -> None:
        super().__init__(reason)
        self.where = where


class Gap(Stop):
    """A fact topic lacks a sequence that should be there."""


class UnknownEvent(Stop):
    """The event's type or version is newer than this build."""


class TooMuchPoison(Stop):
    """More dead letters wait for a person than the bound: goes on by itself once some are settled."""


class Diverged(Stop):
    """Broker and log tell different stories, as after a restore from backup."""
