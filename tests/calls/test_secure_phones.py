"""Phones that speak TLS and SRTP themselves: encrypted on both legs, beside phones that know neither."""

from __future__ import annotations

import pytest

from tests.support.calls.stage import ALICE, BOB, Stage
from tests.support.calls.telephone import Telephone


@pytest.mark.parametrize("kind", ["pjsua2", "baresip"])
@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_call_is_encrypted_on_both_legs(stage: Stage, kind: str, direction: str) -> None:
    stage.has_tls_phones = True
    gateway = stage.start_gateway()
    alice, bob = stage.secure_phone(kind), stage.far_end()
    alice.register()
    bob.register()

    if direction == "outbound":
        talk(stage, alice, bob, BOB)
    else:
        talk(stage, bob, alice, ALICE)

    gateway.wait_idle()
    assert gateway.verdicts() == {direction: "ENCRYPTED"}
    stage.assert_call_was_right()


def test_plain_phone_calls_secure_phone_through_the_provider(stage: Stage) -> None:
    """One estate holds both: each leg is as good as its phone, and each verdict says so."""
    stage.has_tls_phones = True
    gateway = stage.start_gateway()
    alice, dave = stage.secure_phone(), stage.phone("pjsua2", "dave")
    alice.register()
    dave.register()

    talk(stage, dave, alice, ALICE)

    gateway.wait_idle()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED_TO_PROVIDER", "inbound": "ENCRYPTED"}
    stage.assert_recording(alice, of="dave")
    stage.assert_recording(dave, of="alice")
    packets = stage.capture.stop()
    for verdict in (
        stage.judge_provider_side(packets),
        stage.judge_secure_phones(packets),
        stage.judge_phone_side(packets),
    ):
        verdict.assert_clean()
        assert verdict.packets > 100
    stage.assert_gateway_is_well()


def talk(stage: Stage, caller: Telephone, callee: Telephone, uri: str) -> None:
    """A short call."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()
    stage.talk()
    caller.hangup()
    callee.wait_ended()
