"""The same calls with a real rtpengine as the relay: one configuration line, nothing else changes."""

from __future__ import annotations

import pytest

from tests.support.calls.stage import ALICE, Stage


@pytest.mark.parametrize(("phone", "far_end"), [("pjsua2", "pjsua2"), ("linphonec", "linphonec")])
def test_phone_calls_far_end(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway(relay="rtpengine")
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.reach(bob)
    stage.talk()
    alice.hangup()
    bob.wait_ended()

    stage.assert_call_was_right()


@pytest.mark.parametrize(("phone", "far_end"), [("baresip", "pjsua2"), ("baresip", "linphonec")])
def test_far_end_calls_phone(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway(relay="rtpengine")
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()

    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()
    stage.talk()
    bob.hangup()
    alice.wait_ended()

    stage.assert_call_was_right()
