"""Subscriptions outlive their call (RFC 5057 section 3.1, RFC 3515 section 2.4.4); refusals end one usage alone."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request, Response
from tests.support.ladder import Ladder, Party
from tests.support.stories import came, nothing_is_left, talk

DONE = "terminated;reason=noresource"


def refer(ladder: Ladder, answer: Response, cseq: int = 2) -> Request:
    request = ladder.phone.within(answer, "REFER", cseq=cseq)
    request.headers.add("Refer-To", "<sip:carol@example.com>")
    ladder.phone.sends(request)
    return ladder.provider.receives_request("REFER")


def accepted(ladder: Ladder, answer: Response, cseq: int = 2) -> Request:
    crossed = refer(ladder, answer, cseq)
    ladder.provider.answers(crossed, 202)
    ladder.phone.receives(202)
    return crossed


def notify(ladder: Ladder, onward: Request, cseq: int, state: str = DONE, event: str = "refer") -> Request:
    request = ladder.provider.within_answered(onward, "NOTIFY", cseq=cseq)
    for name, value in (("Event", event), ("Subscription-State", state), ("Content-Type", "message/sipfrag")):
        request.headers.add(name, value)
    request.body = b"SIP/2.0 200 OK\r\n"
    ladder.provider.sends(request)
    return request


def provider_hangs_up(ladder: Ladder, onward: Request, cseq: int = 2) -> None:
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE", cseq=cseq))
    ladder.provider.receives(200)
    ladder.phone.answers(ladder.phone.receives_request("BYE"), 200)


def phone_hangs_up(ladder: Ladder, answer: Response, cseq: int = 3) -> None:
    ladder.phone.sends(ladder.phone.within(answer, "BYE", cseq=cseq))
    ladder.phone.receives(200)
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)


def test_outcome_of_a_transfer_arrives_after_the_call() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    accepted(ladder, answer)
    notify(ladder, onward, 1, "active;expires=60")
    ladder.phone.answers(ladder.phone.receives_request("NOTIFY"), 200)
    ladder.provider.receives(200)
    provider_hangs_up(ladder, onward)
    assert ladder.calls.is_idle
    notify(ladder, onward, 3)
    told = ladder.phone.receives_request("NOTIFY")
    assert (told.body, told.call_id, told.to.tag) == (b"SIP/2.0 200 OK\r\n", "c1", "f1")
    ladder.phone.answers(told, 200)
    ladder.provider.receives(200)
    assert len(ladder.subscriptions) == 1
    ladder.clock.pump([1.0] * 70)
    assert len(ladder.subscriptions) == 0
    nothing_is_left(ladder)


def test_transfer_that_is_accepted_after_the_phone_has_hung_up() -> None:
    """The REFER is not the call's: BYE does not answer it (RFC 3261 section 15.1.2 is about the call's requests)."""
    ladder = Ladder()
    onward, answer = talk(ladder)
    crossed = refer(ladder, answer)
    phone_hangs_up(ladder, answer)
    ladder.provider.answers(crossed, 202)
    ladder.phone.receives(202)
    notify(ladder, onward, 1)
    ladder.phone.answers(ladder.phone.receives_request("NOTIFY"), 200)
    ladder.provider.receives(200)
    nothing_is_left(ladder)


def test_event_that_crosses_the_bye_is_answered_by_the_phone() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    accepted(ladder, answer)
    notify(ladder, onward, 1)
    told = ladder.phone.receives_request("NOTIFY")
    provider_hangs_up(ladder, onward)
    ladder.phone.answers(told, 200)
    ladder.provider.receives(200)
    nothing_is_left(ladder)


def test_transfer_by_the_provider_tells_it_of_the_outcome_after_the_call() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    request = ladder.provider.within_answered(onward, "REFER")
    request.headers.add("Refer-To", "<sip:carol@example.com>")
    ladder.provider.sends(request)
    ladder.phone.answers(ladder.phone.receives_request("REFER"), 202)
    ladder.provider.receives(202)
    provider_hangs_up(ladder, onward)
    event = ladder.phone.within(answer, "NOTIFY")
    event.headers.add("Event", "refer")
    event.headers.add("Subscription-State", DONE)
    ladder.phone.sends(event)
    ladder.provider.answers(ladder.provider.receives_request("NOTIFY"), 200)
    ladder.phone.receives(200)
    nothing_is_left(ladder)


def test_package_subscribed_to_within_a_call_goes_on_and_is_refreshed() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    subscribe = ladder.phone.within(answer, "SUBSCRIBE")
    subscribe.headers.add("Event", "dialog")
    subscribe.headers.add("Expires", "600")
    ladder.phone.sends(subscribe)
    ladder.provider.answers(ladder.provider.receives_request("SUBSCRIBE"), 200)
    ladder.phone.receives(200)
    phone_hangs_up(ladder, answer)
    ladder.clock.pump([10.0] * 60)
    again = ladder.phone.within(answer, "SUBSCRIBE", cseq=4)
    again.headers.add("Event", "dialog")
    again.headers.add("Expires", "600")
    ladder.phone.sends(again)
    ladder.provider.answers(ladder.provider.receives_request("SUBSCRIBE"), 200)
    ladder.phone.receives(200)
    ladder.clock.pump([10.0] * 30)
    notify(ladder, onward, 1, "active;expires=300", "dialog")
    ladder.phone.answers(ladder.phone.receives_request("NOTIFY"), 200)
    ladder.provider.receives(200)
    ladder.clock.pump([10.0] * 70)
    assert len(ladder.subscriptions) == 0


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "BYE", "PRACK"])
def test_call_is_over_all_the_same(method: str) -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    accepted(ladder, answer)
    provider_hangs_up(ladder, onward)
    for sender, request in (
        (ladder.phone, ladder.phone.within(answer, method, cseq=9)),
        (ladder.provider, ladder.provider.within_answered(onward, method, cseq=9)),
    ):
        sender.sends(request)
        assert came(sender)[-1] == f"481 {method}"
    notify(ladder, onward, 10)
    ladder.phone.receives("NOTIFY")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "BYE"])
def test_subscription_has_no_call(method: str) -> None:
    """An INVITE within it would set up media that no policy has judged."""
    ladder = Ladder()
    subscribe = ladder.phone.request("SUBSCRIBE", "sip:alice@example.com")
    subscribe.headers.add("Event", "dialog")
    ladder.phone.sends(subscribe)
    onward = ladder.provider.receives_request("SUBSCRIBE")
    ladder.provider.answers(onward, 200)
    answer = ladder.phone.receives_response(200)
    for sender, request in (
        (ladder.phone, ladder.phone.within(answer, method)),
        (ladder.provider, ladder.provider.within_answered(onward, method)),
    ):
        sender.sends(request)
        assert came(sender) == [f"481 {method}"]
    assert len(ladder.subscriptions) == 1


def test_call_without_subscriptions_leaves_nothing() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    provider_hangs_up(ladder, onward)
    assert (len(ladder.subscriptions), len(ladder.dialogs)) == (0, 0)


def test_transfer_that_is_never_told_of_is_forgotten() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    accepted(ladder, answer)
    provider_hangs_up(ladder, onward)
    nothing_is_left(ladder)
    assert len(ladder.subscriptions) == 0


def silent(party: Party, request: Request) -> None:
    """No answer."""


def refuses_with_481(party: Party, request: Request) -> None:
    party.answers(request, 481)


def refuses_with_408(party: Party, request: Request) -> None:
    party.answers(request, 408)


@pytest.mark.parametrize("refuses", [refuses_with_481, refuses_with_408, silent])
@pytest.mark.parametrize("method", ["NOTIFY", "INFO", "MESSAGE", "REFER", "SUBSCRIBE"])
def test_refusal_within_a_call_does_not_end_it(method: str, refuses: object) -> None:
    """RFC 5057 sections 5.1 and 5.2: a phone that has forgotten a transfer goes on talking."""
    ladder = Ladder()
    onward, answer = talk(ladder)
    accepted(ladder, answer)
    request = ladder.provider.within_answered(onward, method)
    request.headers.add("Event", "refer")
    request.headers.add("Refer-To", "<sip:carol@example.com>")
    ladder.provider.sends(request)
    refuses(ladder.phone, ladder.phone.receives_request(method))  # type: ignore[operator]
    ladder.clock.pump([1.0] * 40)
    assert not ladder.calls.is_idle
    assert [one for one in came(ladder.phone) if one == "BYE"] == []
    assert "BYE" not in came(ladder.provider)


def test_refused_event_of_a_transfer_ends_that_subscription_alone() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    first, second = accepted(ladder, answer), accepted(ladder, answer, 3)
    notify(ladder, onward, 1, "active;expires=60", f"refer;id={first.cseq.number}")
    told = ladder.phone.receives_request("NOTIFY")
    assert told.headers.get("Event") == "refer;id=2"
    ladder.phone.answers(told, 481)
    ladder.provider.receives(481)
    provider_hangs_up(ladder, onward)
    notify(ladder, onward, 3, DONE, f"refer;id={second.cseq.number}")
    told = ladder.phone.receives_request("NOTIFY")
    assert told.headers.get("Event") == "refer;id=3"
    ladder.phone.answers(told, 481)
    ladder.provider.receives(481)
    assert len(ladder.subscriptions) == 0


def test_rfc_6665_section_4_2_2_refused_notify_ends_a_subscription() -> None:
    ladder = Ladder()
    subscribe = ladder.phone.request("SUBSCRIBE", "sip:alice@example.com")
    subscribe.headers.add("Event", "dialog")
    ladder.phone.sends(subscribe)
    onward = ladder.provider.receives_request("SUBSCRIBE")
    ladder.provider.answers(onward, 200)
    ladder.phone.receives(200)
    notify(ladder, onward, 1, "active", "dialog")
    ladder.phone.answers(ladder.phone.receives_request("NOTIFY"), 481)
    ladder.provider.receives(481)
    assert len(ladder.subscriptions) == 0
    nothing_is_left(ladder)


@pytest.mark.parametrize("event", ["talk", "check-sync;reboot=true"])
def test_phone_is_not_made_to_answer_or_to_start_again(event: str) -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    request = ladder.provider.within_answered(onward, "NOTIFY")
    request.headers.add("Event", event)
    ladder.provider.sends(request)
    ladder.provider.receives(489)
    ladder.phone.receives_nothing()


def test_phone_may_be_made_to_answer_where_the_domain_allows_it() -> None:
    ladder = Ladder(auto_answer=True)
    onward, _ = talk(ladder)
    request = ladder.provider.within_answered(onward, "NOTIFY")
    request.headers.add("Event", "talk")
    ladder.provider.sends(request)
    ladder.phone.receives("NOTIFY")
