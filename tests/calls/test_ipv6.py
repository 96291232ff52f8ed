"""Phones over IPv6, the provider over IPv4: addresses of one family never reach the other side."""

from __future__ import annotations

from tests.support.calls.baresip import Baresip
from tests.support.calls.stage import ALICE, BOB, Stage
from tests.support.calls.telephone import Telephone


def test_ipv6_phone_calls_ipv4_provider(stage: Stage) -> None:
    alice, bob = registered(stage)

    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    assert_right(stage, alice, bob)


def test_ipv4_provider_calls_ipv6_phone(stage: Stage) -> None:
    alice, bob = registered(stage)

    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()
    stage.talk(2)
    bob.hangup()
    alice.wait_ended()

    assert_right(stage, alice, bob)


def registered(stage: Stage) -> tuple[Baresip, Telephone]:
    """Alice behind the gateway, at ::1; bob at the provider."""
    stage.has_ipv6 = True
    stage.start_gateway()
    alice, bob = stage.ipv6_phone(), stage.far_end("linphonec")
    alice.register()
    bob.register()
    return alice, bob


def assert_right(stage: Stage, alice: Baresip, bob: Telephone) -> None:
    """Each heard the other; each side was told of addresses of its own family, and the phone of no key."""
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    stage.assert_recording(alice, 1.2)
    stage.assert_recording(bob, 1.2)
    stage.judge_provider_side(stage.capture.stop()).assert_clean()
    for message in stage.provider.messages():
        text = message.first_line + "".join(value for _, value in message.headers) + message.body.decode()
        assert "::1" not in text
        assert "IP6" not in text
    seen = alice.program.text()  # every message
    assert seen.count("c=IN IP6 ::1") >= 2, "an offer and an answer"
    for never in ("c=IN IP4", "a=crypto", "RTP/SAVP"):
        assert never not in seen
    stage.assert_gateway_is_well()
