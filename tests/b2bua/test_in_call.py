"""Requests inside a call: hold, UPDATE, glare, INFO, BYE, as ladders."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request, Response
from gateway.transport.flow import FailureKind
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import came, ring, talk


def test_hold_crosses_with_its_sdp_rewritten_both_ways() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    hold = ladder.phone.within(answer, "INVITE", sdp=AVP)
    ladder.phone.sends(hold)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.body == SAVP
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    held = ladder.phone.receives_response(200)
    assert held.body == AVP
    ladder.phone.acknowledges(hold, held)
    ladder.clock.pump([1.0] * 40)
    ladder.phone.receives_nothing()


def test_update_of_the_provider_never_shows_its_key_to_the_phone() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=SAVP))
    update = ladder.phone.receives_request("UPDATE")
    assert update.body == AVP
    ladder.phone.answers(update, 200, sdp=AVP)
    assert ladder.provider.receives_response(200).body == SAVP


def test_offerless_reinvite_takes_its_answer_from_the_ack() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE")
    ladder.phone.sends(again)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives_nothing()
    offer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(again, offer, sdp=AVP)
    assert ladder.provider.receives_request("ACK").body == SAVP


def test_reinvites_that_cross_get_491() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=SAVP))
    ladder.provider.receives(491)


def test_refused_reinvite_leaves_the_call_as_it_was() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488)
    ladder.provider.receives("ACK")
    ladder.phone.receives(488)
    assert next(ladder.calls.records()).state == "established"


def test_offer_that_the_relay_refuses_is_488_and_the_call_goes_on() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.relay.refuses = True
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.phone.receives(100)
    ladder.phone.receives(488)
    ladder.provider.receives_nothing()
    assert next(ladder.calls.records()).state == "established"


def test_info_crosses_with_its_body() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    info = ladder.phone.within(answer, "INFO")
    info.headers.add("Content-Type", "application/dtmf-relay")
    info.body = b"Signal=5\r\nDuration=160\r\n"
    ladder.phone.sends(info)
    onward = ladder.provider.receives_request("INFO")
    assert (onward.content_type, onward.body) == ("application/dtmf-relay", info.body)
    ladder.provider.answers(onward, 200)
    ladder.phone.receives(200)


def test_provider_hangs_up() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    bye = ladder.provider.within_answered(onward, "BYE")
    bye.headers.add("Reason", 'Q.850;cause=16;text="Normal"')
    ladder.provider.sends(bye)
    ladder.provider.receives(200)
    onward_bye = ladder.phone.receives_request("BYE")
    assert onward_bye.headers.get("Reason") == 'Q.850;cause=16;text="Normal"'
    ladder.phone.answers(onward_bye, 200)
    ladder.ends_clean()


def test_dialog_that_the_other_side_forgot_ends_the_call() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "UPDATE", sdp=AVP))
    ladder.provider.answers(ladder.provider.receives_request("UPDATE"), 481)
    ladder.phone.receives(481)
    ladder.phone.answers(ladder.phone.receives_request("BYE"), 200)
    ladder.ends_clean()


def test_request_of_no_dialog_gets_481() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.request("BYE", "sip:gw", tags=("f1", "nobody")))
    ladder.phone.receives(481)


def test_side_that_is_not_in_the_dialog_cannot_end_it() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.provider.sends(ladder.provider.within(answer, "BYE"))
    ladder.provider.receives(481)
    assert next(ladder.calls.records()).state == "established"


def test_old_cseq_is_refused() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INFO", cseq=7))
    ladder.provider.receives("INFO")
    ladder.phone.sends(ladder.phone.within(answer, "INFO", cseq=6))
    ladder.phone.receives(500)


def test_update_before_the_answer_crosses_too() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    ladder.phone.receives(183)
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=SAVP))
    assert ladder.phone.receives_request("UPDATE").body == AVP


def test_bye_takes_a_new_connection_when_the_old_one_is_gone() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.provider_flow.fail(FailureKind.CLOSED)
    ladder.reconnect_provider()
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.phone.receives(200)
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    ladder.ends_clean()


def test_peer_that_connected_anew_is_followed() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.provider_flow.fail(FailureKind.CLOSED)
    ladder.reconnect_provider()
    ladder.provider.sends(ladder.provider.within_answered(onward, "INFO"))
    ladder.phone.answers(ladder.phone.receives_request("INFO"), 200)
    ladder.provider.receives(200)
    ladder.phone.sends(ladder.phone.within(answer, "INFO"))
    ladder.provider.receives("INFO")


def test_refused_offer_leaves_the_relay_with_what_was_agreed() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.phone.receives(100)
    asked = len(ladder.relay.asked)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488)
    ladder.phone.receives(488)
    assert ladder.relay.asked[asked:] == [("offer", "caller", "callee"), ("answer", "caller", "callee")]


def test_stranger_with_sniffed_tags_cannot_end_a_call_in_clear() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    stranger = ladder.stranger()
    stranger.sends(ladder.phone.within(answer, "BYE"))
    stranger.receives(481)
    ladder.provider.receives_nothing()
    assert next(ladder.calls.records()).state == "established"


def test_credentials_in_a_phones_bye_stay_behind() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    bye = ladder.phone.within(answer, "BYE")
    bye.headers.add("Proxy-Authorization", 'Digest username="alice", uri="sip:bob@192.0.2.1:5060", response="0"')
    ladder.phone.sends(bye)
    onward = ladder.provider.receives_request("BYE")
    assert "Proxy-Authorization" not in onward.headers  # its digest-uri is an address of the phones' side


def cancel_of(ladder: Ladder, invite: Request, answer: Response) -> Request:
    """The CANCEL of a phone's re-INVITE."""
    cancel = ladder.phone.within(answer, "CANCEL", cseq=invite.cseq.number)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    return cancel


def test_extension_that_nobody_knows_is_refused_within_a_call_too() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    again.headers.add("Require", "precondition")
    ladder.phone.sends(again)
    assert ladder.phone.receives_response(420).headers.get("Unsupported") == "precondition"
    ladder.provider.receives_nothing()


@pytest.mark.parametrize(("method", "status"), [("REGISTER", 405), ("FROBNICATE", 501)])
def test_method_that_belongs_to_no_call_does_not_cross_one(method: str, status: int) -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, method))
    ladder.provider.receives(status)
    ladder.phone.receives_nothing()


def test_contact_that_cannot_be_read_in_a_reinvite_leaves_the_call_as_it_was() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    again.headers.set("Contact", "<sip:")
    ladder.phone.sends(again)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    assert came(ladder.phone) == ["100 INVITE", "200 INVITE"]
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(ladder.phone) == ["BYE"]


def test_refresh_by_update_does_not_reach_a_phone_that_knows_no_update() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    update = ladder.provider.within_answered(onward, "UPDATE")
    update.headers.add("Session-Expires", "1800;refresher=uac")
    update.headers.add("Supported", "timer")
    ladder.provider.sends(update)
    ladder.phone.receives_nothing()
    assert ladder.provider.receives_response(200).headers.get("Session-Expires") == "1800;refresher=uac"


def test_call_with_many_reinvites_does_not_grow() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    leg = ladder.calls.active[0].callee
    assert leg is not None
    for number in range(2, 40):
        again = ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=number)
        ladder.phone.sends(again)
        ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
        ladder.phone.acknowledges(again, answer)
        ladder.provider.receives("ACK")
    assert len(leg.acknowledgements._invites) <= 8
    assert len(leg.open_requests) <= 1


def test_reinvite_that_is_cancelled_is_cancelled_on_the_other_side_too() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    ladder.phone.sends(again)
    change = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(change, 180)
    ladder.phone.sends(cancel_of(ladder, again, answer))
    ladder.provider.answers(ladder.provider.receives_request("CANCEL"), 200)
    ladder.provider.answers(change, 487)
    assert came(ladder.phone) == ["100 INVITE", "180 INVITE", "200 CANCEL", "487 INVITE"]
    assert next(ladder.calls.records()).state == "established"


def test_reinvite_that_is_cancelled_while_the_relay_is_asked_does_not_leave() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.relay.held = True
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    ladder.phone.sends(again)
    ladder.phone.sends(cancel_of(ladder, again, answer))
    ladder.relay.release()
    assert came(ladder.phone) == ["100 INVITE", "200 CANCEL", "487 INVITE"]
    ladder.provider.receives_nothing()
    for _ in ("offer", "answer"):  # of before: the relay had taken the new one
        ladder.relay.release()
    ladder.relay.held = False
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=3))
    ladder.provider.receives("INVITE")
