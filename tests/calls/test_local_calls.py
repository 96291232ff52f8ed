"""Two real phones of one domain talk with each other through the gateway, and no provider hears of it."""

from __future__ import annotations

from tests.support.calls.stage import DAVE, Stage


def test_two_phones_with_tls_and_srtp_talk_without_the_provider(stage: Stage) -> None:
    stage.has_tls_phones = True
    stage.have_local_calls("alice", "dave")
    gateway = stage.start_gateway()
    alice, dave = (stage.secure_phone("pjsua2", user) for user in ("alice", "dave"))
    for phone in (alice, dave):
        phone.register()

    alice.call(DAVE)
    dave.wait_ringing(10)
    dave.answer()
    alice.wait_answered()
    stage.talk()
    dave.hangup()
    alice.wait_ended()

    stage.assert_recording(alice, of="dave")
    stage.assert_recording(dave, of="alice")
    (call,) = gateway.calls()
    assert (call["direction"], call["verdict"], call["provider"]) == ("internal", "ENCRYPTED", "")
    assert not [message for message in stage.messages() if "INVITE" in (message.method, message.cseq[-6:])]
    stage.assert_gateway_is_well()
