"""Messages that a call cannot go on with: whoever waits for more is told, and nothing stays behind.

phone -> gateway -> provider, each of which sends what parses as SIP and is of no use all the same
"""

from __future__ import annotations

import pytest

from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, drain


def statuses(ladder: Ladder) -> list[int]:
    """What the phone was answered."""
    return [message.status for message in drain(ladder.phone) if isinstance(message, Response)]


def ringing(ladder: Ladder) -> Request:
    """The provider's INVITE of a call that waits for its answer."""
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    return ladder.provider.receives_request("INVITE")


def test_an_invite_without_contact_is_answered_400_and_makes_no_call() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.remove("Contact")
    ladder.phone.sends(invite)
    assert statuses(ladder) == [400]
    assert len(ladder.calls) == 0
    ladder.ends_clean()


@pytest.mark.parametrize("name", ["Refer-To", "Replaces"])
def test_an_invite_with_a_dialog_or_target_that_cannot_be_read_is_answered_400(name: str) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add(name, "<<;;")
    ladder.phone.sends(invite)
    assert statuses(ladder)[-1] == 400
    ladder.ends_clean()


@pytest.mark.parametrize("body", [b"v=1\r\n", b"m=?", b"\xff\xfe", b"v=0\r\nm=audio x RTP/AVP 0\r\n"])
def test_an_invite_with_sdp_that_cannot_be_read_is_answered_488(body: bytes) -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite(sdp=body))
    assert statuses(ladder) == [488]
    ladder.ends_clean()


def test_a_2xx_without_contact_is_an_answer_and_can_be_hung_up() -> None:
    ladder = Ladder()
    answer = ringing(ladder).response(200, to_tag="t1")
    answer.headers.add("Content-Type", "application/sdp")
    answer.body = SAVP
    ladder.provider.sends(answer)
    answered = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(ladder.phone.invite(), answered)
    ladder.provider.receives("ACK")
    ladder.phone.sends(ladder.phone.within(answered, "BYE"))
    ladder.provider.sends(ladder.provider.receives_request("BYE").response(200))
    ladder.ends_clean()


def test_a_2xx_with_sdp_that_cannot_be_read_is_hung_up() -> None:
    ladder = Ladder()
    ladder.provider.answers(ringing(ladder), 200, sdp=b"v=1\r\n")
    ladder.provider.receives("ACK")
    ladder.provider.receives("BYE")
    assert statuses(ladder)[-1] >= 400
    ladder.ends_clean()


@pytest.mark.parametrize("status", [180, 183, 200, 302, 486])
@pytest.mark.parametrize(
    ("name", "value"),
    [("Contact", "<<;;"), ("Content-Type", ";;"), ("Session-Expires", "soon"), ("RSeq", "x"), ("Require", "100rel")],
)
def test_whatever_is_wrong_with_an_answer_the_caller_hears_of_an_end(status: int, name: str, value: str) -> None:
    ladder = Ladder()
    invite = ringing(ladder)
    answer = invite.response(status, to_tag="t1")
    answer.headers.add("Contact", "<sip:bob@198.51.100.21:5061;transport=tls>")
    answer.headers.set(name, value)
    if name == "Content-Type":
        answer.body = SAVP
    ladder.provider.sends(answer)
    ladder.clock.pump([1.0] * 300)
    assert statuses(ladder)[-1] >= 200
    ladder.calls.end_all("the test hangs up")
    ladder.clock.pump([1.0] * 300)
    assert len(ladder.calls) == 0
    assert ladder.transactions.counts_alive() == 0


def test_a_re_invite_that_rings_for_ever_is_given_up() -> None:
    ladder = Ladder()
    invite = ringing(ladder)
    ladder.provider.answers(invite, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite=ladder.phone.invite(), response=answer)
    ladder.provider.receives("ACK")
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.sends(again.response(100))
    ladder.clock.pump([1.0] * 300)
    assert statuses(ladder)[-1] >= 400
    ladder.calls.end_all("the test hangs up")
    ladder.clock.pump([1.0] * 64)
    assert ladder.transactions.counts_alive() == 0
