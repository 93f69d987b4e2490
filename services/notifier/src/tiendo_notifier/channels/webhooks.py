"""Webhooks as Standard Webhooks says (standardwebhooks.com): signed, with an id that is the same at every try."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpx2
from standardwebhooks import Webhook

from tiendo_common.clock import Clock
from tiendo_common.errors import Invalid
from tiendo_notifier.channels import addresses
from tiendo_notifier.channels.addresses import LookUp, Network
from tiendo_notifier.errors import RefusedAddress
from tiendo_notifier.rules.tries import Answer

PREFIX = "whsec_"
#: The bytes that a secret may have, by the specification.
SECRET_BYTES = range(24, 65)
#: The specification's word for "stop sending here".
GONE = 410


def generate_secret() -> str:
    """A new signing secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Raise Invalid unless it is one by the specification."""
    try:
        raw = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not secret.startswith(PREFIX) or len(raw) not in SECRET_BYTES:
        raise Invalid(
            f"A secret is {PREFIX!r} and then {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes in base64.",
            field="secret",
            remedy="Leave it out and one is generated for you.",
        )


class Webhooks:
    """Posts notices. A context manager: it holds a client."""

    #: For all of a try: looking up the name, connecting, sending, and the head of the answer.
    TIMEOUT = 10.0

    def __init__(
        self, clock: Clock, *, allowed: Sequence[Network] = (), look_up: LookUp = addresses.look_up
    ) -> None:
        """`clock` stamps the signatures; receivers compare it with their own, so it is the wall's. `allowed`:
        networks that may be called although they are not public."""
        self._clock = clock
        self._allowed = tuple(allowed)
        self._look_up = look_up
        self._client = httpx2.AsyncClient(
            timeout=self.TIMEOUT,
            follow_redirects=False,
            # No proxy from the environment: it would do the looking up, unguarded.
            trust_env=False,
            # Connections are not kept: they would be shared by hosts that have an address in common.
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def check(self, url: str) -> None:
        """Raise RefusedAddress unless the URL may be called now."""
        await addresses.resolve(addresses.parse(url), allowed=self._allowed, look_up=self._look_up)

    async def send(self, url: str, secrets: Sequence[str], message_id: str, notice: str) -> Answer:
        """One try, signed with each of the secrets. Never raises for what the receiver or the network does."""
        now = self._clock.now()
        headers = {
            "content-type": "application/json",
            "user-agent": "tiendo-notifier",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                Webhook(secret).sign(message_id, now, notice) for secret in secrets
            ),
        }
        try:
            async with asyncio.timeout(self.TIMEOUT):
                return await self._post(addresses.parse(url), headers, notice.encode(), now)
        except RefusedAddress as error:
            return Answer(error=error.detail)
        except TimeoutError:
            return Answer(error=f"no answer within {self.TIMEOUT:g} s")
        except httpx2.HTTPError as error:
            return Answer(error=f"{type(error).__name__}: {error}".rstrip(": "))

    async def _post(self, url: httpx2.URL, headers: dict[str, str], body: bytes, now: datetime) -> Answer:
        """Dial the addresses that were checked, one after the other, under the name that was asked for."""
        fault: httpx2.HTTPError | None = None
        for address in await addresses.resolve(url, allowed=self._allowed, look_up=self._look_up):
            request = self._client.build_request(
                "POST",
                url.copy_with(host=address),
                headers={"host": url.netloc.decode(), **headers},
                content=body,
                extensions={"sni_hostname": url.host},
            )
            try:
                response = await self._client.send(request, stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                fault = error
                continue
            # The status is all that counts. The body is left unread: it may be endless.
            await response.aclose()
            return Answer(
                status=response.status_code,
                retry_after=retry_after(response.headers, now),
                gone=response.status_code == GONE,
            )
        assert fault is not None
        raise fault


def retry_after(headers: httpx2.Headers, now: datetime) -> float | None:
    """Retry-After in seconds, from its number or its date; None where there is none that can be read."""
    asked = headers.get("retry-after")
    if asked is None:
        return None
    if asked.strip().isdecimal():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (ValueError, TypeError):
        return None
