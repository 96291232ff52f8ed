"""Reliable provisional responses when only one side does them, as ladders."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, drain
from tests.support.stories import came, ring

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


def test_late_offer_does_not_invite_reliable_responses_that_the_caller_does_not_know() -> None:
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


def supporting(ladder: Ladder, sdp: bytes = AVP) -> tuple[Request, Request]:
    """A caller that supports reliable responses: (its INVITE, the provider's)."""
    invite = ladder.phone.invite(sdp=sdp)
    invite.headers.add("Supported", "100rel")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    return invite, ladder.provider.receives_request("INVITE")


def acknowledge(ladder: Ladder, early: Response, sdp: bytes = b"", cseq: int = 2) -> None:
    prack = ladder.phone.within(early, "PRACK", sdp=sdp, cseq=cseq)
    prack.headers.add("RAck", f"{early.headers.get('RSeq')} 1 INVITE")
    ladder.phone.sends(prack)


def test_caller_that_supports_it_gets_an_answer_reliably_that_came_so_and_no_ringing() -> None:
    ladder = Ladder()
    _, onward = supporting(ladder)
    ladder.provider.answers(onward, 180, fields=RELIABLY)
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200)
    assert "RSeq" not in ladder.phone.receives_response(180).headers
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=(("Require", "100rel"), ("RSeq", "42")))
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200)
    early = ladder.phone.receives_response(183)
    assert (early.headers.get("RSeq"), early.body) == ("1", AVP)
    acknowledge(ladder, early)
    assert came(ladder.phone) == ["200 PRACK"]


def test_rfc_6337_section_3_1_200_after_a_reliable_answer_and_an_update_has_no_sdp() -> None:
    ladder = Ladder()
    _, onward = supporting(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY)
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200)
    acknowledge(ladder, ladder.phone.receives_response(183))
    ladder.phone.receives(200)
    moved = SAVP.replace(b"6000", b"6100")
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=moved))
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 200, sdp=AVP)
    ladder.provider.receives(200)
    asked = len(ladder.relay.asked)
    ladder.provider.answers(onward, 200)
    assert ladder.phone.receives_response(200).body == b""
    assert len(ladder.relay.asked) == asked
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs == moved
    assert next(ladder.calls.records()).verdict == "ENCRYPTED_TO_PROVIDER"


def test_200_after_an_early_update_has_the_descriptions_in_force_for_a_caller_without_reliable_responses() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY)
    ladder.provider.receives("PRACK")
    ladder.phone.receives(183)
    moved = SAVP.replace(b"6000", b"6100")
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=moved))
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 200, sdp=AVP)
    ladder.provider.receives(200)
    ladder.provider.answers(onward, 200)
    assert ladder.phone.receives_response(200).body == AVP
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs == moved


def test_rfc_3262_section_5_late_offer_in_a_reliable_183_is_answered_in_its_prack() -> None:
    ladder = Ladder()
    invite, onward = supporting(ladder, sdp=b"")
    assert "100rel" in onward.headers.values("Supported")
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY)
    ladder.provider.receives_nothing()
    early = ladder.phone.receives_response(183)
    assert (early.body, early.headers.get("Require")) == (AVP, "100rel")
    acknowledge(ladder, early, sdp=AVP)
    ladder.phone.receives(200)
    prack = ladder.provider.receives_request("PRACK")
    assert (prack.body, prack.headers.get("RAck")) == (SAVP, f"41 {onward.cseq.number} INVITE")
    ladder.provider.answers(prack, 200)
    ladder.provider.answers(onward, 200)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    assert answer.body == b""
    ladder.phone.acknowledges(invite, answer)
    assert next(ladder.calls.records()).verdict == "ENCRYPTED_TO_PROVIDER"


def test_late_offer_in_clear_is_refused_where_all_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = supporting(ladder, sdp=b"")
    ladder.provider.answers(onward, 183, sdp=AVP, fields=RELIABLY)
    assert came(ladder.phone) == ["488 INVITE"]
    assert came(ladder.provider) == ["CANCEL"]
    assert ladder.relay.asked == []


def test_rfc_3262_section_5_offer_in_a_prack_crosses_as_an_update() -> None:
    ladder = Ladder()
    _, onward = supporting(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=(*RELIABLY, ("Allow", "INVITE, UPDATE, PRACK")))
    ladder.provider.receives("PRACK")
    acknowledge(ladder, ladder.phone.receives_response(183), sdp=AVP)
    update = ladder.provider.receives_request("UPDATE")
    assert update.body == SAVP
    ladder.provider.answers(update, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    assert (answer.cseq.method, answer.body) == ("PRACK", AVP)


def test_offer_in_a_prack_to_a_peer_without_update_is_refused_and_the_prack_counts() -> None:
    ladder = Ladder()
    _, onward = supporting(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=(*RELIABLY, ("Allow", "INVITE")))
    ladder.provider.receives("PRACK")
    acknowledge(ladder, ladder.phone.receives_response(183), sdp=AVP)
    assert came(ladder.phone) == ["488 PRACK"]
    ladder.clock.pump([1.0] * 40)
    assert (len(ladder.calls), came(ladder.phone)) == (1, [])


@pytest.mark.parametrize("is_other", [False, True])
def test_rfc_6337_section_3_1_caller_that_has_a_forks_answer_is_told_the_winners_by_a_reinvite(is_other: bool) -> None:
    """A server plays an announcement reliably, another one answers: the caller's one dialog has the first's answer."""
    ladder = Ladder()
    invite, onward = supporting(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY, tag="t1")
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200, tag="t1")
    acknowledge(ladder, ladder.phone.receives_response(183))
    ladder.phone.receives(200)
    answer = SAVP.replace(b"SAVP 0", b"SAVP 8") if is_other else SAVP.replace(b"6000", b"6002")
    ladder.provider.answers(onward, 200, sdp=answer, tag="t2")
    ladder.provider.receives("ACK")
    settled = ladder.phone.receives_response(200)
    assert not settled.body
    ladder.phone.acknowledges(invite, settled)
    ladder.clock.pump([1.0] * 4)
    assert set(came(ladder.phone)) == ({"INVITE"} if is_other else set())
    assert came(ladder.provider) == []


def test_rfc_3311_section_5_2_caller_that_took_a_lost_forks_update_is_told_of_the_winners_media() -> None:
    ladder = Ladder()
    invite, onward = supporting(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=RELIABLY, tag="t1")
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200, tag="t1")
    acknowledge(ladder, ladder.phone.receives_response(183))
    ladder.phone.receives(200)
    held = SAVP + b"a=sendonly\r\n"
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=held, tag="t1"))
    update = ladder.phone.receives_request("UPDATE")
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="t2")
    ladder.provider.receives("ACK")
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(200))
    ladder.phone.answers(update, 200, sdp=AVP)
    ladder.provider.receives(500)
    ladder.clock.pump([1.0] * 4)
    assert set(came(ladder.phone)) == {"INVITE"}


def early_answered(ladder: Ladder) -> tuple[Request, Request, Response]:
    """A fork t1 has answered reliably, and the caller has acknowledged it: (its INVITE, the provider's, its 183)."""
    invite, onward = supporting(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=(*RELIABLY, ("Allow", "INVITE, UPDATE, PRACK")))
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200)
    early = ladder.phone.receives_response(183)
    acknowledge(ladder, early)
    ladder.phone.receives(200)
    return invite, onward, early


MOVED = AVP.replace(b"4000", b"4100")
MOVED_THERE = SAVP.replace(b"6000", b"6100")


def test_rfc_3311_section_5_1_early_update_of_the_caller_puts_its_answer_in_force() -> None:
    ladder = Ladder()
    _, onward, early = early_answered(ladder)
    ladder.phone.sends(ladder.phone.within(early, "UPDATE", sdp=MOVED, cseq=3))
    ladder.provider.answers(ladder.provider.receives_request("UPDATE"), 200, sdp=MOVED_THERE)
    assert ladder.phone.receives_response(200).body == AVP
    for is_up in (False, True):
        if is_up:
            ladder.provider.answers(onward, 200)
            assert ladder.phone.receives_response(200).body == b""
        theirs = [leg.media.in_force and leg.media.in_force.theirs for leg in (ladder.caller, ladder.callee)]
        assert theirs == [MOVED, MOVED_THERE]
    assert ladder.relay.asked[-2:] == [("offer", "caller", "callee"), ("answer", "caller", "callee")]


@pytest.mark.parametrize("method", ["UPDATE", "PRACK"])
def test_rfc_3311_section_5_1_early_offer_goes_to_the_fork_that_has_answered(method: str) -> None:
    """Another fork rings, and was heard of last; one more does so while the relay has the offer."""
    ladder = Ladder()
    _, onward, early = early_answered(ladder)
    ladder.provider.answers(onward, 180, tag="t2", fields=RELIABLY)
    ladder.provider.receives("PRACK")
    ladder.phone.receives(180)
    if method == "PRACK":
        ladder.provider.answers(onward, 183, sdp=SAVP, fields=(("Require", "100rel"), ("RSeq", "42")))
        ladder.provider.receives("PRACK")
        early = ladder.phone.receives_response(183)
        ladder.provider.answers(onward, 180, tag="t2")
    ladder.relay.held = True
    offer = ladder.phone.within(early, method, sdp=MOVED, cseq=3)
    if method == "PRACK":
        offer.headers.add("RAck", f"{early.headers.get('RSeq')} 1 INVITE")
    ladder.phone.sends(offer)
    ladder.provider.answers(onward, 180, tag="t3")
    ladder.relay.release()
    update = ladder.provider.receives_request("UPDATE")
    assert (update.to.tag, update.body) == ("t1", SAVP)
    ladder.provider.answers(onward, 180, tag="t4")
    ladder.provider.answers(update, 200, sdp=MOVED_THERE)
    ladder.relay.release()
    answers = [one for one in drain(ladder.phone) if isinstance(one, Response) and one.cseq.method == method]
    assert [(one.status, one.body) for one in answers] == [(200, AVP)]
    assert ladder.callee.media.forks["t1"].here.theirs == MOVED_THERE


@pytest.mark.parametrize("method", ["UPDATE", "PRACK"])
@pytest.mark.parametrize("sdp", [b"", SAVP], ids=["ringing", "an unreliable answer"])
def test_rfc_3311_section_5_1_no_early_offer_to_a_fork_without_a_reliable_answer(method: str, sdp: bytes) -> None:
    ladder = Ladder()
    _, onward = reliable_ring(ladder)
    ladder.provider.answers(onward, 180, sdp=sdp, fields=(("Allow", "INVITE, UPDATE"),))
    early = ladder.phone.receives_response(180)
    ladder.relay.asked.clear()
    offer = ladder.phone.within(early, method, sdp=MOVED, cseq=2)
    if method == "PRACK":
        offer.headers.add("RAck", f"{early.headers.get('RSeq')} 1 INVITE")
    ladder.phone.sends(offer)
    assert ladder.relay.asked == []
    ladder.provider.receives_nothing()
    (refused,) = came(ladder.phone)
    assert refused == ("488 PRACK" if method == "PRACK" and sdp else f"500 {method}")
    assert len(ladder.calls) == 1


def test_rfc_3311_section_5_2_offer_of_a_fork_that_owes_an_answer_is_put_off() -> None:
    ladder = Ladder()
    _, onward, _ = early_answered(ladder)
    ladder.provider.answers(onward, 180, tag="t2")
    ladder.phone.receives(180)
    asked = len(ladder.relay.asked)
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=MOVED_THERE, tag="t2"))
    assert came(ladder.provider) == ["491 UPDATE"]
    ladder.phone.receives_nothing()
    assert len(ladder.relay.asked) == asked


def test_rfc_3311_section_5_1_refused_early_update_leaves_the_forks_media_in_force() -> None:
    ladder = Ladder()
    _, onward, early = early_answered(ladder)
    ladder.provider.answers(onward, 180, tag="t2")
    ladder.phone.receives(180)
    ladder.phone.sends(ladder.phone.within(early, "UPDATE", sdp=MOVED, cseq=3))
    ladder.provider.answers(ladder.provider.receives_request("UPDATE"), 488)
    assert came(ladder.phone) == ["488 UPDATE"]
    assert ladder.caller.media.in_force is not None
    assert ladder.caller.media.in_force.theirs == AVP
    ladder.provider.answers(onward, 200, tag="t1")
    assert ladder.phone.receives_response(200).body == b""
