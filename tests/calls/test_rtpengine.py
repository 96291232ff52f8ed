"""The same calls with a real rtpengine as the relay: one configuration line, nothing else changes."""

from __future__ import annotations

from tests.support.calls.stage import ALICE, BOB, Stage


def test_phone_calls_far_end(stage: Stage) -> None:
    stage.start_gateway(relay="rtpengine")
    alice, bob = stage.phone("pjsua2"), stage.far_end()
    alice.register()
    bob.register()

    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    stage.talk()
    alice.hangup()
    bob.wait_ended()

    stage.assert_call_was_right()


def test_far_end_calls_phone(stage: Stage) -> None:
    stage.start_gateway(relay="rtpengine")
    alice, bob = stage.phone("baresip"), stage.far_end()
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
