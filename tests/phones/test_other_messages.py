"""What phones say besides calls: message waiting, quality reports, Sipura's own SRTP."""

from __future__ import annotations

import base64
import secrets

import pytest

from tests.phones.test_outgoing import talk
from tests.support.media_relays import Ng
from tests.support.phone_estate import Estate

MWI = b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@example.com\r\nVoice-Message: 2/0 (0/0)\r\n"


@pytest.mark.parametrize("transport", ["UDP", "TLS"])
@pytest.mark.parametrize("form", ["cisco-spa RTP", "yealink RTP", "polycom RTP", "snom RTP"])
def test_message_waiting(media: Ng, form: str, transport: str) -> None:
    estate = Estate(media, form, transport)
    estate.phone_says(estate.phone.outside("subscribe"))
    onward = estate.provider_hears("SUBSCRIBE")
    assert onward.headers.get("Event") == "message-summary"
    provider = estate.ladder.provider
    provider.answers(onward, 200, fields=(("Expires", "3600"),))
    estate.phone_hears(200)
    notify = provider.within_answered(onward, "NOTIFY")
    for name, value in (
        ("Event", "message-summary"),
        ("Subscription-State", "active;expires=3600"),
        ("Content-Type", "application/simple-message-summary"),
    ):
        notify.headers.add(name, value)
    notify.body = MWI
    provider.sends(notify)
    told = estate.phone_hears("NOTIFY")
    assert told.body == MWI
    estate.phone_answers(told, "ok")
    provider.receives(200)
    estate.assert_nothing_of_the_phone_left()


@pytest.mark.parametrize("kind", ["", "Content-Type: application/x-sipura", "Content-Type: application/octet-stream"])
def test_sipuras_own_srtp_is_declined_and_told_of(media: Ng, kind: str) -> None:
    made = talk(media, "sipura RTP", "UDP")
    estate = made.estate
    hello = base64.b64encode(secrets.token_bytes(264)).decode()
    estate.phone_says(estate.phone.within("info", kind=kind, hello=hello))
    estate.phone_hears(415)
    estate.ladder.provider.receives_nothing()
    assert hello.encode() not in b"".join(estate.tls.bytes)
    assert estate.claim() == ("ENCRYPTED_TO_PROVIDER", "")
    assert "proprietary SRTP (x-sipura) declined" in estate.chain()
    estate.phone_says(estate.phone.within("bye"))
    estate.phone_hears(200)


def test_a_quality_report_names_no_address_of_the_phone(media: Ng) -> None:
    estate = Estate(media, "snom RTP", "UDP")
    estate.phone_says(estate.phone.outside("publish"))
    estate.assert_nothing_of_the_phone_left()
    assert estate.flow.sent, "no answer"
