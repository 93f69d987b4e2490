"""Where webhooks may go, and what a secret is."""

from ipaddress import ip_network

import pytest

from tiendo_common.errors import Invalid
from tiendo_notifier.channels.addresses import parse, resolve
from tiendo_notifier.channels.webhooks import check_secret, generate_secret
from tiendo_notifier.errors import RefusedAddress

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", [
    "", "example.org", "ftp://example.org/", "file:///etc/hosts", "https://", "http://me:pw@example.org/",
    "https://example.org/\x00", "https://example.org/" + "a" * 2000, "log:",
])  # fmt: skip
async def test_what_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(RefusedAddress):
        parse(url)


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "0.0.0.0", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "[::1]",
    "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[2002:7f00:1::]", "2130706433", "0x7f000001",
    "0177.0.0.1", "127.1", "100.64.0.1", "224.0.0.1",
])  # fmt: skip
async def test_private_addresses_are_refused_however_they_are_spelled(host: str) -> None:
    with pytest.raises(RefusedAddress) as refused:
        await resolve(parse(f"http://{host}/hook"))
    assert refused.value.field == "url"


async def test_public_addresses_are_let_through() -> None:
    assert await resolve(parse("http://1.1.1.1/hook")) == ["1.1.1.1"]


async def test_private_addresses_are_let_through_where_that_is_set() -> None:
    assert await resolve(parse("http://127.0.0.1:1/hook"), allowed=[ip_network("127.0.0.0/8")]) == [
        "127.0.0.1"
    ]


async def test_a_name_that_does_not_resolve_says_so() -> None:
    with pytest.raises(RefusedAddress, match="does not resolve"):
        await resolve(parse("http://nowhere.invalid/"))


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", "A" * 44, "whsec_" + "A" * 100]
)
async def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(Invalid):
        check_secret(secret)


async def test_a_generated_secret_is_one_and_new() -> None:
    check_secret(generate_secret())
    assert generate_secret() != generate_secret()
