"""Services of vendors that are reached through Apprise, and what may be said of them.

Apprise knows more than a hundred services. Most of them dial a host that the URL names, or read files, or talk to the
machine itself; whoever may make a destination would then decide whom this server calls. So only services whose host the
vendor fixes are here, each looked at by us.
"""

import re
from typing import NamedTuple

SCHEME = "apprise:"
#: What a URL begins with, and whom it calls.
VENDORS = {
    "discord": "discord.com",
    "gchat": "chat.googleapis.com",
    "line": "api.line.me",
    "pover": "api.pushover.net",
    "slack": "slack.com",
    "tgram": "api.telegram.org",
    "twilio": "api.twilio.com",
}
#: No query: it could switch certificates off, follow redirects, or read a template from a file or an address.
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([!-~]{1,500})")
_OPTIONS = re.compile(r"[?#]")


class Service(NamedTuple):
    """A vendor's service: its schema, and the tokens and names that follow, which are secret."""

    schema: str
    rest: str

    @property
    def url(self) -> str:
        """As Apprise is to read it. A long text comes in parts, and a redirect would lead to another host."""
        return f"{self.schema}://{self.rest}?overflow=split&format=text&redirect=no&verify=yes"


class NotOne(ValueError):
    """Not a service that may be called; `remedy` says what may."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(said)
        self.remedy = remedy


def service_of(url: str) -> Service:
    """The service that a destination's URL names. Raises NotOne."""
    allowed = ", ".join(f"{schema}://" for schema in VENDORS)
    found = _URL.fullmatch(url.removeprefix(SCHEME))
    if found is None:
        raise NotOne("What follows apprise: is no URL of a service.", f"Send one of {allowed}.")
    schema, rest = found.groups()
    if schema not in VENDORS:
        raise NotOne(
            f"{schema}:// calls a host, or reads something, that the URL names.",
            f"Send one of {allowed}; or an https URL, which is guarded.",
        )
    if _OPTIONS.search(rest):
        raise NotOne("A service's URL cannot have options here.", "Leave out what begins with ? or #.")
    return Service(schema, rest)


def shown(url: str) -> str:
    """A destination's URL as it may be shown: of a vendor's service without its tokens."""
    return f"{url.partition('://')[0]}://…" if url.startswith(SCHEME) else url


def without_secrets(text: str, service: Service) -> str:
    """What was said of a try, without the tokens that the URL has."""
    # The longest first: one may be part of another.
    for piece in sorted(re.split(r"[/:@,]", service.rest), key=len, reverse=True):
        if len(piece) >= 4:
            text = text.replace(piece, "…")
    return text
