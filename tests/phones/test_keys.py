"""Keys as they should not be, from either side: skipped, or the end of the call; never weaker than configured."""

from __future__ import annotations

import base64
import secrets

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request
from tests.phones.test_outgoing import key_lines
from tests.support.calls.wire import SipMessage
from tests.support.media_relays import Ng
from tests.support.phone_estate import Estate

_80 = "AES_CM_128_HMAC_SHA1_80"


def key(size: int = 30) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode()


GOOD = f"5 {_80} inline:{key()}"
UNUSABLE = {
    "a key too short": f"1 {_80} inline:{key(29)}",
    "a key too long": f"1 {_80} inline:{key(32)}",
    "a GCM key for CM": f"1 {_80} inline:{key(28)}",
    "a CM key for GCM": f"1 AEAD_AES_256_GCM inline:{key(30)}",
    "no base64": f"1 {_80} inline:!!!!{key()[4:]}",
    "no key": f"1 {_80} inline:",
    "another method": f"1 {_80} uri:https://example.com/key",
    "an unknown suite": f"1 ROT13_HMAC_SHA1_80 inline:{key()}",
    "an AES-256-CM suite": f"1 AES_256_CM_HMAC_SHA1_80 inline:{key(46)}",
    "an 8 byte GCM tag": f"1 AEAD_AES_128_GCM_8 inline:{key(28)}",
    "a NULL cipher": f"1 NULL_HMAC_SHA1_80 inline:{key()}",
    "F8": f"1 F8_128_HMAC_SHA1_80 inline:{key()}",
    "an MKI": f"1 {_80} inline:{key()}|2^31|1:1",
    "an MKI of four bytes": f"1 {_80} inline:{key()}|2^31|1:4",
    "two keys": f"1 {_80} inline:{key()}|2^31|1:1;inline:{key()}|2^31|2:1",
    "a life of 1,024 packets": f"1 {_80} inline:{key()}|2^10",
    "a life of nothing": f"1 {_80} inline:{key()}|0",
    "a life beyond SRTP's": f"1 {_80} inline:{key()}|2^49",
    "a broken life": f"1 {_80} inline:{key()}|2^",
    "no encryption": f"1 {_80} inline:{key()} UNENCRYPTED_SRTP",
    "no RTCP encryption": f"1 {_80} inline:{key()} UNENCRYPTED_SRTCP",
    "no authentication": f"1 {_80} inline:{key()} UNAUTHENTICATED_SRTP",
    "a key derivation rate": f"1 {_80} inline:{key()} KDR=24",
    "FEC": f"1 {_80} inline:{key()} FEC_ORDER=FEC_SRTP",
    "an unknown parameter": f"1 {_80} inline:{key()} CLEAR_AT_NIGHT",
    "a tag that is no number": f"one {_80} inline:{key()}",
    "a tag of ten digits": f"1000000000 {_80} inline:{key()}",
    "a negative tag": f"-1 {_80} inline:{key()}",
    "nothing": "",
}
TAKEN = {
    "a tag of zero": f"0 {_80} inline:{key()}",
    "the largest tag": f"999999999 {_80} inline:{key()}",
    "a life": f"1 {_80} inline:{key()}|2^31",
    "a life in digits": f"1 {_80} inline:{key()}|1048576",
    "a window hint": f"1 {_80} inline:{key()} WSH=128",
    "an optional parameter": f"1 {_80} inline:{key()} -CLEAR_AT_NIGHT",
    "another spelling": f"1 AES_128_CM_HMAC_SHA1_80 inline:{key()}",
    "no padding": f"1 AEAD_AES_256_GCM inline:{key(44).rstrip('=')}",
}


def offer(*lines: str, profile: str = "RTP/SAVP") -> bytes:
    head = "v=0\r\no=- 1 1 IN IP4 198.51.100.21\r\ns=-\r\nc=IN IP4 198.51.100.21\r\nt=0 0\r\n"
    keys = "".join(f"a=crypto:{line}\r\n" for line in lines)
    return f"{head}m=audio 6000 {profile} 0\r\n{keys}".encode()


def is_called(media: Ng, sdp: bytes, security: Security = Security.PREFERRED) -> Estate:
    estate = Estate(media, "cisco-spa RTP", "UDP", security)
    provider = estate.ladder.provider
    estate.provider_sdps.append(sdp)
    provider.sends(provider.invite("sip:alice-1@gw.example.com", sdp))
    provider.receives(100)
    return estate


def answered(estate: Estate) -> SipMessage:
    estate.phone_answers(estate.phone_hears("INVITE"), "answer")
    estate.phone_hears("ACK")
    return SipMessage.parse("", 0, estate.ladder.provider.receives_response(200).to_bytes())


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("line", UNUSABLE.values(), ids=UNUSABLE)
def test_an_offer_with_nothing_but_such_a_key_is_refused_with_a_reason(
    media: Ng, line: str, security: Security
) -> None:
    estate = is_called(media, offer(line), security)
    estate.ladder.provider.receives(488)
    assert not estate.flow.bytes
    assert estate.claim() == ("REFUSED", "REFUSED_NO_KEY")


@pytest.mark.parametrize("line", UNUSABLE.values(), ids=UNUSABLE)
def test_the_next_good_key_is_taken_and_named_by_its_own_tag(media: Ng, line: str) -> None:
    estate = is_called(media, offer(line, GOOD), Security.REQUIRED)
    answer = answered(estate)
    (taken,) = key_lines(answer)
    assert taken.startswith(f"a=crypto:5 {_80} inline:")
    assert estate.claim() == ("ENCRYPTED_TO_PROVIDER", "")
    estate.assert_no_key_crossed()


@pytest.mark.parametrize("line", TAKEN.values(), ids=TAKEN)
def test_what_is_odd_and_right_is_taken(media: Ng, line: str) -> None:
    estate = is_called(media, offer(line, GOOD), Security.REQUIRED)
    (taken,) = key_lines(answered(estate))
    tag, suite, *_ = line.split(" ")
    assert taken.startswith(f"a=crypto:{tag} {suite} inline:")


def test_of_two_keys_under_one_tag_the_first_is_taken(media: Ng) -> None:
    first, second = f"1 {_80} inline:{key()}", f"1 AES_CM_128_HMAC_SHA1_32 inline:{key()}"
    (taken,) = key_lines(answered(is_called(media, offer(first, second))))
    assert taken.startswith(f"a=crypto:1 {_80} ")


def calls(media: Ng, security: Security) -> tuple[Estate, Request]:
    estate = Estate(media, "cisco-spa s-descriptor", "TLS", security)
    estate.phone_says(estate.phone.invite())
    estate.phone_hears(100)
    return estate, estate.provider_hears("INVITE")


def answers_with(estate: Estate, onward: Request, *lines: str, profile: str = "RTP/SAVP") -> None:
    sdp = offer(*lines, profile=profile)
    estate.provider_sdps.append(sdp)
    estate.ladder.provider.answers(onward, 200, sdp=sdp)


MISFITS = {
    **{name: line.replace("1 ", "3 ", 1) for name, line in UNUSABLE.items()},
    "a tag that was not offered": f"9 {_80} inline:{key()}",
    "another suite under a tag": f"1 {_80} inline:{key()}",
    "the weaker suite under the tag of the stronger": f"3 AES_CM_128_HMAC_SHA1_32 inline:{key()}",
}


@pytest.mark.parametrize("line", MISFITS.values(), ids=MISFITS)
def test_an_answer_that_does_not_fit_ends_the_call_where_srtp_is_required(media: Ng, line: str) -> None:
    estate, onward = calls(media, Security.REQUIRED)
    assert [one.split(" ")[0] for one in key_lines(onward)] == [f"a=crypto:{tag}" for tag in (1, 2, 3, 4)]
    answers_with(estate, onward, line)
    estate.provider_hears("ACK")
    estate.provider_hears("BYE")
    estate.phone_hears(488)
    assert estate.claim() == ("REFUSED", "REFUSED_POLICY")
    estate.assert_no_key_crossed()


@pytest.mark.parametrize("line", MISFITS.values(), ids=MISFITS)
def test_an_answer_that_does_not_fit_is_hung_up_on_and_rtp_is_offered(media: Ng, line: str) -> None:
    estate, onward = calls(media, Security.PREFERRED)
    answers_with(estate, onward, line)
    estate.provider_hears("ACK")
    estate.provider_hears("BYE")
    again = estate.provider_hears("INVITE")
    assert not key_lines(again)
    answers_with(estate, again, profile="RTP/AVP")
    answer = estate.phone_hears(200)
    assert len(key_lines(answer)) == 1
    assert estate.claim() == ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")
    estate.assert_no_key_crossed()


def test_srtp_in_answer_to_rtp_is_refused(media: Ng) -> None:
    estate, onward = calls(media, Security.PREFERRED)
    estate.ladder.provider.answers(onward, 488)
    estate.provider_hears("ACK")
    answers_with(estate, estate.provider_hears("INVITE"), GOOD)
    estate.provider_hears("ACK")
    estate.provider_hears("BYE")
    estate.phone_hears(488)
    assert not estate.claim()[0].startswith("ENCRYPTED")
    estate.assert_no_key_crossed()


def test_keys_beside_rtp_in_answer_to_srtp_do_not_fit(media: Ng) -> None:
    estate, onward = calls(media, Security.REQUIRED)
    answers_with(estate, onward, f"3 {_80} inline:{key()}", profile="RTP/AVP")
    estate.provider_hears("ACK")
    estate.provider_hears("BYE")
    estate.phone_hears(488)
    assert estate.claim() == ("REFUSED", "REFUSED_POLICY")


def test_a_phone_whose_answer_does_not_fit_is_offered_rtp(media: Ng) -> None:
    estate = Estate(media, "cisco-spa s-descriptor", "TLS", Security.REQUIRED)
    provider = estate.ladder.provider
    provider.sends(provider.invite("sip:alice-1@gw.example.com", estate.provider_offer()))
    provider.receives(100)
    answer = estate.phone.answers(estate.phone_hears("INVITE"), "answer")
    estate.phone_says(answer.replace(b"a=crypto:3 ", b"a=crypto:9 "))
    estate.phone_hears("ACK")
    estate.phone_hears("BYE")
    estate.phone.dialog = None
    again = estate.phone_hears("INVITE")
    assert not key_lines(again)
    estate.phone_answers(again, "answer")
    estate.phone_hears("ACK")
    provider.receives(200)
    assert estate.claim() == ("ENCRYPTED_TO_PROVIDER", "")


def test_two_keys_in_an_answer_do_not_fit(media: Ng) -> None:
    estate, onward = calls(media, Security.REQUIRED)
    answers_with(estate, onward, f"3 {_80} inline:{key()}", f"4 AES_CM_128_HMAC_SHA1_32 inline:{key()}")
    estate.provider_hears("ACK")
    estate.provider_hears("BYE")
    estate.phone_hears(488)
    assert estate.claim() == ("REFUSED", "REFUSED_POLICY")


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
@pytest.mark.parametrize("early", [offer(f"9 {_80} inline:{key()}"), b"v=0\r\nnonsense", offer(GOOD)])
def test_an_early_answer_that_does_not_fit_is_not_taken_and_the_call_goes_on(
    media: Ng, early: bytes, security: Security
) -> None:
    estate, onward = calls(media, security)
    estate.ladder.provider.answers(onward, 183, sdp=early)
    assert estate.phone_hears(183).body == b""
    estate.provider_answers(onward)
    estate.provider_hears("ACK")
    estate.phone_hears(200)
    assert estate.claim() == ("ENCRYPTED", "")
    estate.assert_no_key_crossed()


def test_an_early_answer_that_fits_is_taken(media: Ng) -> None:
    estate, onward = calls(media, Security.REQUIRED)
    early = offer(f"3 {_80} inline:{key()}")
    estate.ladder.provider.answers(onward, 183, sdp=early)
    assert len(key_lines(estate.phone_hears(183))) == 1
