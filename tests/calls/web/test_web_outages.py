"""The gateway dies under calls of browsers: its media go on, the page registers again, and the call obeys or ends."""

from __future__ import annotations

import pytest

from tests.support.calls.gateway import Gateway
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.processes import wait_until
from tests.support.calls.stage import BOB, HERTZ
from tests.support.calls.web.browser import WebPhone
from tests.support.calls.web.web_stage import WebStage

pytestmark = pytest.mark.alone

ENDS_WITHIN = 40.0
"""Seconds after the kill, where the browser does not come back: half a minute of consent (RFC 7675), and the start."""


def killed(web: WebStage, *, returns: bool = True) -> tuple[Gateway, WebPhone, Pjsua]:
    """A call of a browser, and the gateway killed and started again under it."""
    gateway = web.start_gateway()
    alice, bob = web.registered(), web.stage.pjsua_far_end()
    bob.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    alice.assert_hears(HERTZ["bob"])
    gateway.kill()
    alice.wait_registration("no connection")
    alice.assert_hears(HERTZ["bob"])  # nobody is there but the media worker
    if not returns:
        alice.stop()
    gateway.start()
    if returns:
        alice.wait_registration("registered", 40)
    return gateway, alice, bob


def assert_one_record(gateway: Gateway) -> None:
    wait_until("the end", lambda: gateway.metric("gateway_active_calls") == 0, 5)
    (call,) = gateway.calls()
    assert (call["direction"], call["verdict"]) == ("outbound", "ENCRYPTED")
    gateway.assert_log_is_clean(())


def test_after_a_kill_the_browser_holds_resumes_and_ends_its_call(web: WebStage) -> None:
    gateway, alice, bob = killed(web)
    alice.hold()
    bob.wait_held()
    alice.resume()
    bob.wait_resumed()
    alice.assert_hears(HERTZ["bob"])
    alice.hangup()
    bob.wait_ended()
    assert_one_record(gateway)


def test_after_a_kill_the_far_end_ends_the_call_of_a_browser_that_is_back(web: WebStage) -> None:
    gateway, alice, bob = killed(web)
    alice.assert_hears(HERTZ["bob"])
    bob.hangup()
    alice.wait_ended()
    assert_one_record(gateway)


def test_after_a_kill_the_call_of_a_browser_that_is_gone_ends_at_both_sides(web: WebStage) -> None:
    gateway, _, bob = killed(web, returns=False)
    bob.wait_ended(ENDS_WITHIN)
    assert_one_record(gateway)
