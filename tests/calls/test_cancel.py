"""Calls that never stand: given up, rejected, to nobody, and from somebody with a wrong password."""

from __future__ import annotations

import attrs
import pytest

from tests.support.calls.stage import ALICE, BOB, DOMAIN, TELEPHONES, Stage

EITHER = pytest.mark.parametrize(("phone", "far_end"), [("pjsua2", "pjsua2"), ("linphonec", "baresip")])


@EITHER
def test_phone_gives_up(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()

    alice.call(BOB)
    bob.wait_ringing()
    alice.wait_early()
    alice.hangup()
    bob.wait_ended()

    stage.wait_for_statuses("INVITE", "bob", {487})
    assert_nothing_is_left(stage)


@EITHER
def test_far_end_gives_up(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()

    bob.call(ALICE)
    alice.wait_ringing()
    bob.wait_early()
    bob.hangup()
    alice.wait_ended()

    assert_nothing_is_left(stage)


@pytest.mark.parametrize(
    ("phone", "far_end", "code"),
    [("pjsua2", "pjsua2", 486), ("pjsua2", "pjsua2", 603), ("baresip", "baresip", 486), ("baresip", "linphonec", 603)],
)
def test_far_end_rejects(stage: Stage, phone: str, far_end: str, code: int) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()

    alice.call(BOB)
    bob.wait_ringing()
    bob.reject(code)

    assert alice.wait_ended().startswith(str(code))
    assert_nothing_is_left(stage)


@pytest.mark.parametrize(
    ("phone", "far_end", "code"),
    [("pjsua2", "pjsua2", 486), ("baresip", "baresip", 486), ("linphonec", "baresip", 603)],
)
def test_phone_rejects(stage: Stage, phone: str, far_end: str, code: int) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()

    bob.call(ALICE)
    alice.wait_ringing()
    alice.reject(code)

    assert bob.wait_ended().startswith(str(code))
    assert_nothing_is_left(stage)


@pytest.mark.parametrize("phone", ["pjsua2", "baresip"])
def test_call_to_nobody(stage: Stage, phone: str) -> None:
    stage.start_gateway()
    alice = stage.phone(phone)
    alice.register()

    alice.call(f"sip:nobody@{DOMAIN}")

    assert alice.wait_ended().startswith("404")
    assert_nothing_is_left(stage)


@pytest.mark.parametrize("phone", ["pjsua2", "baresip"])
def test_wrong_password_is_refused_by_the_provider(stage: Stage, phone: str) -> None:
    stage.start_gateway()
    right = stage.phone(phone)
    right.stop()
    wrong = TELEPHONES[phone](attrs.evolve(right.line, password="Mallory-0000", directory=stage.directory / "mallory"))
    try:
        with pytest.raises(AssertionError, match="was not registered"):
            wrong.register()
    finally:
        wrong.stop()
    assert "alice" not in stage.provider.registered()


def assert_nothing_is_left(stage: Stage) -> None:
    """No call and no media stay behind, and no secret was told."""
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    packets = stage.capture.stop()
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()
