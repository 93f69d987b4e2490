"""The ways out, told apart by the scheme of a destination's URL."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from tiendo_common.errors import Invalid
from tiendo_notifier.channels import journal, mail, zalo
from tiendo_notifier.channels.mail import Mail
from tiendo_notifier.channels.webhooks import Webhooks
from tiendo_notifier.channels.zalo import Zalo
from tiendo_notifier.rules.letters import Language
from tiendo_notifier.rules.messages import in_language
from tiendo_notifier.rules.tries import Answer


class Ways:
    """All channels. A context manager: what they hold is held as long."""

    #: Seconds that a try may take, by what a URL begins with; the longest beginning decides.
    TIMEOUTS: Mapping[str, float] = {
        "": Webhooks.TIMEOUT,
        mail.SCHEME: Mail.TIMEOUT,
        zalo.SCHEME: Zalo.TIMEOUT,
    }

    def __init__(self, webhooks: Webhooks, mail: Mail, zalo: Zalo) -> None:
        self._webhooks = webhooks
        self._mail = mail
        self._zalo = zalo
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._held.enter_async_context(self._webhooks)
        await self._held.enter_async_context(self._zalo)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.aclose()

    @staticmethod
    def is_signed(url: str) -> bool:
        """Whether what goes there is signed, and a secret is of any use."""
        return not url.startswith((mail.SCHEME, zalo.SCHEME))

    async def check(self, url: str, language: Language | None, secret: str | None) -> None:
        """Raise Invalid, or RefusedAddress, unless notices can be sent there in this language."""
        if url.startswith(mail.SCHEME):
            self._mail.check(url)
        elif url.startswith(zalo.SCHEME):
            self._zalo.check(url, language)
        else:
            await self._webhooks.check(url)
        if secret is not None and not self.is_signed(url):
            raise Invalid("Only webhooks are signed.", field="secret", remedy="Leave it out.")

    async def send(
        self, url: str, secrets: Sequence[str], language: Language | None, message_id: str, notice: str
    ) -> Answer:
        """One try. Never raises for what the receiver or the network does."""
        if url == journal.URL:
            return await journal.send(message_id, notice)
        if url.startswith(mail.SCHEME):
            return await self._mail.send(url, language, message_id, notice)
        if url.startswith(zalo.SCHEME):
            return await self._zalo.send(url, message_id, notice)
        return await self._webhooks.send(url, secrets, message_id, in_language(notice, language))
