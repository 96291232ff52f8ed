"""Calls between a browser and other parties through a real worker: DTLS-SRTP, ICE-lite (RFC 5763, RFC 8445)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.config.model import Side
from gateway.media.relay import Encryption
from tests.support.calls.processes import wait_until
from tests.support.media_browser import PROFILES, Browser, value
from tests.support.media_party import SUITES, Party, media_lines, rtcp, rtp
from tests.support.media_relays import Ng, own_address


@pytest.fixture
def browser() -> Iterator[Browser]:
    one = Browser(own_address())
    yield one
    one.close()


def crosses(browser: Browser, party: Party, number: int) -> None:
    """A packet each way."""
    browser.send(rtp(number))
    assert party.receive() == rtp(number)
    party.send(rtp(number, ssrc=9))
    assert browser.receive() == rtp(number, ssrc=9)


def calls(ng: Ng, call: str, browser: Browser, party: Party, suite: str | None = None) -> bytes:
    """The browser calls; the answer for it."""
    wanted = Encryption.NONE if suite is None else Encryption.SAVP
    offer = ng.offer(call, browser.sdp(), wanted)
    return ng.answer(call, party.answer(offer, suite))


def is_called(ng: Ng, call: str, browser: Browser, party: Party, suite: str | None = None) -> bytes:
    """The browser is offered a call of the party."""
    keys = [] if suite is None else [(1, suite, party.key(suite))]
    offer = party.sdp("RTP/AVP" if suite is None else "RTP/SAVP", keys)
    return ng.offer(call, offer, Encryption.DTLS, side=Side.PHONES)


def test_offer_toward_the_provider_has_nothing_of_the_browser(ng: Ng, call: str, browser: Browser) -> None:
    offer = ng.offer(call, browser.sdp(), Encryption.SAVP)
    assert [line[2] for line in media_lines(offer)] == ["RTP/SAVP"]
    for word in (b"ice-", b"fingerprint", b"setup", b"candidate", b"mid", b"BUNDLE", b"extmap", b"ssrc", b"rtcp-fb"):
        assert word not in offer, word
    assert b"0.0.0.0" not in offer
    assert b"a=rtpmap:111 opus/48000/2" in offer


def test_answer_mirrors_the_browsers_form(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 8839 section 5.3, RFC 8843 section 7.3, RFC 5763 section 5."""
    answer = calls(ng, call, browser, provider)
    ((kind, port, profile),) = media_lines(answer)
    assert (kind, profile) == ("audio", "UDP/TLS/RTP/SAVPF")
    session, _, line = answer.partition(b"m=audio")
    assert b"a=ice-lite\r\n" in session
    assert b"a=group:BUNDLE 0\r\n" in session
    assert value(line, "mid") == "0"
    assert value(line, "setup") == "passive"
    assert value(line, "candidate") == f"1 1 udp 2130706431 {ng.address} {port} typ host"
    assert value(line, "rtcp") == str(port)
    assert value(line, "fingerprint").startswith("sha-256 ")
    assert b"a=end-of-candidates\r\n" in line
    assert b"a=rtcp-mux\r\n" in line
    assert b"crypto" not in answer


@pytest.mark.parametrize("suite", [None, *SUITES])
def test_a_browser_calls(ng: Ng, call: str, browser: Browser, provider: Party, suite: str | None) -> None:
    provider_hears = calls(ng, call, browser, provider, suite)
    browser.connect(provider_hears)
    for number in range(1, 40):
        crosses(browser, provider, number)
    assert browser.suite == "AEAD_AES_256_GCM"
    stream = ng.stream(call, "caller")
    assert (stream["crypto suite"], stream["dtls"]) == ("AEAD_AES_256_GCM", "up")


@pytest.mark.parametrize("suite", [None, "AEAD_AES_128_GCM"])
@pytest.mark.parametrize("setup", ["active", "passive"])
def test_a_browser_is_called(
    ng: Ng, call: str, browser: Browser, provider: Party, suite: str | None, setup: str
) -> None:
    offer = is_called(ng, call, browser, provider, suite)
    assert value(offer, "setup") == "actpass"
    assert b"a=ice-lite\r\n" in offer.partition(b"m=")[0]
    assert b"crypto" not in offer
    browser.hear(offer)
    answer = ng.answer(call, browser.sdp(setup))
    provider.hear_answer(answer)
    browser.check()
    browser.shake(is_client=setup == "active")
    wait_until("keys", lambda: ng.stream(call, "callee")["dtls"] == "up", 3.0)  # a passive browser is done before us
    for number in range(1, 20):
        crosses(browser, provider, number)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_each_profile(ng: Ng, call: str, provider: Party, profile: bytes) -> None:
    """RFC 5764 section 4.1.2, RFC 7714 section 14.2."""
    browser = Browser(own_address(), profiles=(profile,))
    browser.connect(calls(ng, call, browser, provider))
    assert browser.suite == PROFILES[profile][0]
    for number in range(1, 20):
        crosses(browser, provider, number)
    browser.close()


def test_rtcp_goes_on_the_port_of_media(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    browser.send_control(rtcp())
    assert provider.receive_control() == rtcp()
    provider.send_control(rtcp(9))
    assert browser.receive_control() == rtcp(9)


def test_handshake_before_the_answer_opens_nothing_until_it_is_there(
    ng: Ng, call: str, browser: Browser, provider: Party
) -> None:
    offer = is_called(ng, call, browser, provider)
    browser.connect(offer)
    browser.send(rtp(1))
    assert provider.hears_nothing()
    provider.hear_answer(ng.answer(call, browser.sdp("active")))
    for number in range(2, 9):
        crosses(browser, provider, number)
