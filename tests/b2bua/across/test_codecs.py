"""The codecs of provider and domain hold for each offer and answer of a call (RFC 3264)."""

from __future__ import annotations

import attrs
import pytest

from gateway.config.model import Provider, Security
from gateway.sdp.description import Description
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import nothing_is_left, talk

PCMA_ONLY = Provider(
    "main", "sip:provider.example.com;transport=tls", codecs=("PCMA", "PCMU", "telephone-event"), fallback_uri=None
)
MAPS = b"a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
MANY = AVP.replace(b"RTP/AVP 0", b"RTP/AVP 111 9 0 8 101") + MAPS
MANY_SRTP = SAVP.replace(b"RTP/SAVP 0", b"RTP/SAVP 111 9 0 8 101") + MAPS
OPUS = AVP.replace(b"RTP/AVP 0", b"RTP/AVP 111") + MAPS
OPUS_SRTP = SAVP.replace(b"RTP/SAVP 0", b"RTP/SAVP 111") + MAPS


def formats(sdp: bytes) -> list[str]:
    (media,) = Description.parse(sdp).media
    return media.formats


def ladder(provider: Provider = PCMA_ONLY, **more: object) -> Ladder:
    return Ladder(provider=provider, **more)  # type: ignore[arg-type]


def test_a_phones_offer_goes_out_with_the_providers_codecs_in_its_order() -> None:
    gateway = ladder()
    gateway.phone.sends(gateway.phone.invite(sdp=MANY))
    gateway.phone.receives(100)
    assert [formats(offer) for offer in gateway.relay.offers] == [["8", "0", "101"]]


def test_a_providers_offer_reaches_the_phone_with_its_codecs() -> None:
    gateway = ladder()
    gateway.provider.sends(gateway.provider.invite("sip:alice-1@gw.example.com", sdp=MANY_SRTP))
    gateway.provider.receives(100)
    gateway.phone.receives("INVITE")
    assert [formats(offer) for offer in gateway.relay.offers] == [["8", "0", "101"]]


def test_phones_are_offered_the_codecs_of_their_domain_in_its_order() -> None:
    gateway = ladder(codecs=("PCMU", "PCMA"))
    gateway.provider.sends(gateway.provider.invite("sip:alice-1@gw.example.com", sdp=MANY_SRTP))
    gateway.provider.receives(100)
    assert [formats(offer) for offer in gateway.relay.offers] == [["0", "8"]]


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED, Security.OFF])
def test_rfc3264_6_a_call_without_a_codec_is_refused_with_a_reason_of_its_own(security: Security) -> None:
    gateway = ladder(security=security)
    gateway.phone.sends(gateway.phone.invite(sdp=OPUS))
    refused = gateway.phone.receives_response(488)
    assert "No Common Codec (NO_COMMON_CODEC)" in (refused.headers.get("Reason") or "")
    gateway.provider.receives_nothing()
    (record,) = gateway.calls.records()
    assert (record.verdict, record.reason, record.status) == ("UNANSWERED", "NO_COMMON_CODEC", 488)


def test_an_emergency_call_goes_on_with_the_codecs_that_there_are() -> None:
    gateway = ladder()
    gateway.phone.sends(gateway.phone.invite("sip:112@example.com", sdp=OPUS))
    gateway.phone.receives(100)
    onward = gateway.provider.receives_request("INVITE")
    assert [formats(offer) for offer in gateway.relay.offers] == [["111"]]
    gateway.provider.answers(onward, 200, sdp=OPUS_SRTP)
    gateway.provider.receives("ACK")
    gateway.phone.receives(200)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_in_a_call_has_the_same_codecs(method: str) -> None:
    gateway = ladder()
    onward, answer = talk(gateway)
    gateway.relay.offers.clear()
    gateway.phone.sends(gateway.phone.within(answer, method, sdp=MANY))
    if method == "INVITE":
        gateway.phone.receives(100)
    gateway.provider.receives(method)
    assert [formats(offer) for offer in gateway.relay.offers] == [["8", "0", "101"]]
    assert onward.method == "INVITE"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_to_no_common_codec_is_refused_and_the_call_goes_on(method: str) -> None:
    gateway = ladder()
    onward, _ = talk(gateway)
    gateway.provider.sends(gateway.provider.within_answered(onward, method, sdp=OPUS_SRTP))
    if method == "INVITE":
        gateway.provider.receives(100)
    refused = gateway.provider.receives_response(488)
    assert "NO_COMMON_CODEC" in (refused.headers.get("Reason") or "")
    gateway.phone.receives_nothing()
    assert len(gateway.calls) == 1


def test_rfc3261_13_2_1_a_delayed_offer_has_the_same_codecs() -> None:
    gateway = ladder()
    gateway.phone.sends(gateway.phone.invite(sdp=b""))
    gateway.phone.receives(100)
    onward = gateway.provider.receives_request("INVITE")
    gateway.provider.answers(onward, 200, sdp=MANY_SRTP)
    assert [formats(offer) for offer in gateway.relay.offers] == [["8", "0", "101"]]
    gateway.phone.receives(200)


def test_a_delayed_offer_without_any_ends_the_call() -> None:
    gateway = ladder()
    gateway.phone.sends(gateway.phone.invite(sdp=b""))
    gateway.phone.receives(100)
    onward = gateway.provider.receives_request("INVITE")
    gateway.provider.answers(onward, 200, sdp=OPUS_SRTP)
    gateway.provider.receives("ACK")
    gateway.provider.receives("BYE")
    assert "NO_COMMON_CODEC" in (gateway.phone.receives_response(488).headers.get("Reason") or "")
    (record,) = gateway.calls.records()
    assert (record.verdict, record.reason) == ("UNANSWERED", "NO_COMMON_CODEC")


def test_rfc3264_6_1_a_payload_type_that_was_taken_out_is_not_answered() -> None:
    gateway = ladder()
    gateway.phone.sends(gateway.phone.invite(sdp=MANY))
    gateway.phone.receives(100)
    onward = gateway.provider.receives_request("INVITE")
    answers: list[bytes] = []
    relayed = gateway.relay.answer

    def noted(call: str, from_tag: str, to_tag: str, sdp: bytes, *more: object) -> object:
        answers.append(sdp)
        return relayed(call, from_tag, to_tag, sdp, *more)  # type: ignore[arg-type]

    gateway.relay.answer = noted  # type: ignore[method-assign,assignment]
    gateway.provider.answers(onward, 200, sdp=SAVP.replace(b"RTP/SAVP 0", b"RTP/SAVP 0 9 111") + MAPS)
    gateway.provider.receives("ACK")
    gateway.phone.receives(200)
    assert [formats(answer) for answer in answers] == [["0"]]


def test_an_answer_without_a_common_codec_is_hung_up() -> None:
    gateway = ladder(security=Security.REQUIRED)
    gateway.phone.sends(gateway.phone.invite(sdp=MANY))
    gateway.phone.receives(100)
    onward = gateway.provider.receives_request("INVITE")
    gateway.provider.answers(onward, 200, sdp=OPUS_SRTP)
    gateway.provider.receives("ACK")
    gateway.provider.receives("BYE")
    gateway.phone.receives(488)


def test_an_early_answer_without_a_common_codec_rings_without_it() -> None:
    gateway = ladder()
    gateway.phone.sends(gateway.phone.invite(sdp=MANY))
    gateway.phone.receives(100)
    onward = gateway.provider.receives_request("INVITE")
    gateway.provider.answers(onward, 183, sdp=OPUS_SRTP)
    assert gateway.phone.receives_response(183).body == b""


def test_without_a_list_all_codecs_cross() -> None:
    gateway = ladder(attrs.evolve(PCMA_ONLY, codecs=()))
    gateway.phone.sends(gateway.phone.invite(sdp=MANY))
    gateway.phone.receives(100)
    assert gateway.relay.offers == [MANY]


def test_nothing_is_left_of_a_call_with_codecs() -> None:
    gateway = ladder()
    _, answer = talk(gateway)
    gateway.phone.sends(gateway.phone.within(answer, "BYE"))
    gateway.provider.answers(gateway.provider.receives_request("BYE"), 200)
    nothing_is_left(gateway)
