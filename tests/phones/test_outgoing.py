"""Calls that phones begin, in their makes' own messages: call, hold, resume, transfer, hang up."""

from __future__ import annotations

import attrs
import pytest

from gateway.config.model import Security
from gateway.sip.message import Request, Response
from tests.support.calls.wire import Audio, SipMessage
from tests.support.media_relays import Ng
from tests.support.phone_estate import Estate
from tests.support.phone_messages import FORMS

TRANSPORTS = ("UDP", "TLS")
TAKEN = {
    "cisco-spa s-descriptor": (1, "AES_CM_128_HMAC_SHA1_32"),
    "yealink optional": (1, "AES_CM_128_HMAC_SHA1_80"),
    "yealink compulsory": (1, "AES_CM_128_HMAC_SHA1_80"),
    "polycom required": (8, "AES_CM_128_HMAC_SHA1_80"),
    "polycom offered": (8, "AES_CM_128_HMAC_SHA1_80"),
    "polycom lax": (3, "AES_CM_128_HMAC_SHA1_80"),
    "snom SRTP": (2, "AES_CM_128_HMAC_SHA1_80"),
    "snom tag 0": (0, "AES_CM_128_HMAC_SHA1_80"),
    "snom optional": (1, "AES_CM_128_HMAC_SHA1_32"),
}
"""The key of each offer that is taken: its writer's first that is usable at full strength."""

EVERY = [
    (form, transport)
    for form in FORMS
    for transport in TRANSPORTS
    if not form.startswith("sipura") or transport == "UDP"
]


@attrs.frozen
class Talk:
    """A call that stands."""

    estate: Estate
    onward: Request
    answered: Response
    heard: SipMessage


def talk(media: Ng, form: str, transport: str, security: Security = Security.PREFERRED) -> Talk:
    estate = Estate(media, form, transport, security)
    estate.phone_says(estate.phone.invite())
    estate.phone_hears(100)
    onward = estate.provider_hears("INVITE")
    estate.ladder.provider.answers(onward, 180)
    assert estate.phone_hears(180).header("to").count(";tag=") == 1
    answered = estate.provider_answers(onward)
    estate.provider_hears("ACK")
    heard = estate.phone_hears(200)
    estate.phone_says(estate.phone.acknowledges())
    return Talk(estate, onward, answered, heard)


def lines_of(message: SipMessage | Request) -> list[str]:
    body = message.body.decode()
    return [line for line in body.split("\r\n") if line.startswith("m=")]


def key_lines(message: SipMessage | Request) -> list[str]:
    return [line for line in message.body.decode().split("\r\n") if line.startswith("a=crypto:")]


@pytest.mark.parametrize(("form", "transport"), EVERY)
def test_each_leg_has_its_own_protection_and_the_verdict_says_so(media: Ng, form: str, transport: str) -> None:
    made = talk(media, form, transport)
    estate = made.estate
    (audio,) = lines_of(made.onward)
    assert " RTP/SAVP " in audio
    assert len(key_lines(made.onward)) == 4
    is_srtp = FORMS[form].wants_srtp
    assert estate.claim() == ("ENCRYPTED" if is_srtp and transport == "TLS" else "ENCRYPTED_TO_PROVIDER", "")
    estate.assert_no_key_crossed()
    estate.assert_nothing_of_the_phone_left()


@pytest.mark.parametrize(("form", "transport"), EVERY)
def test_the_answer_mirrors_the_offer_line_by_line(media: Ng, form: str, transport: str) -> None:
    made = talk(media, form, transport)
    offered = lines_of(made.estate.phone.sent[0])
    answered = lines_of(made.heard)
    assert [line.split(" ")[2] for line in answered] == [line.split(" ")[2] for line in offered]
    assert [line.split(" ")[1] == "0" for line in answered] == [False, True][: len(offered)]
    expected = [f"a=crypto:{tag} {suite} inline" for tag, suite in [TAKEN[form]]] if form in TAKEN else []
    assert [line.split(":")[0] + ":" + line.split(":")[1] for line in key_lines(made.heard)] == expected


@pytest.mark.parametrize(("form", "transport"), [one for one in EVERY if not one[0].startswith("sipura")])
def test_hold_and_resume_keep_keys_and_verdict(media: Ng, form: str, transport: str) -> None:
    made = talk(media, form, transport)
    estate = made.estate
    before, keys = estate.claim(), (key_lines(made.onward), key_lines(made.heard))
    holds = ["hold"] if FORMS[form].is_dual or form.startswith("snom") else ["hold", "hold-zero"]
    for what in (*holds, "resume"):
        estate.phone_says(estate.phone.offers(what))
        estate.phone_hears(100)
        offered = estate.provider_hears("INVITE")
        audio = Audio.parse(offered.body)
        assert audio is not None
        assert (b"a=sendonly" in offered.body) is (what != "resume" and not _only_the_address(form, what))
        assert (audio.address == "0.0.0.0") is (what == "hold-zero")
        assert key_lines(offered) == keys[0], "a hold made new keys"
        estate.provider_answers(offered, "sendrecv" if what == "resume" else "recvonly")
        estate.provider_hears("ACK")
        answer = estate.phone_hears(200)
        estate.phone_says(estate.phone.acknowledges())
        assert key_lines(answer) == keys[1]
        assert estate.claim() == before
    estate.assert_no_key_crossed()
    estate.assert_nothing_of_the_phone_left()


def _only_the_address(form: str, what: str) -> bool:
    """A Polycom of the older way says hold by the address alone."""
    return form.startswith("polycom") and what == "hold-zero"


@pytest.mark.parametrize(("form", "transport"), EVERY)
def test_transfer_and_hanging_up(media: Ng, form: str, transport: str) -> None:
    made = talk(media, form, transport)
    estate = made.estate
    if not form.startswith("sipura"):
        estate.phone_says(estate.phone.within("refer"))
        referred = estate.provider_hears("REFER")
        assert (referred.headers.get("Refer-To") or "").startswith("<sip:carol@example.com")
        assert "<sip:alice@example.com" in (referred.headers.get("Referred-By") or "")
        estate.ladder.provider.answers(referred, 202)
        estate.phone_hears(202)
        notify = estate.ladder.provider.within_answered(made.onward, "NOTIFY")
        for name, value in (("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")):
            notify.headers.add(name, value)
        notify.headers.add("Content-Type", "message/sipfrag;version=2.0")
        notify.body = b"SIP/2.0 200 OK\r\n"
        estate.ladder.provider.sends(notify)
        estate.phone_answers(estate.phone_hears("NOTIFY"), "ok")
        estate.ladder.provider.receives(200)
    estate.phone_says(estate.phone.within("bye"))
    estate.phone_hears(200)
    estate.ladder.provider.answers(estate.provider_hears("BYE"), 200)
    estate.assert_nothing_of_the_phone_left()
    estate.ends_clean()


@pytest.mark.parametrize(
    "form", ["cisco-spa RTP", "cisco-spa s-descriptor", "polycom offered", "snom SRTP", "yealink optional"]
)
def test_a_provider_without_srtp_is_refused_or_served_in_clear_and_never_called_encrypted(media: Ng, form: str) -> None:
    for security, expected in (
        (Security.REQUIRED, ("REFUSED", "REFUSED_POLICY")),
        (Security.PREFERRED, ("SIGNALLING_ONLY", "CLEAR_PROVIDER_488")),
    ):
        estate = Estate(media, form, "TLS", security)
        estate.phone_says(estate.phone.invite())
        estate.phone_hears(100)
        estate.ladder.provider.answers(estate.provider_hears("INVITE"), 488)
        estate.provider_hears("ACK")
        if security is Security.REQUIRED:
            estate.phone_hears(488)
            estate.tls.sent.clear()
        else:
            onward = estate.provider_hears("INVITE")
            assert not key_lines(onward)
            estate.provider_answers(onward)
            estate.phone_hears(200)
        assert estate.claim() == expected
        estate.assert_no_key_crossed()
