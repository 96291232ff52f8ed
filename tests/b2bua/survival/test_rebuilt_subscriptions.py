"""The gateway is killed while phones watch something, and the next one goes on with it: as ladders, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.b2bua.survival.frozen_subscription import FrozenSubscription, split
from gateway.sip.message import Request, Response
from gateway.transport.flow import Address
from tests.b2bua.survival.test_rebuilt_calls import TLS_PHONES, TlsPhone, journal_of
from tests.b2bua.test_subscription import accepted, notify, subscribe
from tests.support.flows import RecordingFlow
from tests.support.ladder import PHONES, Ladder, Party


def watching(ladder: Ladder) -> tuple[Request, Response]:
    """A subscription that has had its first event: the SUBSCRIBE as the provider got it, and its answer."""
    _, onward = subscribe(ladder)
    answer = accepted(ladder, onward)
    notify(ladder, onward, 1)
    return onward, answer


def refresh(ladder: Ladder, answer: Response, expires: int = 600) -> Request:
    """The phone prolongs its subscription: the SUBSCRIBE as the provider gets it."""
    request = ladder.phone.within(answer, "SUBSCRIBE")
    request.headers.add("Event", "message-summary")
    request.headers.add("Expires", str(expires))
    ladder.phone.sends(request)
    return ladder.provider.receives_request("SUBSCRIBE")


def test_rfc6665_section_4_2_2_events_go_on(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = watching(ladder)

    after = ladder.killed()
    told = notify(after, onward, 2)

    assert len(after.subscriptions) == 1
    assert (told.call_id, told.from_.tag, told.to.tag) == ("c1", answer.to.tag, "f1")
    assert told.cseq.number > 1


def test_rfc6665_section_4_1_2_2_a_refresh_crosses(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = watching(ladder)

    after = ladder.killed()
    again = refresh(after, answer)

    assert (again.call_id, again.from_.tag, again.to.tag) == (onward.call_id, onward.from_.tag, "t1")
    assert again.cseq.number > onward.cseq.number
    after.provider.answers(again, 200, fields=(("Expires", "600"),))
    after.phone.receives(200)
    notify(after, onward, 2)


def test_the_time_that_is_left_is_counted_from_before(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    watching(ladder)
    ladder.clock.pump([10.0] * 30)

    after = ladder.killed()
    assert len(after.subscriptions) == 1
    after.clock.pump([10.0] * 40)
    assert len(after.subscriptions) == 0


def test_many_processes_one_after_the_other(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = watching(ladder)
    numbers = []
    for count in range(2, 6):
        ladder = ladder.killed()
        numbers.append(notify(ladder, onward, count).cseq.number)
    assert numbers == sorted({*numbers})
    again = refresh(ladder, answer, 0)
    ladder.provider.answers(again, 200, fields=(("Expires", "0"),))
    ladder.phone.receives(200)
    notify(ladder, onward, 6, "terminated;reason=timeout")
    ladder.clock.pump([10.0] * 10)
    assert len(ladder.subscriptions) == 0
    assert len(ladder.killed().subscriptions) == 0


def test_one_that_has_ended_does_not_come_back(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, _ = watching(ladder)
    notify(ladder, onward, 2, "terminated;reason=noresource")
    ladder.clock.pump([10.0] * 10)

    after = ladder.killed()

    assert len(after.subscriptions) == 0
    after.provider.sends(after.provider.within_answered(onward, "NOTIFY", cseq=3))
    after.provider.receives(481)


def test_one_that_nobody_has_accepted_is_not_kept(tmp_path: Path) -> None:
    """The phone sends its SUBSCRIBE again, or anew (RFC 6665 section 4.1.2.1)."""
    ladder = Ladder(journal=tmp_path)
    subscribe(ladder)
    assert len(ladder.killed().subscriptions) == 0


def test_subscriptions_outlive_an_ordinary_stop(tmp_path: Path) -> None:
    """Calls end with it; a lamp that goes out for an hour would be noticed."""
    ladder = Ladder(journal=tmp_path)
    onward, _ = watching(ladder)
    ladder.parts.stop()

    after = ladder.killed()
    notify(after, onward, 2)


def test_a_phone_on_tls_is_told_when_it_has_registered_again(tmp_path: Path) -> None:
    """RFC 6665 section 4.2.2: a NOTIFY that got 500 with Retry-After comes again, and ends nothing. Nothing goes to the
    phone in clear meanwhile."""
    ladder = Ladder(journal=tmp_path)
    phone = TlsPhone(ladder, 1)
    request = phone.request("SUBSCRIBE", "sip:alice@example.com")
    request.headers.add("Event", "message-summary")
    request.headers.add("Expires", "600")
    phone.sends(request)
    onward = ladder.provider.receives_request("SUBSCRIBE")
    ladder.provider.answers(onward, 200, fields=(("Expires", "600"),))
    phone.receives(200)

    after = ladder.killed(listeners=(TLS_PHONES,))
    event = after.provider.within_answered(onward, "NOTIFY", cseq=1)
    event.headers.add("Event", "message-summary")
    event.headers.add("Subscription-State", "active")
    after.provider.sends(event)
    assert after.provider.receives_response(500).headers.get("Retry-After") == "5"
    after.phone.receives_nothing()
    back = TlsPhone(after, 2)
    event = after.provider.within_answered(onward, "NOTIFY", cseq=2)
    event.headers.add("Event", "message-summary")
    event.headers.add("Subscription-State", "active")
    after.provider.sends(event)
    told = back.receives_request("NOTIFY")
    back.answers(told, 200)
    after.provider.receives(200)


def test_a_stranger_with_the_tags_ends_nothing(tmp_path: Path) -> None:
    """A rebuilt subscription is as bound to its phone's way as it was: tags in clear are no proof."""
    ladder = Ladder(journal=tmp_path)
    _, answer = watching(ladder)

    after = ladder.killed()
    stranger = Party(after, RecordingFlow(PHONES, Address("192.0.2.66", 5060)), "192.0.2.66")
    again = after.phone.within(answer, "SUBSCRIBE")
    again.headers.add("Event", "message-summary")
    again.headers.add("Expires", "0")
    stranger.sends(again)

    stranger.receives(481)
    after.provider.receives_nothing()
    assert len(after.subscriptions) == 1


def test_a_domain_that_is_no_more_has_none(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, _ = watching(ladder)
    (whole,) = kept(ladder)
    name = next(iter(journal_of(ladder).load(0.0)))
    journal_of(ladder).put(name, whole.replace(b'"route":["example.com"', b'"route":["example.org"'))

    after = ladder.killed()

    assert len(after.subscriptions) == 0
    after.provider.sends(after.provider.within_answered(onward, "NOTIFY", cseq=2))
    after.provider.receives(481)


def test_neither_a_body_nor_a_credential_is_kept(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    watching(ladder)
    text = b"".join(kept(ladder)).lower()
    assert b"messages-waiting" not in text
    assert b"authorization" not in text


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, cut: int) -> None:
    ladder = Ladder(journal=tmp_path)
    watching(ladder)
    (whole,) = kept(ladder)
    assert FrozenSubscription.of((whole[:cut],), 0.0) is None
    assert FrozenSubscription.of((whole.replace(b'"form":1', b'"form":0'),), 0.0) is None


def kept(ladder: Ladder) -> tuple[bytes, ...]:
    """The record of the only subscription in the journal."""
    calls, (subscription,) = split(journal_of(ladder).load(0.0))
    assert not calls
    return subscription
