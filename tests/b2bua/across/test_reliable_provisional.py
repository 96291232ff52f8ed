"""Reliable provisional responses when only one side does them, as ladders."""

from __future__ import annotations

from gateway.sip.message import Request
from tests.support.ladder import AVP, SAVP, Ladder, drain
from tests.support.stories import ring

RELIABLY = (("Require", "100rel"), ("RSeq", "41"))


def test_callee_sends_reliably_and_the_caller_knows_nothing_of_it() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    assert "100rel" in onward.headers.values("Supported")
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY)
    prack = ladder.provider.receives_request("PRACK")
    assert prack.headers.get("RAck") == f"41 {onward.cseq.number} INVITE"
    ladder.provider.answers(prack, 200)
    early = ladder.phone.receives_response(183)
    assert early.body == AVP
    assert "RSeq" not in early.headers
    assert "Require" not in early.headers


def test_copy_and_gap_of_a_reliable_response_are_ignored() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY)
    ladder.provider.receives("PRACK")
    ladder.phone.receives(183)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY)
    ladder.provider.answers(onward, 180, fields=(("Require", "100rel"), ("RSeq", "43")))
    ladder.provider.receives_nothing()
    ladder.phone.receives_nothing()
    ladder.provider.answers(onward, 180, fields=(("Require", "100rel"), ("RSeq", "42")))
    ladder.provider.receives("PRACK")
    ladder.phone.receives(180)


def test_late_offer_does_not_invite_reliable_responses() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite(sdp=b""))
    ladder.phone.receives(100)
    assert "100rel" not in ladder.provider.receives_request("INVITE").headers.values("Supported")


def reliable_ring(ladder: Ladder) -> tuple[Request, Request]:
    invite = ladder.phone.invite()
    invite.headers.add("Require", "100rel")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert "Require" not in onward.headers
    return invite, onward


def test_caller_that_requires_it_gets_each_until_its_prack_and_then_the_answer() -> None:
    ladder = Ladder()
    invite, onward = reliable_ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    early = ladder.phone.receives_response(183)
    assert (early.headers.get("RSeq"), early.headers.get("Require")) == ("1", "100rel")
    ladder.provider.answers(onward, 180)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.phone.receives_nothing()
    ladder.clock.advance(0.5)
    assert ladder.phone.receives_response(183).headers.get("RSeq") == "1"
    prack = ladder.phone.within(early, "PRACK")
    prack.headers.add("RAck", "1 1 INVITE")
    ladder.phone.sends(prack)
    ringing = ladder.phone.receives_response(180)
    ladder.phone.receives(200)  # of the PRACK
    again = ladder.phone.within(early, "PRACK", cseq=3)
    again.headers.add("RAck", f"{ringing.headers.get('RSeq')} 1 INVITE")
    ladder.phone.sends(again)
    answer = ladder.phone.receives_response(200)
    assert answer.cseq.method == "INVITE"
    ladder.phone.acknowledges(invite, answer)
    ladder.phone.receives(200)
    assert next(ladder.calls.records()).state == "established"


def test_prack_of_nothing() -> None:
    ladder = Ladder()
    _, onward = reliable_ring(ladder)
    ladder.provider.answers(onward, 180)
    early = ladder.phone.receives_response(180)
    prack = ladder.phone.within(early, "PRACK")
    prack.headers.add("RAck", "9 1 INVITE")
    ladder.phone.sends(prack)
    ladder.phone.receives(481)
    broken = ladder.phone.within(early, "PRACK", cseq=3)
    broken.headers.add("RAck", "x")
    ladder.phone.sends(broken)
    ladder.phone.receives(400)


def test_caller_that_never_acknowledges_loses_the_call() -> None:
    ladder = Ladder()
    _, onward = reliable_ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.clock.pump([0.5] * 70)
    assert [one.method for one in drain(ladder.provider) if isinstance(one, Request)] == ["CANCEL"]
    ladder.provider.answers(onward, 487)
    ladder.ends_clean()
