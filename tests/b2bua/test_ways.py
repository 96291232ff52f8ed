"""Messages of a call that come another way than the call's own, as ladders."""

from __future__ import annotations

import pytest

from gateway.sip.uri import Uri
from gateway.transaction.client import make_cancel
from gateway.transport.flow import Address, FailureKind, PeerIdentity, Target, Transport
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import ring, talk


def test_rfc3261_13_3_1_4_the_ack_of_a_call_on_tls_never_comes_in_clear() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", b""))
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    answer = ladder.provider.receives_response(200)
    ladder.clear.acknowledges(ladder.provider.invite(), answer, SAVP)
    ladder.phone.receives_nothing()
    ladder.provider.acknowledges(ladder.provider.invite(), answer, SAVP)
    ladder.phone.receives("ACK")


def numeric(ladder: Ladder, uri: Uri) -> Target:
    """The target of a provider with a numeric host."""
    return Target(Transport(uri.transport or "udp"), Address("198.51.100.21", 5061), uri.host)


def test_a_provider_with_a_numeric_host_is_called_without_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ladder, "at_once", numeric)
    monkeypatch.setattr(Ladder, "locate", None)
    talk(Ladder())


def test_a_bug_on_the_way_to_a_numeric_host_ends_the_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ladder, "at_once", numeric)
    monkeypatch.setattr(Ladder, "flow_to", None)
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite(sdp=b""))
    ladder.phone.receives(100)
    ladder.phone.receives(500)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "NOTIFY", "MESSAGE"])
def test_rfc3261_12_2_2_a_verified_call_is_not_continued_by_a_connection_of_nobody(method: str) -> None:
    ladder = Ladder()
    ladder.provider_flow.identity = PeerIdentity(names=("provider.example.com",), trust="system")
    onward, _ = talk(ladder)
    ladder.provider_flow.fail(FailureKind.CLOSED)
    ladder.reconnect_provider()
    ladder.provider.sends(ladder.provider.within_answered(onward, method, sdp=SAVP if method == "INVITE" else b""))
    ladder.provider.receives(481)
    ladder.phone.receives_nothing()
    ladder.provider_flow.identity = PeerIdentity(names=("provider.example.com",), trust="system")
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE", cseq=2))
    ladder.provider.receives(200)


def test_rfc3261_9_2_a_stranger_cannot_cancel_a_call_in_clear() -> None:
    ladder = Ladder()
    invite, _ = ring(ladder)
    cancel = make_cancel(invite)
    stranger = ladder.stranger()
    stranger.sends(cancel)
    stranger.receives(481)
    ladder.provider.receives_nothing()
    ladder.phone.sends(cancel)
    ladder.phone.receives(200)


def test_rfc3261_17_1_3_a_stranger_cannot_answer_a_call_on_tls() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.clear.answers(onward, 200, sdp=SAVP)
    ladder.phone.receives_nothing()
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.phone.receives(200)
