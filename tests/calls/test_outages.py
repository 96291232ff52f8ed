"""The provider goes away and comes back: what phones are told meanwhile, and that all is well again afterwards."""

from __future__ import annotations

import json
import time

from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, CAROL, Stage


def test_call_while_the_provider_is_down(stage: Stage) -> None:
    alice, bob = registered(stage)
    stage.provider.stop()

    begun = time.monotonic()
    alice.call(BOB)
    why = alice.wait_ended()

    assert why.startswith("503")
    assert time.monotonic() - begun < 3
    assert stage.gateway is not None
    (call,) = json.loads(stage.gateway.fetch("/api/calls") or "[]")
    assert (call["verdict"], call["reason"], call["status"]) == ("UNANSWERED", "PROVIDER_UNREACHABLE", 503)
    assert "cannot be reached: its port refuses" in (stage.gateway.fetch(f"/api/calls/{call['id']}") or "")
    assert "probable downgrade" not in stage.gateway.program.text()
    bob.stop()
    stage.provider.start()
    carol = stage.pjsua_far_end("carol")
    carol.register()
    talk(stage, alice, carol, CAROL)
    stage.assert_recording(carol, 1.0, of="alice")
    stage.judge_provider_side(stage.capture.stop()).assert_clean()
    stage.assert_gateway_is_well()


def test_registration_while_the_provider_is_down(stage: Stage) -> None:
    stage.start_gateway()
    alice = stage.pjsua_phone()
    stage.provider.stop()

    assert alice.ask_registration() == 503

    stage.provider.start()
    alice.register()
    stage.wait_registered_at_provider("alice")
    stage.assert_gateway_is_well()


def test_phone_registers_anew_after_the_provider_was_restarted(stage: Stage) -> None:
    """The registrar has forgotten everybody: the phone's next refresh must get there, over a new connection."""
    stage.start_gateway()
    alice = stage.pjsua_phone()
    alice.register()
    before = sources_of_gateway(stage)
    stage.provider.stop()
    stage.provider.start()

    alice.register()
    bob = stage.pjsua_far_end()
    bob.register()

    assert sources_of_gateway(stage) - before, "no new TLS connection"
    talk(stage, bob, alice, ALICE)
    stage.assert_call_was_right(1.0)
    assert stage.connections_from_provider() == 0


def test_call_outlives_the_provider(stage: Stage) -> None:
    """Media go on without signalling; hanging up ends it at once on the phone's side."""
    alice, bob = registered(stage)
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()

    stage.provider.stop()
    alice.mark_recording()
    stage.talk(1.5)

    stage.assert_heard_since_mark(alice, 0.8)
    alice.hangup()
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    stage.assert_gateway_is_well()


def registered(stage: Stage) -> tuple[Pjsua, Pjsua]:
    """Alice behind the gateway, bob at the provider."""
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(), stage.pjsua_far_end()
    alice.register()
    bob.register()
    return alice, bob


def talk(stage: Stage, caller: Pjsua, callee: Pjsua, uri: str) -> None:
    """A short call."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()
    stage.talk(1.8)
    caller.hangup()
    callee.wait_ended()


def sources_of_gateway(stage: Stage) -> set[str]:
    """The ends of the gateway's connections that the provider heard something on."""
    sources = {message.source for message in stage.provider.messages()}
    return {source for source in sources if source.startswith(f"{stage.hosts.gateway}:")}
