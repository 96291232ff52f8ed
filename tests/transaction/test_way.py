"""A message belongs to a transaction only if its way does: the branch is no secret in clear (RFC 3261 section 17)."""

from __future__ import annotations

import pytest

from gateway.config.model import Side
from gateway.transport.flow import Address, PeerIdentity
from tests.support.flows import RecordingFlow, a_flow, listener_of
from tests.support.transactions import Bench, ack_of, make_request, outgoing

PROVIDER = PeerIdentity(names=("provider.example.com",), trust="system")


def stranger(transport: str = "udp", side: Side = Side.PHONES) -> RecordingFlow:
    return RecordingFlow(listener_of(transport, side), Address("127.0.0.99", 5060))


def tls(identity: PeerIdentity | None, connection: int) -> RecordingFlow:
    flow = a_flow("tls", Side.PROVIDER, connection=connection)
    flow.identity = identity
    return flow


@pytest.mark.parametrize("status", [100, 183, 200, 302, 407, 486])
def test_rfc3261_17_1_3_a_response_from_another_host_is_nobodys(status: int) -> None:
    bench = Bench()
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    (invite,) = bench.flow.requests("INVITE")
    bench.layer.receive(invite.response(status, to_tag="x"), stranger())
    assert bench.user.responses == []
    assert [stray.status for stray in bench.core.strays] == [status]
    bench.layer.receive(invite.response(status, to_tag="x"), a_flow(port=40000))
    assert bench.user.statuses == ([status] if status != 100 else [100])


def test_rfc3261_17_1_3_a_response_to_a_request_over_tls_never_comes_in_clear_or_from_nobody() -> None:
    bench = Bench("tls")
    own = tls(PROVIDER, 1)
    bench.layer.send_request(outgoing("INVITE"), own, bench.user)
    (invite,) = own.requests("INVITE")
    other = PeerIdentity(names=("other.example.com",), trust="system")
    for way in (a_flow("udp", Side.PROVIDER), a_flow("tcp", Side.PROVIDER), tls(None, 2), tls(other, 3)):
        bench.layer.receive(invite.response(200, to_tag="x"), way)
    assert bench.user.responses == []
    bench.layer.receive(invite.response(200, to_tag="x"), tls(PROVIDER, 4))
    assert bench.user.statuses == [200]


def test_rfc3261_9_2_a_cancel_from_another_host_finds_nothing() -> None:
    bench = Bench()
    bench.layer.receive(make_request("INVITE"), bench.flow)
    way = stranger()
    bench.layer.receive(make_request("CANCEL"), way)
    assert (bench.core.cancelled, way.statuses()) == ([], [481])
    bench.layer.receive(make_request("CANCEL"), a_flow(port=40000))
    assert len(bench.core.cancelled) == 1


def test_rfc3261_9_2_a_cancel_of_an_invite_over_tls_never_comes_in_clear() -> None:
    bench = Bench("tls")
    own = tls(PROVIDER, 1)
    bench.layer.receive(make_request("INVITE"), own)
    for way in (a_flow("udp", Side.PROVIDER), tls(None, 2)):
        bench.layer.receive(make_request("CANCEL"), way)
        assert (bench.core.cancelled, way.statuses()) == ([], [481])
    bench.layer.receive(make_request("CANCEL"), tls(PROVIDER, 3))
    assert len(bench.core.cancelled) == 1


def test_rfc3261_17_2_1_an_ack_from_another_host_does_not_end_the_copies_of_a_refusal() -> None:
    bench = Bench()
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    (transaction,) = bench.core.transactions
    refusal = invite.response(486, to_tag="x")
    transaction.respond(refusal)
    bench.layer.receive(ack_of(invite, refusal), stranger())
    bench.advance(0.6)
    assert bench.flow.statuses() == [486, 486]
    bench.layer.receive(ack_of(invite, refusal), bench.flow)
    bench.advance(5.0)
    assert bench.flow.statuses() == [486, 486]
    assert bench.core.acks == []


def test_rfc3261_17_2_3_a_copy_from_another_host_draws_no_answer() -> None:
    bench = Bench()
    options = make_request("OPTIONS")
    bench.layer.receive(options, bench.flow)
    bench.core.transactions[0].respond(options.response(200, to_tag="x"))
    bench.layer.receive(make_request("OPTIONS"), stranger())
    assert bench.flow.statuses() == [200]
    bench.layer.receive(make_request("OPTIONS"), bench.flow)
    assert bench.flow.statuses() == [200, 200]
    assert len(bench.core.transactions) == 1
