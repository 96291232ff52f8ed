"""Several real phones of one user ring for each call of the provider's, and any of them answers (RFC 3326)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.calls.stage import ALICE, Stage
from tests.support.calls.telephone import Telephone
from tests.support.calls.wire import SipMessage

KINDS = ("pjsua2", "baresip", "linphonec")
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


def test_all_phones_ring_and_any_of_them_answers(stage: Stage) -> None:
    stage.start_gateway()
    phones = [stage.another_phone(kind) for kind in KINDS]
    bob = stage.far_end("pjsua2")
    for phone in (*phones, bob):
        phone.register()

    for winner in phones:
        each_is_called(stage, bob, phones, winner)

    stage.assert_call_was_right()
    datagrams = [packet.payload for packet in stage.capture.packets()]
    cancels = {one.call_id: one for one in map(_message, datagrams) if one.method == "CANCEL"}
    assert [one.header("Reason") for one in cancels.values()] == [ELSEWHERE] * 6


def test_a_phone_with_tls_and_srtp_and_one_without_have_keys_and_media_of_their_own(stage: Stage) -> None:
    stage.has_tls_phones = True
    stage.start_gateway()
    phones = [stage.secure_phone("pjsua2"), stage.another_phone("baresip")]
    bob = stage.far_end("pjsua2")
    for phone in (*phones, bob):
        phone.register()

    for winner in phones:
        each_is_called(stage, bob, phones, winner)
        stage.assert_recording(winner)
        stage.assert_recording(bob)

    assert not [packet for packet in stage.capture.packets() if b"inline:" in packet.payload]
    stage.assert_gateway_is_well()


def each_is_called(stage: Stage, caller: Telephone, phones: Sequence[Telephone], winner: Telephone) -> None:
    """All of them ring, one answers, the others stop at once and hear nothing."""
    others = [phone for phone in phones if phone is not winner]
    caller.call(ALICE)
    for phone in phones:
        phone.wait_ringing(10)
    winner.answer()
    caller.wait_answered()
    for phone in others:
        phone.wait_ended()
    heard = [phone.heard() for phone in others]
    stage.talk()
    caller.hangup()
    winner.wait_ended()
    assert heard == [phone.heard() for phone in others]


def _message(datagram: bytes) -> SipMessage:
    return SipMessage.parse("", 0, datagram if datagram.startswith(b"CANCEL ") else b"none")
