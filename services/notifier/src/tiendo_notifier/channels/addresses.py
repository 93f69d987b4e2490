"""Where a webhook may go.

The addresses that a name resolves to are checked, never its spelling, so that 0x7f.1, a decimal number or a
name that points inside are what they are. The sender dials the very address that was checked.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx2

from tiendo_notifier.errors import RefusedAddress

RESOLVE_SECONDS = 5.0
MAX_URL = 2_000
PORTS = {"http": 80, "https": 443}


def parse(text: str) -> httpx2.URL:
    """The URL. Raises RefusedAddress unless it is http or https, with a host and without credentials."""
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as error:
        raise _refused(f"This is not a URL: {error}", "Send https://host/path.") from None
    if url.scheme not in PORTS or not url.host:
        raise _refused("Only http and https URLs with a host can be called.", "Send https://host/path.")
    if url.userinfo:
        raise _refused("The URL holds a user name or password.", "Leave it out; check the signature instead.")
    if len(text) > MAX_URL:
        raise _refused(f"The URL is longer than {MAX_URL} characters.", "Send a shorter one.")
    return url


async def resolve(url: httpx2.URL, *, allow_private: bool) -> list[str]:
    """The addresses of the URL's host, all of them fit to be called. Raises RefusedAddress.

    One unfit address among them is enough to refuse: which of them a later look-up favours is not ours.
    """
    port = url.port or PORTS[url.scheme]
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise _refused(
            f"The host {url.host!r} does not resolve: {error or 'no answer in time'}.",
            "Check its spelling and the DNS of the machine that the notifier runs on.",
        ) from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private:
        for address in addresses:
            if not _is_public(ip_address(address)):
                raise _refused(
                    f"The host {url.host!r} has the address {address}, which is not a public one.",
                    "Send a public address, or set TIENDO_WEBHOOK_ALLOW_PRIVATE=true on the notifier.",
                )
    return addresses


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


def _refused(detail: str, remedy: str) -> RefusedAddress:
    return RefusedAddress(detail, field="url", remedy=remedy)
