"""Phones that speak TLS and SRTP themselves: encrypted on both legs, beside phones that know neither."""

from __future__ import annotations

import pytest

from tests.support.calls.audio import assert_hears
from tests.support.calls.stage import ALICE, BOB, HERTZ, Stage
from tests.support.calls.telephone import Telephone


@pytest.mark.parametrize(("phone", "far_end"), [("pjsua2", "pjsua2"), ("baresip", "pjsua2"), ("baresip", "linphonec")])
@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_call_is_encrypted_on_both_legs(stage: Stage, phone: str, far_end: str, direction: str) -> None:
    stage.has_tls_phones = True
    gateway = stage.start_gateway()
    alice, bob = stage.secure_phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()

    if direction == "outbound":
        talk(stage, alice, bob, BOB)
    else:
        talk(stage, bob, alice, ALICE)

    gateway.wait_idle()
    assert gateway.verdicts() == {direction: "ENCRYPTED"}
    stage.assert_call_was_right()


@pytest.mark.parametrize(("plain", "secure"), [("pjsua2", "pjsua2"), ("sipp", "baresip")])
def test_plain_phone_calls_secure_phone_through_the_provider(stage: Stage, plain: str, secure: str) -> None:
    """One estate holds both: each leg is as good as its phone, and each verdict says so."""
    stage.has_tls_phones = True
    gateway = stage.start_gateway()
    alice, dave = stage.secure_phone(secure), stage.phone(plain, "dave")
    alice.register()
    dave.register()

    talk(stage, dave, alice, ALICE)

    gateway.wait_idle()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED_TO_PROVIDER", "inbound": "ENCRYPTED"}
    stage.assert_recording(alice, of="dave")
    stage.assert_recording(dave, of="alice")
    packets = stage.capture.stop()
    plain_side = stage.judge_phone_side(packets)
    (heard,) = [samples for sender, samples in plain_side.audio.items() if sender.address == stage.hosts.gateway]
    assert_hears(heard, HERTZ["alice"], never=HERTZ["dave"], seconds=1.2, who="dave")
    for verdict in (stage.judge_provider_side(packets), stage.judge_secure_phones(packets), plain_side):
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
