"""Calls to phones, which ring and answer in their makes' own messages, hold, and are hung up on."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request
from tests.phones.test_outgoing import TRANSPORTS, key_lines, lines_of
from tests.support.calls.wire import SipMessage
from tests.support.media_relays import Ng
from tests.support.phone_estate import Estate
from tests.support.phone_messages import FORMS

MADE = [
    form
    for form in FORMS
    if not form.startswith("sipura") and form.split(" ")[1] not in ("optional", "offered", "lax", "tag")
]
TOLD = (
    ("P-Asserted-Identity", '"Bob" <sip:+15555550100@example.com>'),
    ("Remote-Party-ID", '"Bob" <sip:+15555550100@example.com>;party=calling;privacy=off'),
    ("Diversion", "<sip:reception@example.com>;reason=no-answer"),
    ("Call-Info", "<sip:example.com>;answer-after=0"),
    ("Alert-Info", "<http://www.example.com>;info=alert-internal"),
    ("X-Billing", "secret-4711"),
)
STRIPPED = ("X-Billing", "Remote-Party-ID")


def called(
    media: Ng, form: str, transport: str, *, srtp: bool = True, auto_answer: bool = False
) -> tuple[Estate, Request, SipMessage]:
    """The provider calls; what the phone got. `auto_answer`: as the domain's key of that name."""
    estate = Estate(media, form, transport, auto_answer=auto_answer)
    provider = estate.ladder.provider
    invite = provider.invite("sip:alice-1@gw.example.com", estate.provider_offer(srtp=srtp))
    for name, value in TOLD:
        invite.headers.add(name, value)
    provider.sends(invite)
    provider.receives(100)
    return estate, invite, estate.phone_hears("INVITE")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("form", MADE)
def test_a_phone_is_offered_what_its_way_here_protects_and_answers_in_its_words(
    media: Ng, form: str, transport: str
) -> None:
    estate, invite, offered = called(media, form, transport)
    provider = estate.ladder.provider
    profile = "RTP/SAVP" if transport == "TLS" else "RTP/AVP"
    assert [line.split(" ")[2] for line in lines_of(offered)] == [profile]
    assert bool(key_lines(offered)) is (transport == "TLS")
    estate.phone_answers(offered, "ringing")
    provider.receives(180)
    estate.phone_answers(offered, "answer")
    estate.phone_hears("ACK")
    answer = provider.receives_response(200)
    assert " RTP/SAVP " in lines_of(SipMessage.parse("", 0, answer.to_bytes()))[0]
    provider.acknowledges(invite, answer)
    assert estate.claim() == ("ENCRYPTED" if transport == "TLS" else "ENCRYPTED_TO_PROVIDER", "")
    estate.assert_no_key_crossed()

    for what in ("hold", "resume"):
        estate.phone_says(estate.phone.within(what, profile=profile, crypto=crypto_of(estate)))
        estate.phone_hears(100)
        again = estate.provider_hears("INVITE")
        assert (b"a=sendonly" in again.body) is (what == "hold")
        estate.provider_answers(again, "recvonly" if what == "hold" else "sendrecv")
        estate.provider_hears("ACK")
        estate.phone_hears(200)
        dialog = estate.phone.dialog
        assert dialog is not None
        dialog.invite_cseq = dialog.cseq
        estate.phone_says(estate.phone.acknowledges())
    assert estate.claim()[0].startswith("ENCRYPTED")

    provider.sends(provider.within(answer, "BYE"))
    provider.receives(200)
    estate.phone_answers(estate.phone_hears("BYE"), "ok")
    estate.assert_nothing_of_the_phone_left()
    estate.ends_clean()


def crypto_of(estate: Estate) -> str:
    """The phone offers again with the key of its answer."""
    answer = next(message for message in reversed(estate.phone.sent) if message.status == 200 and message.body)
    return "\n".join(key_lines(answer))


@pytest.mark.parametrize(("auto_answer", "stripped"), [(False, (*STRIPPED, "Call-Info")), (True, STRIPPED)])
@pytest.mark.parametrize("form", ["cisco-spa RTP", "yealink RTP", "polycom RTP", "snom RTP"])
def test_who_calls_and_how_to_ring_reaches_the_phone_and_a_providers_own_fields_do_not(
    media: Ng, form: str, auto_answer: bool, stripped: tuple[str, ...]
) -> None:
    """A wish that the phone answer by itself (`answer-after`) is none of how to ring, unless the domain allows it."""
    estate, _, offered = called(media, form, "UDP", auto_answer=auto_answer)
    for name, value in TOLD:
        assert offered.header(name) == ("" if name in stripped else value), name
    assert b"secret-4711" not in b"".join(estate.flow.bytes)


@pytest.mark.parametrize("form", ["cisco-spa RTP", "snom RTP"])
def test_a_tls_phone_without_srtp_refuses_the_keys_and_gets_rtp(media: Ng, form: str) -> None:
    estate, invite, offered = called(media, form, "TLS")
    provider = estate.ladder.provider
    refusal = estate.phone.answers(offered, "ringing").replace(b"180 Ringing", b"488 Not Acceptable Here")
    estate.phone_says(refusal)
    estate.phone_hears("ACK")
    estate.phone.dialog = None
    again = estate.phone_hears("INVITE")
    assert not key_lines(again)
    estate.phone_answers(again, "answer")
    estate.phone_hears("ACK")
    provider.acknowledges(invite, provider.receives_response(200))
    assert estate.claim() == ("ENCRYPTED_TO_PROVIDER", "")
    estate.assert_no_key_crossed()


def test_call_forwarding_on_a_phone_names_no_address_of_it(media: Ng) -> None:
    estate, _, offered = called(media, "cisco-spa RTP", "UDP")
    estate.phone_answers(offered, "moved")
    estate.phone_hears("ACK")
    moved = estate.ladder.provider.receives_response(302)
    assert "sip:carol@example.com" in (moved.headers.get("Contact") or "")
    estate.assert_nothing_of_the_phone_left()


@pytest.mark.parametrize("form", ["cisco-spa s-descriptor", "snom SRTP"])
def test_rtp_from_the_provider_is_refused_to_secure_phones_too_where_srtp_is_required(media: Ng, form: str) -> None:
    estate = Estate(media, form, "TLS", Security.REQUIRED)
    provider = estate.ladder.provider
    provider.sends(provider.invite("sip:alice-1@gw.example.com", estate.provider_offer(srtp=False)))
    provider.receives(100)
    provider.receives(488)
    assert estate.claim() == ("REFUSED", "REFUSED_POLICY")
    assert not estate.flow.bytes
