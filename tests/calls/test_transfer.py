"""Transfers (RFC 5589): a call goes on between two others, whoever asks for it and wherever the others are."""

from __future__ import annotations

import pytest

from tests.support.calls.stage import ALICE, BOB, CAROL, Stage
from tests.support.calls.telephone import Telephone

KINDS = ("phone", "bobs", "carols")
EVERYBODY = pytest.mark.parametrize(KINDS, [("pjsua2", "pjsua2", "pjsua2"), ("linphonec", "linphonec", "linphonec")])


@EVERYBODY
def test_phone_transfers_blindly(stage: Stage, phone: str, bobs: str, carols: str) -> None:
    alice, bob, carol = everybody(stage, phone, bobs, carols)
    talk(alice, bob, BOB)

    alice.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert alice.wait_transferred() == 200
    alice.hangup()
    talk_until_hung_up(stage, bob, carol)
    assert_clean(stage)


def test_phone_transfers_baresip_blindly(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob, carol = stage.phone("linphonec"), stage.far_end("baresip"), stage.far_end("linphonec", "carol")
    for telephone in (alice, bob, carol):
        telephone.register()
    talk(alice, bob, BOB)

    alice.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert alice.wait_transferred() == 200
    alice.hangup()
    carol.mark_recording()
    stage.talk(2)
    carol.hangup()
    stage.assert_heard_since_mark(carol, 1.0, of="bob")
    assert_clean(stage)


@EVERYBODY
def test_far_end_transfers_phone_blindly(stage: Stage, phone: str, bobs: str, carols: str) -> None:
    alice, bob, carol = everybody(stage, phone, bobs, carols)
    talk(bob, alice, ALICE)

    bob.transfer(CAROL)
    carol.wait_ringing()
    carol.answer()

    assert bob.wait_transferred() == 200
    bob.hangup()
    talk_until_hung_up(stage, alice, carol)
    assert_clean(stage)


@EVERYBODY
def test_transfer_to_nobody_fails_and_the_call_goes_on(stage: Stage, phone: str, bobs: str, carols: str) -> None:
    alice, bob, _ = everybody(stage, phone, bobs, carols)
    talk(alice, bob, BOB)

    alice.transfer("sip:nobody@voip.test")

    assert alice.wait_transferred() == 404
    talk_until_hung_up(stage, alice, bob)
    assert_clean(stage)


@EVERYBODY
def test_phone_transfers_after_asking(stage: Stage, phone: str, bobs: str, carols: str) -> None:
    alice, bob, carol = everybody(stage, phone, bobs, carols)
    talk(alice, bob, BOB)
    alice.hold()
    bob.wait_held()
    talk(alice, carol, CAROL)
    stage.talk(0.5)

    alice.transfer_to_latest(call=0)
    carol.wait_replaced()

    assert alice.wait_transferred() == 200
    alice.wait_ended()  # carol's call with alice gave way
    alice.hangup(call=0)
    talk_until_hung_up(stage, bob, carol)
    assert_clean(stage)


@EVERYBODY
def test_far_end_transfers_phone_after_asking(stage: Stage, phone: str, bobs: str, carols: str) -> None:
    """The call that is replaced was never the gateway's: bob and carol talk at the provider."""
    alice, bob, carol = everybody(stage, phone, bobs, carols)
    talk(bob, alice, ALICE)
    bob.hold()
    alice.wait_held()
    talk(bob, carol, CAROL)
    stage.talk(0.5)

    bob.transfer_to_latest(call=0)
    carol.wait_replaced()

    assert bob.wait_transferred() == 200
    bob.wait_ended()
    bob.hangup(call=0)
    talk_until_hung_up(stage, alice, carol)
    assert_clean(stage)


@EVERYBODY
def test_phone_is_what_a_transfer_leads_to(stage: Stage, phone: str, bobs: str, carols: str) -> None:
    """Bob asks alice, then lets carol take his place: the INVITE that replaces comes in at the provider's side."""
    alice, bob, carol = everybody(stage, phone, bobs, carols)
    talk(bob, carol, CAROL)
    bob.hold()
    carol.wait_held()
    talk(bob, alice, ALICE)
    stage.talk(0.5)

    bob.transfer_to_latest(call=0)
    alice.wait_replaced()

    assert bob.wait_transferred() == 200
    bob.wait_ended()
    bob.hangup(call=0)
    talk_until_hung_up(stage, alice, carol)
    assert_clean(stage)


def everybody(stage: Stage, phone: str, bobs: str, carols: str) -> tuple[Telephone, Telephone, Telephone]:
    """Alice behind the gateway; bob and carol at the provider."""
    stage.start_gateway()
    everybody = stage.phone(phone), stage.far_end(bobs), stage.far_end(carols, "carol")
    for telephone in everybody:
        telephone.register()
    return everybody


def talk(caller: Telephone, callee: Telephone, uri: str) -> None:
    """One calls the other, who answers."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def talk_until_hung_up(stage: Stage, one: Telephone, other: Telephone) -> None:
    """From now on each hears the other, until one hangs up."""
    one.mark_recording()
    other.mark_recording()
    stage.talk(2)
    one.hangup()
    other.wait_ended()
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
