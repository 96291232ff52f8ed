"""Hold and resume from either side, and digits: audio comes back, with the keys it had (RFC 3711 section 3.3.1)."""

from __future__ import annotations

import pytest

from tests.support.calls.stage import Stage
from tests.support.calls.telephone import Telephone

EITHER = pytest.mark.parametrize(("phone", "far_end"), [("pjsua2", "pjsua2"), ("linphonec", "linphonec")])


@EITHER
def test_phone_holds_and_resumes(stage: Stage, phone: str, far_end: str) -> None:
    alice, bob = talking(stage, phone, far_end)

    alice.hold()
    bob.wait_held()
    stage.talk(0.6)
    alice.resume()
    bob.wait_resumed()
    alice.mark_recording()
    bob.mark_recording()
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_heard_since_mark(alice, 1.2)
    stage.assert_heard_since_mark(bob, 1.2)
    stage.assert_call_was_right()
    assert len(stage.keys_of_gateway()) == 1, "nothing had changed, so the key must not have"


@EITHER
def test_far_end_holds_and_resumes(stage: Stage, phone: str, far_end: str) -> None:
    alice, bob = talking(stage, phone, far_end)

    bob.hold()
    alice.wait_held()
    stage.talk(0.6)
    bob.resume()
    alice.wait_resumed()
    alice.mark_recording()
    bob.mark_recording()
    stage.talk(2)
    bob.hangup()
    alice.wait_ended()

    stage.assert_heard_since_mark(alice, 1.2)
    stage.assert_heard_since_mark(bob, 1.2)
    stage.assert_call_was_right()
    assert len(stage.keys_of_gateway()) == 1, "nothing had changed, so the key must not have"


@pytest.mark.parametrize(
    ("phone", "far_end"), [("linphonec", "pjsua2"), ("baresip", "linphonec"), ("twinkle", "linphonec")]
)
def test_other_phones_hold_and_resume(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.reach(bob)
    stage.talk(1.2)  # baresip calls its recordings by the second

    alice.hold()
    bob.wait_held()
    alice.resume()
    bob.wait_resumed()
    bob.mark_recording()
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_heard_since_mark(bob, 1.2)
    stage.assert_call_was_right(0.8)


@pytest.mark.parametrize(("phone", "far_end"), [("pjsua2", "pjsua2"), ("baresip", "baresip")])
def test_digits_arrive_on_both_sides(stage: Stage, phone: str, far_end: str) -> None:
    alice, bob = talking(stage, phone, far_end)

    alice.dtmf("159#")
    bob.wait_dtmf("159#")
    bob.dtmf("*08")
    alice.wait_dtmf("*08")
    alice.hangup()
    bob.wait_ended()

    packets = stage.capture.stop()
    stage.judge_provider_side(packets).assert_clean()
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()


def talking(stage: Stage, phone: str, far_end: str) -> tuple[Telephone, Telephone]:
    """Alice has called Bob, and they have talked for a second."""
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.reach(bob)
    stage.talk(1.2)  # baresip calls its recordings by the second
    return alice, bob
