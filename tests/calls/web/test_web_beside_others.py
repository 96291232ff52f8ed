"""Browsers beside other phones: of the same user, of the same domain, and over a connection that comes back."""

from __future__ import annotations

import pytest

from tests.support.calls.stage import ALICE, BOB, DAVE, HERTZ
from tests.support.calls.web.web_stage import JSSIP, SIPJS, WebStage


@pytest.mark.alone
def test_a_browser_and_a_desk_phone_of_one_user_ring_together(web: WebStage) -> None:
    gateway = web.start_gateway()
    browser, desk, bob = web.registered(), web.stage.pjsua_phone(), web.stage.pjsua_far_end()
    desk.register()
    bob.register()

    bob.call(ALICE)
    browser.wait_ringing()
    desk.wait_ringing()
    browser.answer()
    bob.wait_answered()
    desk.wait_ended()
    browser.assert_hears(HERTZ["bob"])
    browser.assert_is_dtls()
    browser.hangup()
    bob.wait_ended()

    bob.call(ALICE)
    browser.wait_ringing()
    desk.wait_ringing()
    desk.answer()
    bob.wait_answered()
    browser.wait_failed()
    web.stage.talk()
    bob.hangup()
    desk.wait_ended()
    gateway.wait_idle()
    assert sorted(call["verdict"] for call in gateway.calls()) == ["ENCRYPTED", "ENCRYPTED_TO_PROVIDER"]
    gateway.assert_log_is_clean(())


@pytest.mark.alone
def test_two_browsers_talk_without_the_provider(web: WebStage) -> None:
    stage = web.stage
    stage.have_local_calls("alice", "dave")
    gateway = web.start_gateway()
    alice, dave = web.registered(JSSIP), web.registered(SIPJS, "dave")
    alice.call(DAVE)
    dave.wait_ringing()
    dave.answer()
    alice.wait_answered()
    alice.assert_hears(HERTZ["dave"])
    dave.assert_hears(HERTZ["alice"])
    for phone in (alice, dave):
        phone.assert_is_dtls()
    dave.hangup()
    alice.wait_ended()
    gateway.wait_idle()
    (call,) = gateway.calls()
    assert (call["direction"], call["verdict"]) == ("internal", "ENCRYPTED")
    gateway.assert_log_is_clean(())


@pytest.mark.alone
def test_a_connection_that_comes_back_in_a_call_carries_its_end(web: WebStage) -> None:
    """The page has not gone: it connects and registers again, as the same instance (RFC 5626 section 4.1)."""
    gateway = web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    alice.run("phone.agent.transport.socket._ws.close()")
    alice.wait_registration("no connection")
    alice.wait_registration("registered", 15)
    alice.assert_hears(HERTZ["bob"])
    bob.hangup()
    alice.wait_ended()
    gateway.wait_idle()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED"}
