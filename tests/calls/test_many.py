"""Several calls at once, and calls that pass the gateway twice."""

from __future__ import annotations

import pytest

from tests.support.calls.audio import listen
from tests.support.calls.judge import Verdict
from tests.support.calls.stage import DAVE, HERTZ, Stage

EACH = 3  # calls: pjsua2 carries no more than four


@pytest.mark.alone
def test_six_calls_at_once(stage: Stage) -> None:
    """Each call has media of its own: every stream that leaves the gateway carries one tone, of who it should be."""
    stage.start_gateway()
    alice, dave = stage.pjsua_phone(), stage.pjsua_phone("dave")
    bob, carol = stage.pjsua_far_end(), stage.pjsua_far_end("carol")
    for telephone in (alice, dave, bob, carol):
        telephone.register()

    for _ in range(EACH):
        for caller, callee in ((alice, bob), (dave, carol)):
            caller.call(callee.line.address_of_record)
            callee.wait_ringing()
            callee.answer()
            caller.wait_answered()
    assert stage.gateway is not None
    assert stage.gateway.metric("gateway_active_calls") == 2 * EACH
    stage.talk(2)
    for place in range(EACH):
        for caller, callee in ((alice, bob), (dave, carol)):
            caller.hangup(place)
            callee.wait_ended()

    stage.gateway.wait_idle()
    packets = stage.capture.stop()
    there, here = stage.judge_provider_side(packets), stage.judge_phone_side(packets)
    there.assert_clean()
    here.assert_clean()
    assert tones(there, stage.hosts.gateway) == [HERTZ["alice"]] * EACH + [HERTZ["dave"]] * EACH
    assert tones(here, stage.hosts.gateway) == [HERTZ["carol"]] * EACH + [HERTZ["bob"]] * EACH
    stage.assert_gateway_is_well()


@pytest.mark.alone
def test_phones_of_one_gateway_call_each_other(stage: Stage) -> None:
    """Out to the provider and in again: two calls here, SRTP between the gateway and itself."""
    stage.start_gateway()
    alice, dave = stage.pjsua_phone(), stage.pjsua_phone("dave")
    alice.register()
    dave.register()

    alice.call(DAVE)
    dave.wait_ringing()
    dave.answer()
    alice.wait_answered()
    stage.talk(2)
    dave.hold()
    alice.wait_media("remote_hold")
    dave.resume()
    alice.wait_media("active")
    alice.hangup()
    dave.wait_ended()

    assert stage.gateway is not None
    stage.gateway.wait_idle()
    stage.assert_recording(alice, 1.2, of="dave")
    stage.assert_recording(dave, 1.2, of="alice")
    packets = stage.capture.stop()
    there = stage.judge_provider_side(packets)
    there.assert_clean()
    assert there.packets > 100
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()


def tones(verdict: Verdict, sender: str) -> list[int]:
    """The one tone of each stream that this host sent, lowest first."""
    streams = [samples for source, samples in verdict.audio.items() if source.address == sender]
    return sorted(hertz for heard in streams for hertz in HERTZ.values() if listen(heard, hertz).tone_seconds > 0.5)
