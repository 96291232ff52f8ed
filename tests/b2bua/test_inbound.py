"""Calls from the provider to a phone, as ladders."""

from __future__ import annotations

import pytest

from gateway.b2bua.legs.media import encryption_of
from gateway.config.model import Security
from gateway.media.relay import Encryption
from gateway.security.access_list import Proof, ProofKind
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.sip.message import Request
from gateway.transport.flow import Flow
from tests.support.ladder import AVP, KEY, SAVP, Ladder


def test_inbound_call_reaches_the_phone_of_the_token() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com;transport=tls", SAVP)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    assert onward.uri == "sip:alice@192.0.2.11:5070"
    assert onward.body == AVP
    ladder.phone.answers(onward, 180)
    ladder.provider.receives(180)
    ladder.phone.answers(onward, 200, sdp=AVP)
    ladder.phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    assert answer.body == SAVP
    ladder.provider.acknowledges(invite, answer)
    record = next(ladder.calls.records())
    assert (record.verdict, str(record.direction)) == ("ENCRYPTED_TO_PROVIDER", "inbound")
    ladder.provider.sends(ladder.provider.within(answer, "BYE"))
    ladder.provider.receives(200)
    ladder.phone.answers(ladder.phone.receives_request("BYE"), 200)
    ladder.ends_clean()


def test_record_names_who_is_called_and_not_the_token() -> None:
    """Asterisk writes the Contact it was given into To as well."""
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com;transport=tls", SAVP)
    invite.headers.set("To", "<sip:alice-1@gw.example.com;transport=tls>")
    ladder.provider.sends(invite)
    assert next(ladder.calls.records()).callee == "sip:alice@example.com"


def test_record_names_the_number_that_was_dialled() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com;transport=tls", SAVP)
    invite.headers.set("To", "<sip:+4930123456@example.com>")
    ladder.provider.sends(invite)
    assert next(ladder.calls.records()).callee == "sip:+4930123456@example.com"


def test_late_offer_inbound_is_offered_with_srtp() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", b"")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=AVP)
    ladder.phone.receives_nothing()
    answer = ladder.provider.receives_response(200)
    assert answer.body == SAVP
    ladder.provider.acknowledges(invite, answer, sdp=SAVP)
    assert ladder.phone.receives_request("ACK").body == AVP
    assert next(ladder.calls.records()).verdict == "ENCRYPTED_TO_PROVIDER"


def test_clear_media_is_refused_when_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", AVP))
    ladder.provider.receives(100)
    ladder.provider.receives(488)
    ladder.phone.receives_nothing()
    assert next(ladder.calls.records()).reason == "REFUSED_POLICY"
    ladder.ends_clean()


def test_clear_signalling_is_refused_when_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.clear.sends(ladder.clear.invite("sip:alice-1@gw.example.com", SAVP))
    ladder.clear.receives(100)
    ladder.clear.receives(503)
    ladder.phone.receives_nothing()


def test_clear_media_goes_through_when_preferred_and_is_called_so() -> None:
    ladder = Ladder(Security.PREFERRED)
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", AVP)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=AVP)
    ladder.phone.receives("ACK")
    ladder.provider.receives(200)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")


def test_unknown_user_and_unknown_domain() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:carol@example.com", SAVP))
    ladder.provider.receives(480)
    ladder.ends_clean()


def test_an_offer_in_two_forms_is_an_encrypted_offer() -> None:
    dual = SAVP + b"m=audio 6002 RTP/AVP 0\r\n"
    ladder = Ladder(Security.REQUIRED)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", dual))
    ladder.provider.receives(100)
    ladder.phone.receives("INVITE")
    assert encryption_of(dual) is Encryption.SAVP
    assert encryption_of(dual.replace(b"RTP/SAVP 0", b"RTP/SAVP 0\r\na=inactive", 1)) is Encryption.SAVP
    assert encryption_of(SAVP + b"m=video 6004 RTP/AVP 99\r\n") is Encryption.NONE


def test_the_chain_tells_how_the_sender_was_admitted() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", SAVP))
    admitted = next(ladder.calls.records()).chain[0]
    assert (admitted.step, admitted.what) == ("admitted", "the sender is provider.example.com by certificate")


def test_phone_that_forwards_its_calls_names_the_domain() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", SAVP))
    ladder.provider.receives(100)
    moved = ladder.phone.receives_request("INVITE").response(302, to_tag="t")
    moved.headers.add("Contact", "<sip:5551234@192.0.2.1:5060>")
    ladder.phone.sends(moved)
    ladder.phone.receives("ACK")
    assert ladder.provider.receives_response(302).headers.get("Contact") == "<sip:5551234@example.com>"
    ladder.ends_clean()


class ByAddress:
    """Admits whoever has the provider's address."""

    def served_by(self, flow: Flow) -> tuple[str, ...]:
        return ("example.com",)

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        return Proof("provider.example.com", ProofKind.ADDRESS)

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        return Proof("provider.example.com", ProofKind.ADDRESS)

    def prove_caller(self, request: Request, domain: str, user: str) -> bool:
        return False

    def admit_within(self, request: Request, flow: Flow, domain: str) -> bool:
        return True


def test_tls_of_a_peer_without_a_certificate_is_not_called_encrypted() -> None:
    ladder = Ladder()
    ladder.admission.instead = ByAddress()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.provider.receives(200)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("MEDIA_ONLY_WEAK", "CLEAR_PEER_UNVERIFIED")


def test_tls_of_a_peer_without_a_certificate_is_refused_when_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.admission.instead = ByAddress()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", SAVP))
    ladder.provider.receives(100)
    ladder.provider.receives(503)
    ladder.phone.receives_nothing()


MKI = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY.encode() + b"|2^31|1:1\r\n"
KEYLESS = SAVP.split(b"a=crypto")[0]


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("offer", [KEYLESS, KEYLESS + MKI, KEYLESS.replace(b"RTP/SAVP", b"UDP/TLS/RTP/SAVPF")])
def test_srtp_without_a_key_that_can_be_taken_is_refused_with_a_reason(security: Security, offer: bytes) -> None:
    ladder = Ladder(security)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", offer))
    ladder.provider.receives(100)
    assert "REFUSED_NO_KEY" in (ladder.provider.receives_response(488).headers.get("Warning") or "")
    ladder.phone.receives_nothing()
    assert not ladder.relay.asked
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("REFUSED", "REFUSED_NO_KEY")
    assert [str(link.step) for link in record.chain] == ["admitted", "offered", "policy"]
    assert "RTP in clear" not in str(record.chain)
    ladder.ends_clean()


def test_dtls_of_a_provider_that_did_sdes_before_is_no_downgrade() -> None:
    ladder = Ladder(Security.PREFERRED)
    ladder.memory.saw(Peer("main", "sip:provider.example.com;transport=tls"), Feature.SRTP, did=True)
    offer = KEYLESS.replace(b"RTP/SAVP", b"UDP/TLS/RTP/SAVPF")
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", offer))
    ladder.provider.receives(100)
    ladder.provider.receives(488)
    assert "downgrade" not in str(next(ladder.calls.records()).chain)


def test_what_offers_rtp_beside_srtp_without_a_key_is_answered() -> None:
    ladder = Ladder(Security.PREFERRED)
    offer = KEYLESS + b"m=audio 6002 RTP/AVP 0\r\n"
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", offer))
    ladder.provider.receives(100)
    ladder.phone.receives("INVITE")
