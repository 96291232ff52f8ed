"""A plain phone calls out: TLS and SRTP toward the provider, UDP and RTP here, and each side hears the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.calls.stage import Stage


@pytest.mark.parametrize(
    ("phone", "far_end", "algorithm"),
    [
        ("pjsua2", "pjsua2", "MD5"),
        ("baresip", "pjsua2", "MD5"),
        ("sipp", "pjsua2", "MD5"),
        ("linphonec", "pjsua2", "MD5"),
        ("twinkle", "pjsua2", "MD5"),
        ("pjsua2", "pjsua2", "SHA-256"),
        (
            "pjsua2",
            "baresip",
            "MD5",
        ),  # baresip answers with two codecs: pjsua settles on one with an UPDATE or re-INVITE
        ("linphonec", "baresip", "MD5"),
    ],
)
def test_phone_calls_far_end(make_stage: Callable[..., Stage], phone: str, far_end: str, algorithm: str) -> None:
    stage = make_stage(algorithm)
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.reach(bob)
    stage.talk()
    alice.hangup()
    bob.wait_ended()

    stage.assert_call_was_right()


def test_far_end_hangs_up(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.phone("linphonec"), stage.far_end("baresip")
    alice.reach(bob)
    stage.talk(2)
    bob.hangup()
    alice.wait_ended()

    stage.assert_call_was_right(seconds=1.2)
