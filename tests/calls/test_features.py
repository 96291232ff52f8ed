"""What is rarer between a phone and a far end: redirection, reliable ringing, early media, late offers, many calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.calls.pcap import UDP
from tests.support.calls.stage import ALICE, BOB, CAROL, Stage
from tests.support.calls.telephone import Habits, Telephone
from tests.support.calls.wire import SipMessage

TELEPHONES = ("phone", "far_end")


@pytest.mark.parametrize(TELEPHONES, [("pjsua2", "pjsua2"), ("linphonec", "linphonec")])
def test_early_media_is_heard_before_the_answer(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.far_end(far_end, habits=Habits(speaks_early=True))
    alice.register()
    bob.register()

    alice.call(BOB)
    bob.wait_ringing()
    bob.progress()
    alice.wait_media_early()
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_recording(alice, 1.2)
    assert_clean(stage)


@pytest.mark.parametrize("phone", ["pjsua2", "baresip"])
def test_ringing_of_several_kinds_then_the_answer(make_stage: Callable[..., Stage], phone: str) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.scripted_far_end()
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

    assert_ringing_was_acknowledged(stage.provider.messages())
    assert_phone_acknowledged_nothing(stage)
    stage.assert_call_was_right(1.2)


def test_script_at_the_far_end_insists_on_reliable_ringing(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.phone("baresip"), stage.scripted_far_end()
    alice.register()
    bob.register()
    bob.follow("reliable_callee")

    alice.call(BOB)
    bob.wait_for("acknowledged")
    alice.wait_answered()
    alice.hangup()

    bob.wait_followed()
    assert_phone_acknowledged_nothing(stage)
    assert_told_nothing(stage)


@pytest.mark.parametrize(TELEPHONES, [("pjsua2", "pjsua2"), ("twinkle", "baresip")])
def test_phone_insists_on_reliable_ringing(stage: Stage, phone: str, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.phone(phone, habits=Habits(prack="required")), stage.far_end(far_end)
    alice.register()
    bob.register()

    call(alice, bob, BOB)
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    assert "PRACK" in {message.method for message in messages_of_phone(stage)}
    assert "PRACK" not in {message.method for message in stage.provider.messages()}
    stage.assert_call_was_right(1.2)


@pytest.mark.parametrize("far_end", ["pjsua2", "baresip"])
def test_phone_makes_no_offer(stage: Stage, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.scripted_phone(), stage.far_end(far_end)
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


@pytest.mark.parametrize("phone", ["pjsua2", "linphonec"])
def test_far_end_makes_no_offer(make_stage: Callable[..., Stage], phone: str) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.scripted_far_end()
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


@pytest.mark.parametrize(TELEPHONES, [("pjsua2", "pjsua2"), ("linphonec", "baresip")])
def test_redirection_is_followed_by_the_phone(make_stage: Callable[..., Stage], phone: str, far_end: str) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob, carol = stage.phone(phone), stage.scripted_far_end(), stage.far_end(far_end, "carol")
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


@pytest.mark.parametrize("far_end", ["pjsua2", "linphonec"])
def test_session_interval_is_raised_and_refreshed_by_the_phone(stage: Stage, far_end: str) -> None:
    stage.start_gateway()
    alice, bob = stage.scripted_phone(), stage.far_end(far_end)
    alice.register()
    bob.register()

    alice.follow("session_caller", BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_for("refreshed")
    bob.wait_ended()

    alice.wait_followed()
    assert_clean(stage)


@pytest.mark.parametrize("phone", ["pjsua2", "baresip"])
def test_session_interval_is_raised_and_refreshed_by_the_far_end(make_stage: Callable[..., Stage], phone: str) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, bob = stage.phone(phone), stage.scripted_far_end()
    alice.register()
    bob.register()
    bob.follow("session_callee")

    alice.call(BOB)
    alice.wait_answered()
    bob.wait_for("refreshed")
    alice.hangup()

    bob.wait_followed()
    assert_told_nothing(stage)


@pytest.mark.parametrize(
    (*TELEPHONES, "answered"),
    [("pjsua2", "pjsua2", "1800"), ("linphonec", "linphonec", "300")],  # linphonec makes it shorter, as it may
)
def test_both_sides_agree_on_session_timers_of_their_own(stage: Stage, phone: str, far_end: str, answered: str) -> None:
    stage.start_gateway()
    alice = stage.phone(phone, habits=Habits(timer="always", session=120))
    bob = stage.far_end(far_end, habits=Habits(timer="always", session=300))
    alice.register()
    bob.register()

    call(alice, bob, BOB)
    alice.hangup()
    bob.wait_ended()

    answers = [m for m in stage.provider.messages() if m.status == 200 and m.cseq.endswith("INVITE")]
    assert [message.header("session-expires").partition(";")[0] for message in answers] == [answered]
    (told,) = [m for m in messages_of_phone(stage) if m.status == 200 and m.cseq.endswith("INVITE")]
    assert told.header("session-expires") == "120;refresher=uac"
    assert_clean(stage)


@pytest.mark.parametrize("phone", ["pjsua2", "baresip"])
def test_waiting_messages_are_told_to_who_subscribes(make_stage: Callable[..., Stage], phone: str) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    mailbox = stage.scripted_far_end("carol")
    mailbox.register()
    mailbox.follow("mailbox")

    alice = stage.phone(phone, habits=Habits(watches_mailbox=True))
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


def test_waiting_messages_are_told_to_a_script_without_being_asked(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(clear=True)
    stage.start_gateway()
    alice, mailbox = stage.scripted_phone(), stage.scripted_far_end("carol")
    alice.register()
    mailbox.register()
    alice.follow("told_phone")

    mailbox.follow("unsolicited_notify", ALICE)

    alice.wait_followed()
    mailbox.wait_followed()
    assert_told_nothing(stage)


def call(caller: Telephone, callee: Telephone, uri: str) -> None:
    """One calls the other, who answers."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def assert_ringing_was_acknowledged(messages: list[SipMessage]) -> None:
    """One 180 came reliably on this leg, and was acknowledged with its own numbers (RFC 3262 section 7.2)."""
    rang = {f"{m.header('rseq')} {m.cseq}" for m in messages if m.status == 180}
    acknowledged = {m.header("rack") for m in messages if m.method == "PRACK"}
    assert len(rang) == 1
    assert acknowledged == rang


def assert_phone_acknowledged_nothing(stage: Stage) -> None:
    """No PRACK came from the phone: ringing without a description crosses unreliably (RFC 3262 section 3)."""
    methods = {message.method for message in messages_of_phone(stage)}
    assert "ACK" in methods
    assert "PRACK" not in methods


def messages_of_phone(stage: Stage) -> list[SipMessage]:
    """Every message between the gateway and its phones, as the capture has it."""
    assert stage.gateway is not None
    phones = (stage.hosts.gateway, stage.gateway.terms.phone_port)
    return [
        SipMessage.parse(packet.source.address, packet.source.port, packet.payload)
        for packet in stage.capture.packets()
        if packet.protocol == UDP
        and phones in ((end.address, end.port) for end in (packet.source, packet.destination))
        and b"\r\n\r\n" in packet.payload.lstrip()
    ]


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
