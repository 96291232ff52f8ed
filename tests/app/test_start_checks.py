"""Which listeners have media of the other version of IP."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.start_checks import mismatched
from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Listener, Media, Provider, Side

PHONES, PHONES6 = (Listener(f"p{host}", Side.PHONES, "udp", host, 5060) for host in ("192.0.2.1", "2001:db8::1"))
PROVIDER = Listener("provider", Side.PROVIDER, "udp", "198.51.100.1", 5060)


def configuration(media: Media) -> Configuration:
    return Configuration(
        gateway=GatewaySection("gw", Path("/nowhere")),
        listeners=(PHONES, PHONES6, PROVIDER),
        media=media,
        providers=(Provider("main", "sip:provider.example.com"),),
        domains=(Domain("example.com", "main"),),
        admin=Admin(),
        source=Path("/nowhere/gateway.toml"),
    )


@pytest.mark.parametrize(
    ("media", "silent"),
    [
        (Media("192.0.2.1"), [(PHONES6, "192.0.2.1")]),
        (Media("192.0.2.1", phone_address="2001:db8::1"), [(PHONES, "2001:db8::1")]),
        (Media("2001:db8::1", provider_address="198.51.100.1"), [(PHONES, "2001:db8::1")]),
        (Media("192.0.2.1", relay="rtpengine", rtpengine=("127.0.0.1:22222",)), []),
    ],
)
def test_a_listener_whose_media_is_of_the_other_version(media: Media, silent: list[tuple[Listener, str]]) -> None:
    assert [*mismatched(configuration(media))] == silent
