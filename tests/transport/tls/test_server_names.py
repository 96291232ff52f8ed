"""Several certificates at one address, chosen by the name in the client's hello (RFC 6066 section 3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from gateway.config.model import NamedCertificate, Side
from gateway.transport.flow import PeerIdentity
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.tls.reload import LOOK_EVERY
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.transport_gateways import Site, Watched, options, trusting

FIRST, SECOND, WILD = "gw.example.com", "sip.example.net", "*.example.org"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class House:
    """A listener with three certificates, and a client."""

    def __init__(self, network: MemoryNetwork, authority: Authority, **more: Any) -> None:
        self.network, self.authority = network, authority
        certificate, key = authority.issue("first", FIRST)
        others = tuple(NamedCertificate(*authority.issue(name[-11:], name)) for name in (SECOND, WILD))
        self.far = Site(network, "tls", certificate=certificate, private_key=key, certificates=others, **more)
        self.far.answers = True
        certificate, key = authority.issue("near", "near.example.com")
        self.near = Site(network, "tls", "127.0.0.9", certificate=certificate, private_key=key)

    def connect(self, name: str) -> Watched:
        """A connection to the server of that name."""
        way = self.near.to(self.far, name, trusting(self.authority.file, allow_wildcards=True))
        way.flow.send(options())
        self.network.settle()
        return way


@pytest.mark.parametrize(
    ("name", "names"),
    [(FIRST, FIRST), (SECOND, SECOND), (SECOND.upper(), SECOND), ("pbx.example.org", WILD)],
)
def test_a_client_gets_the_certificate_for_the_name_that_it_asks_for(
    network: MemoryNetwork, authority: Authority, name: str, names: str
) -> None:
    house = House(network, authority)
    way = house.connect(name)
    assert way.flow.identity == PeerIdentity(names=(names,), trust=authority.file)
    assert not way.failures


@pytest.mark.parametrize("name", ["elsewhere.example", "example.org", "a.b.example.org"])
def test_a_client_that_asks_for_another_name_gets_the_first(
    network: MemoryNetwork, authority: Authority, name: str
) -> None:
    house = House(network, authority)
    way = house.connect(name)
    assert way.failures, "and it is not for that name"
    assert house.near.count("tls_handshakes", side="provider", result="certificate") == 1


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize(
    ("asked", "names"), [(None, FIRST), (b"\xff\xfe", FIRST), (b"x" * 250, FIRST), (b"sip.example.net", SECOND)]
)
def test_phones_without_a_name_get_the_first(
    network: MemoryNetwork, authority: Authority, asked: bytes | None, names: str, version: int
) -> None:
    server = House(network, authority).far.layer._tls._servers["main"]
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    phone = SSL.Connection(context, None)
    phone.set_connect_state()
    if asked is not None:
        phone.set_tlsext_host_name(asked)
    serving = server.connection()
    for _ in range(4):
        for one, other in ((phone, serving), (serving, phone)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65_536))
            except SSL.WantReadError:
                pass
    shown = phone.get_peer_certificate()
    assert shown is not None
    assert names in str(shown.to_cryptography().extensions)


def test_a_change_of_any_file_is_read_and_those_that_are_up_live_on(
    network: MemoryNetwork, authority: Authority
) -> None:
    house = House(network, authority)
    before = house.connect(SECOND)
    certificate, _ = authority.issue(SECOND[-11:], SECOND, "new.example.net")
    os.utime(certificate, ns=(0, certificate.stat().st_mtime_ns + 1_000_000))
    network.pass_time(LOOK_EVERY + 1)
    assert house.connect("new.example.net").flow.identity is not None
    before.flow.send(options("still"))
    network.settle()
    assert "still" in house.far.call_ids


def test_one_that_cannot_be_used_leaves_all_as_they_were(network: MemoryNetwork, authority: Authority) -> None:
    house = House(network, authority)
    (authority.directory / f"{SECOND[-11:]}.key").write_text("nonsense")
    with pytest.raises(CertificateError, match=SECOND[-11:]):
        house.far.layer._tls.reload()
    assert not house.connect(SECOND).failures
    assert not house.connect(FIRST).failures


def test_the_expiry_of_each_is_told(network: MemoryNetwork, authority: Authority) -> None:
    house = House(network, authority)
    reports = house.far.layer.certificate_reports()
    beside = [f"main {authority.directory}/{name[-11:]}.pem" for name in (SECOND, WILD)]
    assert [*reports] == ["main", *beside]
    authority.issue(SECOND[-11:], SECOND, days=5)
    told: list[tuple[str, str | None]] = []
    house.far.metrics.events.subscribe(lambda number, event: told.append((str(event.name), event.who)))
    house.far.layer._tls.reload()
    assert ("certificate.expiring", beside[0]) in told
    assert house.far.metrics.value("gateway_certificate_expiry_seconds", {"listener": beside[0]})


def test_the_name_of_the_listener_may_be_on_any_of_them(network: MemoryNetwork, authority: Authority) -> None:
    on_second = House(network, authority, advertised_host=SECOND, side=Side.PROVIDER)
    assert not any("not for" in one for one in on_second.far.layer.certificate_reports()["main"].warnings)
