"""Session timers (RFC 4028), one for each leg, as ladders."""

from __future__ import annotations

from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, drain
from tests.support.stories import ring


def talk(ladder: Ladder, expires: str, allow: str = "INVITE, UPDATE") -> tuple[Request, Response]:
    """A call whose provider agrees to a session interval; the phone knows no timer."""
    invite, onward = ring(ladder)
    fields = (("Session-Expires", expires), ("Require", "timer"), ("Allow", allow))
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=fields)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    return onward, answer


def test_offer_says_what_we_would_like_and_nothing_of_it_crosses() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    assert onward.headers.get("Session-Expires") == "1800"
    assert "timer" in onward.headers.values("Supported")
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=(("Session-Expires", "1800;refresher=uac"),))
    assert "Session-Expires" not in ladder.phone.receives_response(200).headers


def test_our_refresh_is_an_update_without_sdp() -> None:
    ladder = Ladder()
    talk(ladder, "200;refresher=uac")
    ladder.clock.advance(100)
    update = ladder.provider.receives_request("UPDATE")
    assert update.body == b""
    assert update.headers.get("Session-Expires") == "200;refresher=uac"
    ladder.provider.answers(update, 200, fields=(("Session-Expires", "200;refresher=uac"),))
    ladder.clock.advance(100)
    ladder.provider.receives("UPDATE")
    ladder.phone.receives_nothing()


def test_our_refresh_is_a_reinvite_where_update_is_not_taken() -> None:
    ladder = Ladder()
    talk(ladder, "200;refresher=uac", allow="INVITE")
    ladder.clock.advance(100)
    again = ladder.provider.receives_request("INVITE")
    assert again.body == SAVP
    ladder.provider.answers(again, 200, sdp=SAVP, fields=(("Session-Expires", "200;refresher=uac"),))
    ladder.provider.receives("ACK")
    ladder.phone.receives_nothing()


def test_peer_that_promised_to_refresh_and_does_not_is_gone() -> None:
    ladder = Ladder()
    talk(ladder, "200;refresher=uas")
    ladder.clock.advance(199)
    assert [one.method for one in drain(ladder.provider) if isinstance(one, Request)] == ["BYE"]
    ladder.phone.receives("BYE")
    ladder.ends_clean()


def test_refresh_of_an_unknown_dialog_ends_the_call() -> None:
    ladder = Ladder()
    talk(ladder, "200;refresher=uac")
    ladder.clock.advance(100)
    ladder.provider.answers(ladder.provider.receives_request("UPDATE"), 481)
    ladder.phone.receives("BYE")
    ladder.ends_clean()


def test_interval_too_small_for_the_peer_is_raised_once() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 422, fields=(("Min-SE", "3600"),))
    ladder.provider.receives("ACK")
    again = ladder.provider.receives_request("INVITE")
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("3600", "3600")
    assert again.cseq.number == onward.cseq.number + 1
    ladder.provider.answers(again, 422, fields=(("Min-SE", "7200"),))
    ladder.provider.receives("ACK")
    ladder.phone.receives(422)
    ladder.ends_clean()


def test_interval_too_small_for_us_is_refused() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Supported", "timer")
    invite.headers.add("Session-Expires", "30")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    assert ladder.phone.receives_response(422).headers.get("Min-SE") == "90"
    ladder.ends_clean()


def test_inbound_peer_refreshes_as_agreed() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP)
    invite.headers.add("Supported", "timer")
    invite.headers.add("Session-Expires", "300;refresher=uac")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=AVP, fields=(("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE"),))
    ladder.phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    assert answer.headers.get("Session-Expires") == "300;refresher=uac"
    assert "timer" in answer.headers.values("Require")
    ladder.provider.acknowledges(invite, answer)
    ladder.clock.advance(250)
    refresh = ladder.provider.within(answer, "UPDATE")
    refresh.headers.add("Supported", "timer")
    refresh.headers.add("Session-Expires", "300;refresher=uac")
    ladder.provider.sends(refresh)
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 200)
    assert ladder.provider.receives_response(200).headers.get("Session-Expires") == "300;refresher=uac"
    ladder.clock.advance(250)
    assert len(ladder.calls) == 1
