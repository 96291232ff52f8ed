"""A provider that did better before: noticed in calls, refused or allowed as the domain says."""

from __future__ import annotations

import pytest

from gateway.config.model import Downgrade, Security
from gateway.security.policy.peer_memory import LACK_SECONDS, Peer
from gateway.security.policy.terms import Capability
from gateway.sip.message import Request, Response
from gateway.transport.flow import FailureKind
from tests.support.ladder import AVP, SAVP, Ladder

FALLBACK = "sip:provider.example.com;transport=udp"
PROVIDER = Peer("main", "sip:provider.example.com;transport=tls")


def seasoned(downgrade: Downgrade) -> Ladder:
    """A gateway that has had an encrypted call with this provider."""
    ladder = Ladder(Security.PREFERRED, FALLBACK, downgrade)
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.receives(200)
    assert ladder.memory.known(PROVIDER) == Capability(tls=True, srtp=True)
    return ladder


def call_again(ladder: Ladder) -> Request:
    invite = ladder.phone.invite(call_id="c2")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    return invite


def counted(ladder: Ladder, feature: str, result: str) -> float:
    return ladder.metrics.value("gateway_downgrades_total", {"feature": feature, "result": result}) or 0.0


def test_a_blocked_port_after_tls_is_refused_where_told_so() -> None:
    ladder = seasoned(Downgrade.REFUSE)
    ladder.provider_flow.sent.clear()
    call_again(ladder)
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    refused = ladder.phone.receives_response(503)
    assert "REFUSED_DOWNGRADE" in (refused.headers.get("Warning") or "")
    ladder.clear.receives_nothing()
    assert counted(ladder, "tls", "refused") == 1


def test_a_blocked_port_after_tls_is_allowed_and_told_where_told_so() -> None:
    ladder = seasoned(Downgrade.ALERT)
    call_again(ladder)
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    ladder.clear.answers(ladder.clear.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives(200)
    assert counted(ladder, "tls", "allowed") == 1
    assert ladder.memory.known(PROVIDER).tls is True, "one blocked port does not make it forgotten"


@pytest.mark.parametrize("downgrade", list(Downgrade))
def test_srtp_that_is_answered_with_rtp_after_srtp_was(downgrade: Downgrade) -> None:
    ladder = seasoned(downgrade)
    call_again(ladder)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488, tag="t2")
    ladder.provider.receives("ACK")
    if downgrade is Downgrade.REFUSE:
        ladder.phone.receives(488)
        ladder.provider.receives_nothing()
    else:
        ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=AVP, tag="t3")
        ladder.phone.receives(200)
    assert counted(ladder, "srtp", "refused" if downgrade is Downgrade.REFUSE else "allowed") == 1


@pytest.mark.parametrize("downgrade", list(Downgrade))
def test_srtp_that_becomes_rtp_within_a_call(downgrade: Downgrade) -> None:
    ladder = Ladder(Security.PREFERRED, FALLBACK, downgrade)
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=AVP)
    record = next(ladder.calls.records())
    if downgrade is Downgrade.REFUSE:
        assert (record.state, record.verdict, record.reason) == ("ended", "REFUSED", "REFUSED_DOWNGRADE")
    else:
        assert (record.state, record.verdict, record.reason) == (
            "established",
            "SIGNALLING_ONLY",
            "CLEAR_PEER_NO_SRTP",
        )
    assert sum(counted(ladder, "srtp", result) for result in ("refused", "allowed")) == 1


def test_a_provider_without_tls_is_not_tried_again_for_a_while() -> None:
    ladder = Ladder(Security.PREFERRED, FALLBACK)
    call_again(ladder)
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    ladder.clear.answers(ladder.clear.receives_request("INVITE"), 486)
    ladder.clear.receives("ACK")
    ladder.phone.receives(486)
    assert ladder.memory.known(PROVIDER).tls is False
    ladder.phone.sends(ladder.phone.invite(call_id="c3"))
    ladder.clear.receives("INVITE")
    ladder.clock.advance(LACK_SECONDS)
    assert ladder.memory.known(PROVIDER).tls is None
    assert counted(ladder, "tls", "allowed") == 0


@pytest.mark.parametrize("downgrade", list(Downgrade))
def test_an_inbound_call_in_clear_from_a_provider_that_did_tls(downgrade: Downgrade) -> None:
    ladder = seasoned(downgrade)
    ladder.clear.sends(ladder.clear.invite("sip:alice-1@gw.example.com", AVP, call_id="c9"))
    ladder.clear.receives(100)
    if downgrade is Downgrade.REFUSE:
        ladder.clear.receives(503)
    else:
        ladder.phone.receives("INVITE")
    assert counted(ladder, "tls", "refused" if downgrade is Downgrade.REFUSE else "allowed") == 1


def test_media_that_is_put_to_rest_is_no_media_in_clear() -> None:
    ladder = Ladder(Security.REQUIRED)
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    resting = SAVP.replace(b"m=audio 6000", b"m=audio 0")
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=resting.partition(b"a=crypto")[0])
    record = next(ladder.calls.records())
    assert (record.state, record.verdict) == ("established", "ENCRYPTED_TO_PROVIDER")


def answered_by_phone(ladder: Ladder, offer: bytes, answer: bytes) -> tuple[Request, Response]:
    """A call from the provider that is up: (INVITE as the phone got it, 200 as the provider got it)."""
    invite = ladder.provider.invite("sip:alice-1@gw.example.com;transport=tls", offer)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=answer)
    ladder.phone.receives("ACK")
    settled = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(invite, settled)
    return onward, settled


def test_rfc_3264_section_8_provider_that_has_come_to_srtp_is_offered_no_less() -> None:
    """The phone's hold would else take the call back to RTP, by an act of the gateway's own."""
    ladder = Ladder()
    onward, settled = answered_by_phone(ladder, AVP, AVP)
    change = ladder.provider.within(settled, "INVITE", sdp=SAVP)
    ladder.provider.sends(change)
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    ladder.provider.acknowledges(change, ladder.provider.receives_response(200))
    ladder.phone.sends(ladder.phone.within_answered(onward, "INVITE", sdp=AVP + b"a=sendonly\r\n"))
    assert b"RTP/SAVP" in ladder.provider.receives_request("INVITE").body


def test_rfc_3264_section_5_1_call_that_began_without_streams_gets_encrypted_ones() -> None:
    ladder = Ladder(Security.REQUIRED)
    without = [sdp.replace(b"audio 4000", b"audio 0").replace(b"audio 6000", b"audio 0") for sdp in (SAVP, AVP)]
    onward, _ = answered_by_phone(ladder, *without)
    ladder.phone.sends(ladder.phone.within_answered(onward, "INVITE", sdp=AVP))
    assert b"RTP/SAVP" in ladder.provider.receives_request("INVITE").body
