"""A relay is lost while calls are up, as ladders."""

from __future__ import annotations

import pytest

from gateway.b2bua.across.relay_failover import LOOK_SECONDS, LOOKS
from gateway.config.model import Security
from gateway.sip.message import Request
from tests.support.ladder import AVP, SAVP, Ladder, Party, drain
from tests.support.stories import came, ring, talk

HELD = AVP + b"a=sendonly\r\n"
MOVED_THERE = SAVP.replace(b"6000", b"6100")


def lose(ladder: Ladder) -> None:
    ladder.relay.lost((next(ladder.calls.records()).id,))


def test_another_relay_takes_over_by_a_reinvite_on_each_side() -> None:
    ladder = Ladder()
    talk(ladder)
    lose(ladder)
    again = ladder.provider.receives_request("INVITE")
    assert again.body == SAVP
    assert ladder.relay.asked[-1] == ("offer", "caller", "callee")
    ladder.provider.answers(again, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    told = ladder.phone.receives_request("INVITE")
    assert told.body == AVP
    ladder.phone.answers(told, 200, sdp=AVP)
    ladder.phone.receives("ACK")
    record = next(ladder.calls.records())
    assert (record.state, record.verdict) == ("established", "ENCRYPTED_TO_PROVIDER")


def test_inbound_call_is_moved_from_the_phone_too() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    ladder.provider.acknowledges(invite, ladder.provider.receives_response(200))
    lose(ladder)
    assert ladder.relay.asked[-1] == ("offer", "callee", "caller")
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    assert next(ladder.calls.records()).state == "established"


def test_call_ends_on_both_sides_when_there_is_no_other_relay() -> None:
    ladder = Ladder()
    talk(ladder)
    ladder.relay.refuses = True
    lose(ladder)
    for party in (ladder.phone, ladder.provider):
        bye = party.receives_request("BYE")
        assert "Media relay lost" in (bye.headers.get("Reason") or "")
        party.answers(bye, 200)
    ladder.ends_clean()


def test_call_ends_when_the_provider_refuses_the_change() -> None:
    ladder = Ladder()
    talk(ladder)
    lose(ladder)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488)
    ladder.provider.receives("ACK")
    ladder.provider.receives("BYE")
    ladder.phone.receives("BYE")
    ladder.ends_clean()


def test_call_that_is_not_answered_yet_is_refused() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.phone.receives(180)
    lose(ladder)
    ladder.phone.receives(500)
    ladder.provider.receives("CANCEL")


def test_answer_without_srtp_ends_the_call_when_it_is_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    talk(ladder)
    lose(ladder)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=AVP)
    ladder.provider.receives("ACK")
    ladder.provider.receives("BYE")
    ladder.phone.receives("BYE")


def test_silence_ends_the_call_with_its_own_reason() -> None:
    ladder = Ladder()
    talk(ladder)
    ladder.relay.ended((next(ladder.calls.records()).id,))
    for party in (ladder.phone, ladder.provider):
        bye = party.receives_request("BYE")
        assert "No media" in (bye.headers.get("Reason") or "")
        party.answers(bye, 200)
    ladder.ends_clean()


def moves(ladder: Ladder) -> None:
    """The call is put on another relay, and stays up."""
    ladder.clock.advance(LOOK_SECONDS)
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    told = [one for one in drain(ladder.phone) if isinstance(one, Request)]  # responses come again over UDP
    assert [one.method for one in told] == ["INVITE"]
    ladder.phone.answers(told[0], 200, sdp=AVP)
    ladder.phone.receives("ACK")
    record = next(ladder.calls.records())
    assert (record.state, record.verdict) == ("established", "ENCRYPTED_TO_PROVIDER")
    assert ladder.caller.media.in_force is not None
    assert ladder.caller.media.in_force.theirs == AVP


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("status", [200, 488])
def test_rfc3261_section_14_1_open_change_ends_before_the_call_is_moved(method: str, status: int) -> None:
    """The peer may accept it: nothing could carry it out, so that its sender is told to try again."""
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=HELD, cseq=2))
    change = ladder.provider.receives_request(method)
    lose(ladder)
    ladder.clock.advance(3 * LOOK_SECONDS)
    ladder.provider.receives_nothing()
    asked = len(ladder.relay.asked)
    ladder.provider.answers(change, status, sdp=MOVED_THERE if status == 200 else b"")
    assert len(ladder.relay.asked) == asked
    assert came(ladder.provider) == (["ACK"] if method == "INVITE" else [])
    refused = "500" if status == 200 else "488"
    assert [one for one in came(ladder.phone) if not one.startswith("100")] == [f"{refused} {method}"]
    moves(ladder)


def test_change_of_the_provider_ends_before_the_call_is_moved() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=MOVED_THERE))
    change = ladder.phone.receives_request("INVITE")
    lose(ladder)
    lose(ladder)  # told twice, moved once
    ladder.phone.answers(change, 200, sdp=AVP)
    ladder.phone.receives("ACK")
    assert came(ladder.provider) == ["100 INVITE", "500 INVITE"]
    moves(ladder)


def test_late_offer_that_is_open_is_answered_with_the_media_of_before() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", cseq=2))
    change = ladder.provider.receives_request("INVITE")
    lose(ladder)
    ladder.provider.answers(change, 200, sdp=MOVED_THERE)
    assert ladder.provider.receives_request("ACK").body == SAVP
    assert came(ladder.phone) == ["100 INVITE", "500 INVITE"]
    moves(ladder)


def test_relay_that_is_lost_while_it_has_the_answer_of_a_change() -> None:
    """The peers have both changes accepted; each is offered the media of before from another relay."""
    ladder = Ladder()
    _, answer = talk(ladder)
    invite = ladder.phone.within(answer, "INVITE", sdp=HELD, cseq=2)
    ladder.phone.sends(invite)
    change = ladder.provider.receives_request("INVITE")
    ladder.relay.held = True
    ladder.provider.answers(change, 200, sdp=MOVED_THERE)
    ladder.provider.receives("ACK")
    lose(ladder)
    ladder.relay.fails()
    ladder.phone.receives(100)
    accepted = ladder.phone.receives_response(200)
    assert accepted.body == AVP
    ladder.clock.advance(LOOK_SECONDS)
    ladder.provider.receives_nothing()
    ladder.relay.held = False
    ladder.phone.acknowledges(invite, accepted)
    moves(ladder)


def test_change_that_does_not_end_ends_the_call() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=HELD, cseq=2))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 180)
    lose(ladder)
    ladder.clock.pump([LOOK_SECONDS] * (LOOKS + 2))
    assert "BYE" in came(ladder.provider)
    assert "BYE" in came(ladder.phone)
    ladder.ends_clean()


def test_relay_that_is_lost_while_a_call_is_moved_to_it_is_followed_by_another() -> None:
    ladder = Ladder()
    talk(ladder)
    lose(ladder)
    again = ladder.provider.receives_request("INVITE")
    lose(ladder)
    ladder.provider.answers(again, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.receives_nothing()
    moves(ladder)


@pytest.mark.parametrize("of_provider", [True, False])
def test_change_that_comes_without_a_relay_is_put_off(of_provider: bool) -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=MOVED_THERE))
    open_one: Request = ladder.phone.receives_request("UPDATE")
    lose(ladder)
    sender: Party = ladder.provider if of_provider else ladder.phone
    second = (
        ladder.provider.within_answered(onward, "INVITE", sdp=MOVED_THERE, cseq=2)
        if of_provider
        else ladder.phone.within(answer, "INVITE", sdp=HELD, cseq=2)
    )
    sender.sends(second)
    assert came(sender)[-1] in ("500 INVITE", "491 INVITE")
    ladder.phone.answers(open_one, 488)
    ladder.provider.receives(488)
    moves(ladder)


def change_address(ladder: Ladder, listeners: set[str], *, do_media_move: bool) -> int:
    return ladder.calls.address_changed(listeners, do_media_move=do_media_move)


def test_another_address_of_the_gateway_is_offered_on_each_side() -> None:
    ladder = Ladder()
    talk(ladder)
    assert change_address(ladder, set(), do_media_move=True) == 1
    assert ladder.relay.deleted
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    record = next(ladder.calls.records())
    assert (record.state, record.verdict) == ("established", "ENCRYPTED_TO_PROVIDER")


def test_calls_of_other_listeners_stay_where_they_are() -> None:
    ladder = Ladder()
    talk(ladder)
    assert change_address(ladder, {"another"}, do_media_move=False) == 0
    assert not [*drain(ladder.provider)]
    assert not ladder.relay.deleted


def test_a_call_whose_peer_refuses_the_new_address_ends_with_that_reason() -> None:
    ladder = Ladder()
    talk(ladder)
    change_address(ladder, set(), do_media_move=True)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488)
    ladder.provider.receives("ACK")
    for party in (ladder.provider, ladder.phone):
        bye = party.receives_request("BYE")
        assert 'text="Address changed"' in (bye.headers.get("Reason") or "")
        party.answers(bye, 200)
    ladder.ends_clean()


def test_a_call_that_rings_ends_with_the_address() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.phone.receives(180)
    change_address(ladder, set(), do_media_move=True)
    ladder.phone.receives(500)
    ladder.provider.receives("CANCEL")
