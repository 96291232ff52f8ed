"""Browsers with our worker and with an rtpengine alike: DTLS-SRTP and ICE toward them, none of it beyond."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gateway.config.model import Side
from gateway.media.relay import Encryption
from tests.support.media_browser import Browser, value
from tests.support.media_party import Party, media_lines, rtp
from tests.support.media_relays import Ng, own_address

SUITE = "AEAD_AES_256_GCM"


@pytest.fixture
def browser() -> Iterator[Browser]:
    one = Browser(own_address())
    yield one
    one.close()


def settle(browser: Browser, party: Party) -> None:
    """Talk until both are heard: an rtpengine finishes its own part of a handshake in a thread of its own."""
    deadline = time.monotonic() + 3.0
    party.rtp.settimeout(0.1)
    number = 1
    while time.monotonic() < deadline:
        browser.send(rtp(number))
        party.send(rtp(number, ssrc=9))
        number += 1
        try:
            party.rtp.recv(4_096)
        except TimeoutError:
            continue
        browser.receive()
        return
    raise AssertionError("nothing came to the party")


def crosses(browser: Browser, party: Party, number: int) -> None:
    browser.hears_nothing()
    browser.media.clear()
    party.drain(party.rtp)
    browser.send(rtp(number))
    assert party.receive()[12:] == rtp(number)[12:]
    party.send(rtp(number, ssrc=9))
    assert browser.receive()[12:] == rtp(number)[12:]


@pytest.mark.parametrize("suite", [None, SUITE])
def test_a_browser_calls(ng: Ng, call: str, browser: Browser, provider: Party, suite: str | None) -> None:
    offer = ng.offer(call, browser.sdp(), Encryption.NONE if suite is None else Encryption.SAVP)
    assert media_lines(offer)[0][2] == ("RTP/AVP" if suite is None else "RTP/SAVP")
    for word in (b"ice-ufrag", b"fingerprint", b"setup", b"candidate", b"extmap", b"ssrc", b"rtcp-fb", b"msid"):
        assert word not in offer, word
    answer = ng.answer(call, provider.answer(offer, suite))
    assert media_lines(answer)[0][2] == "UDP/TLS/RTP/SAVPF"
    assert value(answer, "setup") == "passive"
    assert b"a=crypto" not in answer
    browser.connect(answer)
    settle(browser, provider)
    crosses(browser, provider, 200)


@pytest.mark.parametrize("suite", [None, SUITE])
def test_a_browser_is_called(ng: Ng, call: str, browser: Browser, provider: Party, suite: str | None) -> None:
    keys = [] if suite is None else [(1, suite, provider.key(suite))]
    form = "RTP/AVP" if suite is None else "RTP/SAVP"
    offer = ng.offer(call, provider.sdp(form, keys), Encryption.DTLS, side=Side.PHONES)
    assert media_lines(offer)[0][2] == "UDP/TLS/RTP/SAVPF"
    assert value(offer, "setup") == "actpass"
    assert b"a=crypto" not in offer
    assert b"a=rtcp-mux" in offer
    browser.hear(offer)
    answer = ng.answer(call, browser.sdp("active"))
    assert media_lines(answer)[0][2] == form
    for word in (b"ice-ufrag", b"fingerprint", b"candidate", b"extmap", b"ssrc", b"msid"):
        assert word not in answer, word
    provider.hear_answer(answer)
    browser.check()
    browser.shake()
    settle(browser, provider)
    crosses(browser, provider, 200)


def test_hold_by_the_browser_keeps_its_keys(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    first = ng.answer(call, provider.answer(ng.offer(call, browser.sdp(), Encryption.NONE)))
    browser.connect(first)
    settle(browser, provider)
    held = ng.offer(call, browser.sdp(direction="sendonly"), Encryption.NONE, to_tag="callee")
    assert b"a=sendonly" in held
    answer = ng.answer(call, provider.answer(held, more=("a=recvonly",)))
    assert b"a=recvonly" in answer
    assert value(answer, "fingerprint") == value(first, "fingerprint")
    assert value(answer, "setup") == "passive"
    assert b"a=ice-ufrag" in answer
    ng.answer(call, provider.answer(ng.offer(call, browser.sdp(), Encryption.NONE, to_tag="callee")))
    crosses(browser, provider, 300)


def test_wrong_fingerprint_opens_nothing(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 5763 section 5."""
    other = Browser(own_address())
    offer = ng.offer(call, browser.sdp(fingerprint=other.fingerprint()), Encryption.NONE)
    browser.hear(ng.answer(call, provider.answer(offer)))
    browser.check()
    try:
        browser.shake(seconds=2.0)
    except Exception:
        browser.sender = None
    if browser.sender is not None:
        browser.send(rtp(1))
    provider.send(rtp(1, ssrc=9))
    assert provider.hears_nothing()
    other.close()
