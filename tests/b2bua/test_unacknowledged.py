"""A caller that has not acknowledged its 200 yet (RFC 3261 sections 13.3.1.4, 14 and 15), as ladders."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, drain
from tests.support.stories import came, nothing_is_left, ring


def answered(ladder: Ladder) -> tuple[Request, Request, Response]:
    """A call that the provider answered: (the phone's INVITE, the provider's, the phone's 200, without ACK)."""
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    return invite, onward, ladder.phone.receives_response(200)


def test_section_15_bye_waits_for_the_ack() -> None:
    ladder = Ladder()
    invite, onward, answer = answered(ladder)
    bye = ladder.provider.within_answered(onward, "BYE")
    bye.headers.add("Reason", "Q.850;cause=16")
    ladder.provider.sends(bye)
    ladder.provider.receives(200)
    assert len(ladder.calls) == 0, "the call is over; its caller's leg has to hear of it"
    ladder.phone.receives_nothing()
    ladder.clock.advance(0.5)
    assert came(ladder.phone) == ["200 INVITE"]
    ladder.phone.acknowledges(invite, answer)
    goodbye = ladder.phone.receives_request("BYE")
    assert goodbye.headers.get("Reason") == "Q.850;cause=16"
    ladder.phone.answers(goodbye, 200)
    nothing_is_left(ladder)


def test_section_15_bye_leaves_without_an_ack_when_it_can_come_no_more() -> None:
    ladder = Ladder()
    _, onward, _ = answered(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    ladder.clock.pump([1.0] * 31)
    assert not [one for one in drain(ladder.phone) if isinstance(one, Request)]
    ladder.clock.pump([1.0] * 2)
    assert [one.method for one in drain(ladder.phone) if isinstance(one, Request)] == ["BYE"]
    nothing_is_left(ladder)


def test_bye_of_both_sides_leaves_nothing() -> None:
    ladder = Ladder()
    _, onward, answer = answered(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    assert came(ladder.phone) == ["200 BYE"]
    nothing_is_left(ladder)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO"])
def test_leg_that_waits_for_its_ack_alone_knows_of_no_call(method: str) -> None:
    ladder = Ladder()
    invite, onward, answer = answered(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=AVP if method != "INFO" else b""))
    assert came(ladder.phone) == [f"481 {method}"]
    ladder.phone.acknowledges(invite, answer)
    assert came(ladder.phone) == ["BYE"]
    nothing_is_left(ladder)


def test_section_14_1_reinvite_does_not_reach_a_caller_that_has_not_acknowledged() -> None:
    ladder = Ladder()
    invite, onward, answer = answered(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=SAVP))
    assert came(ladder.provider) == ["491 INVITE"]
    ladder.phone.receives_nothing()
    ladder.phone.acknowledges(invite, answer)
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=SAVP, cseq=2))
    ladder.phone.receives("INVITE")


def test_section_14_2_second_invite_of_one_side_gets_500_with_retry_after() -> None:
    ladder = Ladder()
    invite, onward, answer = answered(ladder)
    ladder.phone.acknowledges(invite, answer)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.phone.receives(100)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=3))
    refused = ladder.phone.receives_response(500)
    assert 0 <= int(refused.headers.get("Retry-After") or "") <= 10
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    assert came(ladder.phone) == ["200 INVITE"]
    assert onward.method == "INVITE"


def test_rfc_3311_section_5_2_second_offer_of_one_side_gets_500_and_one_of_the_other_491() -> None:
    ladder = Ladder()
    invite, onward, answer = answered(ladder)
    ladder.phone.acknowledges(invite, answer)
    ladder.phone.sends(ladder.phone.within(answer, "UPDATE", sdp=AVP))
    ladder.provider.receives("UPDATE")
    ladder.phone.sends(ladder.phone.within(answer, "UPDATE", sdp=AVP, cseq=3))
    assert ladder.phone.receives_response(500).headers.get("Retry-After")
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=SAVP))
    assert came(ladder.provider) == ["491 UPDATE"]
