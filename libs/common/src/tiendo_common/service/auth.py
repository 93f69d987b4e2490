"""API keys: 256 random bits each, so a plain SHA-256 of one is enough to recognise it by.

A key may be bound to units, and then acts on these and all below them only. Whether it may act on one is said here and
nowhere else (`ApiKey.check_unit`); what is below what is for the service to say, since common knows no tree.
"""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tiendo_common.errors import BadKeys, Problem

log = structlog.get_logger(__name__)

#: Every scope that a key can have. `admin` implies all others.
SCOPES = (
    "admin",
    "intake:write",
    "intake:read",
    "activation:write",
    "activation:read",
    "campaign:write",
    "declared:write",
    "measure:write",
    "progress:read",
    "incident:read",
    "incident:write",
    "destination:write",
    "policy:write",
)
#: Those that a key which is bound to units can have: where they write, they name the unit, and it is checked; what they
#: read is counts by unit, which are no secret in a campaign. Any other would reach further than its key says.
BOUND_SCOPES = (
    "declared:write",
    "measure:write",
    "progress:read",
    "incident:read",
    "incident:write",
    "destination:write",
    "policy:write",
)
_UNIT = re.compile(r"[0-9]{2,10}")


class Unauthenticated(Problem):
    """No key was sent, or one that nobody was given."""

    status = 401
    code = "unauthenticated"
    title = "A valid API key is needed"


class Forbidden(Problem):
    """The key is valid, but not for this."""

    status = 403
    code = "forbidden"
    title = "The API key lacks a scope"


class OutOfBounds(Forbidden):
    """The key is bound to units, and this is about another one."""

    code = "out-of-bounds"
    title = "The API key is bound to other units"


class ApiKey(msgspec.Struct, frozen=True):
    """A key's holder and rights. The key itself is not kept. `units`: it acts on these and all below them; None:
    everywhere. Raises ValueError for units that it cannot be bound to."""

    name: str
    sha256: str
    scopes: frozenset[str]
    units: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.units is None:
            return
        if not self.units:
            raise ValueError(
                "A key that is bound to no unit could do nothing: leave `units` out for everywhere"
            )
        for unit in sorted(self.units):
            if not _UNIT.fullmatch(unit):
                raise ValueError(f"{unit!r} is no unit's code: digits, as text")
        unbound = sorted(self.scopes - set(BOUND_SCOPES))
        if unbound:
            raise ValueError(
                f"A key that is bound to units cannot have {', '.join(unbound)}, which units do not bound: "
                f"only {', '.join(BOUND_SCOPES)}"
            )

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def check_unit(self, unit: str | None, above: Iterable[str], *, field: str) -> None:
        """Raise OutOfBounds, naming the field, unless the key may act on the unit (None: on all units at once).

        `above`: the codes of the units above it, on the tree of the day that the act is about. A code that is no unit's
        on that day has none above it: only a key that is bound to that very code may still act on it.
        """
        if self.units is None or (unit is not None and not self.units.isdisjoint((unit, *above))):
            return
        own = ", ".join(sorted(self.units))
        about = "this is about all units" if unit is None else f"{unit} is neither one of these nor below one"
        raise OutOfBounds(
            f"The key {self.name!r} is bound to the units {own}, and {about}.",
            field=field,
            remedy=f"Name {own} or a unit below, or use a key of the unit that it is about.",
        )


class _KeysFile(msgspec.Struct):
    keys: list[ApiKey]


class ApiKeys:
    """The keys in a file, read again when the file changes: a key that was made is known when it is first used, one
    that was taken away is refused after the next `refresh`.

    A file that became unreadable is logged and the keys known so far stay valid: a slip while editing must
    not lock everybody out.
    """

    #: Seconds between two looks for a key that is not known: whoever guesses keys makes no work.
    LOOK = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_look = 0.0
        self._stamp = (0, 0)
        self._by_hash: dict[str, ApiKey] = {}
        self._seen: dict[str, ApiKey] = {}
        self._load()

    def refresh(self) -> None:
        """Read the file again if it changed."""
        try:
            self._load()
        except (OSError, BadKeys) as error:
            log.error("API keys file not readable: keeping the keys known so far", reason=str(error))

    def _load(self) -> None:
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            try:
                keys = msgspec.json.decode(self._path.read_bytes(), type=_KeysFile).keys
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadKeys(f"{self._path} is no file of API keys: {error}") from error
            self._by_hash = {key.sha256: key for key in keys}
            self._seen = {}
            self._stamp = stamp

    def holder(self, key: str) -> ApiKey | None:
        """Whose key this is."""
        known = self._seen.get(key)
        if known is not None:
            return known
        digest = hashlib.sha256(key.encode()).hexdigest()
        if digest not in self._by_hash and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self.LOOK
            self.refresh()
        known = self._by_hash.get(digest)
        if known is not None:
            self._seen[key] = known
        return known


_bearer = HTTPBearer(auto_error=False, description="An API key.")


def requires(scope: str) -> Callable[..., Awaitable[ApiKey]]:
    """A dependency that lets in holders of a key with this scope."""

    async def authenticate(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> ApiKey:
        keys: ApiKeys = request.app.state.kit.keys
        holder = keys.holder(credentials.credentials) if credentials else None
        if holder is None:
            raise Unauthenticated(
                "The request carries no valid API key.",
                remedy="Send the header 'Authorization: Bearer <key>'.",
            )
        if not holder.may(scope):
            raise Forbidden(
                f"The key {holder.name!r} lacks the scope {scope!r}.", remedy="Ask for that scope."
            )
        return holder

    return authenticate


Admin = Annotated[ApiKey, Depends(requires("admin"))]
