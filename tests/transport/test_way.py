"""The flows that speak for a peer: which other one a response, and which a request of the same peer may come over."""

from __future__ import annotations

import pytest

from gateway.config.model import Listener, Side
from gateway.transport.flow import Address, PeerIdentity
from gateway.transport.way import Strength, is_same_peer, may_answer, may_ask
from tests.support.flows import RecordingFlow, listener_of

ME = PeerIdentity(names=("b.example.com", "sip.b.example.com"), trust="system")


def flow(
    transport: str = "udp",
    host: str = "192.0.2.21",
    port: int = 5060,
    identity: PeerIdentity | None = None,
    name: str | None = None,
    side: Side = Side.PROVIDER,
) -> RecordingFlow:
    made = RecordingFlow(listener_of(transport, side), Address(host, port))
    made.identity, made.name = identity, name
    return made


TLS = flow("tls", identity=ME, name="b.example.com")
NOBODY = flow("tls")


def test_rfc3261_18_2_2_a_response_over_udp_comes_from_the_host_of_its_request() -> None:
    assert may_answer(flow("udp"), flow("udp"))
    assert may_answer(flow("udp"), flow("udp", port=40000))
    assert not may_answer(flow("udp"), flow("udp", "192.0.2.99"))
    assert not may_answer(flow("udp"), flow("udp", side=Side.PHONES))
    assert not may_answer(flow("udp"), flow("tcp"))
    other = RecordingFlow(Listener("other", Side.PROVIDER, "udp", "127.0.0.20", 5070), Address("192.0.2.21", 5060))
    assert not may_answer(flow("udp"), other)


def test_rfc3261_18_2_2_a_response_over_tcp_comes_over_the_connection_of_its_request() -> None:
    own = flow("tcp")
    assert may_answer(own, own)
    assert not may_answer(own, flow("tcp"))
    assert not may_answer(own, flow("udp"))
    assert not may_answer(own, TLS)


def test_rfc3261_26_a_response_over_tls_comes_from_the_same_verified_peer() -> None:
    assert may_answer(TLS, flow("tls", "192.0.2.77", identity=ME))
    assert may_answer(NOBODY, NOBODY)
    for other in (
        NOBODY,
        flow("udp"),
        flow("tcp"),
        flow("tls", identity=PeerIdentity(names=("a.test",), trust="system")),
    ):
        assert not may_answer(TLS, other)
    assert not may_answer(NOBODY, flow("tls"))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rfc3261_12_2_2_a_request_in_clear_comes_from_the_host_of_its_dialog(transport: str) -> None:
    own = flow(transport)
    assert may_ask(own, flow(transport, port=40000))
    assert may_ask(own, flow("tcp" if transport == "udp" else "udp"))
    assert may_ask(own, flow("tls"))
    assert not may_ask(own, flow(transport, "192.0.2.99"))
    assert not may_ask(own, flow("tls", "192.0.2.99", identity=ME))
    assert not may_ask(own, flow(transport, side=Side.PHONES))


def test_rfc3261_12_2_2_a_request_of_a_verified_peer_comes_from_the_same_verified_peer() -> None:
    assert may_ask(TLS, flow("tls", "192.0.2.77", identity=ME))
    for other in (NOBODY, flow("udp"), flow("tcp")):
        assert not may_ask(TLS, other)


def test_rfc3261_12_2_2_a_request_over_tls_with_nobody_comes_over_tls_from_its_host() -> None:
    assert may_ask(NOBODY, flow("tls", port=40000))
    assert may_ask(NOBODY, TLS)
    assert not may_ask(NOBODY, flow("tls", "192.0.2.99"))
    assert not may_ask(NOBODY, flow("udp"))


def test_rfc5922_7_a_peer_is_the_same_by_the_name_that_was_meant() -> None:
    assert is_same_peer(TLS, flow("tls", identity=PeerIdentity(names=("b.example.com",), trust="system")))
    assert not is_same_peer(TLS, flow("tls", identity=PeerIdentity(names=("sip.b.example.com",), trust="system")))
    wildcard = PeerIdentity(names=("*.example.com",), trust="system")
    assert is_same_peer(
        flow("tls", identity=wildcard, name="c.example.com"), flow("tls", identity=wildcard, name="c.example.com")
    )
    assert not is_same_peer(TLS, flow("tls", identity=wildcard, name="c.example.com"))


def test_rfc5922_7_a_peer_that_connected_is_the_same_by_all_its_names_and_its_authority() -> None:
    came = PeerIdentity(names=("b.example.com",), trust="bundle.pem", authority="root of b")
    own = flow("tls", identity=came)
    assert is_same_peer(own, flow("tls", identity=came))
    for other in (
        PeerIdentity(names=("b.example.com",), trust="bundle.pem", authority="root of a"),
        PeerIdentity(names=("b.example.com",), trust="system"),
        PeerIdentity(names=("c.example.com",), trust="bundle.pem", authority="root of b"),
        None,
    ):
        assert not is_same_peer(own, flow("tls", identity=other))
    nameless = PeerIdentity(trust="bundle.pem", authority="root of b")
    assert not is_same_peer(flow("tls", identity=nameless), flow("tls", identity=nameless))


def test_the_strength_of_a_flow() -> None:
    assert [Strength.of(one) for one in (flow("udp"), flow("tcp"), NOBODY, TLS)] == [0, 0, 1, 2]
