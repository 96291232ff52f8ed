"""Doubts about configurations without mistakes."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.config.doubts import doubts, of_administration, of_media
from gateway.config.load import load
from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Listener, Media, Provider, Side
from tests.support.small_configuration import SMALLEST

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
        (Media("192.0.2.1"), [(1, "192.0.2.1")]),
        (Media("192.0.2.1", phone_address="2001:db8::1"), [(0, "2001:db8::1")]),
        (Media("2001:db8::1", provider_address="198.51.100.1"), [(0, "2001:db8::1")]),
        (Media("192.0.2.1", relay="rtpengine", rtpengine=("127.0.0.1:22222",)), []),
    ],
)
def test_a_listener_whose_media_is_of_the_other_version(media: Media, silent: list[tuple[int, str]]) -> None:
    found = [*of_media(configuration(media))]
    assert [one.path for one in found] == [f"listener[{index}].address" for index, _ in silent]
    assert all(address in one.text for one, (_, address) in zip(found, silent, strict=True))


@pytest.mark.parametrize(
    ("address", "count"), [("127.0.0.1", 0), ("127.9.0.1", 0), ("::1", 0), ("0.0.0.0", 1), ("::", 1), ("192.0.2.1", 1)]
)
def test_an_administration_that_the_network_reaches(address: str, count: int) -> None:
    assert len([*of_administration(Admin(address), has_users=False)]) == count
    assert len([*of_administration(Admin(address), has_users=True)]) == count, "it has no certificate"
    served = Admin(address, certificate=Path("gateway.pem"), private_key=Path("gateway.key"))
    assert len([*of_administration(served, has_users=False)]) == count
    assert not [*of_administration(served, has_users=True)]


def test_proxies_elsewhere_of_an_interface_that_speaks_no_https() -> None:
    near, far = ip_network("127.0.0.2"), ip_network("192.0.2.8")
    assert not [*of_administration(Admin(trusted_proxies=(near,)), has_users=True)]
    (doubt,) = of_administration(Admin(trusted_proxies=(near, far)), has_users=True)
    assert doubt.path == "admin.trusted_proxies"
    assert "192.0.2.8" in doubt.text


TEAMS = SMALLEST.replace("sip:provider.example.com", "sip:sip.pstnhub.microsoft.com:5061;transport=tls").replace(
    'side = "provider"\ntransport = "udp"',
    'side = "provider"\ntransport = "tls"\ncertificate = "a.pem"\nprivate_key = "a.pem"',
)


def test_teams_wants_a_name_of_the_certificate_in_contact(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("")
    file = tmp_path / "gateway.toml"
    for advertised, told in (("", 1), ('advertised_host = "192.0.2.10"', 1), ('advertised_host = "gw.example.com"', 0)):
        file.write_text(TEAMS.replace('certificate = "a.pem"', f'{advertised}\ncertificate = "a.pem"'))
        found = [str(one) for one in doubts(load(file)) if "Teams" in str(one)]
        assert len(found) == told
        assert all(one.startswith("listener[1].advertised_host: provider main is Teams") for one in found)


def test_teams_takes_no_sips(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("")
    file = tmp_path / "gateway.toml"
    file.write_text(
        TEAMS.replace('"sip:sip.pst', '"sips:sip.pst').replace(
            "certificate = ", 'advertised_host = "gw.example.com"\ncertificate = ', 1
        )
    )
    assert [str(one) for one in doubts(load(file)) if "Teams" in str(one)] == [
        "provider[0].uri: is sips: Teams takes sip with transport=tls alone"
    ]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('contact_host = "sbc1.contoso.com"', []),
        (
            'contact_host = "sbc1.contoso.com"\nping_seconds = 0',
            ["provider[0].ping_seconds: is 0: Teams sends no call before it was asked with OPTIONS"],
        ),
    ],
)
def test_teams_is_content_with_a_name_of_the_provider_and_wants_options(
    tmp_path: Path, keys: str, told: list[str]
) -> None:
    (tmp_path / "a.pem").write_text("")
    file = tmp_path / "gateway.toml"
    file.write_text(TEAMS.replace("\n[[domain]]", f"{keys}\n\n[[domain]]"))
    assert [str(one) for one in doubts(load(file)) if "Teams" in str(one)] == told
