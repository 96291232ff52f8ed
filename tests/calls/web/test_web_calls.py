"""Browsers call and are called: DTLS-SRTP on their leg, SDES at the provider, tones heard both ways, and the ends.

Chromium (JsSIP, SIP.js) --WSS, DTLS-SRTP--> gateway --TLS, SRTP--> Kamailio <-- pjsua2 (TLS, SRTP)
"""

from __future__ import annotations

import time

import pytest

from tests.support.calls.audio import assert_hears, read_wav
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.processes import wait_until
from tests.support.calls.stage import ALICE, BOB, HERTZ
from tests.support.calls.web.web_stage import JSSIP, SIPJS, WebStage


def assert_far_end_hears(bob: Pjsua) -> None:
    """The far end's recording has the browser's tone and not its own."""
    assert_hears(read_wav(bob.recordings()[-1]), HERTZ["alice"], never=HERTZ["bob"], seconds=1.0, who="bob")


@pytest.mark.alone
@pytest.mark.parametrize("page", [JSSIP, SIPJS])
def test_a_browser_calls(web: WebStage, page: str) -> None:
    gateway = web.start_gateway()
    alice, bob = web.registered(page), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    alice.assert_hears(HERTZ["bob"])
    alice.assert_is_dtls()
    alice.hangup()
    bob.wait_ended()
    gateway.wait_idle()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED"}
    assert_far_end_hears(bob)
    (call,) = gateway.calls()
    assert "DTLS-SRTP" in str(call["chain"])
    gateway.assert_log_is_clean(())


@pytest.mark.alone
@pytest.mark.parametrize("page", [JSSIP, SIPJS])
def test_a_browser_is_called(web: WebStage, page: str) -> None:
    gateway = web.start_gateway()
    alice, bob = web.registered(page), web.stage.pjsua_far_end()
    bob.register()
    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()
    alice.assert_hears(HERTZ["bob"])
    alice.assert_is_dtls()
    bob.hangup()
    alice.wait_ended()
    gateway.wait_idle()
    assert gateway.verdicts() == {"inbound": "ENCRYPTED"}
    assert_far_end_hears(bob)
    gateway.assert_log_is_clean(())


@pytest.mark.alone
def test_hold_resume_and_keys(web: WebStage) -> None:
    web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    alice.hold()
    bob.wait_held()
    alice.resume()
    bob.wait_resumed()
    alice.assert_hears(HERTZ["bob"])
    alice.dial_keys("15#")
    bob.wait_dtmf("15#")
    bob.hold()
    web.stage.talk(1)  # pjsua2 sends an UPDATE of its own after the answer; its next offer meets that one
    bob.resume()
    alice.assert_hears(HERTZ["bob"])
    alice.hangup()
    bob.wait_ended()
    assert web.stage.gateway is not None
    assert web.stage.gateway.verdicts() == {"outbound": "ENCRYPTED"}


def test_a_page_that_is_loaded_again_in_a_call_ends_it_within_half_a_minute(web: WebStage) -> None:
    gateway = web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    time.sleep(1)
    alice.reload()
    bob.wait_ended(30)
    gateway.wait_idle()


def test_a_call_that_nobody_takes_and_one_that_is_cancelled(web: WebStage) -> None:
    gateway = web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.reject(486)
    assert alice.wait_failed() == "failed: Busy"
    alice.call(BOB)
    bob.wait_ringing()
    alice.press_hangup()
    alice.wait_failed()
    bob.wait_ended()
    gateway.wait_idle()


@pytest.mark.alone
def test_a_plain_phone_and_a_browser_talk_through_the_provider(web: WebStage) -> None:
    gateway = web.start_gateway()
    alice, dave = web.registered(), web.stage.pjsua_phone("dave")
    dave.register()
    dave.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    dave.wait_answered()
    alice.assert_hears(HERTZ["dave"])
    alice.assert_is_dtls()
    alice.hangup()
    dave.wait_ended()
    gateway.wait_idle()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED_TO_PROVIDER", "inbound": "ENCRYPTED"}


def test_the_worker_s_media_of_a_dead_browser_end(web: WebStage) -> None:
    """The browser is gone without a word: its flow has ended, and no media come."""
    gateway = web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    time.sleep(1)
    alice.stop()
    bob.wait_ended(45)
    wait_until("idle", lambda: gateway.metric("gateway_active_calls") == 0, 5)


FORGE = """
Object.defineProperty(RTCPeerConnection.prototype, "localDescription", { get() {
  const own = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, "currentLocalDescription").get.call(this)
    || Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, "pendingLocalDescription").get.call(this);
  if (!own) return own;
  const other = (all, start) => start + (all.endsWith("AA") ? "BB" : "AA");
  const sdp = own.sdp.replace(/(a=fingerprint:sha-256 )../g, other);
  return { type: own.type, sdp, toJSON() { return { type: own.type, sdp }; } };
} });
"""
"""The page's SDP names another certificate than the one of its handshake, as a proxy on the way would have it."""


def test_rfc5763_another_fingerprint_is_refused_and_nothing_is_heard(web: WebStage) -> None:
    gateway = web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.run(FORGE)
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    bob.wait_ended(15)
    gateway.wait_idle()
    (call,) = gateway.calls()
    assert (call["verdict"], call["reason"]) == ("REFUSED", "REFUSED_FINGERPRINT")
    assert not any(abs(sample) > 200 for sample in read_wav(bob.recordings()[-1]))
