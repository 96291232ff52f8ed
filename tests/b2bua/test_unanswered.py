"""The calls that one source may let wait, and the media that it may ask for, before anybody has proved it (RFC 3261
sections 21.5.4 and 26.3.2.4)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from gateway.b2bua.unanswered import MOST_MEDIA, URGENT_PER_SOURCE, CallSource, UnansweredCalls, streams_of
from gateway.config.model import SourceLimits
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.state.call_record import CallDirection, CallRecord
from tests.support.ladder import AVP, Ladder, Party, drain

VIDEO = b"m=video 4002 RTP/AVP 31\r\n"
LIMITS = SourceLimits()


def calls(party: Party, count: int, uri: str = "sip:bob@example.com", first: int = 0) -> Iterator[int]:
    """The final statuses that so many INVITEs get at once, 0 for those that wait."""
    for number in range(first, first + count):
        party.sends(party.invite(uri, call_id=f"{uri}{number}", tags=(f"f{number}", "")))
        statuses = [message.status for message in drain(party) if not hasattr(message, "method")]
        yield max((status for status in statuses if status >= 200), default=0)


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\r"])
def test_a_stranger_asks_for_four_media_at_most_and_more_never_reach_the_relay(ending: bytes) -> None:
    ladder = Ladder()
    stranger = ladder.stranger()
    stranger.sends(stranger.invite(sdp=(AVP + VIDEO * MOST_MEDIA).replace(b"\r\n", ending)))
    assert [message.title for message in drain(stranger)] == ["488 More than 4 media"]
    assert not ladder.relay.asked
    ladder.provider.receives_nothing()
    stranger.sends(stranger.invite(sdp=AVP + VIDEO * (MOST_MEDIA - 1), call_id="c2"))
    assert len(ladder.relay.asked) == 1


def test_a_registered_phone_may_offer_more_media() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite(sdp=AVP + VIDEO * MOST_MEDIA))
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")


def test_a_source_has_so_many_unanswered_calls_and_another_goes_on() -> None:
    ladder = Ladder()
    stranger, limit = ladder.stranger(), LIMITS.unanswered_calls_per_source
    assert set(calls(stranger, limit)) == {0}
    assert set(calls(stranger, 5, first=limit)) == {503}
    assert len(ladder.calls) == limit
    assert set(calls(ladder.phone, 1, first=1000)) == {0}
    assert set(calls(stranger, 1, "sip:112@example.com")) == {0}


def test_an_answer_or_an_end_makes_room() -> None:
    ladder = Ladder()
    stranger, limit = ladder.stranger(), LIMITS.unanswered_calls_per_source
    assert set(calls(stranger, limit)) == {0}
    invites = [message for message in drain(ladder.provider) if message.title == "INVITE"]
    ladder.provider.answers(invites[0], 407)  # type: ignore[arg-type]
    ladder.provider.answers(invites[1], 200, sdp=AVP, tag="answered")  # type: ignore[arg-type]
    drained = list(drain(stranger))
    assert len(drained) == 2
    assert list(calls(stranger, 3, first=limit)) == [0, 0, 503]


def test_rfc5031_a_source_has_a_few_urgent_calls_and_more_are_ordinary_ones() -> None:
    ladder = Ladder()
    stranger = ladder.stranger()
    wishes = []
    ladder.relay.offer = lambda *args, **_: wishes.append(args[3]) or ladder.relay._reply(AVP)  # type: ignore[method-assign,func-returns-value]
    assert set(calls(stranger, URGENT_PER_SOURCE + 1, "sip:112@example.com")) == {0}
    assert [wish.is_urgent for wish in wishes] == [True] * URGENT_PER_SOURCE + [False]


def test_urgent_calls_go_on_above_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.b2bua.calls.CEILING", 3)
    ladder = Ladder()
    assert list(calls(ladder.stranger(), 4)) == [0, 0, 0, 503]
    assert set(calls(ladder.stranger(), 2, "sip:112@example.com")) == {0}


def record(number: int) -> CallRecord:
    return CallRecord(str(number), CallDirection.OUTBOUND, "example.com", "a", "b", 0.0)


def invite(streams: int = 1) -> Request:
    return Request("INVITE", "sip:bob@example.com", body=AVP + VIDEO * (streams - 1))


PORTS = 256
"""For 64 media: a quarter for one source, half for all that are not registered."""


def fill(waiting: UnansweredCalls, source: CallSource, streams: int = 1) -> list[CallRecord]:
    """Calls of this source until it is full."""
    records: list[CallRecord] = []
    while True:
        try:
            waiting.check(source, streams_of(invite(streams)))
        except Refused:
            return records
        records.append(CallRecord(f"{source.name}{len(records)}", CallDirection.OUTBOUND, "example.com", "a", "b", 0.0))
        waiting.add(source, records[-1], streams_of(invite(streams)), is_urgent=False)


def strangers() -> Iterator[CallSource]:
    return (CallSource(f"192.0.2.{number}", False) for number in range(1, 100))


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_a_source_that_is_not_registered_has_a_quarter_of_the_ports(streams: int) -> None:
    waiting = UnansweredCalls(LIMITS, PORTS)
    assert len(fill(waiting, next(strangers()), streams)) == 16 // streams


def test_strangers_together_leave_half_of_the_ports_to_the_registered() -> None:
    waiting = UnansweredCalls(LIMITS, PORTS)
    filled = [fill(waiting, source) for source in strangers()]
    assert list(map(len, filled)) == [16, 16] + [0] * 97
    assert len(fill(waiting, CallSource("sip:alice@example.com", True))) == LIMITS.unanswered_calls_per_phone
    waiting.remove(filled[0][0].id)
    waiting.check(CallSource("192.0.2.4", False), 1)


def test_calls_that_were_answered_count_no_more() -> None:
    waiting = UnansweredCalls(LIMITS, PORTS)
    source = next(strangers())
    for one in fill(waiting, source)[:5]:
        one.answered_at = 1.0
    assert len(fill(waiting, source)) == 5


def test_nothing_is_remembered_of_a_source_without_calls() -> None:
    waiting = UnansweredCalls(attrs.evolve(LIMITS, unanswered_calls_per_source=2), PORTS)
    source = next(strangers())
    records = [record(number) for number in range(4)]
    for number, one in enumerate(records):
        waiting.check(source, 1)
        waiting.add(source, one, 1, is_urgent=number == 3)
        one.answered_at = 1.0
    for one in records:
        waiting.remove(one.id)
    assert len(waiting) == len(waiting._strangers) == len(waiting._places) == 0
    assert waiting._strangers._taken == 0
