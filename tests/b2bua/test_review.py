"""What a stranger's eye found in calls, each as the user would meet it."""

from __future__ import annotations

from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, Party, drain


def ring(ladder: Ladder, sdp: bytes = AVP) -> tuple[Request, Request]:
    """INVITE through the gateway: (the phone's, the provider's)."""
    invite = ladder.phone.invite(sdp=sdp)
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    return invite, ladder.provider.receives_request("INVITE")


def talk(ladder: Ladder) -> tuple[Request, Response]:
    """A call that is up: (INVITE as the provider got it, 200 as the phone got it)."""
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    return onward, answer


def came(party: Party) -> list[str]:
    """What was sent to a party: methods, and statuses with the method that they answer."""
    return [
        message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
        for message in drain(party)
    ]


def nothing_is_left(ladder: Ladder) -> None:
    """No call, no dialog, no timer, and no transaction of either side."""
    ladder.ends_clean()
    assert ladder.transactions.counts_alive() == 0


def test_bye_before_the_answer_ends_the_invite_too() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ringing = ladder.phone.receives_response(180)
    ladder.phone.sends(ladder.phone.within(ringing, "BYE"))
    assert came(ladder.phone) == ["200 BYE", "487 INVITE"]
    ladder.phone.acknowledges(invite, ringing)
    ladder.provider.answers(ladder.provider.receives_request("CANCEL"), 200)
    ladder.provider.answers(onward, 487)
    nothing_is_left(ladder)


def test_requests_that_are_under_way_when_the_call_ends_are_answered() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INFO"))
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=3))
    ladder.phone.receives(100)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(ladder.phone) == ["487 INFO", "487 INVITE", "BYE"]
    nothing_is_left(ladder)


def test_callee_that_hangs_up_while_its_answer_waits_for_a_prack() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Require", "100rel")
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 180)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(ladder.phone) == ["100 INVITE", "180 INVITE", "487 INVITE"]
    nothing_is_left(ladder)
