"""The scene is read from the gateway's configuration, and the guide tells of it."""

from pathlib import Path

import pytest
from attrs import evolve

from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Listener, Media, Provider, Side
from gateway.demo.printout import guide
from gateway.demo.roles import Scene, Unsuitable, set_scene
from gateway.transport.flow import Address

CONFIGURATION = Configuration(
    gateway=GatewaySection("gw1", Path("/state")),
    listeners=(
        Listener("provider", Side.PROVIDER, "tls", "127.0.0.20", 5061),
        Listener("phones", Side.PHONES, "udp", "127.0.0.20", 5060),
    ),
    media=Media("127.0.0.20"),
    providers=(Provider("main", "sip:127.0.0.21:5061;transport=tls"),),
    domains=(Domain("example.com", "main"),),
    admin=Admin("127.0.0.20", 8080),
    source=Path("/demo.toml"),
)


def scene(configuration: Configuration = CONFIGURATION) -> Scene:
    return set_scene(configuration, Address("127.0.0.11", 5070), Path("provider.pem"), Path("provider.key"))


def test_every_port_but_those_for_audio_is_needed() -> None:
    assert [str(needed) for needed in scene().needed_ports()] == [
        "127.0.0.20:5061/tcp",
        "127.0.0.20:5060/udp",
        "127.0.0.20:8080/tcp",
        "127.0.0.21:5061/tcp",
        "127.0.0.11:5070/udp",
    ]


def test_the_phone_belongs_to_the_domain() -> None:
    assert scene().account.aor == "sip:alice@example.com"
    assert str(scene().phones) == "127.0.0.20:5060"


def test_a_gateway_without_udp_phones_is_unsuitable() -> None:
    with pytest.raises(Unsuitable, match="phones over udp"):
        scene(evolve(CONFIGURATION, listeners=CONFIGURATION.listeners[:1]))


@pytest.mark.parametrize("uri", ["sip:provider.example.com:5061;transport=tls", "sip:127.0.0.21;transport=tls"])
def test_a_provider_without_address_or_port_is_unsuitable(uri: str) -> None:
    with pytest.raises(Unsuitable, match="'main' needs a numeric address and a port"):
        scene(evolve(CONFIGURATION, providers=(Provider("main", uri),)))


def test_guide() -> None:
    text = guide(scene(), "c1")
    assert "  127.0.0.20:5060/udp          the gateway's listener 'phones' (side: phones)" in text
    assert "127.0.0.20:20000-29999/udp" in text
    assert "Point a softphone on this machine at 127.0.0.20:5060 (UDP, no SRTP) as user bob, password" in text
    assert "http://127.0.0.20:8080/metrics" in text
    assert "gatewayctl call c1 --url http://127.0.0.20:8080\n" in text
