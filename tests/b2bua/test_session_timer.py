"""Session timers (RFC 4028), one for each leg, as ladders."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, drain
from tests.support.stories import came, ring


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


def test_rfc4028_section_7_our_own_interval_is_asked_for() -> None:
    ladder = Ladder(session_interval=90)
    _, onward = ring(ladder)
    assert (onward.headers.get("Session-Expires"), onward.headers.get("Min-SE")) == ("90", "90")
    fields = (("Session-Expires", "90;refresher=uac"), ("Require", "timer"), ("Allow", "INVITE, UPDATE"))
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=fields)
    ladder.provider.receives("ACK")
    ladder.clock.advance(45)
    assert ladder.provider.receives_request("UPDATE").headers.get("Session-Expires") == "90;refresher=uac"


def test_rfc4028_section_9_a_longer_interval_is_lowered_to_our_own_for_a_caller() -> None:
    """One that asks for 1,800 s refreshes after 45 s all the same; a Min-SE of its own is kept."""
    for least, agreed in (("90", "90"), ("300", "300")):
        ladder = Ladder(session_interval=90)
        invite = ladder.phone.invite()
        invite.headers.add("Supported", "timer")
        invite.headers.add("Session-Expires", "1800")
        invite.headers.add("Min-SE", least)
        ladder.phone.sends(invite)
        ladder.phone.receives(100)
        ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
        assert ladder.phone.receives_response(200).headers.get("Session-Expires") == f"{agreed};refresher=uac"


def test_rfc4028_section_9_a_caller_that_asks_for_no_interval_gets_our_own() -> None:
    """It supports timers, so that it is the refresher, and a caller that falls silent ends the call."""
    ladder = Ladder(session_interval=90)
    invite = ladder.phone.invite()
    invite.headers.add("Supported", "timer")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    assert answer.headers.get("Session-Expires") == "90;refresher=uac"
    ladder.phone.acknowledges(invite, answer)
    ladder.clock.advance(59)
    ladder.phone.receives_nothing()
    ladder.clock.advance(1)  # section 10: a third of the interval before its end
    assert came(ladder.phone) == ["BYE"]
    ladder.provider.receives("BYE")
    ladder.ends_clean()


def test_rfc4028_section_7_3_our_own_interval_is_raised_once_by_422() -> None:
    ladder = Ladder(session_interval=90)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 422, fields=(("Min-SE", "120"),))
    ladder.provider.receives("ACK")
    again = ladder.provider.receives_request("INVITE")
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("120", "120")


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


HELD = SAVP.replace(b"c=IN IP4 198.51.100.21", b"c=IN IP4 0.0.0.0")
NO_UPDATE = "INVITE, ACK, BYE, CANCEL"
AGREED = (("Session-Expires", "200;refresher=uac"), ("Require", "timer"))


def refresh(ladder: Ladder, allow: str = NO_UPDATE) -> Request:
    """A call whose provider had the gateway refresh it: the first refresh."""
    talk(ladder, "200;refresher=uac", allow=allow)
    ladder.clock.advance(100)
    (request,) = drain(ladder.provider)
    assert isinstance(request, Request)
    return request


def test_answer_to_our_refresh_goes_to_the_relay_and_into_force() -> None:
    ladder = Ladder()
    again = refresh(ladder)
    moved = SAVP.replace(b"6000", b"6100").replace(b"WVNf", b"AAAA")
    ladder.provider.answers(again, 200, sdp=moved, fields=AGREED)
    ladder.provider.receives("ACK")
    assert ladder.relay.asked[-2:] == [("offer", "caller", "callee"), ("answer", "caller", "callee")]
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs == moved
    ladder.clock.pump([1.0] * 20)
    ladder.phone.receives_nothing()


@pytest.mark.parametrize("changed", [SAVP + b"a=sendonly\r\n", SAVP.replace(b"SAVP 0", b"SAVP 8"), HELD])
def test_change_that_the_phone_hears_is_offered_to_it(changed: bytes) -> None:
    ladder = Ladder()
    ladder.provider.answers(refresh(ladder), 200, sdp=changed, fields=AGREED)
    ladder.provider.receives("ACK")
    told = ladder.phone.receives_request("INVITE")
    assert ladder.relay.asked[-1] == ("offer", "callee", "caller")
    ladder.phone.answers(told, 491)
    ladder.phone.receives("ACK")
    ladder.clock.advance(4.0)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    ladder.clock.pump([1.0] * 60)
    assert (len(ladder.calls), came(ladder.phone)) == (1, [])


def test_refresh_without_an_answer_in_its_2xx_leaves_all_as_it_was() -> None:
    ladder = Ladder()
    ladder.provider.answers(refresh(ladder), 200, fields=AGREED)
    ladder.provider.receives("ACK")
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs == SAVP
    ladder.clock.advance(100)
    assert ladder.provider.receives_request("INVITE").body == SAVP


def test_refused_offer_is_never_what_a_refresh_repeats() -> None:
    ladder = Ladder()
    _, answer = talk(ladder, "200;refresher=uac", allow=NO_UPDATE)
    fax = AVP.replace(b"m=audio 4000 RTP/AVP 0", b"m=image 4000 udptl t38")
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=fax))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488)
    ladder.provider.receives("ACK")
    ladder.clock.advance(100)
    ladder.provider.receives("INVITE")
    assert ladder.relay.asked[-1] == ("offer", "caller", "callee")
    assert ladder.caller.media.in_force is not None
    assert ladder.caller.media.in_force.theirs == AVP


@pytest.mark.parametrize(("allow", "method"), [(NO_UPDATE, "INVITE"), ("INVITE, UPDATE", "UPDATE")])
def test_rfc_3261_section_14_1_refresh_that_meets_491_is_tried_again(allow: str, method: str) -> None:
    ladder = Ladder()
    ladder.provider.answers(refresh(ladder, allow), 491)
    ladder.clock.advance(2.09)
    assert method not in came(ladder.provider)
    ladder.clock.advance(1.92)
    again = ladder.provider.receives_request(method)
    ladder.provider.answers(again, 200, sdp=SAVP if method == "INVITE" else b"", fields=AGREED)
    came(ladder.provider)
    ladder.clock.advance(99)
    assert (len(ladder.calls), came(ladder.provider)) == (1, [])


@pytest.mark.parametrize("status", [405, 501])
def test_peer_that_takes_no_update_after_all_is_refreshed_by_reinvite(status: int) -> None:
    ladder = Ladder()
    ladder.provider.answers(refresh(ladder, "INVITE, UPDATE"), status)
    ladder.clock.advance(0)
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=SAVP, fields=AGREED)
    ladder.provider.receives("ACK")
    ladder.clock.advance(100)
    ladder.provider.receives("INVITE")


def test_rfc_4028_section_7_4_refresh_that_is_too_short_is_sent_with_a_longer_interval() -> None:
    ladder = Ladder()
    ladder.provider.answers(refresh(ladder, "INVITE, UPDATE"), 422, fields=(("Min-SE", "400"),))
    ladder.clock.advance(0)
    again = ladder.provider.receives_request("UPDATE")
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("400;refresher=uac", "400")
    ladder.provider.answers(again, 422, fields=(("Min-SE", "400"),))
    ladder.clock.advance(0)
    ladder.provider.receives_nothing()


@pytest.mark.parametrize(("status", "wait"), [(500, 7), (503, 20), (488, None), (403, None)])
def test_refused_refresh_is_tried_again_while_the_session_lasts(status: int, wait: int | None) -> None:
    ladder = Ladder()
    fields = () if wait is None else (("Retry-After", f"{wait} (busy);duration=5"),)
    ladder.provider.answers(refresh(ladder), status, fields=fields)
    ladder.provider.receives("ACK")
    due = wait or 34  # 168 s the session lasts, 100 are over
    ladder.clock.advance(due - 0.1)
    ladder.provider.receives_nothing()
    ladder.clock.advance(0.1)
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=SAVP, fields=AGREED)
    ladder.provider.receives("ACK")
    ladder.clock.advance(99)
    assert (len(ladder.calls), came(ladder.phone)) == (1, [])


def test_session_that_no_refresh_renews_ends() -> None:
    ladder = Ladder()
    request = refresh(ladder)
    for _ in range(20):
        ladder.provider.answers(request, 500)
        ladder.clock.advance(34)
        asked = [one for one in drain(ladder.provider) if isinstance(one, Request) and one.method != "ACK"]
        if not asked:
            continue
        request = asked[-1]
        if request.method == "BYE":
            break
    assert request.method == "BYE"
    ladder.phone.receives("BYE")
    ladder.ends_clean()


def test_refresh_waits_for_a_change_that_is_open_and_is_not_lost() -> None:
    ladder = Ladder()
    _, answer = talk(ladder, "200;refresher=uac", allow=NO_UPDATE)
    ladder.clock.advance(99)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    change = ladder.provider.receives_request("INVITE")
    ladder.clock.advance(1)
    ladder.provider.receives_nothing()
    ladder.provider.answers(change, 488)
    ladder.provider.receives("ACK")
    ladder.clock.advance(2)
    ladder.provider.receives("INVITE")


def test_call_that_began_without_an_offer_is_refreshed() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", b"")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=AVP, fields=(*AGREED, ("Allow", NO_UPDATE)))
    answer = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(invite, answer, SAVP)
    assert ladder.phone.receives_request("ACK").body == AVP
    ladder.clock.advance(100)
    again = ladder.phone.receives_request("INVITE")
    assert again.body == AVP
    ladder.phone.answers(again, 200, sdp=AVP, fields=AGREED)
    ladder.phone.receives("ACK")
    ladder.clock.advance(99)
    assert len(ladder.calls) == 1


def test_refresh_that_is_answered_in_clear_ends_a_call_that_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    again = refresh(ladder)
    asked = len(ladder.relay.asked)
    ladder.provider.answers(again, 200, sdp=AVP, fields=AGREED)
    assert came(ladder.provider) == ["ACK", "BYE"]
    assert came(ladder.phone) == ["BYE"]
    assert len(ladder.relay.asked) == asked, "the relay never heard of it"
    assert ladder.relay.deleted_at_once == ladder.relay.deleted


def test_a_call_that_lasts_too_long_is_hung_up_with_a_reason() -> None:
    ladder = Ladder()
    talk(ladder, "1800;refresher=uas")
    (call,) = ladder.calls.active
    ladder.calls.end_longest(60)
    ladder.clock.advance(59)
    ladder.calls.end_longest(60)
    assert len(ladder.calls.active) == 1
    ladder.clock.advance(11)
    ladder.calls.end_longest(0)
    assert len(ladder.calls.active) == 1, "0: never"
    ladder.calls.end_longest(60)
    reason = 'Q.850;cause=31;text="the longest length of a call is reached"'
    for party in (ladder.phone, ladder.provider):
        assert party.receives_request("BYE").headers.get("Reason") == reason
    assert call.record.ending == "the longest length of a call is reached"
    assert ladder.metrics.value("gateway_calls_ended_for_length_total") == 1


def test_a_call_to_an_emergency_number_may_last() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("sip:112@example.com")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(200))
    ladder.clock.advance(1000)
    ladder.calls.end_longest(60)
    assert len(ladder.calls.active) == 1
