"""Transfers (RFC 3515, RFC 5589) by a browser and of a browser, and hold between browsers of two libraries."""

from __future__ import annotations

import pytest

from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, CAROL, DAVE, HERTZ
from tests.support.calls.web.browser import WebPhone
from tests.support.calls.web.web_stage import JSSIP, SIPJS, WebStage

pytestmark = pytest.mark.alone


def everybody(web: WebStage) -> tuple[WebPhone, Pjsua, Pjsua]:
    """A browser behind the gateway; bob and carol at the provider."""
    web.start_gateway()
    alice, bob, carol = web.registered(), web.stage.pjsua_far_end(), web.stage.pjsua_far_end("carol")
    bob.register()
    carol.register()
    return alice, bob, carol


def test_a_browser_transfers_blindly(web: WebStage) -> None:
    alice, bob, carol = everybody(web)
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()

    alice.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    alice.wait_ended()
    bob.mark_recording()
    carol.mark_recording()
    web.stage.talk(2)
    carol.hangup()
    web.stage.assert_heard_since_mark(bob, 1.0, of="carol")
    web.stage.assert_heard_since_mark(carol, 1.0, of="bob")
    assert_clean(web)


def test_a_transfer_by_a_browser_to_nobody_leaves_the_call_as_it_was(web: WebStage) -> None:
    alice, bob, _ = everybody(web)
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()

    alice.transfer("sip:nobody@voip.test")

    alice.wait_says("call", "not transferred: ")
    alice.assert_hears(HERTZ["bob"])
    alice.hangup()
    bob.wait_ended()
    assert_clean(web)


def test_the_far_end_transfers_a_browser_blindly(web: WebStage) -> None:
    alice, bob, carol = everybody(web)
    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()

    bob.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert bob.wait_transferred() == 200
    bob.hangup()
    alice.wait_answered()
    carol.mark_recording()
    alice.assert_hears(HERTZ["carol"])
    alice.assert_is_dtls()
    alice.hangup()
    carol.wait_ended()
    web.stage.assert_heard_since_mark(carol, 1.0, of="alice")
    assert_clean(web)


def test_hold_by_either_of_two_browsers_of_two_libraries(web: WebStage) -> None:
    stage = web.stage
    stage.have_local_calls("alice", "dave")
    web.start_gateway()
    alice, dave = web.registered(JSSIP), web.registered(SIPJS, "dave")
    alice.call(DAVE)
    dave.wait_ringing()
    dave.answer()
    alice.wait_answered()
    for holder, held in ((alice, dave), (dave, alice)):
        of_holder, of_held = (HERTZ["alice"], HERTZ["dave"])[:: 1 if holder is alice else -1]
        held.assert_hears(of_holder)
        holder.hold()
        holder.assert_hears_nothing(of_held)  # RFC 3264 section 8.4: the held one sends nothing; the holder may
        holder.resume()
        held.assert_hears(of_holder)
        holder.assert_hears(of_held)
    alice.hangup()
    dave.wait_ended()
    assert_clean(web)


def assert_clean(web: WebStage) -> None:
    """Nothing is left, and nothing was told."""
    gateway = web.stage.gateway
    assert gateway is not None
    gateway.wait_idle()
    assert {call["verdict"] for call in gateway.calls()} == {"ENCRYPTED"}
    gateway.assert_log_is_clean(())
