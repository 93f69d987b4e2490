"""Zalo Official Account template messages (ZNS): a notice to a phone number, in the words of a registered template."""

import asyncio
import json
import re
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import httpx2
import msgspec

from tiendo_common.clock import VIETNAM, Clock
from tiendo_common.errors import Invalid
from tiendo_notifier.channels.webhooks import retry_after
from tiendo_notifier.rules.letters import Language
from tiendo_notifier.rules.tries import Answer
from tiendo_notifier.rules.zalo import TOKEN_REFUSED, outcome, template_data

SCHEME = "zalo:"
#: A mobile number of Vietnam as Zalo wants it.
_PHONE = re.compile(r"84[35789]\d{8}")
#: Answers are short; one that is not is none of Zalo's.
_LONGEST_ANSWER = 65_536


class ZaloAccount(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name messages are sent. `refresh_token`: the one that the account's administrator authorised; each is
    good for one use. `template`: the id under which Zalo registered it."""

    app: str
    secret_key: str
    refresh_token: str
    template: str
    messages_url: str
    tokens_url: str


class Tokens(NamedTuple):
    """What Zalo gives for a refresh token: an access token, for so many seconds, and the next refresh token."""

    access: str
    seconds: float
    refresh: str


class NoToken(Exception):
    """There is no access token to send with; the text says why, and holds no secret."""


class AccessTokens(Protocol):
    """Where access tokens come from; they are shared by all replicas."""

    async def get(self, refused: str | None = None) -> str:
        """One that may be good: not the one that Zalo has just `refused`. Raises NoToken."""


class ZaloClient:
    """Speaks with Zalo. A context manager: it holds an HTTP client."""

    #: For each question.
    TIMEOUT = 8.0

    def __init__(self, account: ZaloAccount) -> None:
        self.account = account
        self._client = httpx2.AsyncClient(timeout=self.TIMEOUT, follow_redirects=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def refresh(self, token: str) -> Tokens:
        """Use up a refresh token. Raises NoToken; whether it was used up is then not known."""
        try:
            status, _, said = await self._ask(
                f"{self.account.tokens_url}/v4/oa/access_token",
                headers={"secret_key": self.account.secret_key},
                data={"refresh_token": token, "app_id": self.account.app, "grant_type": "refresh_token"},
            )
        except (TimeoutError, httpx2.HTTPError) as error:
            raise NoToken(f"Zalo gave no access token: {_word(error)}") from None
        try:
            return Tokens(str(said["access_token"]), float(said["expires_in"]), str(said["refresh_token"]))
        except (KeyError, TypeError, ValueError):
            # Its description is in English and about the token, never the token itself.
            why = said.get("error_description") or said.get("error_name") or f"HTTP {status}"
            raise NoToken(
                f"Zalo gave no access token: {said.get('error', '')} {why}. If the refresh token was used up, have the "
                "account authorised anew and set TIENDO_ZALO_REFRESH_TOKEN."
            ) from None

    async def send(self, access_token: str, body: dict[str, Any]) -> tuple[int, httpx2.Headers, Any]:
        """HTTP's status, its headers, and what was said. Raises TimeoutError, httpx2.HTTPError."""
        return await self._ask(
            f"{self.account.messages_url}/message/template",
            headers={"access_token": access_token},
            json=body,
        )

    async def _ask(self, url: str, **request: Any) -> tuple[int, httpx2.Headers, dict[str, Any]]:
        async with asyncio.timeout(self.TIMEOUT), self._client.stream("POST", url, **request) as response:
            content = b""
            async for part in response.aiter_bytes():
                content += part
                if len(content) > _LONGEST_ANSWER:
                    break
        try:
            said = json.loads(content)
        except ValueError:
            said = None
        return response.status_code, response.headers, said if isinstance(said, dict) else {}


class Zalo:
    """Sends notices as template messages. A context manager: it holds its client."""

    #: For all of a try: at worst a token is got, is refused, another is got, and that one is sent with.
    TIMEOUT = 30.0

    def __init__(self, client: ZaloClient | None, tokens: AccessTokens | None, clock: Clock) -> None:
        """`client` and `tokens` None: no account is configured, and no destination can be a phone number. `clock`: the
        wall's, since nights and quotas are Zalo's."""
        self._client = client
        self._tokens = tokens
        self._clock = clock

    async def __aenter__(self) -> Self:
        if self._client is not None:
            await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(kind, error, trace)

    def check(self, url: str, language: Language | None) -> None:
        """Raise Invalid unless messages can be sent to this number."""
        if not _PHONE.fullmatch(url.removeprefix(SCHEME)):
            raise Invalid(
                "What follows zalo: is not the number of a mobile phone in Vietnam.",
                field="url",
                remedy="Send zalo:84 and its nine digits without the leading zero.",
            )
        if language == "en":
            raise Invalid(
                "The template that is registered with Zalo is in Vietnamese.",
                field="language",
                remedy="Send vi, or leave it out.",
            )
        if self._client is None:
            raise Invalid(
                "The notifier has no Zalo Official Account to send from.",
                field="url",
                remedy="Set TIENDO_ZALO_APP_ID, TIENDO_ZALO_SECRET_KEY, TIENDO_ZALO_REFRESH_TOKEN and "
                "TIENDO_ZALO_TEMPLATE on the notifier, or send an https URL or mailto:name@host.",
            )

    async def send(self, url: str, message_id: str, notice: str) -> Answer:
        """One try. Never raises for what Zalo or the network does. `status` is Zalo's code, or HTTP's where the answer
        has none."""
        if self._client is None or self._tokens is None:
            return Answer(error="no Zalo Official Account is configured any more")
        phone = url.removeprefix(SCHEME)
        at = datetime.fromisoformat(json.loads(notice)["timestamp"]).astimezone(VIETNAM)
        body = {
            "phone": phone,
            "template_id": self._client.account.template,
            "template_data": template_data(notice, at),
            # The same at every try: what arrives twice can be told from what happened twice.
            "tracking_id": message_id,
        }
        try:
            async with asyncio.timeout(self.TIMEOUT):
                token = await self._tokens.get()
                status, headers, said = await self._client.send(token, body)
                if _refuses_token(status, said):
                    # It may have been replaced by another replica's, which ends the one before at once.
                    token = await self._tokens.get(refused=token)
                    status, headers, said = await self._client.send(token, body)
        except NoToken as error:
            return Answer(error=str(error))
        except (TimeoutError, httpx2.HTTPError) as error:
            return Answer(error=_word(error))
        return self._answer(status, headers, said, phone)

    def _answer(self, status: int, headers: httpx2.Headers, said: dict[str, Any], phone: str) -> Answer:
        now = self._clock.now()
        code = said.get("error")
        if not isinstance(code, int) or not 200 <= status < 300:
            return Answer(
                status=status,
                error=f"HTTP {status} without a code of Zalo's",
                retry_after=retry_after(headers, now),
            )
        if code == 0:
            return Answer(status=status)
        follows = outcome(code, now.astimezone(VIETNAM))
        # Reasons are logged, numbers are not.
        words = str(said.get("message", "")).replace(phone, "…")[:300]
        return Answer(
            status=code,
            error=f"Zalo {code}: {words}",
            retry_after=follows.wait,
            lasting=follows.state == "failed",
            gone=follows.state == "gone",
        )


def _refuses_token(status: int, said: dict[str, Any]) -> bool:
    return status == 401 or said.get("error") in TOKEN_REFUSED


def _word(error: Exception) -> str:
    return f"no answer within {ZaloClient.TIMEOUT:g} s" if isinstance(error, TimeoutError) else repr(error)
