"""Blind and attended transfer, as ladders."""

from __future__ import annotations

import pytest

from gateway.b2bua.across.transfer import Replaces
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import talk


def second_call(ladder: Ladder) -> tuple[Request, Response]:
    """The phone's other call, to be transferred to."""
    invite = ladder.phone.invite("sip:carol@example.com", call_id="c2", tags=("f2", ""))
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="t2")
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    return onward, answer


def test_blind_transfer_crosses_and_its_notify_comes_back() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    refer = ladder.phone.within(answer, "REFER")
    refer.headers.add("Refer-To", "<sip:carol@192.0.2.1:5060>")
    refer.headers.add("Referred-By", "<sip:alice@192.0.2.11>")
    ladder.phone.sends(refer)
    crossed = ladder.provider.receives_request("REFER")
    assert crossed.headers.get("Refer-To") == "<sip:carol@example.com>"
    assert crossed.headers.get("Referred-By") == "<sip:alice@example.com>"
    ladder.provider.answers(crossed, 202)
    ladder.phone.receives(202)
    notify = ladder.provider.within_answered(onward, "NOTIFY")
    for name, value in (
        ("Event", "refer"),
        ("Subscription-State", "terminated;reason=noresource"),
        ("Content-Type", "message/sipfrag;version=2.0"),
    ):
        notify.headers.add(name, value)
    notify.body = b"SIP/2.0 200 OK\r\n"
    ladder.provider.sends(notify)
    told = ladder.phone.receives_request("NOTIFY")
    assert told.body == b"SIP/2.0 200 OK\r\n"
    assert told.headers.get("Event") == "refer"
    ladder.phone.answers(told, 200)
    ladder.provider.receives(200)


def test_attended_transfer_names_the_dialog_as_the_provider_knows_it() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    onward, other = second_call(ladder)
    refer = ladder.phone.within(answer, "REFER")
    replaces = f"c2%3Bto-tag%3D{other.to.tag}%3Bfrom-tag%3Df2"
    refer.headers.add("Refer-To", f"<sip:carol@example.com?Replaces={replaces}>")
    ladder.phone.sends(refer)
    value = ladder.provider.receives_request("REFER").headers.get("Refer-To") or ""
    assert f"Replaces={onward.call_id}%3Bto-tag%3Dt2%3Bfrom-tag%3D{onward.from_.tag}" in value
    assert "c2" not in value


def test_invite_that_replaces_a_dialog_of_ours_reaches_the_phone_with_the_phones_names() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP, call_id="p9", tags=("z", ""))
    invite.headers.add("Replaces", f"{onward.call_id};to-tag={onward.from_.tag};from-tag=t1")
    invite.headers.add("Require", "replaces")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    replacing = ladder.phone.receives_request("INVITE")
    assert replacing.body == AVP
    assert replacing.headers.get("Require") == "replaces"
    assert replacing.headers.get("Replaces") == f"c1;to-tag=f1;from-tag={answer.to.tag}"


@pytest.mark.parametrize("value", ["", "c1", "c1;to-tag=a", "c1;from-tag=b", ";to-tag=a;from-tag=b"])
def test_replaces_without_its_parts_is_malformed(value: str) -> None:
    with pytest.raises(MalformedMessage):
        Replaces.parse(value)


def test_phone_refers_to_no_dialog_that_is_not_of_a_call_here() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    refer = ladder.phone.within(answer, "REFER")
    refer.headers.add("Refer-To", "<sip:carol@example.com?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>")
    ladder.phone.sends(refer)
    ladder.phone.receives(481)
    ladder.provider.receives_nothing()


def test_dialog_between_others_at_the_provider_crosses_as_it_is() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    refer = ladder.provider.within_answered(onward, "REFER")
    referred_to = "<sip:carol@example.com?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    refer.headers.add("Refer-To", referred_to)
    ladder.provider.sends(refer)
    assert ladder.phone.receives_request("REFER").headers.get("Refer-To") == referred_to
    invite = ladder.phone.invite("sip:carol@example.com", call_id="c5", tags=("f5", ""))
    invite.headers.add("Replaces", "x@y;to-tag=1;from-tag=2")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    assert ladder.provider.receives_request("INVITE").headers.get("Replaces") == "x@y;to-tag=1;from-tag=2"
