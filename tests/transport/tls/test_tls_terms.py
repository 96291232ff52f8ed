"""TLS on terms: versions, ciphers, wildcards, common names, client certificates, each as it is configured."""

from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from gateway.config.model import Provider
from gateway.transport.flow import FailureKind, PeerIdentity, TlsTerms
from gateway.transport.tls import contexts as tls
from gateway.transport.tls.identity import fingerprint
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.transport_gateways import LogLines, Site, Watched, options, trusting

NAME = "provider.example.com"
CBC = "ECDHE-ECDSA-AES128-SHA256"
GCM = "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server(network: MemoryNetwork, authority: Authority, *names: str, **more: Any) -> Site:
    certificate, key = authority.issue("server", *(names or (NAME,)))
    site = Site(network, "tls", certificate=certificate, private_key=key, **more)
    site.answers = True
    return site


def client(network: MemoryNetwork, authority: Authority) -> Site:
    certificate, key = authority.issue("client", "client.example.com")
    return Site(network, "tls", "127.0.0.9", certificate=certificate, private_key=key)


def asked(near: Site, far: Site, terms: TlsTerms) -> Watched:
    """The flow that a request was sent over, after everything has happened."""
    way = near.to(far, NAME, terms)
    way.flow.send(options())
    with LogLines():
        near.network.settle()
    return way


def only(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """Contexts made from here on speak just this version."""
    made = tls._new_context

    def limited(minimum: str = "1.2", ciphers: str | None = None) -> SSL.Context:
        context = made(minimum, ciphers)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        return context

    monkeypatch.setattr(tls, "_new_context", limited)


@pytest.mark.parametrize(
    ("peer", "minimum", "gets_through"),
    [
        (SSL.TLS1_2_VERSION, "1.2", True),
        (SSL.TLS1_3_VERSION, "1.2", True),
        (SSL.TLS1_2_VERSION, "1.3", False),
        (SSL.TLS1_3_VERSION, "1.3", True),
    ],
)
def test_the_least_version_toward_a_server(
    network: MemoryNetwork,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    peer: int,
    minimum: str,
    gets_through: bool,
) -> None:
    with monkeypatch.context() as patch:
        only(patch, peer)
        far = server(network, authority)
    way = asked(client(network, authority), far, trusting(authority.file, minimum=minimum))
    assert [failure.kind for failure in way.failures] == ([] if gets_through else [FailureKind.HANDSHAKE])
    assert len(far.messages) == gets_through


@pytest.mark.parametrize(
    ("peer", "minimum", "gets_through"),
    [
        (SSL.TLS1_2_VERSION, "1.2", True),
        (SSL.TLS1_2_VERSION, "1.3", False),
        (SSL.TLS1_3_VERSION, "1.3", True),
    ],
)
def test_the_least_version_of_a_listener(
    network: MemoryNetwork,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    peer: int,
    minimum: str,
    gets_through: bool,
) -> None:
    far = server(network, authority, tls_minimum=minimum)
    near = client(network, authority)
    with monkeypatch.context() as patch:
        only(patch, peer)
        asked(near, far, trusting(authority.file))
    assert len(far.messages) == gets_through


@pytest.mark.parametrize(
    ("listener", "terms", "gets_through"),
    [(GCM, GCM, True), (CBC, CBC, True), (GCM, CBC, False), (None, "AES128-SHA", False), (None, CBC, True)],
)
def test_a_peer_that_has_only_ciphers_that_are_not_wanted(
    network: MemoryNetwork,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    listener: str | None,
    terms: str,
    gets_through: bool,
) -> None:
    only(monkeypatch, SSL.TLS1_2_VERSION)
    far = server(network, authority, ciphers=listener)
    way = asked(client(network, authority), far, trusting(authority.file, ciphers=terms))
    assert [failure.kind for failure in way.failures] == ([] if gets_through else [FailureKind.HANDSHAKE])
    assert len(far.messages) == gets_through


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_client_without_the_certificate_that_is_required(
    network: MemoryNetwork, authority: Authority, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    only(monkeypatch, version)
    far = server(network, authority, client_trust=authority.file, require_client_certificate=True)
    way = asked(client(network, authority), far, trusting(authority.file))
    assert way.failure.kind is FailureKind.HANDSHAKE
    assert way.failure.reason.startswith("it asks for a certificate of ours (")
    assert far.messages == []
    assert far.count("tls_handshakes", side="provider", result="ok") == 0


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_client_with_the_certificate_that_is_required_also_resumes(
    network: MemoryNetwork, authority: Authority, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    only(monkeypatch, version)
    far = server(network, authority, client_trust=authority.file, require_client_certificate=True)
    certificate, key = authority.issue("own", "sip:gateway.example.com")
    terms = trusting(authority.file, certificate=certificate, private_key=key)
    near = client(network, authority)
    asked(near, far, terms).flow.close()
    network.settle()
    asked(near, far, terms)
    root = fingerprint(authority.certificate)
    identity = PeerIdentity(uris=("sip:gateway.example.com",), trust=authority.file, authority=root)
    assert [flow.identity for flow in far.flows] == [identity] * 2


# -- names


@pytest.mark.parametrize(
    ("names", "common_name", "counts", "accepted"),
    [
        ((), NAME, True, True),
        ((), NAME, False, False),
        ((), NAME.upper(), True, True),
        (("other.example.com",), NAME, True, False),  # "if and only if the subjectAltName does not appear"
        (("https://example.com/",), NAME, True, False),
        ((), "*.example.com", True, False),
    ],
)
def test_the_common_name_counts_only_on_terms_that_say_so(
    network: MemoryNetwork,
    authority: Authority,
    names: tuple[str, ...],
    common_name: str,
    counts: bool,
    accepted: bool,
) -> None:
    certificate, key = authority.issue("server", *names, common_name=common_name)
    far = Site(network, "tls", certificate=certificate, private_key=key)
    way = asked(client(network, authority), far, trusting(authority.file, common_name=counts))
    assert [failure.kind for failure in way.failures] == ([] if accepted else [FailureKind.CERTIFICATE])
    if accepted:
        assert way.flow.identity == PeerIdentity(names=(NAME,), trust=authority.file)


def test_an_address_is_never_a_common_name(network: MemoryNetwork, authority: Authority) -> None:
    certificate, key = authority.issue("server", common_name="127.0.0.1")
    far = Site(network, "tls", certificate=certificate, private_key=key)
    way = client(network, authority).to(far, "127.0.0.1", trusting(authority.file, common_name=True))
    with LogLines():
        network.settle()
    assert way.failure.kind is FailureKind.CERTIFICATE


# -- from the configuration


def test_the_terms_of_a_provider_are_those_of_its_configuration(tmp_path: Path) -> None:
    given = {
        "trust": tmp_path / "ca.pem",
        "certificate": tmp_path / "own.pem",
        "private_key": tmp_path / "own.key",
        "allow_wildcards": True,
        "common_name": True,
    }
    more = {"ciphers": GCM, **given}
    provider = Provider("main", f"sip:{NAME}", tls_minimum="1.3", contact_host="sbc1.contoso.com", **more)  # type: ignore[arg-type]
    assert TlsTerms.of(provider) == TlsTerms(minimum="1.3", own_host="sbc1.contoso.com", **more)  # type: ignore[arg-type]


def test_a_provider_is_told_the_name_that_it_knows_us_by(network: MemoryNetwork, authority: Authority) -> None:
    """RFC 3261 sections 8.1.1.8 and 18.1.1: Contact and Via; another provider at the same place gets the listener's."""
    far, near = server(network, authority), client(network, authority)
    named = near.to(far, NAME, trusting(authority.file, own_host="sbc1.contoso.com")).flow
    plain = near.to(far, NAME, trusting(authority.file)).flow
    assert named is not plain
    assert (named.advertised.host, named.advertised.port) == ("sbc1.contoso.com", plain.advertised.port)
    assert named.contact == f"sbc1.contoso.com:{plain.advertised.port};transport=tls"
    assert named.sent_by == f"SIP/2.0/TLS sbc1.contoso.com:{plain.advertised.port}"
    assert "contoso" not in plain.contact + plain.sent_by


def test_connections_on_different_terms_are_never_shared(network: MemoryNetwork, authority: Authority) -> None:
    far, near = server(network, authority), client(network, authority)
    given: list[dict[str, object]] = [
        {},
        {"minimum": "1.3"},
        {"ciphers": GCM},
        {"allow_wildcards": True},
        {"common_name": True},
    ]
    flows = [near.to(far, NAME, trusting(authority.file, **more)).flow for more in given]
    network.settle()
    assert len({flow.key for flow in flows}) == len(given)
    assert all(flow.is_open for flow in flows)
    assert near.to(far, NAME, trusting(authority.file)).flow is flows[0]
