"""The provider's users call a plain phone, over the connection the gateway keeps open to the provider."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.calls.stage import ALICE, Stage


@pytest.mark.parametrize(
    ("phone", "far_end", "algorithm"),
    [
        ("pjsua2", "pjsua2", "MD5"),
        ("baresip", "pjsua2", "MD5"),
        ("sipp", "pjsua2", "MD5"),
        ("linphonec", "pjsua2", "MD5"),
        ("twinkle", "pjsua2", "MD5"),
        ("pjsua2", "pjsua2", "SHA-256"),
        ("baresip", "baresip", "MD5"),
        ("linphonec", "linphonec", "SHA-256"),
    ],
)
def test_far_end_calls_phone(make_stage: Callable[..., Stage], phone: str, far_end: str, algorithm: str) -> None:
    stage = make_stage(algorithm)
    stage.start_gateway()
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
    assert stage.connections_from_provider() == 0, "the provider had to open a connection of its own"


def test_phone_hangs_up(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.phone("baresip"), stage.far_end("linphonec")
    alice.register()
    bob.register()

    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_call_was_right(seconds=1.2)
