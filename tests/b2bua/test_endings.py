"""Ends of calls: all that is under way is answered, and nothing is left."""

from __future__ import annotations

import pytest

from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import came, nothing_is_left, ring, talk


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


def test_answer_of_a_reinvite_that_crosses_the_end_of_the_call_is_acknowledged() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    again = ladder.provider.receives_request("INVITE")
    ladder.phone.sends(ladder.phone.within(answer, "BYE", cseq=3))
    ladder.provider.answers(again, 200, sdp=SAVP)
    assert came(ladder.provider) == ["BYE", "ACK"]
    assert came(ladder.phone) == ["100 INVITE", "200 BYE", "487 INVITE"]


@pytest.mark.parametrize("field", ["garbage", "<sip:>", "<http://proxy.example>"])
def test_route_that_leads_nowhere_ends_the_call_at_once(field: str) -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=(("Record-Route", field),))
    assert came(ladder.phone) == ["408 INVITE"]
    ladder.phone.acknowledges(onward, onward.response(408))
    nothing_is_left(ladder)
