"""Calls of web phones: DTLS-SRTP offered and taken over WSS, its verdict, and all that ends such a call."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.media.relay import Encryption
from tests.support.ladder import AVP, DTLS_ANSWER, DTLS_OFFER, FINGERPRINT, SAVP, Ladder
from tests.support.web_ladder import NOWHERE, WebLadder


def test_a_call_of_a_browser_is_encrypted_on_both_legs() -> None:
    ladder = WebLadder()
    _, answer = ladder.answered()
    assert ladder.relay.offers == [DTLS_OFFER]
    assert answer.body == DTLS_ANSWER
    assert (answer.contact and str(answer.contact.uri).endswith(";transport=ws")) is True
    (call,) = ladder.calls.active
    assert [line.suite for line in call.caller.media.lines] == ["DTLS-SRTP"]
    assert "DTLS-SRTP" in [link.what.rpartition(", ")[2] for link in call.record.chain]
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    assert ladder.outcome == ("ENCRYPTED", "")


def test_a_browser_is_called_over_its_flow_with_dtls_alone() -> None:
    ladder = WebLadder()
    invite = ladder.called()
    assert invite.uri == NOWHERE
    assert str(invite.headers.get("Via")).startswith("SIP/2.0/WSS ")
    assert ladder.relay.wishes[-1].encryption is Encryption.DTLS
    assert invite.body == DTLS_OFFER
    ladder.phone.answers(invite, 200, sdp=DTLS_ANSWER)
    ladder.phone.receives("ACK")
    ladder.provider.receives(100)
    answer = ladder.provider.receives_response(200)
    assert answer.body == SAVP
    ladder.provider.sends(ladder.provider.within(answer, "BYE"))
    ladder.phone.receives("BYE")
    assert ladder.outcome == ("ENCRYPTED", "")


def test_rfc8827_6_5_a_browser_that_refuses_dtls_is_offered_nothing_less() -> None:
    ladder = WebLadder()
    invite = ladder.called()
    ladder.phone.answers(invite, 488)
    ladder.phone.receives("ACK")
    assert ladder.drained() == []
    ladder.provider.receives(100)
    ladder.provider.receives(488)


@pytest.mark.parametrize(
    "sdp",
    [
        DTLS_OFFER.replace(b"sha-256 " + FINGERPRINT.encode(), b"sha-1 " + b":".join([b"AB"] * 20)),
        DTLS_OFFER.replace(b"a=fingerprint:", b"a=x:"),
        DTLS_OFFER.replace(b"a=rtcp-mux\r\n", b""),
        DTLS_OFFER.replace(b"a=ice-pwd:", b"a=x:"),
    ],
    ids=["SHA-1", "no fingerprint", "no rtcp-mux", "no ICE"],
)
def test_rfc8122_an_offer_with_nothing_that_binds_its_writer_is_refused(sdp: bytes) -> None:
    ladder = WebLadder()
    ladder.phone.sends(ladder.phone.invite(sdp=sdp))
    ladder.phone.receives(100)
    refusal = ladder.phone.receives_response(488)
    assert "REFUSED_NO_KEY" in str(refusal.headers.get("Reason"))
    assert not ladder.relay.offers
    assert ladder.outcome == ("REFUSED", "REFUSED_NO_KEY")


def test_dtls_of_a_phone_that_is_no_web_phone_is_refused_as_before() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite(sdp=DTLS_OFFER))
    ladder.phone.receives(100)
    ladder.phone.receives(488)


def test_dtls_counts_for_a_domain_that_requires_encryption() -> None:
    ladder = WebLadder(Security.REQUIRED)
    invite = ladder.calls_out()
    ladder.provider.answers(invite, 200, sdp=SAVP)
    ladder.phone.receives(100)
    answer = ladder.phone.receives_response(200)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    assert ladder.outcome == ("ENCRYPTED", "")


def test_a_call_to_a_provider_in_clear_is_not_called_encrypted() -> None:
    ladder = WebLadder()
    invite = ladder.calls_out()
    ladder.provider.answers(invite, 488)
    ladder.provider.receives("ACK")
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=AVP)
    ladder.phone.receives(100)
    answer = ladder.phone.receives_response(200)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    assert ladder.outcome[0] != "ENCRYPTED"


def test_a_browser_that_asks_for_an_offer_gets_dtls() -> None:
    ladder = WebLadder()
    ladder.phone.sends(ladder.phone.invite(sdp=b""))
    invite = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(invite, 200, sdp=SAVP)
    ladder.phone.receives(100)
    assert ladder.phone.receives_response(200).body == DTLS_OFFER


def test_rfc5763_5_another_certificate_ends_the_call_and_is_its_verdict() -> None:
    ladder = WebLadder()
    ladder.answered()
    (call,) = ladder.calls.active
    assert ladder.relay.listener is not None
    ladder.relay.listener.media_mismatched((call.id,))
    bye = ladder.phone.receives_request("BYE")
    assert "REFUSED_FINGERPRINT" in str(bye.headers.get("Reason"))
    assert ladder.outcome == ("REFUSED", "REFUSED_FINGERPRINT")
    (link,) = [one for one in call.record.chain if one.what == "fingerprint mismatch"]
    assert (str(link.leg), link.code) == ("caller", "REFUSED_FINGERPRINT")


def test_hold_and_a_new_offer_of_the_browser_stay_dtls() -> None:
    ladder = WebLadder()
    _invite, answer = ladder.answered()
    held = DTLS_OFFER.replace(b"a=mid:0", b"a=mid:0\r\na=sendonly").replace(b"3 3 IN", b"3 4 IN")
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=held))
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=SAVP.replace(b"2 2 IN", b"2 3 IN"))
    while not hasattr(message := ladder.phone.flow.sent.pop(0), "status") or message.status != 200:
        pass
    assert message.body == DTLS_ANSWER
    (call,) = ladder.calls.active
    assert call.caller.media.encrypted is True


def test_the_provider_s_offer_in_mid_call_reaches_the_browser_as_dtls() -> None:
    ladder = WebLadder()
    invite, _answer = ladder.answered()
    ladder.provider.sends(ladder.provider.within_answered(invite, "INVITE", sdp=SAVP.replace(b"2 2 IN", b"2 3 IN")))
    assert b"UDP/TLS/RTP/SAVPF" in ladder.phone.receives_request("INVITE").body
    assert ladder.relay.wishes[-1].encryption is Encryption.DTLS


def test_a_flow_that_closes_while_the_browser_rings_leaves_the_phone_unreachable() -> None:
    ladder = WebLadder()
    ladder.called()
    ladder.phone_flow.fail()
    ladder.clock.advance(40)
    ladder.provider.receives(100)
    ladder.provider.receives(480)
