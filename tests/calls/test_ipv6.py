"""Phones over IPv6, the provider over IPv4: addresses of one family never reach the other side."""

from __future__ import annotations

from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, Stage


def test_ipv6_phone_calls_ipv4_provider(stage: Stage) -> None:
    alice, bob = registered(stage)

    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_call_was_right(1.2)
    assert_no_ipv6_was_told(stage)


def test_ipv4_provider_calls_ipv6_phone(stage: Stage) -> None:
    alice, bob = registered(stage)

    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()
    stage.talk(2)
    bob.hangup()
    alice.wait_ended()

    stage.assert_call_was_right(1.2)
    assert_no_ipv6_was_told(stage)


def registered(stage: Stage) -> tuple[Pjsua, Pjsua]:
    """Alice behind the gateway, at ::1; bob at the provider."""
    stage.has_ipv6 = True
    stage.start_gateway()
    alice, bob = stage.ipv6_phone(), stage.pjsua_far_end()
    alice.register()
    bob.register()
    return alice, bob


def assert_no_ipv6_was_told(stage: Stage) -> None:
    """In nothing that the provider received."""
    for message in stage.provider.messages():
        text = message.first_line + "".join(value for _, value in message.headers) + message.body.decode()
        assert "::1" not in text
        assert "IP6" not in text
