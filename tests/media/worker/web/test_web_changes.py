"""A browser's call in its course: hold, ICE restart, new certificates, forks, the end of consent, and other parties."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.model import Side
from gateway.media.relay import Encryption
from tests.support.calls.processes import wait_until
from tests.support.media_browser import Browser, certificate_of, elliptic, value
from tests.support.media_party import SUITES, Party, media_lines, rtp
from tests.support.media_relays import Ng, NgError, own_address, worker


@pytest.fixture
def browser() -> Iterator[Browser]:
    one = Browser(own_address())
    yield one
    one.close()


@pytest.fixture
def another() -> Iterator[Browser]:
    one = Browser(own_address())
    yield one
    one.close()


def crosses(browser: Browser, party: Party, number: int) -> None:
    browser.send(rtp(number))
    assert party.receive() == rtp(number)
    party.send(rtp(number, ssrc=9))
    assert browser.receive() == rtp(number, ssrc=9)


def calls(ng: Ng, call: str, browser: Browser, party: Party, **how: str) -> bytes:
    """The browser's offer and its answer, also again in a call that is up."""
    offer = ng.offer(call, browser.sdp(**how), Encryption.NONE)  # type: ignore[arg-type]
    return ng.answer(call, party.answer(offer))


def is_called(ng: Ng, call: str, party: Party, **how: int) -> bytes:
    return ng.offer(call, party.sdp(), Encryption.DTLS, side=Side.PHONES, **how)  # type: ignore[arg-type]


def test_hold_by_the_browser_keeps_everything(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 8842 section 5.3: the same fingerprint, the same association."""
    first = calls(ng, call, browser, provider)
    browser.connect(first)
    crosses(browser, provider, 1)
    held = ng.offer(call, browser.sdp(direction="sendonly"), Encryption.NONE)
    assert b"a=sendonly" in held
    answer = ng.answer(call, provider.answer(held, more=("a=recvonly",)))
    assert b"a=recvonly" in answer
    for name in ("ice-ufrag", "ice-pwd", "fingerprint", "candidate", "setup"):
        assert value(answer, name) == value(first, name)
    browser.send(rtp(2))
    assert provider.receive() == rtp(2)
    calls(ng, call, browser, provider)
    for number in range(3, 20):
        crosses(browser, provider, number)


def test_hold_of_the_old_kind_is_one_by_direction_toward_a_browser(
    ng: Ng, call: str, browser: Browser, provider: Party
) -> None:
    """RFC 3264 section 8.4: c=0.0.0.0 would mean nothing to ICE."""
    first = is_called(ng, call, provider)
    browser.connect(first)
    provider.hear_answer(ng.answer(call, browser.sdp("active")))
    crosses(browser, provider, 1)
    held = ng.offer(call, provider.sdp(address="0.0.0.0"), Encryption.DTLS, side=Side.PHONES, to_tag="callee")
    assert b"a=sendonly" in held
    assert b"0.0.0.0" not in held
    assert value(held, "ice-ufrag") == value(first, "ice-ufrag")
    ng.answer(call, browser.sdp("active", direction="recvonly"))
    browser.send(rtp(2))
    assert provider.hears_nothing()
    ng.offer(call, provider.sdp(), Encryption.DTLS, side=Side.PHONES, to_tag="callee")
    ng.answer(call, browser.sdp("active"))
    for number in range(3, 20):
        crosses(browser, provider, number)


def test_ice_restart_by_the_browser(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 8839 section 4.4.1.1.1: both have new credentials; the association and its keys go on, at another address."""
    first = calls(ng, call, browser, provider)
    browser.connect(first)
    crosses(browser, provider, 1)
    browser.restart()
    again = calls(ng, call, browser, provider)
    assert value(again, "ice-ufrag") != value(first, "ice-ufrag")
    assert value(again, "ice-pwd") != value(first, "ice-pwd")
    assert value(again, "fingerprint") == value(first, "fingerprint")
    assert value(again, "setup") == value(first, "setup")
    assert media_lines(again) == media_lines(first)
    crosses(browser, provider, 2)  # media go where they went until another address is chosen
    browser.hear(again)
    browser.move()
    assert browser.check() == browser.own.getsockname()
    for number in range(3, 30):
        crosses(browser, provider, number)
    assert ng.stream(call, "caller")["dtls"] == "up"


def test_restart_that_comes_to_nothing_leaves_the_call_as_it_was(
    ng: Ng, call: str, browser: Browser, provider: Party
) -> None:
    first = calls(ng, call, browser, provider)
    browser.connect(first)
    before = browser.ufrag, browser.password
    browser.restart()
    ng.offer(call, browser.sdp(), Encryption.NONE)  # and nobody answers
    browser.ufrag, browser.password = before
    again = calls(ng, call, browser, provider)
    assert value(again, "ice-ufrag") == value(first, "ice-ufrag")
    browser.check()
    for number in range(1, 9):
        crosses(browser, provider, number)


def test_a_new_certificate_needs_a_new_handshake(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 8842 section 3.1; the keys of before open nothing any more."""
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    fresh = Browser(own_address())
    again = calls(ng, call, fresh, provider)
    browser.send(rtp(2))
    assert provider.hears_nothing()
    provider.send(rtp(2, ssrc=9))
    assert browser.hears_nothing()
    fresh.connect(again)
    for number in range(3, 20):
        crosses(fresh, provider, number)
    fresh.close()


def test_a_new_certificate_under_the_same_ice(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    browser.key = elliptic()
    browser.certificate = certificate_of(browser.key)
    browser.context = Browser(own_address(), browser.key).context
    browser.context.use_certificate(browser.certificate)
    browser.context.use_privatekey(browser.key)
    calls(ng, call, browser, provider)
    provider.send(rtp(2, ssrc=9))
    assert browser.hears_nothing()
    browser.shake()
    for number in range(3, 20):
        crosses(browser, provider, number)


def test_the_browser_moves_without_a_word(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """Another candidate pair is nominated (RFC 8445 section 8.2): a check is enough."""
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    browser.move()
    browser.send(rtp(2))
    assert provider.hears_nothing()
    browser.check()
    for number in range(3, 30):
        crosses(browser, provider, number)


def test_forks_have_credentials_of_their_own_and_the_one_that_answers_gets_the_call(
    ng: Ng, call: str, browser: Browser, another: Browser, provider: Party
) -> None:
    offers = [is_called(ng, call, provider, fork=number) for number in (1, 2)]
    assert value(offers[0], "ice-ufrag") != value(offers[1], "ice-ufrag")
    browser.connect(offers[0])
    another.connect(offers[1])
    again = is_called(ng, call, provider, fork=1, is_repeated=True)
    assert value(again, "ice-ufrag") == value(offers[0], "ice-ufrag")
    provider.hear_answer(ng.answer(call, browser.sdp("active"), to_tag="one"))
    for number in range(1, 9):
        crosses(browser, provider, number)
    another.send(rtp(9))
    assert provider.hears_nothing()
    assert another.hears_nothing()


def test_after_a_phone_answered_early_a_browser_can_have_the_call(
    ng: Ng, call: str, browser: Browser, provider: Party, phone: Party
) -> None:
    """Forks of two kinds at one port: the form of the answer that counts is the form of the stream."""
    plain = ng.offer(call, provider.sdp(), Encryption.SAVP, side=Side.PHONES, fork=1)
    offer = is_called(ng, call, provider, fork=2)
    browser.connect(offer)
    ng.offer(call, provider.sdp(), Encryption.SAVP, side=Side.PHONES, fork=1, is_repeated=True)
    provider.hear_answer(ng.answer(call, phone.answer(plain, SUITES[0]), to_tag="one"))
    phone.send(rtp(1))
    assert provider.receive() == rtp(1)
    provider.send(rtp(1, ssrc=9))
    assert phone.receive() == rtp(1, ssrc=9)
    is_called(ng, call, provider, fork=2, is_repeated=True)
    provider.hear_answer(ng.answer(call, browser.sdp("active"), to_tag="two"))
    for number in range(2, 20):
        crosses(browser, provider, number)
    phone.send(rtp(30))
    assert provider.hears_nothing()


def test_video_of_a_browser_is_refused_and_audio_goes_on(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 8843 section 7.3.2: a refused line is in no bundle."""
    offer = ng.offer(call, browser.sdp(video=True), Encryption.NONE)
    assert media_lines(offer)[0][2] == "RTP/AVP"
    answer = ng.answer(call, provider.answer(offer))
    lines = media_lines(answer)
    assert [(kind, port == 0) for kind, port, _ in lines] == [("audio", False), ("video", True)]
    assert b"a=group:BUNDLE 0\r\n" in answer
    assert [line for line in answer.split(b"\r\n") if line.startswith(b"a=mid")] == [b"a=mid:0", b"a=mid:1"]
    browser.connect(answer)
    crosses(browser, provider, 1)


def test_video_of_a_phone_is_not_offered_to_a_browser(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    sdp = provider.sdp() + b"m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=image 40002 udptl t38\r\n"
    offer = ng.offer(call, sdp, Encryption.DTLS, side=Side.PHONES)
    assert [(kind, port == 0) for kind, port, _ in media_lines(offer)] == [
        ("audio", False),
        ("video", True),
        ("image", True),
    ]
    browser.connect(offer)
    answer = browser.sdp("active") + b"m=video 0 UDP/TLS/RTP/SAVPF 96\r\nm=image 0 udptl t38\r\n"
    provider.hear_answer(ng.answer(call, answer))
    crosses(browser, provider, 1)


def test_two_browsers_call_each_other(ng: Ng, call: str, browser: Browser, another: Browser) -> None:
    offer = ng.offer(call, browser.sdp(), Encryption.DTLS, side=Side.PHONES)
    another.connect(offer)
    browser.connect(ng.answer(call, another.sdp("active")))
    for number in range(1, 20):
        browser.send(rtp(number))
        assert another.receive() == rtp(number)
        another.send(rtp(number, ssrc=9))
        assert browser.receive() == rtp(number, ssrc=9)


def test_the_same_call_by_ipv6(tmp_path: Path) -> None:
    with worker(tmp_path, interfaces=("phones/::1", f"provider/{own_address()}")) as ng:
        browser, provider = Browser("::1"), Party(own_address())
        offer = ng.offer("six", browser.sdp(), Encryption.NONE)
        answer = ng.answer("six", provider.answer(offer))
        assert b"c=IN IP6 ::1" in answer
        browser.connect(answer)
        crosses(browser, provider, 1)
        browser.close()
        provider.close()


def is_closed(ng: Ng, call: str) -> bool:
    """Whether the handshake is closed, or the worker has ended the call since."""
    try:
        return bool(ng.stream(call, "caller")["dtls"] == "closed")
    except NgError as error:
        return str(error) == "Unknown call-id"


def test_the_browser_says_goodbye(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """close_notify (RFC 5764 section 5.1.2): nothing is sent any more."""
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    browser.goodbye()
    wait_until("the end", lambda: is_closed(ng, call), 3.0)
    provider.send(rtp(2, ssrc=9))
    assert browser.hears_nothing()


def test_a_worker_that_is_asked_no_more_serves_its_browsers(
    ng: Ng, call: str, browser: Browser, provider: Party
) -> None:
    """Signalling may be started again meanwhile: checks and packets need none of it."""
    browser.connect(calls(ng, call, browser, provider))
    for number in range(1, 4):
        time.sleep(0.3)
        browser.check()
        crosses(browser, provider, number)


def test_silence_of_the_browser_ends_the_call_rfc_7675_5_1(tmp_path: Path) -> None:
    """Half a minute without a check, though the other party talks on."""
    with worker(tmp_path, "--media-timeout=3600") as ng:
        browser, provider = Browser(own_address()), Party(own_address())
        browser.connect(calls(ng, "c", browser, provider))
        crosses(browser, provider, 1)
        begin = time.monotonic()
        while ng.request({"command": "list"})["calls"]:
            provider.send(rtp(2, ssrc=9))
            assert time.monotonic() - begin < 40.0
            time.sleep(0.5)
        assert time.monotonic() - begin > 25.0
        browser.close()
        provider.close()


def test_handshakes_leave_nothing_behind(tmp_path: Path) -> None:
    """A worker collects no cycles: each call that ended has to be gone."""
    with worker(tmp_path) as ng:

        def resident() -> int:
            return int(Path(f"/proc/{ng.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

        def many(number: int) -> None:
            for index in range(number):
                browser, provider = Browser(own_address()), Party(own_address())
                browser.connect(calls(ng, f"c{index}", browser, provider))
                crosses(browser, provider, 1)
                ng.delete(f"c{index}")
                browser.close()
                provider.close()

        many(60)
        before = resident()
        many(240)
        assert resident() - before < 4 << 20  # an association is 60 kB: they would be 14 MiB
