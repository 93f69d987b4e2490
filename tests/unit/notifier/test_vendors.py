"""Which services of vendors may be called, and what is never said of them."""

import re

import pytest

from tiendo_notifier.channels.vendors import plugin_class
from tiendo_notifier.rules.vendors import VENDORS, NotOne, Service, service_of, shown, without_secrets

TELEGRAM = "apprise:tgram://123456789:abcdefg_hijklmnop/-1001234567890"


def test_a_service_is_its_scheme_and_what_follows() -> None:
    service = service_of(TELEGRAM)
    assert service == Service("tgram", "123456789:abcdefg_hijklmnop/-1001234567890")
    assert service.url.endswith("?overflow=split&format=text&redirect=no&verify=yes")


@pytest.mark.parametrize("url", [
    "apprise:",
    "apprise:tgram:",
    "apprise:tgram://",
    "apprise:json://127.0.0.1:8401/v1/intakes",
    "apprise:jsons://intranet/",
    "apprise:xml://localhost/",
    "apprise:form://10.0.0.1/",
    "apprise:mailto://user:pass@mail.example.vn",
    "apprise:file:///etc/passwd",
    "apprise:syslog://",
    "apprise:dbus://",
    "apprise:windows://",
    "apprise:mqtt://10.0.0.1/topic",
    "apprise:gotify://10.0.0.1/token",
    "apprise:matrix://user:pass@10.0.0.1/room",
    "apprise:https://discord.com/api/webhooks/1/2",
    "apprise:TGRAM://123456789:abcdefg_hijklmnop/1",
    "apprise:tgram://123456789:abcdefg_hijklmnop/1?verify=no",
    "apprise:discord://1/2?template=file:///etc/passwd",
    "apprise:discord://1/2#x",
    "apprise:tgram://123456789:abc /1",
    "apprise:tgram://…",
])  # fmt: skip
def test_what_calls_a_host_of_the_senders_choice_or_has_options_is_refused(url: str) -> None:
    with pytest.raises(NotOne) as refused:
        service_of(url)
    assert refused.value.remedy


@pytest.mark.parametrize(("schema", "host"), VENDORS.items())
def test_the_vendor_fixes_the_host_in_the_apprise_that_is_installed(schema: str, host: str) -> None:
    plugin = plugin_class(schema)
    told = [value for name in dir(plugin) if name != "setup_url" for value in [getattr(plugin, name)]]
    called = [
        re.match(r"https?://([^/]*)", each)
        for value in told
        for each in (value if isinstance(value, tuple | list) else [value])
        if isinstance(each, str)
    ]
    hosts = {found.group(1) for found in called if found}
    assert host in hosts
    # Nothing is put into a host, and the others are the vendor's, too.
    assert not any("{" in each for each in hosts)
    domain = ".".join(host.split(".")[-2:])
    assert all(each.endswith((domain, *ALSO.get(schema, ()))) for each in hosts)


#: Other domains of the same vendor: where its documentation is, or a cloud of its own.
ALSO = {
    "discord": ("discord.com",),
    "gchat": ("chat.google.com",),
    "line": ("line.me",),
    "slack": ("slack-gov.com",),
}


def test_tokens_are_neither_shown_nor_said() -> None:
    assert shown(TELEGRAM) == "apprise:tgram://…"
    assert shown("https://example.org/hook") == "https://example.org/hook"
    said = "404 of https://api.telegram.org/bot123456789:abcdefg_hijklmnop/sendMessage for -1001234567890"
    assert (
        without_secrets(said, service_of(TELEGRAM))
        == "404 of https://api.telegram.org/bot…:…/sendMessage for …"
    )
