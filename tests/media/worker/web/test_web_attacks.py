"""A hostile network around a browser's call: strangers, wrong certificates, wrong checks, handshakes that never end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from gateway.config.model import Side
from gateway.media.relay import Encryption
from tests.support.calls.processes import wait_until
from tests.support.media_browser import Browser, sealed, value
from tests.support.media_party import Party, rtcp, rtp
from tests.support.media_relays import Ng, NgError, own_address


@pytest.fixture
def browser() -> Iterator[Browser]:
    one = Browser(own_address())
    yield one
    one.close()


def calls(ng: Ng, call: str, browser: Browser, party: Party, fingerprint: str | None = None) -> bytes:
    offer = ng.offer(call, browser.sdp(fingerprint=fingerprint), Encryption.NONE)
    return ng.answer(call, party.answer(offer))


def count(ng: Ng, kind: str, result: str) -> int:
    """Of `checks` or `handshakes`."""
    found = ng.request({"command": "statistics"})["statistics"]
    assert isinstance(found, dict)
    web = found["web"]
    assert isinstance(web, dict)
    counted = web[kind]
    assert isinstance(counted, dict)
    number = counted.get(result, 0)
    assert isinstance(number, int)
    return number


def errors(ng: Ng, call: str) -> dict[str, int]:
    """Of the browser's packets, by cause."""
    found = ng.stream(call, "caller")["errors by cause"]
    assert isinstance(found, dict)
    return {cause: number for cause, number in found.items() if isinstance(number, int)}


def crosses(browser: Browser, party: Party, number: int) -> None:
    browser.send(rtp(number))
    assert party.receive() == rtp(number)
    party.send(rtp(number, ssrc=9))
    assert browser.receive() == rtp(number, ssrc=9)


def client_hello(browser: Browser) -> bytes:
    browser.dtls = SSL.Connection(browser.context, None)
    browser.dtls.set_ciphertext_mtu(1_200)
    browser.dtls.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        browser.dtls.do_handshake()
    return b"".join(browser.written())


def test_a_strangers_client_hello_is_dropped_and_counted(
    ng: Ng, call: str, browser: Browser, provider: Party, stranger: Party
) -> None:
    """CVE-2023-49786: it would take the handshake, and the browser would be left without one."""
    answer = calls(ng, call, browser, provider)
    browser.hear(answer)
    hello = client_hello(Browser(own_address()))
    for _ in range(5):
        stranger.rtp.sendto(hello, browser.target)
    assert stranger.hears_nothing()
    assert errors(ng, call) == {"wrong source": 5}
    browser.check()
    for _ in range(5):  # the browser has proved itself, which makes nobody else better
        stranger.rtp.sendto(hello, browser.target)
    assert stranger.hears_nothing()
    browser.shake()
    for number in range(1, 9):
        crosses(browser, provider, number)


def test_rtp_of_a_stranger_is_not_looked_at(
    ng: Ng, call: str, browser: Browser, provider: Party, stranger: Party
) -> None:
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    assert browser.sender is not None
    stolen = browser.sender.protect(rtp(2))
    stranger.rtp.sendto(stolen, browser.target)
    stranger.rtp.sendto(stolen, (browser.target[0], browser.target[1] + 1))
    assert provider.hears_nothing()
    assert errors(ng, call)["wrong source"] == 2
    crosses(browser, provider, 3)


def test_clear_rtp_of_the_browser_is_refused(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    browser.hear(calls(ng, call, browser, provider))
    browser.own.sendto(rtp(1), browser.target)
    browser.check()
    browser.own.sendto(rtp(2), browser.target)
    browser.own.sendto(rtcp(), browser.target)
    assert provider.hears_nothing()
    provider.send(rtp(1, ssrc=9))
    provider.send_control(rtcp(9))
    assert browser.hears_nothing()  # nothing is sent to a browser in clear, either
    browser.shake()
    browser.own.sendto(rtp(3), browser.target)
    assert provider.hears_nothing()
    crosses(browser, provider, 4)
    browser.own.sendto(rtp(5), browser.target)
    assert provider.hears_nothing()


@pytest.mark.parametrize("is_early", [False, True])
def test_wrong_fingerprint_ends_the_media_and_is_told(
    ng: Ng, call: str, browser: Browser, provider: Party, *, is_early: bool
) -> None:
    """RFC 5763 section 5: whether the handshake is done before the SDP is there, or after it."""
    other = Browser(own_address())
    if is_early:
        offer = ng.offer(call, provider.sdp(), Encryption.DTLS, side=Side.PHONES)
        browser.connect(offer)
        provider.hear_answer(ng.answer(call, browser.sdp("active", fingerprint=other.fingerprint())))
        tag = "callee"
    else:
        browser.connect(calls(ng, call, browser, provider, other.fingerprint()))
        tag = "caller"
    wait_until("the mismatch", lambda: ng.stream(call, tag)["dtls"] == "mismatch", 3.0)
    for number in range(1, 4):
        browser.send(rtp(number))
        provider.send(rtp(number, ssrc=9))
    assert provider.hears_nothing()
    assert browser.hears_nothing()
    assert "crypto suite" not in ng.stream(call, tag)
    assert ng.request({"command": "ping"})["mismatched"] == [call]
    assert count(ng, "handshakes", "mismatch") >= 1
    ng.delete(call)
    assert "mismatched" not in ng.request({"command": "ping"})
    other.close()


@pytest.fixture
def thief() -> Iterator[Browser]:
    """Somebody who reads packets on the way, and sends them again from its own address."""
    one = Browser(own_address())
    yield one
    one.close()


def got(thief: Browser) -> list[bytes]:
    """All that came to the thief within a moment."""
    found = []
    deadline = time.monotonic() + 0.3
    while (packet := thief._packet(deadline)) is not None:
        found.append(packet)
    return found


@pytest.mark.parametrize("has_arrived", [True, False], ids=["one that arrived", "one that was kept from arriving"])
def test_rfc8445_7_3_a_check_sent_again_from_another_address_moves_no_media(
    ng: Ng, call: str, browser: Browser, provider: Party, thief: Browser, *, has_arrived: bool
) -> None:
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    before = count(ng, "checks", "unproved")
    check = browser.request()
    if has_arrived:
        browser.own.sendto(check, browser.target)
    for number in range(2, 12):
        thief.own.sendto(check, browser.target)
        crosses(browser, provider, number)
    wait_until("all are counted", lambda: count(ng, "checks", "unproved") == before + 10, 3.0)
    heard = got(thief)
    assert {packet[0] for packet in heard} == {0, 1}, "only our question and our answer, and both in STUN"
    assert {packet[:2] for packet in heard} == {b"\0\1", b"\1\1"}
    question = next(packet for packet in heard if packet[:2] == b"\0\1")
    thief.own.sendto(sealed(0x0101, question[8:20], b"", "x" * 24), browser.target)
    assert browser.sender is not None
    thief.own.sendto(browser.sender.protect(rtp(50)), browser.target)
    assert provider.hears_nothing()
    crosses(browser, provider, 51)


def test_a_check_sent_again_from_another_address_takes_no_handshake(
    ng: Ng, call: str, browser: Browser, provider: Party, thief: Browser
) -> None:
    """The race of ClientHellos (CVE-2023-49786) by somebody who has no password, and a check of one who has."""
    browser.hear(calls(ng, call, browser, provider))
    check = browser.request()
    thief.own.sendto(check, browser.target)  # faster than the browser's own
    thief.target, thief.far = browser.target, browser.far
    hello = client_hello(thief)
    thief.own.sendto(hello, browser.target)
    browser.own.sendto(check, browser.target)
    browser.check()
    thief.own.sendto(hello, browser.target)
    browser.shake()
    for number in range(1, 9):
        crosses(browser, provider, number)
    assert not [packet for packet in got(thief) if packet[0] > 3]


def test_an_address_that_answers_no_check_is_not_sent_to(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 7675 section 5.1, RFC 8445 section 19.5.1: nobody can have media sent to an address of others."""
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    first = browser.own
    browser.own = browser._bound()
    browser.answers_checks = False
    browser.check()
    provider.send(rtp(2, ssrc=9))
    assert browser.hears_nothing()
    browser.answers_checks = True
    browser.check()
    for number in range(3, 20):
        crosses(browser, provider, number)
    first.close()


@pytest.mark.parametrize("weak", ["sha-1", "md5"])
def test_weak_fingerprints_are_refused(ng: Ng, call: str, browser: Browser, provider: Party, weak: str) -> None:
    with pytest.raises(NgError, match="No m-line"):
        ng.offer(call, browser.sdp(fingerprint=browser.fingerprint(weak)), Encryption.NONE)
    offer = ng.offer(call, provider.sdp(), Encryption.DTLS, side=Side.PHONES)
    browser.hear(offer)
    with pytest.raises(NgError, match="SHA-256"):
        ng.answer(call, browser.sdp("active", fingerprint=browser.fingerprint(weak)))


@pytest.mark.parametrize("form", ["RTP/AVP", "RTP/SAVPF"])
def test_answer_of_another_form_is_refused(ng: Ng, call: str, browser: Browser, provider: Party, form: str) -> None:
    offer = ng.offer(call, provider.sdp(), Encryption.DTLS, side=Side.PHONES, takes_clear=True)
    browser.hear(offer)
    with pytest.raises(NgError, match="DTLS"):
        ng.answer(call, browser.sdp("active").replace(b"UDP/TLS/RTP/SAVPF", form.encode()))
    with pytest.raises(NgError, match="DTLS"):
        ng.answer(call, browser.sdp("actpass"))


@pytest.mark.parametrize("encryption", [Encryption.NONE, Encryption.SAVP, Encryption.OSRTP])
def test_dtls_where_it_was_not_offered_is_refused(
    ng: Ng, call: str, browser: Browser, provider: Party, encryption: Encryption
) -> None:
    """It would be taken for an answer in clear."""
    ng.offer(call, provider.sdp(), encryption, takes_clear=True)
    with pytest.raises(NgError, match="mirror"):
        ng.answer(call, browser.sdp("active"))


def test_rsa_4096_certificate(ng: Ng, call: str, provider: Party) -> None:
    """Its flight is longer than a datagram."""
    browser = Browser(own_address(), rsa.generate_private_key(65_537, 4_096))
    browser.connect(calls(ng, call, browser, provider))
    crosses(browser, provider, 1)
    browser.close()


def test_a_thousand_wrong_checks_are_answered_by_nothing(
    ng: Ng, call: str, browser: Browser, provider: Party, stranger: Party
) -> None:
    browser.connect(calls(ng, call, browser, provider))
    before = {result: count(ng, "checks", result) for result in ("wrong", "limited", "unknown", "malformed")}
    for number in range(1_000):
        stranger.rtp.sendto(browser.request(password="x" * 24), browser.target)
        if number % 100 == 0:
            time.sleep(0.005)  # the port's buffer is not what is tried
    wait_until("all are counted", lambda: sum(_checks(ng, before).values()) >= 1_000, 5.0)
    counted = _checks(ng, before)
    assert counted["unknown"] == counted["malformed"] == 0
    assert counted["limited"] >= 900
    assert stranger.hears_nothing()
    assert browser.check() == browser.own.getsockname()  # the browser, at its address, is heard meanwhile
    crosses(browser, provider, 1)
    stranger.rtp.sendto(browser.request(user="nobody:x"), browser.target)
    stranger.rtp.sendto(browser.request()[:-1], browser.target)
    wait_until("both", lambda: _checks(ng, before)["unknown"] == _checks(ng, before)["malformed"] == 1, 3.0)
    assert stranger.hears_nothing()


def _checks(ng: Ng, before: dict[str, int]) -> dict[str, int]:
    return {result: count(ng, "checks", result) - number for result, number in before.items()}


def test_fragments_that_never_complete_keep_nobody_waiting(
    ng: Ng, call: str, browser: Browser, provider: Party
) -> None:
    """The first half of a ClientHello, over and over: no answer, no keys, and the worker does all else."""
    browser.hear(calls(ng, call, browser, provider))
    browser.check()
    hello = client_hello(browser)
    body = hello[25:]
    for sequence in range(200):
        length = len(body) // 2
        head = hello[13:19] + (0).to_bytes(3, "big") + length.to_bytes(3, "big")
        record = hello[:5] + sequence.to_bytes(6, "big") + (12 + length).to_bytes(2, "big") + head + body[:length]
        browser.own.sendto(record, browser.target)
    assert browser.hears_nothing()
    assert ng.stream(call, "caller")["dtls"] == "waiting"
    assert errors(ng, call)["wrong source"] >= 100  # those of more than MOST_RECORDS a second
    other = Browser(own_address())
    other.connect(calls(ng, f"{call} beside", other, Party(own_address())))
    ng.delete(f"{call} beside")
    other.close()


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\x16", b"\x16\xfe\xfd" + b"\xff" * 10, b"\x3f" * 1_400, b"\x40\x41"])
def test_garbage_of_the_browser_itself_breaks_nothing(
    ng: Ng, call: str, browser: Browser, provider: Party, garbage: bytes
) -> None:
    browser.hear(calls(ng, call, browser, provider))
    browser.check()
    browser.own.sendto(garbage, browser.target)
    browser.shake()
    crosses(browser, provider, 1)
    crosses(browser, provider, 2)
    browser.own.sendto(garbage, browser.target)
    crosses(browser, provider, 3)


def test_a_peer_without_srtp_gets_no_keys(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """RFC 5764 section 4.1: the extension is what makes it DTLS-SRTP."""
    browser.context = SSL.Context(SSL.DTLS_METHOD)
    browser.context.use_certificate(browser.certificate)
    browser.context.use_privatekey(browser.key)
    browser.hear(calls(ng, call, browser, provider))
    browser.check()
    with pytest.raises(KeyError):
        browser.shake()
    wait_until("the end", lambda: ng.stream(call, "caller")["dtls"] == "failed", 3.0)
    provider.send(rtp(1))
    assert browser.hears_nothing()


def test_a_peer_without_a_certificate_is_refused(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_256_GCM")
    browser.context = context
    browser.hear(calls(ng, call, browser, provider))
    browser.check()
    with pytest.raises((SSL.Error, AssertionError)):
        browser.shake(seconds=2.0)
    assert ng.stream(call, "caller")["dtls"] == "failed"


def test_one_browser_is_one_address_family_of_sockets(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    """A browser with several addresses is heard at each that it proved, and sent to at the one that it nominated."""
    browser.hear(calls(ng, call, browser, provider))
    browser.check(nominate=False)
    first = browser.own
    browser.own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    browser.own.bind((browser.address, 0))
    browser.check()
    browser.shake()
    crosses(browser, provider, 1)
    first.settimeout(0.2)
    with pytest.raises(TimeoutError):
        first.recv(2_048)
    first.close()


def test_sdp_of_ours_never_has_a_key(ng: Ng, call: str, browser: Browser, provider: Party) -> None:
    answer = calls(ng, call, browser, provider)
    assert b"a=crypto" not in answer
    assert value(answer, "setup") == "passive"


def test_a_browser_that_is_called_has_its_second_address_taken_with_its_answer(
    ng: Ng, call: str, browser: Browser, provider: Party
) -> None:
    """RFC 8445 section 8.2: checks before the answer came from both, and the second is the chosen one."""
    browser.hear(ng.offer(call, provider.sdp(), Encryption.DTLS, side=Side.PHONES))
    browser.check(nominate=False)
    first = browser.own
    browser.own = browser._bound()
    browser.check()
    provider.hear_answer(ng.answer(call, browser.sdp("active")))
    browser.shake()
    for number in range(1, 9):
        crosses(browser, provider, number)
    first.close()
