"""The places that tell the defence: each thing is observed once, with its source and whether that is proved."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.config.model import Side
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind, Observation
from gateway.sip.message import Request
from gateway.transport.flow import Address, FailureKind, TransportFailure
from gateway.transport.tls.failures import failure
from gateway.transport.tls.handshake_log import Handshakes, TlsAgreed
from gateway.transport.wrong_port import WrongPorts
from tests.security.test_guesses import STRANGER, Office
from tests.support.signalling import TCP, TRUNK, Signalling


class Watched(Office):
    """An office whose observations are collected."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Observation] = []
        self.site.metrics.observations.read(self.noted.append)

    @property
    def kinds(self) -> list[tuple[Kind, bool]]:
        """What was observed of the stranger, and whether it is proved."""
        assert {one.host for one in self.noted} <= {STRANGER[0]}
        return [(one.kind, one.is_proved) for one in self.noted]


def test_nonsense_is_malformed_and_proved_by_a_connection_alone() -> None:
    office = Watched()
    office.site.datagram(b"GET / HTTP/1.1\r\n\r\n", STRANGER)
    peer = office.site.network.connect(TCP, STRANGER[0])
    office.site.network.settle()
    peer.send(b"GET / HTTP/1.1\r\nAuthorization: Basic c2VjcmV0\r\n\r\n")
    office.site.network.settle()

    assert office.kinds == [(Kind.MALFORMED, False), (Kind.MALFORMED, True)]
    assert all("c2VjcmV0" not in one.line for one in office.noted)
    assert all(one.line.endswith(": GET / HTTP/1.1") for one in office.noted)


def test_the_first_words_of_nonsense_have_no_half_of_a_password() -> None:
    """It is cut after 80 characters, and five digits would be taken for a port."""
    for length in range(60, 80):
        office = Watched()
        office.site.datagram(f"INVITE sip:{'x' * (length - 11)}:1234567890@192.0.2.1\r\n\r\n".encode(), STRANGER)
        (seen,) = office.noted
        assert ":1" not in seen.line.partition("sip:")[2]


@pytest.mark.parametrize(
    "begin",
    [
        b"WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n",
        b"WVNfX19zZW1jdGwgKCkgewky UNENCRYPTED_SRTP\r\n",
        b"k=clear:WVNfX19zZW1jdGwgKCkgewky\r\n",
        b'nonce, response="x", WVNfX19zZW1jdGwgKCkgewky\r\n',
    ],
)
def test_bytes_that_begin_within_a_key_are_no_evidence(begin: bytes) -> None:
    """A length that is told wrongly, or a piece of a stream, ends anywhere."""
    office = Watched()
    office.site.datagram(begin + b"\r\n", STRANGER)
    peer = office.site.network.connect(TCP, STRANGER[0])
    office.site.network.settle()
    peer.send(begin + b"\r\n")
    office.site.network.settle()

    assert office.kinds == [(Kind.MALFORMED, False), (Kind.MALFORMED, True)]
    assert all(one.line and not one.line.endswith(":") and "WVNf" not in one.line for one in office.noted)


def test_a_wrong_password_is_proved_by_the_nonce_that_went_there() -> None:
    office = Watched()
    office.tries("alice", STRANGER, "wrong")
    office.send("alice", STRANGER, "wrong", "made-up")
    assert office.kinds == [
        (Kind.CHALLENGED, False),
        (Kind.DIGEST_FAILED, True),
        (Kind.DIGEST_FAILED, False),
    ]
    assert office.noted[1].who == "alice@example.com"
    assert office.noted[1].line == "REGISTER sip:example.com"


def test_a_guess_that_is_answered_here_counts_too() -> None:
    office = Watched()
    for _ in range(7):
        office.tries("alice", STRANGER, "wrong")
    assert office.kinds.count((Kind.DIGEST_FAILED, True)) == 7
    assert len(office.seen) == 5


def test_a_right_password_is_granted() -> None:
    office = Watched()
    office.tries("alice", STRANGER, "right")
    assert office.kinds == [(Kind.CHALLENGED, False), (Kind.GRANTED, True)]


def test_a_right_password_for_a_call_is_granted_as_well() -> None:
    """A telephone system that never registers calls with the password of its line."""
    office = Watched()
    office.tries("alice", STRANGER, "right", method="INVITE", to="sip:bob@example.com")
    assert office.kinds == [(Kind.CHALLENGED, False), (Kind.GRANTED, True)]


@pytest.mark.parametrize("status", [403, 404])
def test_a_user_that_the_provider_does_not_know(status: int) -> None:
    office = Watched()
    office._judge = lambda asked, stale: office.site.answer(asked, status)  # type: ignore[method-assign]
    office.send("nobody", STRANGER)
    office.send("nobody", STRANGER, method="INVITE", to="sip:gone@example.com")
    assert office.kinds[0] == (Kind.USER_UNKNOWN, False)
    assert {one.kind for one in office.noted} == {Kind.USER_UNKNOWN}
    assert office.noted[0].who == "nobody@example.com"


@pytest.mark.parametrize("status", [403, 404])
def test_a_user_that_the_provider_does_not_know_after_an_announcement_of_its(status: int) -> None:
    """Many providers play "this number is not in use" in a 183 before the 404."""
    office = Watched()

    def judge(asked: Request, stale: bool) -> None:
        for one in (183, status):
            office.site.answer(asked, one)

    office._judge = judge  # type: ignore[method-assign]
    office.send("scanner", STRANGER, method="INVITE", to="sip:100@example.com")
    assert office.kinds == [(Kind.ANSWERED, False), (Kind.USER_UNKNOWN, False)]
    assert office.noted[1].who == "100@example.com"


def test_a_call_that_rings_and_is_answered_is_observed_once() -> None:
    office = Watched()

    def judge(asked: Request, stale: bool) -> None:
        for one in (180, 183, 200):
            office.site.answer(asked, one)

    office._judge = judge  # type: ignore[method-assign]
    office.send("scanner", STRANGER, method="INVITE", to="sip:100@example.com")
    assert office.kinds == [(Kind.ANSWERED, False)]


def test_a_phone_that_is_not_registered_where_it_has_to_be() -> None:
    office = Watched()
    office.site = Signalling(registered_callers_only=True)
    office.site.metrics.observations.read(office.noted.append)
    office.send("alice", STRANGER, method="INVITE", to="sip:bob@example.com")
    assert office.kinds == [(Kind.USER_UNKNOWN, False)]


def invite(domain: str) -> bytes:
    lines = (
        f"INVITE sip:100@{domain} SIP/2.0",
        "Via: SIP/2.0/UDP 198.18.0.66:5066;branch=z9hG4bK1",
        f"From: <sip:1@{domain}>;tag=1",
        f"To: <sip:100@{domain}>",
        "Call-ID: 1",
        "CSeq: 1 INVITE",
        "Contact: <sip:1@198.18.0.66:5066>",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_domain_that_is_not_served() -> None:
    office = Watched()
    office.site.datagram(invite("elsewhere.example"), STRANGER)
    assert office.kinds == [(Kind.USER_UNKNOWN, False)]
    assert office.noted[0].who == "100@elsewhere.example"


def test_a_stranger_at_the_providers_side() -> None:
    office = Watched()
    assert office.site.datagram(invite("example.com"), STRANGER, TRUNK) == []
    assert office.kinds == [(Kind.STRANGER, False)]
    assert office.noted[0].side == "provider"


class Shaking:
    """A connection that a peer began, or we."""

    def __init__(self, is_client: bool) -> None:
        self.is_client = is_client
        self.peer = self.source = STRANGER[0]
        self.side = Side.PHONES
        self.remote = Address(*STRANGER)
        self.name: str | None = None
        self.tls: TlsAgreed | None = None


@pytest.mark.parametrize(
    ("kind", "observed"),
    [
        (FailureKind.TLS, [Kind.TLS_FAILED]),
        (FailureKind.HANDSHAKE, [Kind.TLS_FAILED]),
        (FailureKind.CERTIFICATE, [Kind.CERTIFICATE]),
        (FailureKind.TIMEOUT, []),
        (FailureKind.SILENT, []),
        (FailureKind.CLOSED, []),
    ],
)
def test_a_handshake_that_fails_is_the_peers_deed_where_the_peer_began_it(
    kind: FailureKind, observed: list[Kind]
) -> None:
    metrics = Metrics(CollectorRegistry())
    noted: list[Observation] = []
    metrics.observations.read(noted.append)
    handshakes = Handshakes(metrics, WrongPorts((), lambda: 0.0))
    for is_client in (True, False):
        handshakes.failed(Shaking(is_client), TransportFailure(kind, "why"))
    assert [(one.kind, one.host, one.is_proved) for one in noted] == [(one, STRANGER[0], True) for one in observed]


@pytest.mark.parametrize("alert", ["unknown ca", "certificate expired", "bad certificate", "certificate unknown"])
def test_phones_that_do_not_trust_our_certificate_are_no_attack(alert: str) -> None:
    metrics = Metrics(CollectorRegistry())
    noted: list[Observation] = []
    metrics.observations.read(noted.append)
    said = failure(b"\x16\x03\x03", f"sslv3 alert {alert}", has_certificate=True)
    assert said.kind is FailureKind.HANDSHAKE
    Handshakes(metrics, WrongPorts((), lambda: 0.0)).failed(Shaking(is_client=False), said)
    assert noted == []


def test_a_reader_that_fails_keeps_no_other_from_reading() -> None:
    def fails(seen: Observation) -> None:
        raise ValueError(seen)

    office = Watched()
    office.site.metrics.observations.read(fails)
    later: list[Observation] = []
    office.site.metrics.observations.read(later.append)
    office.site.datagram(b"nonsense", STRANGER)
    assert len(later) == 1
