"""TLS between two transport layers: who is trusted, for what name, and what is said when nobody is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol

from gateway.transport.flow import FailureKind, PeerIdentity, TlsTerms
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.tls.identity import MAX_AUTHORITIES, Authorities, fingerprint
from tests.support.memory_network import MemoryNetwork, RawPeer
from tests.support.tls_authority import DAY, Authority
from tests.support.transport_gateways import LogLines, Site, options, trusting

CLIENT_HOST = "127.0.0.9"
NAME = "provider.example.com"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def client(network: MemoryNetwork, authority: Authority) -> Site:
    certificate, key = authority.issue("client", "sip:client.example.com")
    return Site(network, "tls", CLIENT_HOST, certificate=certificate, private_key=key)


def server(network: MemoryNetwork, files: tuple[Path, Path], **more: Any) -> Site:
    site = Site(network, "tls", certificate=files[0], private_key=files[1], **more)
    site.answers = True
    return site


def test_a_request_and_its_answer_over_a_verified_connection(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", f"sip:{NAME}"))
    near = client(network, authority)
    way = near.to(far, NAME, trusting(authority.file))
    way.flow.send(options("over-tls"))
    network.settle()
    assert far.call_ids == near.call_ids == ["over-tls"]
    assert way.flow.is_secure
    assert way.flow.identity == PeerIdentity(uris=(f"sip:{NAME}",), trust=authority.file)
    assert far.flows[0].identity is None
    assert near.count("tls_handshakes", side="provider", result="ok") == 1
    assert not way.failures


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ((f"sip:{NAME}",), NAME),
        ((f"SIP:{NAME.upper()}",), NAME),
        ((f"sip:{NAME};transport=tls",), NAME),
        ((NAME,), NAME.upper()),
        (("other.example.org", NAME), NAME),
        ((NAME,), f"{NAME}."),
        (("127.0.0.1",), "127.0.0.1"),
        (("::1",), "0:0:0:0:0:0:0:1"),
        ((f"https://{NAME}/", NAME), NAME),
    ],
)
def test_a_certificate_for_the_name_is_accepted(
    network: MemoryNetwork, authority: Authority, names: tuple[str, ...], wanted: str
) -> None:
    far = server(network, authority.issue("good", *names))
    way = client(network, authority).to(far, wanted, trusting(authority.file))
    way.flow.send(options())
    network.settle()
    assert not way.failures
    assert len(far.messages) == 1


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("sip:other.example.com",), NAME),
        (("other.example.com",), NAME),
        (("example.com",), NAME),
        ((f"sub.{NAME}",), NAME),
        (("*.example.com",), NAME),
        ((f"sip:user@{NAME}",), NAME),
        ((f"sips:{NAME}",), NAME),
        (("sip:other.example.com", NAME), NAME),  # a sip URI is there: DNS names do not count (RFC 5922 section 7.1)
        (("127.0.0.2", "provider.example.com"), "127.0.0.1"),
        (("sip:127.0.0.1",), "127.0.0.1"),
        (("127.0.0.1",), NAME),
        ((), NAME),
    ],
)
def test_a_certificate_for_another_name_is_refused(
    network: MemoryNetwork, authority: Authority, names: tuple[str, ...], wanted: str
) -> None:
    far = server(network, authority.issue("other", *names, common_name=wanted))
    way = client(network, authority).to(far, wanted, trusting(authority.file))
    way.flow.send(options())
    with LogLines() as log:
        network.settle()
    assert way.failure.kind is FailureKind.CERTIFICATE
    assert f"not for {wanted}" in way.failure.reason
    assert [(event["peer"], event["reason"]) for event in log.events] == [
        (f"{wanted} (127.0.0.1:5061)" if wanted != "127.0.0.1" else "127.0.0.1:5061", way.failure.reason)
    ]
    assert far.messages == []
    assert not way.flow.is_open


def test_a_wildcard_counts_only_on_terms_that_say_so(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("wild", "*.example.com"))
    near = client(network, authority)
    lenient = near.to(far, NAME, trusting(authority.file, allow_wildcards=True))
    strict = near.to(far, NAME, trusting(authority.file))
    lenient.flow.send(options())
    network.settle()
    assert lenient.flow.is_open
    assert strict.failure.kind is FailureKind.CERTIFICATE


def refused(network: MemoryNetwork, authority: Authority, files: tuple[Path, Path], trust: Path | str) -> str:
    """The reason for which a certificate that names the right domain is refused; nothing of a request gets through."""
    far = server(network, files)
    near = client(network, authority)
    way = near.to(far, NAME, TlsTerms(trust=trust))
    way.flow.send(options("never"))
    with LogLines() as log:
        network.settle()
    assert way.failure.kind is FailureKind.CERTIFICATE
    assert [event["reason"] for event in log.events] == [way.failure.reason]
    assert NAME in log.events[0]["peer"]
    assert far.messages == []
    assert near.count("tls_handshakes", side="provider", result="certificate") == 1
    assert near.layer.connection_count == 0
    return way.failure.reason


def test_an_expired_certificate_is_refused(network: MemoryNetwork, authority: Authority) -> None:
    files = authority.issue("old", NAME, begins=datetime.now(tz=UTC) - 10 * DAY, days=9)
    yesterday = datetime.now(tz=UTC) - DAY
    said = refused(network, authority, files, authority.file)
    assert said == f"expired on {yesterday:%Y-%m-%d}"


def test_a_certificate_of_the_future_is_refused(network: MemoryNetwork, authority: Authority) -> None:
    files = authority.issue("young", NAME, begins=datetime.now(tz=UTC) + timedelta(hours=2))
    assert refused(network, authority, files, authority.file).startswith("not yet valid, before 2")


def test_a_self_signed_certificate_is_refused(network: MemoryNetwork, authority: Authority) -> None:
    files = authority.issue("self", NAME, is_self_signed=True)
    assert refused(network, authority, files, authority.file) == "self-signed"


def test_an_unknown_authority_is_refused(network: MemoryNetwork, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Other CA")
    reason = refused(network, authority, other.issue("foreign", NAME), authority.file)
    assert reason.startswith("unknown authority")


def test_the_issuer_of_an_unknown_authority_is_told(
    network: MemoryNetwork, authority: Authority, tmp_path: Path
) -> None:
    near = client(network, authority)
    foreign = near.to(
        server(network, Authority(tmp_path, "Other CA").issue("foreign", NAME)), NAME, trusting(authority.file)
    )
    network.settle()
    assert "Other CA" in foreign.failure.found
    assert foreign.failure.found.startswith("it was issued by ")


def test_an_expired_certificate_is_told_with_its_names(network: MemoryNetwork, authority: Authority) -> None:
    files = authority.issue("old", NAME, begins=datetime.now(tz=UTC) - 10 * DAY, days=9)
    way = client(network, authority).to(server(network, files), NAME, trusting(authority.file))
    network.settle()
    assert way.failure.found == f"it is for {NAME}"


def test_an_impostor_of_the_authority_is_refused(network: MemoryNetwork, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "impostor").mkdir()
    impostor = Authority(tmp_path / "impostor", authority.name)
    reason = refused(network, authority, impostor.issue("foreign", NAME), authority.file)
    assert reason


def test_a_missing_intermediate_is_refused(network: MemoryNetwork, authority: Authority, tmp_path: Path) -> None:
    middle = Authority(tmp_path, "Middle CA", parent=authority)
    reason = refused(network, authority, middle.issue("short", NAME, with_chain=False), authority.file)
    assert reason.startswith("unknown authority")


def test_a_chain_through_an_intermediate_is_accepted(
    network: MemoryNetwork, authority: Authority, tmp_path: Path
) -> None:
    middle = Authority(tmp_path, "Middle CA", parent=authority)
    far = server(network, middle.issue("long", NAME))
    way = client(network, authority).to(far, NAME, trusting(authority.file))
    way.flow.send(options())
    network.settle()
    assert not way.failures


def test_the_authorities_of_the_system_do_not_include_ours(network: MemoryNetwork, authority: Authority) -> None:
    reason = refused(network, authority, authority.issue("good", NAME), "system")
    assert reason.startswith("unknown authority")


def test_a_certificate_made_for_clients_is_refused(network: MemoryNetwork, authority: Authority) -> None:
    files = authority.issue("client-only", NAME, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    assert "use" in refused(network, authority, files, authority.file)


def test_trust_that_cannot_be_read_fails_closed(network: MemoryNetwork, authority: Authority, tmp_path: Path) -> None:
    reason = refused(network, authority, authority.issue("good", NAME), tmp_path / "missing.pem")
    assert "missing.pem" in reason


# -- client certificates


def test_a_client_certificate_that_verifies_gives_the_flow_an_identity(
    network: MemoryNetwork, authority: Authority
) -> None:
    far = server(network, authority.issue("good", NAME), client_trust=authority.file)
    own = authority.issue("own", "sip:gateway.example.com", "gateway.example.com", "127.0.0.9")
    way = client(network, authority).to(far, NAME, trusting(authority.file, certificate=own[0], private_key=own[1]))
    way.flow.send(options())
    network.settle()
    names = ("sip:gateway.example.com",), ("gateway.example.com",), ("127.0.0.9",)
    assert far.flows[0].identity == PeerIdentity(*names, authority.file, fingerprint(authority.certificate))


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_rfc5922_a_client_whose_session_is_resumed_keeps_its_authority(
    network: MemoryNetwork, authority: Authority, version: int
) -> None:
    far = server(network, authority.issue("good", NAME), client_trust=authority.file)
    own = authority.issue("own", "gateway.example.com")
    near = client(network, authority)
    terms = trusting(authority.file, certificate=own[0], private_key=own[1])
    near.layer._tls.clients._context(terms).set_max_proto_version(version)
    for call_id in ("first", "again"):
        way = near.to(far, NAME, terms)
        way.flow.send(options(call_id))
        network.settle()
        way.flow.close()
        network.settle()
    authorities = [flow.identity.authority for flow in far.flows if flow.identity is not None]
    assert authorities == [fingerprint(authority.certificate)] * 2


def test_the_authorities_of_clients_are_bounded_and_forgotten() -> None:
    authorities = Authorities()
    assert authorities.of("resumed", None) == ""
    for number in range(MAX_AUTHORITIES + 1):
        authorities.of(f"client{number}", "root")
    assert authorities.of("client0", None) == ""
    assert authorities.of("client1", None) == "root"
    authorities.forget()
    assert authorities.of("client1", None) == ""


def test_a_client_without_certificate_has_no_identity(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", NAME), client_trust=authority.file)
    way = client(network, authority).to(far, NAME, trusting(authority.file))
    way.flow.send(options())
    network.settle()
    assert far.flows[0].identity is None


def test_a_client_certificate_of_an_unknown_authority_ends_the_connection(
    network: MemoryNetwork, authority: Authority, tmp_path: Path
) -> None:
    far = server(network, authority.issue("good", NAME), client_trust=authority.file)
    own = Authority(tmp_path, "Other CA").issue("own", "sip:gateway.example.com")
    near = client(network, authority)
    way = near.to(far, NAME, trusting(authority.file, certificate=own[0], private_key=own[1]))
    way.flow.send(options())
    with LogLines() as log:
        network.settle()
    assert [event["reason"].split(" (")[0] for event in log.events] == ["unknown authority"]
    assert log.events[0]["peer"].startswith("127.0.0.9:")
    assert far.messages == []
    assert far.count("tls_handshakes", side="provider", result="certificate") == 1
    assert way.failure.kind is FailureKind.HANDSHAKE  # the peer's alert: not our judgement of its certificate


# -- versions and peers that do not speak TLS


class PlainText(Protocol):
    """Answers whatever comes in clear, as a SIP element without TLS does."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


class HangsUp(Protocol):
    """Ends the connection at the first byte."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


@pytest.mark.parametrize("protocol", [PlainText, HangsUp])
def test_a_peer_that_does_not_speak_tls(network: MemoryNetwork, authority: Authority, protocol: type[Protocol]) -> None:
    network.listenTCP(5061, Factory.forProtocol(protocol), interface="127.0.0.1")
    near = client(network, authority)
    way = near.to(("127.0.0.1", 5061), NAME, trusting(authority.file))
    with LogLines() as log:
        network.settle()
    assert way.failure.kind is FailureKind.TLS
    assert log.events == []  # no certificate was judged
    assert near.count("tls_handshakes", side="provider", result="tls") == 1


def test_a_peer_that_says_nothing_is_waited_for_ten_seconds(network: MemoryNetwork, authority: Authority) -> None:
    network.listenTCP(5061, Factory.forProtocol(RawPeer), interface="127.0.0.1")
    near = client(network, authority)
    way = near.to(("127.0.0.1", 5061), NAME, trusting(authority.file))
    network.settle()
    network.pass_time(9)
    assert not way.failures
    network.pass_time(3)
    assert way.failure.kind is FailureKind.SILENT
    assert near.count("tls_handshakes", side="provider", result="timeout") == 1


def test_a_port_that_refuses(network: MemoryNetwork, authority: Authority) -> None:
    near = client(network, authority)
    way = near.to(("127.0.0.1", 5061), NAME, trusting(authority.file))
    network.settle()
    assert way.failure.kind is FailureKind.REFUSED
    assert "127.0.0.1:5061" in way.failure.reason
    assert near.count("tls_handshakes", side="provider", result="refused") == 1


def test_a_host_that_does_not_answer(network: MemoryNetwork, authority: Authority) -> None:
    network.silent.add(("127.0.0.1", 5061))
    way = client(network, authority).to(("127.0.0.1", 5061), NAME, trusting(authority.file))
    network.pass_time(12)
    assert way.failure.kind is FailureKind.TIMEOUT


def test_a_listener_answers_plain_text_with_an_end(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", NAME))
    peer = network.connect(far.place)
    peer.send(options())
    network.settle()
    assert peer.is_closed
    assert far.messages == []
    assert far.count("tls_handshakes", side="provider", result="tls") == 1
    assert far.layer.connection_count == 0


def test_old_versions_of_tls_are_refused(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", NAME))
    peer = network.connect(far.place)
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_min_proto_version(SSL.TLS1_VERSION)
    context.set_max_proto_version(SSL.TLS1_1_VERSION)
    hello = SSL.Connection(context, None)
    hello.set_connect_state()
    with pytest.raises(SSL.Error):
        hello.do_handshake()
    try:
        peer.send(hello.bio_read(65536))
    except SSL.WantReadError:
        pytest.skip("this OpenSSL has no TLS 1.1 to try with")
    network.settle()
    assert peer.is_closed
    assert far.count("tls_handshakes", side="provider", result="handshake") == 1


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_both_versions_carry_messages(network: MemoryNetwork, authority: Authority, version: int) -> None:
    far = server(network, authority.issue("good", NAME))
    near = client(network, authority)
    terms = trusting(authority.file)
    context = near.layer._tls.clients._context(terms)
    context.set_max_proto_version(version)
    context.set_min_proto_version(version)
    way = near.to(far, NAME, terms)
    way.flow.send(options("1"))
    way.flow.send(options("2"))
    network.settle()
    assert near.call_ids == ["1", "2"]


# -- sessions and reload


def test_a_second_connection_resumes_the_session(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", NAME))
    near = client(network, authority)
    moved: list[int] = []
    for call_id in ("full", "resumed", "full again"):
        way = near.to(far, NAME, trusting(authority.file))
        way.flow.send(options("1"))
        network.settle()
        moved.append(sum(connection.moved for connection in network.connections))
        assert way.flow.identity == PeerIdentity(names=(NAME,), trust=authority.file), call_id
        way.flow.close()
        network.settle()
        if call_id == "resumed":
            near.layer.reload()
    full, resumed, full_again = moved
    assert resumed < full - 300  # no certificate crossed
    assert abs(full_again - full) < 20
    assert len(near.messages) == 3


def test_a_session_is_not_resumed_for_another_name(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", NAME))
    near = client(network, authority)
    way = near.to(far, NAME, trusting(authority.file))
    way.flow.send(options())
    network.settle()
    other = near.to(far, "other.example.com", trusting(authority.file))
    network.settle()
    assert other.failure.kind is FailureKind.CERTIFICATE
    assert way.flow.is_open


def test_reload_serves_new_connections_and_leaves_the_others(network: MemoryNetwork, authority: Authority) -> None:
    far = server(network, authority.issue("good", NAME))
    near = client(network, authority)
    old = near.to(far, NAME, trusting(authority.file))
    old.flow.send(options("before"))
    network.settle()
    authority.issue("good", "renamed.example.com")
    far.layer.reload()
    near.layer.reload()
    renamed = near.to(far, "renamed.example.com", trusting(authority.file))
    renamed.flow.send(options("new"))
    old.flow.send(options("after"))
    network.settle()
    assert sorted(far.call_ids) == ["after", "before", "new"]
    assert not old.failures
    assert renamed.flow.identity == PeerIdentity(names=("renamed.example.com",), trust=authority.file)
    again = near.to(far, NAME, trusting(authority.file))
    network.settle()
    assert again.failure.kind is FailureKind.CERTIFICATE


def test_a_reload_that_fails_changes_nothing(network: MemoryNetwork, authority: Authority) -> None:
    certificate, key = authority.issue("good", NAME)
    far = server(network, (certificate, key))
    certificate.write_text("nonsense")
    with pytest.raises(CertificateError, match=r"good\.pem"):
        far.layer.reload()
    way = client(network, authority).to(far, NAME, trusting(authority.file))
    way.flow.send(options())
    network.settle()
    assert len(far.messages) == 1


def test_a_server_that_goes_on_failing_is_told_of_once(network: MemoryNetwork, authority: Authority) -> None:
    near = client(network, authority)

    def told() -> list[str]:
        """What is logged about one more attempt."""
        with LogLines("info", "warn") as log:
            near.to(("127.0.0.1", 5061), NAME, trusting(authority.file))
            network.settle()
        return [event["log_level"].name for event in log.events if NAME in event.get("peer", "")]

    assert [told(), told(), told()] == [["info"], [], []]
    far = server(network, authority.issue("other", "other.example.com"))
    assert [told(), told()] == [["warn"], []]
    authority.issue("other", NAME)
    far.layer.reload()
    assert told() == []
    far.layer.stop()
    network.settle()
    assert [told(), told()] == [["info"], []]
    assert near.count("tls_handshakes", side="provider", result="refused") == 5
    assert near.count("tls_handshakes", side="provider", result="certificate") == 2
