"""Keep an access token of the Zalo account alive, for all replicas."""

import asyncio
import hashlib

import asyncpg
import structlog

from tiendo_notifier.channels.zalo import NoToken, ZaloClient
from tiendo_notifier.storage import zalo_tokens
from tiendo_notifier.storage.zalo_tokens import Known

log = structlog.get_logger(__name__)


class SharedTokens:
    """One of all replicas asks Zalo for the next tokens; the others wait for what it brings.

    A refresh token can be used once. Who dies between Zalo's answer and its keeping takes the successor along, and the
    account must be authorised anew; so nothing is done in between.
    """

    #: Seconds before anybody asks again: longer than a question takes, so that two never use one refresh token.
    BETWEEN = 30.0
    #: For so many seconds another replica's question is waited for, looked at so often.
    PATIENCE, LOOK = 10.0, 0.2

    def __init__(self, pool: asyncpg.Pool, client: ZaloClient) -> None:
        self._pool = pool
        self._client = client
        self._app = client.account.app
        self._begun = False
        # One of this process is enough to ask or to wait.
        self._alone = asyncio.Lock()

    async def get(self, refused: str | None = None) -> str:
        """An access token that may be good: not the one that Zalo has just `refused`. Raises NoToken."""
        async with self._alone:
            await self._begin()
            known = await zalo_tokens.known(self._pool, self._app, self.BETWEEN)
            if known.access is None or not known.fresh or known.access == refused:
                return await self._next(known)
            return known.access

    async def _begin(self) -> None:
        if self._begun:
            return
        seed = self._client.account.refresh_token
        await zalo_tokens.begin(self._pool, self._app, hashlib.sha256(seed.encode()).hexdigest(), seed)
        self._begun = True

    async def _next(self, before: Known) -> str:
        """The successor of the access token `before`."""
        token = await zalo_tokens.claim(self._pool, self._app, before.access, self.BETWEEN)
        if token is None:
            return await self._wait(before)
        try:
            given = await self._client.refresh(token)
        except NoToken as fault:
            await zalo_tokens.note_fault(self._pool, self._app, token, str(fault))
            log.error("no access token from Zalo", reason=str(fault))
            raise
        await zalo_tokens.keep(self._pool, self._app, token, given.access, given.refresh, given.seconds)
        log.info("new access token from Zalo", seconds=given.seconds)
        return given.access

    async def _wait(self, before: Known) -> str:
        """What another brings who asks now."""
        for _ in range(int(self.PATIENCE / self.LOOK)):
            known = await zalo_tokens.known(self._pool, self._app, self.BETWEEN)
            if known.access is not None and known.access != before.access:
                return known.access
            if not known.asking:
                raise NoToken(known.fault or "Zalo refuses the access token that it gave a moment ago")
            await asyncio.sleep(self.LOOK)
        raise NoToken("another replica asks Zalo for an access token and has none yet")
