"""The one door of offers and answers: what is in force after each kind of end (RFC 3261 section 14, RFC 6141)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.config.model import Security
from gateway.sdp.settlement import Settlement
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, Party
from tests.support.stories import came, ring, talk

MOVED = SAVP.replace(b"6000", b"6100")
FAX = AVP.replace(b"m=audio 4000 RTP/AVP 0", b"m=image 4000 udptl t38")
HELD = AVP + b"a=sendonly\r\n"

End = Callable[[Ladder, Request, Request], object]


def in_force(ladder: Ladder) -> tuple[Settlement | None, Settlement | None]:
    return ladder.caller.media.in_force, ladder.callee.media.in_force


def cancel_of(party: Party, invite: Request) -> Request:
    cancel = party.request("CANCEL", invite.uri, call_id=invite.call_id, cseq=invite.cseq.number)
    for name in ("Via", "From", "To"):
        cancel.headers.set(name, invite.headers.get(name) or "")
    return cancel


def refused(ladder: Ladder, asked: Request, onward: Request) -> None:
    ladder.provider.answers(onward, 488)


def glare(ladder: Ladder, asked: Request, onward: Request) -> None:
    ladder.provider.answers(onward, 491)


def refused_with_a_description(ladder: Ladder, asked: Request, onward: Request) -> None:
    ladder.provider.answers(onward, 488, sdp=MOVED)


def refused_after_an_early_answer(ladder: Ladder, asked: Request, onward: Request) -> None:
    ladder.provider.answers(onward, 183, sdp=MOVED)
    ladder.provider.answers(onward, 488)


def cancelled(ladder: Ladder, asked: Request, onward: Request) -> None:
    ladder.provider.answers(onward, 100)
    ladder.phone.sends(cancel_of(ladder.phone, asked))
    ladder.provider.answers(onward, 487)


@pytest.mark.parametrize("end", [refused, glare, refused_with_a_description, refused_after_an_early_answer, cancelled])
@pytest.mark.parametrize("offer", [HELD, FAX])
def test_section_14_1_change_that_fails_leaves_all_as_it_was(end: End, offer: bytes) -> None:
    ladder = Ladder()
    first, answer = talk(ladder)
    before = in_force(ladder)
    asked = ladder.phone.within(answer, "INVITE", sdp=offer)
    ladder.phone.sends(asked)
    end(ladder, asked, ladder.provider.receives_request("INVITE"))
    came(ladder.provider)
    assert any(status.endswith("INVITE") and status[0] == "4" for status in came(ladder.phone))
    assert in_force(ladder) == before
    assert ladder.relay.asked[-2:] == [("offer", "caller", "callee"), ("answer", "caller", "callee")]
    record = next(ladder.calls.records())
    assert record.state == "established"
    assert {ladder.caller.media.pending_offer, ladder.callee.media.pending_offer} == {None}
    ladder.provider.sends(ladder.provider.within_answered(first, "INVITE", sdp=MOVED))
    ladder.phone.receives("INVITE")


def test_update_that_is_refused_leaves_all_as_it_was() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    before = in_force(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=MOVED))
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 488, sdp=AVP)
    assert ladder.provider.receives_response(488).body == b""
    assert in_force(ladder) == before


def test_both_legs_hold_what_they_agreed_on() -> None:
    ladder = Ladder()
    talk(ladder)
    caller, callee = in_force(ladder)
    assert caller == Settlement(ours=AVP, theirs=AVP, we_offered=False)
    assert callee == Settlement(ours=SAVP, theirs=SAVP, we_offered=True)
    (line,) = ladder.callee.media.lines
    assert (line.protocol, line.suite) == ("RTP/SAVP", "AES_CM_128_HMAC_SHA1_80")
    assert ladder.caller.media.may_rtcp_be_clear
    assert not ladder.callee.media.may_rtcp_be_clear


def offered_late(ladder: Ladder, offer: bytes) -> tuple[Request, Response]:
    """A re-INVITE of the phone without SDP, and the provider's 2xx that offers."""
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE")
    ladder.phone.sends(again)
    ladder.phone.receives(100)
    return again, ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=offer)


def test_late_offer_in_clear_is_acknowledged_and_ends_a_call_that_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    offered_late(ladder, AVP)
    assert came(ladder.provider) == ["ACK", "BYE"]
    assert ladder.relay.asked[2:] == []
    assert came(ladder.phone) == ["487 INVITE", "BYE"]


def test_late_offer_that_the_ack_leaves_unanswered_changes_nothing() -> None:
    ladder = Ladder()
    again, _ = offered_late(ladder, MOVED)
    before = in_force(ladder)
    ladder.phone.acknowledges(again, ladder.phone.receives_response(200))
    assert came(ladder.provider) == ["ACK"]
    assert in_force(ladder) == before
    assert ladder.callee.media.pending_offer is None


def test_answer_in_clear_that_came_early_and_reliably_is_judged_with_the_200() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=AVP, fields=(("Require", "100rel"), ("RSeq", "1")))
    ladder.provider.receives("PRACK")
    assert ladder.phone.receives_response(183).body == b""
    ladder.provider.answers(onward, 200)
    assert came(ladder.provider) == ["ACK", "BYE"]
    ladder.phone.receives(488)
    assert [what for what, _, _ in ladder.relay.asked] == ["offer"]


def refreshing(ladder: Ladder) -> tuple[Request, Response, Request]:
    """The provider's INVITE, the phone's 200, and a refresh of ours, which the provider has not answered."""
    invite, onward = ring(ladder)
    timer = (("Session-Expires", "200;refresher=uac"), ("Require", "timer"), ("Allow", "INVITE"))
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=timer)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    ladder.clock.advance(100)
    return onward, answer, ladder.provider.receives_request("INVITE")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rfc_3261_section_14_2_change_that_meets_a_refresh_of_ours_in_its_dialog_gets_491(method: str) -> None:
    ladder = Ladder()
    onward, _, _ = refreshing(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, method, sdp=MOVED))
    assert came(ladder.provider) == [f"491 {method}"]


@pytest.mark.parametrize(("status", "acks"), [(200, ["ACK"]), (488, ["ACK"]), (183, [])])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_change_waits_for_a_refresh_of_ours_in_the_other_dialog(method: str, status: int, acks: list[str]) -> None:
    """Both began with one 200, so they meet each time; a phone that does not repeat its own would lose its session."""
    ladder = Ladder()
    _, answer, refresh = refreshing(ladder)
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=HELD))
    assert came(ladder.phone) == (["100 INVITE"] if method == "INVITE" else [])
    assert came(ladder.provider) == []
    ladder.provider.answers(refresh, status, sdp=SAVP if status < 300 else b"")
    if status == 183:  # it may ring for minutes
        assert came(ladder.phone) == [f"491 {method}"]
        return
    assert came(ladder.provider) == [*acks, method]
    assert came(ladder.phone) == []


def test_one_change_waits_at_most() -> None:
    ladder = Ladder()
    _, answer, refresh = refreshing(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=HELD))
    ladder.phone.sends(ladder.phone.within(answer, "UPDATE", sdp=HELD))
    assert came(ladder.phone) == ["100 INVITE", "491 UPDATE"]
    ladder.provider.answers(refresh, 200, sdp=SAVP)
    assert came(ladder.provider) == ["ACK", "INVITE"]


def test_change_that_waits_ends_with_its_call() -> None:
    ladder = Ladder()
    _, answer, _ = refreshing(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=HELD))
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    assert sorted(came(ladder.phone)) == ["100 INVITE", "200 BYE", "487 INVITE"]
    ladder.clock.advance(64)
    assert "INVITE" not in came(ladder.provider)


def test_cancelled_change_that_waits_changes_nothing() -> None:
    ladder = Ladder()
    _, answer, refresh = refreshing(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=HELD)
    ladder.phone.sends(again)
    ladder.phone.sends(cancel_of(ladder.phone, again))
    ladder.provider.answers(refresh, 200, sdp=SAVP)
    assert came(ladder.provider) == ["ACK"]
    assert came(ladder.phone) == ["100 INVITE", "200 CANCEL", "487 INVITE"]


def test_rfc_4568_section_7_1_4_relay_is_told_that_an_offer_is_an_earlier_one() -> None:
    """The provider has the keys of then, and is shown no others: 183 with another suite, and then a refusal."""
    ladder = Ladder()
    told = []
    relay_offer = ladder.relay.offer

    def offer(*said: Any) -> Deferred[bytes]:
        told.append((said[2], said[3].is_repeated))
        return relay_offer(*said)

    ladder.relay.offer = offer  # type: ignore[assignment, method-assign]
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=HELD))
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 183, sdp=MOVED)
    ladder.provider.answers(onward, 488)
    assert told == [(AVP, False), (HELD, False), (AVP, True)]
