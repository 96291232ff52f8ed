"""A relay is lost while calls are up, as ladders."""

from __future__ import annotations

from gateway.config.model import Security
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import ring, talk


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
