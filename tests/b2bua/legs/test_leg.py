"""One leg's peer: its targets and routes, its ACK, its forks, its address behind a NAT."""

from __future__ import annotations

from gateway.sip.message import Request, Response
from gateway.transport.flow import Address
from tests.support.flows import RecordingFlow
from tests.support.ladder import PHONES, SAVP, Ladder, Party, drain
from tests.support.stories import came, nothing_is_left, ring, talk


def test_caller_whose_route_leads_nowhere_is_refused() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Record-Route", "garbage")
    ladder.phone.sends(invite)
    assert came(ladder.phone) == ["400 INVITE"]
    nothing_is_left(ladder)


def test_strict_router_of_the_provider_is_gone_through() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    route = ("Record-Route", "<sip:p2.example.com;lr>, <sip:p1.example.com>")
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=(route,))
    ack = ladder.provider.receives_request("ACK")
    assert ack.uri == "sip:p1.example.com"
    assert ack.headers.values("Route") == ["<sip:p2.example.com;lr>", "<sip:me@198.51.100.21:5061>"]


def test_odd_contact_of_a_phone_is_where_its_bye_goes() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    contact = "sips:[2001:db8::1]:5061;transport=tcp;x=%40"
    invite.headers.set("Contact", f'<{contact}>;+sip.instance="<urn:uuid:1>"')
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    _, answer = drain(ladder.phone)
    assert isinstance(answer, Response)
    ladder.phone.acknowledges(invite, answer)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    byes = [message for message in drain(ladder.phone) if isinstance(message, Request)]
    assert [bye.uri for bye in byes] == [contact]


def test_ack_from_the_other_side_does_not_stop_the_answer() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.provider.acknowledges(invite, answer)
    ladder.clock.advance(0.5)
    ladder.phone.receives(200)


def test_forks_count_their_requests_each_for_itself() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    for tag in ("t1", "t2"):
        ladder.provider.answers(onward, 180, tag=tag)
    assert came(ladder.phone) == ["180 INVITE", "180 INVITE"]
    for tag, number in (("t2", 50), ("t1", 2)):
        ladder.provider.sends(ladder.provider.within_answered(onward, "INFO", cseq=number, tag=tag))
        ladder.phone.answers(ladder.phone.receives_request("INFO"), 200)
        ladder.provider.receives(200)


def test_phone_whose_nat_gave_it_another_port_is_followed_there() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    moved = Party(ladder, RecordingFlow(PHONES, Address("192.0.2.11", 40000)), "192.0.2.11:5070")
    moved.sends(ladder.phone.within(answer, "INFO"))
    ladder.provider.answers(ladder.provider.receives_request("INFO"), 200)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(moved) == ["200 INFO", "BYE"]
    ladder.phone.receives_nothing()


def test_phone_is_not_followed_to_another_host() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    other = Party(ladder, RecordingFlow(PHONES, Address("192.0.2.66", 5070)), "192.0.2.66:5070")
    other.sends(ladder.phone.within(answer, "INFO"))
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert "BYE" in came(ladder.phone)
