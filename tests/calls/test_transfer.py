"""Transfers (RFC 5589): a call goes on between two others, whoever asks for it and wherever the others are."""

from __future__ import annotations

from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, CAROL, Stage


def test_phone_transfers_blindly(stage: Stage) -> None:
    alice, bob, carol = everybody(stage)
    talk(alice, bob, BOB)

    alice.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert alice.wait_transferred() == 200
    alice.hangup()
    assert_talking(stage, bob, carol)
    bob.hangup()
    carol.wait_ended()
    assert_clean(stage)


def test_phone_transfers_baresip_blindly(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob, carol = stage.pjsua_phone(), stage.far_end("baresip"), stage.pjsua_far_end("carol")
    for telephone in (alice, bob, carol):
        telephone.register()
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()

    alice.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert alice.wait_transferred() == 200
    alice.hangup()
    carol.mark_recording()
    stage.talk(2)
    stage.assert_heard_since_mark(carol, 1.0, of="bob")
    carol.hangup()
    assert_clean(stage)


def test_far_end_transfers_phone_blindly(stage: Stage) -> None:
    alice, bob, carol = everybody(stage)
    talk(bob, alice, ALICE)

    bob.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert bob.wait_transferred() == 200
    bob.hangup()
    assert_talking(stage, alice, carol)
    alice.hangup()
    carol.wait_ended()
    assert_clean(stage)


def test_transfer_to_nobody_fails_and_the_call_goes_on(stage: Stage) -> None:
    alice, bob, _ = everybody(stage)
    talk(alice, bob, BOB)

    alice.transfer("sip:nobody@voip.test")

    assert alice.wait_transferred() == 404
    assert_talking(stage, alice, bob)
    alice.hangup()
    assert_clean(stage)


def test_phone_transfers_after_asking(stage: Stage) -> None:
    alice, bob, carol = everybody(stage)
    talk(alice, bob, BOB)
    alice.hold()
    bob.wait_media("remote_hold")
    talk(alice, carol, CAROL)
    stage.talk(0.5)

    alice.transfer_to_latest(call=0)
    carol.wait_replaced()

    assert alice.wait_transferred() == 200
    alice.wait_ended()  # carol's call with alice gave way
    alice.hangup(call=0)
    assert_talking(stage, bob, carol)
    bob.hangup()
    carol.wait_ended()
    assert_clean(stage)


def test_far_end_transfers_phone_after_asking(stage: Stage) -> None:
    """The call that is replaced was never the gateway's: bob and carol talk at the provider."""
    alice, bob, carol = everybody(stage)
    talk(bob, alice, ALICE)
    bob.hold()
    alice.wait_media("remote_hold")
    talk(bob, carol, CAROL)
    stage.talk(0.5)

    bob.transfer_to_latest(call=0)
    carol.wait_replaced()

    assert bob.wait_transferred() == 200
    bob.wait_ended()
    bob.hangup(call=0)
    assert_talking(stage, alice, carol)
    alice.hangup()
    carol.wait_ended()
    assert_clean(stage)


def test_phone_is_what_a_transfer_leads_to(stage: Stage) -> None:
    """Bob asks alice, then lets carol take his place: the INVITE that replaces comes in at the provider's side."""
    alice, bob, carol = everybody(stage)
    talk(bob, carol, CAROL)
    bob.hold()
    carol.wait_media("remote_hold")
    talk(bob, alice, ALICE)
    stage.talk(0.5)

    bob.transfer_to_latest(call=0)
    alice.wait_replaced()

    assert bob.wait_transferred() == 200
    bob.wait_ended()
    bob.hangup(call=0)
    assert_talking(stage, alice, carol)
    alice.hangup()
    carol.wait_ended()
    assert_clean(stage)


def everybody(stage: Stage) -> tuple[Pjsua, Pjsua, Pjsua]:
    """Alice behind the gateway; bob and carol at the provider."""
    stage.start_gateway()
    everybody = stage.pjsua_phone(), stage.pjsua_far_end("bob"), stage.pjsua_far_end("carol")
    for telephone in everybody:
        telephone.register()
    return everybody


def talk(caller: Pjsua, callee: Pjsua, uri: str) -> None:
    """One calls the other, who answers."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def assert_talking(stage: Stage, one: Pjsua, other: Pjsua) -> None:
    """From now on each hears the other."""
    one.mark_recording()
    other.mark_recording()
    stage.talk(2)
    stage.assert_heard_since_mark(one, 1.0, of=other.line.user)
    stage.assert_heard_since_mark(other, 1.0, of=one.line.user)


def assert_clean(stage: Stage) -> None:
    """Nothing is left, nothing went in clear, nothing was told."""
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    packets = stage.capture.stop()
    stage.judge_provider_side(packets).assert_clean()
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()
