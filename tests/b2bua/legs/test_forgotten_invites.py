"""Answers to INVITEs that were given up: one is hung up where the INVITE went, and one from elsewhere is nobody's."""

from __future__ import annotations

import pytest

from gateway.b2bua.legs import forgotten_invites
from gateway.config.model import Listener, Provider, Security, Side
from gateway.sip.message import Request
from gateway.transport.flow import Address, FailureKind, Flow, PeerIdentity
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, CLEAR, PROVIDER, SAVP, Ladder, Party, drain

NAMED = PeerIdentity(names=("provider.example.com",), trust="system")
TCP = Listener("clear-tcp", Side.PROVIDER, "tcp", "198.51.100.1", 5060)


def in_clear() -> Ladder:
    """A gateway whose provider is reached over UDP."""
    return Ladder(Security.OFF, provider=Provider("main", "sip:provider.example.com;transport=udp"))


def give_up(ladder: Ladder, party: Party, call_id: str = "c0") -> Request:
    """A call to a host that is silent; its INVITE."""
    for one in (party, ladder.phone):
        list(drain(one))  # copies for an earlier call
    ladder.phone.sends(ladder.phone.invite(call_id=call_id))
    ladder.phone.receives(100)
    lost = party.receives_request("INVITE")
    ladder.clock.pump([1.0] * 40)
    ladder.phone.receives(408)
    list(drain(party))
    return lost


def party_at(ladder: Ladder, listener: Listener, host: str, port: int = 5066) -> Party:
    """Somebody on the provider's side."""
    return Party(ladder, RecordingFlow(listener, Address(host, port), 9), f"{host}:{port}")


def is_hung_up(party: Party) -> None:
    """The party got the ACK and the BYE, and nothing else."""
    party.receives("ACK")
    party.receives("BYE")
    party.receives_nothing()


def test_rfc3261_13_2_2_4_a_stranger_in_clear_gets_neither_ack_nor_bye_of_a_forgotten_invite() -> None:
    ladder = in_clear()
    lost = give_up(ladder, ladder.clear)
    stranger = party_at(ladder, CLEAR, "192.0.2.66")
    stranger.answers(lost, 200, sdp=AVP)
    stranger.receives_nothing()
    ladder.clear.receives_nothing()
    ladder.clear.answers(lost, 200, sdp=AVP)
    is_hung_up(ladder.clear)


def test_rfc3261_18_2_2_an_answer_from_another_port_of_the_host_is_hung_up_where_the_invite_went() -> None:
    ladder = in_clear()
    lost = give_up(ladder, ladder.clear)
    other = party_at(ladder, CLEAR, "198.51.100.21")
    other.answers(lost, 200, sdp=AVP)
    other.receives_nothing()
    is_hung_up(ladder.clear)


@pytest.mark.parametrize("identity", [None, PeerIdentity(names=("other.example.com",), trust="system")])
def test_rfc5922_an_answer_to_a_forgotten_invite_on_tls_comes_from_the_same_name_or_is_nobodys(
    identity: PeerIdentity | None,
) -> None:
    ladder = Ladder()
    ladder.provider_flow.identity = NAMED
    lost = give_up(ladder, ladder.provider)
    ladder.provider_flow.fail(FailureKind.CLOSED)
    stranger = party_at(ladder, PROVIDER, "198.51.100.21")
    stranger.flow.identity = identity
    for other in (stranger, ladder.clear):
        other.answers(lost, 200, sdp=SAVP)
        other.receives_nothing()
    again = party_at(ladder, PROVIDER, "198.51.100.22")
    again.flow.identity = NAMED
    again.answers(lost, 200, sdp=SAVP)
    is_hung_up(again)


def test_rfc3261_17_1_3_an_answer_under_another_branch_is_nobodys() -> None:
    ladder = in_clear()
    lost = give_up(ladder, ladder.clear)
    branch = lost.top_via.branch
    assert branch is not None
    via = lost.headers.get("Via") or ""
    lost.headers.set("Via", via.replace(branch, "z9hG4bKguessed"))
    ladder.clear.answers(lost, 200, sdp=AVP)
    ladder.clear.receives_nothing()
    lost.headers.set("Via", via)
    ladder.clear.answers(lost, 200, sdp=AVP)
    is_hung_up(ladder.clear)


class Narrow(RecordingFlow):
    """UDP to a host that takes all requests over TCP."""

    __slots__ = ("wide",)
    wide: Flow

    def wider(self, size: int) -> Flow | None:
        """The connection."""
        return self.wide


def test_rfc3261_18_1_1_a_long_invite_that_went_over_tcp_is_answered_over_that_connection_alone() -> None:
    ladder = in_clear()
    narrow, connection = Narrow(CLEAR, Address("198.51.100.21", 5060)), party_at(ladder, TCP, "198.51.100.21", 5060)
    narrow.wide = connection.flow
    ladder.clear_flow = ladder.clear.flow = narrow
    lost = give_up(ladder, connection)
    another = party_at(ladder, TCP, "198.51.100.21", 5070)
    another.answers(lost, 200, sdp=AVP)
    ladder.clear.answers(lost, 200, sdp=AVP)
    for party in (another, ladder.clear, connection):
        party.receives_nothing()
    connection.answers(lost, 200, sdp=AVP)
    is_hung_up(connection)


def test_number_and_time_of_forgotten_invites_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten_invites, "MOST", 2)
    ladder = in_clear()
    forgotten = ladder.parts.b2bua.forgotten
    first, *_, last = [give_up(ladder, ladder.clear, f"c{number}") for number in range(3)]
    assert len(forgotten) == 2
    ladder.clear.answers(first, 200, sdp=AVP)
    ladder.clear.receives_nothing()
    ladder.clear.answers(last, 200, sdp=AVP)
    is_hung_up(ladder.clear)
    ladder.clock.pump([60.0] * 12)
    give_up(ladder, ladder.clear, "c3")
    assert len(forgotten) == 1
