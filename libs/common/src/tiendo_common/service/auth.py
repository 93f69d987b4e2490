"""API keys: 256 random bits each, so a plain SHA-256 of one is enough to recognise it by."""

import hashlib
from collections.abc import Awaitable, Callable
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
)


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


class ApiKey(msgspec.Struct, frozen=True):
    """A key's holder and rights. The key itself is not kept."""

    name: str
    sha256: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class _KeysFile(msgspec.Struct):
    keys: list[ApiKey]


class ApiKeys:
    """The keys in a file, read again when the file changes.

    A file that became unreadable is logged and the keys known so far stay valid: a slip while editing must
    not lock everybody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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
        if known is None:
            known = self._by_hash.get(hashlib.sha256(key.encode()).hexdigest())
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
