"""What is rarer between a phone and a far end: redirection, reliable ringing, early media, late offers, many calls."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, CAROL, Stage
from tests.support.calls.telephone import Habits


def test_early_media_is_heard_before_the_answer(stage: Stage) -> None:
    alice, bob = phone_and_far_end(stage)

    alice.call(BOB)
    bob.wait_ringing()
    bob.progress()
    alice.wait_media("active")
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_recording(alice, 1.2)
    assert_clean(stage)


def test_ringing_of_several_kinds_then_the_answer(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(), stage.scripted_far_end()
    alice.register()
    bob.register()
    bob.follow("early_callee")

    alice.call(BOB)
    alice.wait_early()
    alice.wait_answered()
    alice.hangup()

    bob.wait_followed()
    assert_told_nothing(stage)


def test_far_end_insists_on_reliable_ringing(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(), stage.pjsua_far_end(habits=Habits(prack="required"))
    alice.register()
    bob.register()

    call(alice, bob, BOB)
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    assert "PRACK" in {message.method for message in stage.provider.messages()}
    assert "PRACK sip:" not in alice.log.read_text(), "the phone had not asked for it"
    stage.assert_call_was_right(1.2)


def test_phone_insists_on_reliable_ringing(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(habits=Habits(prack="required")), stage.pjsua_far_end()
    alice.register()
    bob.register()

    call(alice, bob, BOB)
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    assert "PRACK sip:" in alice.log.read_text()
    assert "PRACK" not in {message.method for message in stage.provider.messages()}
    stage.assert_call_was_right(1.2)


def test_phone_makes_no_offer(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.scripted_phone(), stage.pjsua_far_end()
    alice.register()
    bob.register()

    alice.follow("late_caller", BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_for("answered")
    bob.wait_ended()

    alice.wait_followed()
    assert "m=audio" in alice.trace_of("late_caller")
    assert_clean(stage)


def test_far_end_makes_no_offer(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(), stage.scripted_far_end()
    alice.register()
    bob.register()

    bob.follow("late_far_end", ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_for("answered")
    alice.wait_ended()

    bob.wait_followed()
    assert "RTP/SAVP" in bob.trace_of("late_far_end")
    assert_told_nothing(stage)


def test_redirection_is_followed_by_the_phone(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob, carol = stage.pjsua_phone(), stage.scripted_far_end(), stage.pjsua_far_end("carol")
    for telephone in (alice, bob, carol):
        telephone.register()
    bob.follow("moved_callee", CAROL)

    alice.call(BOB)
    carol.wait_ringing()
    carol.answer()
    alice.wait_answered()
    stage.talk(2)
    alice.hangup()
    carol.wait_ended()

    bob.wait_followed()
    stage.assert_recording(alice, 1.2, of="carol")
    stage.assert_recording(carol, 1.2, of="alice")
    assert_told_nothing(stage)


def test_session_interval_is_raised_and_refreshed_by_the_phone(stage: Stage) -> None:
    stage.start_gateway()
    alice, bob = stage.scripted_phone(), stage.pjsua_far_end()
    alice.register()
    bob.register()

    alice.follow("session_caller", BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_for("refreshed")
    bob.wait_ended()

    alice.wait_followed()
    assert_clean(stage)


def test_session_interval_is_raised_and_refreshed_by_the_far_end(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(), stage.scripted_far_end()
    alice.register()
    bob.register()
    bob.follow("session_callee")

    alice.call(BOB)
    alice.wait_answered()
    bob.wait_for("refreshed")
    alice.hangup()

    bob.wait_followed()
    assert_told_nothing(stage)


def test_both_sides_agree_on_session_timers_of_their_own(stage: Stage) -> None:
    stage.start_gateway()
    alice = stage.pjsua_phone(habits=Habits(timer="always", session=120))
    bob = stage.pjsua_far_end(habits=Habits(timer="always", session=300))
    alice.register()
    bob.register()

    call(alice, bob, BOB)
    alice.hangup()
    bob.wait_ended()

    answers = [m for m in stage.provider.messages() if m.status == 200 and m.cseq.endswith("INVITE")]
    assert [message.header("session-expires").partition(";")[0] for message in answers] == ["1800"]
    assert "Session-Expires: 120;refresher=uac" in alice.log.read_text().partition("SIP/2.0 200 OK")[2]
    assert_clean(stage)


def test_waiting_messages_are_told_to_who_subscribes(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    mailbox = stage.scripted_far_end("carol")
    mailbox.register()
    mailbox.follow("mailbox")

    alice = stage.pjsua_phone(habits=Habits(watches_mailbox=True))
    alice.register()

    assert "Voice-Message: 2/8" in alice.wait_mwi()
    assert "Voice-Message: 5/8" in alice.wait_mwi()
    mailbox.wait_followed()
    assert_told_nothing(stage)


def test_waiting_messages_are_told_without_being_asked(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, mailbox = stage.pjsua_phone(), stage.scripted_far_end("carol")
    alice.register()
    mailbox.register()

    mailbox.follow("unsolicited_notify", ALICE)

    assert "Voice-Message: 3/8" in alice.wait_mwi()
    mailbox.wait_followed()
    assert_told_nothing(stage)


def phone_and_far_end(stage: Stage) -> tuple[Pjsua, Pjsua]:
    """Alice behind the gateway, bob at the provider, both registered."""
    stage.start_gateway()
    alice, bob = stage.pjsua_phone(), stage.pjsua_far_end()
    alice.register()
    bob.register()
    return alice, bob


def call(caller: Pjsua, callee: Pjsua, uri: str) -> None:
    """One calls the other, who answers."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def assert_clean(stage: Stage) -> None:
    """Nothing is left, nothing went in clear, nothing was told."""
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    packets = stage.capture.stop()
    stage.judge_provider_side(packets).assert_clean()
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()


def assert_told_nothing(stage: Stage) -> None:
    """The same where the far end is a script inside the provider's network, which the gateway does not see."""
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    stage.judge_phone_side(stage.capture.stop()).assert_clean()
    stage.assert_gateway_is_well()
