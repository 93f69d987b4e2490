"""Services of vendors through Apprise: chats and messengers. An extra: without it, no destination can be one."""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tiendo_common.errors import Invalid
from tiendo_notifier.rules.letters import Language, letter
from tiendo_notifier.rules.tries import Answer
from tiendo_notifier.rules.vendors import VENDORS, NotOne, Service, service_of, without_secrets

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

_PLUGINS = {
    "discord": "Discord",
    "gchat": "GoogleChat",
    "line": "Line",
    "pover": "Pushover",
    "slack": "Slack",
    "tgram": "Telegram",
    "twilio": "Twilio",
}
_MODULES = {"gchat": "google_chat"}
#: Loading it takes a while: not before it is needed.
INSTALLED = find_spec("apprise") is not None


class Vendors:
    """Sends notices as plain text. A context manager: it holds threads.

    Apprise waits for answers in the thread that asks. So there are a few threads for it and no more, none of which the
    other channels need; a try that has no thread in time counts as a try.
    """

    #: For all of a try. What has begun goes on in its thread, for as long as Apprise lets a vendor be silent (4 s to
    #: connect and 4 s for each part of an answer): it may arrive after all, and once more with the next try.
    TIMEOUT = 20.0
    THREADS = 8

    def __init__(self, link: str | None) -> None:
        """`link`: what stands before a notice's path; None: no link is given."""
        self._link = link
        self._threads: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        self._threads = ThreadPoolExecutor(self.THREADS, "vendors")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, url: str) -> None:
        """Raise Invalid unless notices can be sent there. Nothing is called."""
        try:
            service = service_of(url)
        except NotOne as wrong:
            raise Invalid(str(wrong), field="url", remedy=wrong.remedy) from None
        if not INSTALLED:
            raise Invalid(
                "This notifier is installed without Apprise.",
                field="url",
                remedy="Install it with the extra: pip install 'tiendo-notifier[apprise]'.",
            )
        if await asyncio.to_thread(_made, service) is None:
            raise Invalid(
                f"Apprise cannot read this as a URL of {VENDORS[service.schema]}.",
                field="url",
                remedy="Apprise's documentation shows what follows the scheme: tokens, then who is told.",
            )

    async def send(self, url: str, language: Language | None, notice: str) -> Answer:
        """One try. Never raises for what the vendor or the network does. Apprise says only whether it was taken:
        nothing tells a recipient who is gone from a network that is down, so every refusal is tried again."""
        service = service_of(url)
        if not INSTALLED:
            return Answer(error="Apprise is not installed any more")
        assert self._threads is not None, "used outside its context"
        said = letter(notice, language, self._link)
        try:
            async with asyncio.timeout(self.TIMEOUT):
                error = await asyncio.get_running_loop().run_in_executor(
                    self._threads, _tell, service, said.subject, said.text
                )
        except TimeoutError:
            return Answer(error=f"not taken within {self.TIMEOUT:g} s")
        return Answer(error=error)


def plugin_class(schema: str) -> "type[NotifyBase]":
    """Apprise's plugin for a schema: it alone is loaded, of more than a hundred."""
    name = _PLUGINS[schema]
    module = import_module(f"apprise.plugins.{_MODULES.get(schema, name.lower())}")
    found: type[NotifyBase] = getattr(module, f"Notify{name}")
    return found


def _made(service: Service) -> "NotifyBase | None":
    """What speaks with the service; None: it cannot read the URL."""
    from apprise import AppriseAsset

    kind = plugin_class(service.schema)
    parsed = kind.parse_url(service.url)
    if not parsed:
        return None
    # Nothing is remembered between calls, in files least of all.
    asset = AppriseAsset(storage_mode="memory", http_redirects=False, secure_logging=True)
    try:
        return kind(**parsed, asset=asset)
    except TypeError:
        # What plugins raise for tokens that cannot be any.
        return None


def _tell(service: Service, title: str, body: str) -> str | None:
    """Say it to the vendor; why it was not taken, None: it was."""
    plugin = _made(service)
    if plugin is None:
        return "Apprise cannot read the URL any more"
    with _Said() as said:
        if plugin.notify(body=body, title=title):
            return None
    return without_secrets(said.last or f"{VENDORS[service.schema]} did not take it", service)[:300]


class _Said(logging.Handler):
    """The last complaint that Apprise logs in this thread: it gives no other reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = " ".join(record.getMessage().split())

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
