"""Where a webhook may go.

The addresses that a name resolves to are checked, never its spelling, so that 0x7f.1, a decimal number or a
name that points inside are what they are. The sender dials the very address that was checked.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx2

from tiendo_notifier.errors import RefusedAddress

Network = IPv4Network | IPv6Network
#: Finds the addresses of a host and port.
LookUp = Callable[[str, int], Awaitable[list[str]]]
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
        raise _refused(
            "Only http and https URLs with a host can be called.",
            "Send https://host/path, mailto:name@host, or zalo:84 and the nine digits of a mobile number.",
        )
    if url.userinfo:
        raise _refused("The URL holds a user name or password.", "Leave it out; check the signature instead.")
    if len(text) > MAX_URL:
        raise _refused(f"The URL is longer than {MAX_URL} characters.", "Send a shorter one.")
    return url


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system finds them. Raises OSError, UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def resolve(
    url: httpx2.URL, *, allowed: Sequence[Network] = (), look_up: LookUp = look_up
) -> list[str]:
    """The addresses of the URL's host, all of them public or in one of the `allowed` networks. Raises RefusedAddress.

    One unfit address among them is enough to refuse: which of them a later look-up favours is not ours.
    """
    port = url.port or PORTS[url.scheme]
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            addresses = await look_up(url.host, port)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise _refused(
            f"The host {url.host!r} does not resolve: {error or 'no answer in time'}.",
            "Check its spelling and the DNS of the machine that the notifier runs on.",
        ) from None
    for address in addresses:
        number = ip_address(address)
        if not _is_public(number) and not any(number in network for network in allowed):
            raise _refused(
                f"The host {url.host!r} has the address {address}, which is not a public one.",
                "Send a public address, or add its network to TIENDO_WEBHOOK_ALLOW on the notifier (10.1.2.0/24, say).",
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
