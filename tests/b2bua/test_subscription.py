"""Subscriptions across the gateway, and requests outside any dialog, as ladders."""

from __future__ import annotations

from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, Ladder

MWI = b"Messages-Waiting: yes\r\nVoice-Message: 2/0\r\n"


def subscribe(ladder: Ladder, expires: int = 600) -> tuple[Request, Request]:
    request = ladder.phone.request("SUBSCRIBE", "sip:alice@example.com")
    for name, value in (("Event", "message-summary"), ("Expires", str(expires)), ("Accept", "application/simple")):
        request.headers.add(name, value)
    ladder.phone.sends(request)
    onward = ladder.provider.receives_request("SUBSCRIBE")
    assert onward.headers.get("Event") == "message-summary"
    assert b"192.0.2.11" not in onward.to_bytes()
    return request, onward


def notify(ladder: Ladder, onward: Request, cseq: int, state: str = "active;expires=600") -> Request:
    request = ladder.provider.within_answered(onward, "NOTIFY", cseq=cseq)
    for name, value in (
        ("Event", "message-summary"),
        ("Subscription-State", state),
        ("Content-Type", "application/simple-message-summary"),
    ):
        request.headers.add(name, value)
    request.body = MWI
    ladder.provider.sends(request)
    told = ladder.phone.receives_request("NOTIFY")
    assert told.body == MWI
    ladder.phone.answers(told, 200)
    ladder.provider.receives(200)
    return told


def accepted(ladder: Ladder, onward: Request) -> Response:
    ladder.provider.answers(onward, 200, fields=(("Expires", "600"),))
    answer = ladder.phone.receives_response(200)
    assert answer.headers.get("Expires") == "600"
    return answer


def test_subscription_and_its_notify() -> None:
    ladder = Ladder()
    _, onward = subscribe(ladder)
    answer = accepted(ladder, onward)
    told = notify(ladder, onward, 1)
    assert (told.call_id, told.to.tag, told.from_.tag) == ("c1", "f1", answer.to.tag)
    ladder.clock.pump([10.0] * 70)
    assert len(ladder.subscriptions) == 0
    ladder.ends_clean()


def test_notify_that_overtakes_the_answer() -> None:
    ladder = Ladder()
    _, onward = subscribe(ladder)
    notify(ladder, onward, 1)
    accepted(ladder, onward)
    notify(ladder, onward, 2)
    assert len(ladder.subscriptions) == 1


def test_refresh_crosses_and_prolongs() -> None:
    ladder = Ladder()
    _, onward = subscribe(ladder)
    answer = accepted(ladder, onward)
    ladder.clock.pump([10.0] * 50)
    again = ladder.phone.within(answer, "SUBSCRIBE")
    again.headers.add("Event", "message-summary")
    again.headers.add("Expires", "600")
    ladder.phone.sends(again)
    ladder.provider.answers(ladder.provider.receives_request("SUBSCRIBE"), 200, fields=(("Expires", "600"),))
    ladder.phone.receives(200)
    ladder.clock.pump([10.0] * 50)
    notify(ladder, onward, 1)


def test_terminated_subscription_is_forgotten() -> None:
    ladder = Ladder()
    _, onward = subscribe(ladder)
    accepted(ladder, onward)
    notify(ladder, onward, 1, "terminated;reason=timeout")
    ladder.clock.pump([1.0] * 70)
    assert len(ladder.subscriptions) == 0
    ladder.ends_clean()


def test_refused_subscription_leaves_nothing() -> None:
    ladder = Ladder()
    _, onward = subscribe(ladder)
    challenge = ("WWW-Authenticate", 'Digest realm="example.com", nonce="n"')
    ladder.provider.answers(onward, 401, fields=(challenge,))
    assert ladder.phone.receives_response(401).headers.get("WWW-Authenticate") == challenge[1]
    assert len(ladder.subscriptions) == 0
    ladder.ends_clean()


def test_notifier_that_does_not_answer() -> None:
    ladder = Ladder()
    subscribe(ladder)
    ladder.clock.pump([1.0] * 40)
    ladder.phone.receives(100)  # RFC 4320: the phone has timed out itself, and is told nothing more
    ladder.phone.receives_nothing()
    assert len(ladder.subscriptions) == 0
    ladder.ends_clean()


def test_refused_refresh_ends_it() -> None:
    ladder = Ladder()
    _, onward = subscribe(ladder)
    answer = accepted(ladder, onward)
    ladder.phone.sends(ladder.phone.within(answer, "SUBSCRIBE"))
    ladder.provider.answers(ladder.provider.receives_request("SUBSCRIBE"), 481)
    ladder.phone.receives(481)
    assert len(ladder.subscriptions) == 0


def test_message_passes_and_is_answered() -> None:
    ladder = Ladder()
    message = ladder.phone.request("MESSAGE", "sip:bob@example.com")
    message.headers.add("Content-Type", "text/plain")
    message.body = b"hello"
    ladder.phone.sends(message)
    onward = ladder.provider.receives_request("MESSAGE")
    assert (onward.body, onward.content_type) == (b"hello", "text/plain")
    ladder.provider.answers(onward, 200)
    ladder.phone.receives(200)
    ladder.ends_clean()


def test_unsolicited_notify_reaches_the_phone() -> None:
    ladder = Ladder()
    request = ladder.provider.request("NOTIFY", "sip:alice-1@gw.example.com")
    request.headers.add("Event", "message-summary")
    request.headers.add("Content-Type", "application/simple-message-summary")
    request.body = MWI
    ladder.provider.sends(request)
    told = ladder.phone.receives_request("NOTIFY")
    assert told.body == MWI
    ladder.phone.answers(told, 200)
    ladder.provider.receives(200)


def test_sdp_in_a_message_is_refused() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.request("MESSAGE", "sip:bob@example.com", sdp=AVP))
    ladder.phone.receives(415)
    ladder.provider.receives_nothing()


def test_options_for_the_gateway_are_answered_here() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.request("OPTIONS", "sip:gw.example.com"))
    answer = ladder.provider.receives_response(200)
    assert "INVITE" in (answer.headers.get("Allow") or "")
    ladder.phone.receives_nothing()
