"""Calls that never stand: given up, rejected, to nobody, and from somebody with a wrong password."""

from __future__ import annotations

import attrs
import pytest

from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, DOMAIN, Stage


def test_phone_gives_up(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.phone("pjsua2"), stage.far_end()
    alice.register()
    bob.register()

    alice.call(BOB)
    bob.wait_ringing()
    alice.wait_early()
    alice.hangup()
    bob.wait_ended()

    stage.wait_for_statuses("INVITE", "bob", {487})
    assert_nothing_is_left(stage)


def test_far_end_gives_up(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.phone("pjsua2"), stage.far_end()
    alice.register()
    bob.register()

    bob.call(ALICE)
    alice.wait_ringing()
    bob.wait_early()
    bob.hangup()
    alice.wait_ended()

    assert_nothing_is_left(stage)


@pytest.mark.parametrize("code", [486, 603])
def test_far_end_rejects(stage: Stage, code: int) -> None:
    stage.start_gateway()
    alice, bob = stage.phone("pjsua2"), stage.far_end()
    alice.register()
    bob.register()

    alice.call(BOB)
    bob.wait_ringing()
    bob.reject(code)

    assert alice.wait_ended().startswith(str(code))
    assert_nothing_is_left(stage)


def test_phone_rejects(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.phone("pjsua2"), stage.far_end()
    alice.register()
    bob.register()

    bob.call(ALICE)
    alice.wait_ringing()
    alice.reject(486)

    assert bob.wait_ended().startswith("486")
    assert_nothing_is_left(stage)


def test_call_to_nobody(stage: Stage) -> None:
    stage.start_gateway()
    alice = stage.phone("pjsua2")
    alice.register()

    alice.call(f"sip:nobody@{DOMAIN}")

    assert alice.wait_ended().startswith("404")
    assert_nothing_is_left(stage)


def test_wrong_password_is_refused_by_the_provider(stage: Stage) -> None:
    stage.start_gateway()
    right = stage.phone("pjsua2")
    right.stop()
    wrong = Pjsua(attrs.evolve(right.line, password="Mallory-0000", directory=stage.directory / "mallory"))
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
