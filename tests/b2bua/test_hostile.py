"""Peers that try to be heard in clear, or to be called encrypted when they are not, as no honest one does."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, KEY, SAVP, Ladder, drain
from tests.support.stories import came, nothing_is_left, ring, talk

MOVED = SAVP.replace(b"6000", b"6100")
VIDEO = b"m=video 6002 RTP/AVP 99\r\n"
LISTED = (("Allow", "INVITE, UPDATE, PRACK"),)


def claim(ladder: Ladder) -> str:
    return next(ladder.calls.records()).verdict


def inbound(ladder: Ladder, sdp: bytes = SAVP, supported: str = "") -> tuple[Request, Request]:
    """The provider calls: (its INVITE, the phone's)."""
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp)
    if supported:
        invite.headers.add("Supported", supported)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    return invite, ladder.phone.receives_request("INVITE")


def test_rfc3264_section_8_1_a_second_line_in_clear_does_not_join_an_encrypted_call() -> None:
    ladder = Ladder(Security.REQUIRED)
    onward, _ = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=SAVP + VIDEO))
    assert came(ladder.provider) == ["100 INVITE", "488 INVITE"]
    assert len(ladder.relay.asked) == asked
    ladder.phone.receives_nothing()
    assert claim(ladder) == "ENCRYPTED_TO_PROVIDER"


def test_rfc3264_section_8_2_line_that_was_switched_off_does_not_come_back_in_clear() -> None:
    ladder = Ladder(Security.REQUIRED)
    onward, _ = talk(ladder)
    off = SAVP.replace(b"m=audio 6000", b"m=audio 0")
    invite = ladder.provider.within_answered(onward, "INVITE", sdp=off, cseq=1)
    ladder.provider.sends(invite)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP.replace(b"4000", b"0"))
    ladder.provider.receives(100)
    ladder.provider.acknowledges(invite, ladder.provider.receives_response(200))
    ladder.phone.receives("ACK")
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=AVP, cseq=2))
    assert came(ladder.provider) == ["488 UPDATE"]
    ladder.phone.receives_nothing()


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_rfc3264_section_5_answer_in_clear_in_an_ack_is_judged_before_the_relay(security: Security) -> None:
    """The provider asks for our offer by a re-INVITE without one, and answers it with RTP in its ACK."""
    ladder = Ladder(security)
    onward, _ = talk(ladder)
    invite = ladder.provider.within_answered(onward, "INVITE", cseq=1)
    ladder.provider.sends(invite)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.provider.receives(100)
    offered = ladder.provider.receives_response(200)
    assert offered.body == SAVP
    before = len(ladder.relay.asked)
    ladder.provider.acknowledges(invite, offered, sdp=AVP)
    if security is Security.REQUIRED:
        assert len(ladder.relay.asked) == before
        assert came(ladder.provider) == ["BYE"]
        assert came(ladder.phone) == ["ACK", "BYE"]
        assert claim(ladder) == "REFUSED"
    else:
        assert claim(ladder) == "SIGNALLING_ONLY"


def test_rfc3262_section_5_offer_in_clear_in_a_prack_of_the_provider_is_refused() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = inbound(ladder, supported="100rel")
    ladder.phone.answers(onward, 183, sdp=AVP, fields=(("Require", "100rel"), ("RSeq", "1"), *LISTED))
    ladder.phone.receives("PRACK")
    early = ladder.provider.receives_response(183)
    prack = ladder.provider.within(early, "PRACK", sdp=AVP, cseq=2)
    prack.headers.add("RAck", f"{early.headers.get('RSeq')} 1 INVITE")
    asked = len(ladder.relay.asked)
    ladder.provider.sends(prack)
    assert came(ladder.provider) == ["488 PRACK"]
    ladder.phone.receives_nothing()
    assert len(ladder.relay.asked) == asked


def test_rfc3311_section_5_1_answer_in_clear_to_an_early_update_ends_the_call() -> None:
    ladder = Ladder(Security.REQUIRED)
    invite = ladder.phone.invite()
    invite.headers.add("Supported", "100rel")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    fields = (("Require", "100rel"), ("RSeq", "1"), *LISTED)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=fields)
    ladder.provider.receives("PRACK")
    early = ladder.phone.receives_response(183)
    prack = ladder.phone.within(early, "PRACK", cseq=2)
    prack.headers.add("RAck", f"{early.headers.get('RSeq')} 1 INVITE")
    ladder.phone.sends(prack)
    ladder.phone.receives(200)
    ladder.phone.sends(ladder.phone.within(early, "UPDATE", sdp=AVP, cseq=3))
    asked = len(ladder.relay.asked)
    ladder.provider.answers(ladder.provider.receives_request("UPDATE"), 200, sdp=AVP)
    assert ("answer", "caller", "callee") not in ladder.relay.asked[asked:]
    assert "CANCEL" in came(ladder.provider)
    assert claim(ladder) == "REFUSED"


@pytest.mark.parametrize(
    "line",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTCP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^4",
        f"1 NULL_HMAC_SHA1_80 inline:{KEY}",
        f"7 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:-4]}",
    ],
)
def test_rfc4568_section_6_3_answer_with_a_key_that_protects_nothing_is_not_called_encrypted(line: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    weak = SAVP[: SAVP.index(b"a=crypto")] + f"a=crypto:{line}\r\n".encode()
    ladder.provider.answers(onward, 200, sdp=weak)
    assert claim(ladder) in ("REFUSED", "")
    assert not [one for one in drain(ladder.phone) if isinstance(one, Response) and one.status == 200]
    assert ("answer", "caller", "callee") not in ladder.relay.asked


def test_rfc4568_section_7_1_4_fork_that_answers_late_in_clear_leaves_no_claim() -> None:
    """A fork in clear, an UPDATE of it to SRTP, and another that answers with SRTP: the first could be heard."""
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=AVP, tag="t1", fields=(("Require", "100rel"), ("RSeq", "1")))
    ladder.provider.receives("PRACK")
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=SAVP, tag="t1"))
    ladder.phone.receives(183)
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 200, sdp=AVP)
    ladder.clock.advance(1)
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="t2")
    assert claim(ladder) == "SIGNALLING_ONLY"


@pytest.mark.parametrize("status", [405, 422, 500, 503])
def test_rfc3261_section_20_33_peer_that_has_us_try_again_at_once_gets_no_storm(status: int) -> None:
    """Each refusal of a refresh says that it may come again now, each 422 wants one second more."""
    ladder = Ladder()
    invite, onward = ring(ladder)
    fields = (("Session-Expires", "1800;refresher=uac"), ("Require", "timer"), *LISTED)
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=fields)
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(200))
    ladder.clock.advance(900)
    refreshes = 0
    for number in range(200):
        for request in drain(ladder.provider):
            if isinstance(request, Request) and request.method in ("UPDATE", "INVITE"):
                refreshes += 1
                more = (("Retry-After", "0"), ("Min-SE", str(2000 + number)), *LISTED)
                ladder.provider.answers(request, status, fields=more)
        ladder.clock.advance(0.05)
    assert 2 <= refreshes <= 22  # in ten seconds: a 405 to UPDATE lets a re-INVITE follow
    assert len(ladder.calls) == 1


def test_rfc3261_section_14_1_refusal_with_a_description_changes_nothing_even_with_a_key() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "UPDATE", sdp=AVP + b"a=sendonly\r\n", cseq=2))
    ladder.provider.answers(ladder.provider.receives_request("UPDATE"), 606, sdp=MOVED)
    assert ladder.phone.receives_response(606).body == b""
    assert ladder.relay.offers[-1] == AVP, "the relay has the offer of before again"
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs == SAVP


def test_rfc3261_section_9_2_cancelled_change_that_was_accepted_all_the_same_counts() -> None:
    """CANCEL and 200 cross: the provider has the change in force, so that the gateway must have it, too."""
    ladder = Ladder()
    _, answer = talk(ladder)
    invite = ladder.phone.within(answer, "INVITE", sdp=AVP.replace(b"4000", b"4100"), cseq=2)
    ladder.phone.sends(invite)
    change = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(change, 100)
    cancel = ladder.phone.request("CANCEL", invite.uri, call_id=invite.call_id, cseq=2)
    for name in ("Via", "From", "To"):
        cancel.headers.set(name, invite.headers.get(name) or "")
    ladder.phone.sends(cancel)
    assert "CANCEL" in came(ladder.provider)
    ladder.provider.answers(change, 200, sdp=AVP)
    assert claim(ladder) == "SIGNALLING_ONLY", "the provider's answer in clear is in force"


def test_rfc3264_section_6_answer_of_more_lines_than_were_offered_opens_none_of_them() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP + VIDEO)
    assert claim(ladder) in ("REFUSED", "ENCRYPTED_TO_PROVIDER")
    if claim(ladder) == "ENCRYPTED_TO_PROVIDER":
        assert ladder.callee.media.in_force is not None
        assert [line.index for line in ladder.callee.media.in_force.lines] == [0]
    ladder.calls.end_all("the test is over")
    nothing_is_left(ladder)
