"""Offers and answers of one audio stream (RFC 3264), with SDES (RFC 4568) where suites are given."""

from os import urandom

import pytest
from attrs import evolve

from gateway.demo.audio.offers import AudioAgreement, AudioEnd, agreed, answer, offer
from gateway.sdp.crypto import SUITE_NAMES
from gateway.sdp.description import Description
from gateway.sdp.negotiation import is_encrypted, offer_lines
from gateway.sip.errors import Refused

PHONE = AudioEnd("127.0.0.11", 42000, (), urandom)
CALLER = AudioEnd("127.0.0.20", 20000, SUITE_NAMES, urandom)
PROVIDER = AudioEnd("127.0.0.21", 42002, SUITE_NAMES, urandom)


def edited(sdp: bytes, *changes: tuple[str, str]) -> bytes:
    text = sdp.decode()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text.encode()


def test_plain_audio() -> None:
    body, agreement = answer(offer(PHONE), evolve(PROVIDER, suites=()))
    assert agreement == AudioAgreement(("127.0.0.11", 42000), None, None)
    assert agreed([], body) == AudioAgreement(("127.0.0.21", 42002), None, None)
    assert not is_encrypted(body)


def test_encrypted_audio_both_ends_agree_on_the_keys() -> None:
    keys = offer_lines(SUITE_NAMES, urandom)
    body, answering = answer(offer(CALLER, keys), PROVIDER)
    offering = agreed(keys, body)
    assert is_encrypted(body)
    assert offering.sending == answering.receiving == keys[0]
    assert offering.receiving == answering.sending != keys[0]


def test_an_offer_without_keys_is_refused_where_srtp_is_required() -> None:
    with pytest.raises(Refused) as refusal:
        answer(offer(PHONE), PROVIDER)
    assert (refusal.value.status, refusal.value.reason) == (488, "SRTP required")


def test_an_offer_with_keys_is_refused_where_plain_rtp_is_required() -> None:
    with pytest.raises(Refused) as refusal:
        answer(offer(CALLER, offer_lines(SUITE_NAMES, urandom)), PHONE)
    assert refusal.value.status == 488


def test_an_offer_without_a_known_suite_is_refused() -> None:
    offered = offer(CALLER, offer_lines(SUITE_NAMES[3:], urandom))
    with pytest.raises(Refused) as refusal:
        answer(offered, evolve(PROVIDER, suites=SUITE_NAMES[:1]))
    assert refusal.value.reason == "No SRTP suite in common"


@pytest.mark.parametrize("body", [b"", b"v=1\r\n", b"not a description"])
def test_an_unreadable_offer_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        answer(body, PROVIDER)
    assert refusal.value.status == 488


def test_other_streams_are_answered_with_port_0_in_their_place() -> None:
    keys = offer_lines(SUITE_NAMES, urandom)
    plain_first = edited(
        offer(CALLER, keys), ("m=audio", "m=audio 20002 RTP/AVP 0\r\nm=video 20004 RTP/SAVP 96\r\nm=audio")
    )
    body, _ = answer(plain_first, PROVIDER)
    assert [(media.kind, media.port) for media in Description.parse(body).media] == [
        ("audio", 0),
        ("video", 0),
        ("audio", 42002),
    ]


@pytest.mark.parametrize(
    ("offered", "answered"), [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")]
)
def test_hold_is_mirrored(offered: str, answered: str) -> None:
    body, _ = answer(offer(PHONE) + f"a={offered}\r\n".encode(), evolve(PROVIDER, suites=()))
    assert Description.parse(body).media[0].direction == answered


def test_the_key_stays_while_the_other_end_keeps_its_own() -> None:
    keys = offer_lines(SUITE_NAMES, urandom)
    _, first = answer(offer(CALLER, keys), PROVIDER)
    _, second = answer(offer(CALLER, keys), PROVIDER, first)
    _, third = answer(offer(CALLER, offer_lines(SUITE_NAMES, urandom)), PROVIDER, first)
    assert second == first
    assert third.sending != first.sending


def test_an_answer_that_fits_no_key_is_refused() -> None:
    offered = offer_lines(SUITE_NAMES, urandom)
    body, _ = answer(offer(CALLER, offer_lines(SUITE_NAMES[:1], urandom)), PROVIDER)
    with pytest.raises(Refused):
        agreed(offered[1:], body)
    with pytest.raises(Refused):
        agreed([], edited(body, ("m=audio 42002", "m=audio 0")))
