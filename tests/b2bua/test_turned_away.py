"""An INVITE that is refused before it is a call has a record, and so has one whose challenge nobody answers."""

from __future__ import annotations

import pytest

from gateway.b2bua.turned_away import COMES_WITHIN, MOST_WAITING
from gateway.config.model import Security
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord
from gateway.state.ended_calls import OF_ONE_SOURCE
from tests.support.ladder import AVP, SAVP, Ladder, Party
from tests.support.stories import ring

CHALLENGE = (("WWW-Authenticate", 'Digest realm="example.com", nonce="n1"'),)


def told(ladder: Ladder) -> list[tuple[str, str, int | None, str]]:
    return [(one.verdict, one.reason, one.status, one.cause) for one in ladder.calls.records()]


def challenged(ladder: Ladder, invite: Request | None = None, caller: Party | None = None) -> None:
    phone = caller or ladder.phone
    phone.sends(invite or phone.invite())
    phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 401, fields=CHALLENGE)
    ladder.provider.receives("ACK")
    phone.receives(401)


def passes(ladder: Ladder, seconds: float) -> None:
    ladder.clock.advance(seconds)
    ladder.calls.turned_away.expire()


def test_a_phone_without_a_password_leaves_a_record_after_a_while() -> None:
    ladder = Ladder(Security.REQUIRED)
    challenged(ladder)
    passes(ladder, COMES_WITHIN - 1)
    assert told(ladder) == []
    passes(ladder, 2)
    said = "the provider answered 401, and the phone did not call again with a password"
    assert told(ladder) == [("UNANSWERED", "CALLER_GAVE_NO_CREDENTIALS", 401, said)]
    passes(ladder, COMES_WITHIN)
    assert len(told(ladder)) == 1


@pytest.mark.parametrize("call_id", ["c1", "another"])
def test_one_that_calls_again_has_the_record_of_that_call_alone(call_id: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    challenged(ladder)
    again = ladder.phone.invite(call_id=call_id, cseq=2)
    again.headers.add("Authorization", 'Digest username="alice", realm="example.com", nonce="n1", response="0"')
    ladder.phone.sends(again)
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 486)
    ladder.phone.receives(486)
    passes(ladder, 2 * COMES_WITHIN)
    assert told(ladder) == [("UNANSWERED", "", 486, "")]


def test_callers_that_wait_are_bounded() -> None:
    ladder = Ladder(Security.REQUIRED)
    stranger = ladder.stranger()
    for number in range(MOST_WAITING + 5):
        challenged(ladder, stranger.invite(f"sip:bob{number}@example.com", call_id=f"c{number}"), stranger)
    passes(ladder, COMES_WITHIN + 1)
    labels = {"domain": "example.com", "direction": "outbound", "verdict": "UNANSWERED"}
    counted = ladder.metrics.value("gateway_calls_total", {**labels, "reason": "CALLER_GAVE_NO_CREDENTIALS"})
    assert counted == MOST_WAITING
    assert len(told(ladder)) == OF_ONE_SOURCE.burst, "nobody vouches for them: the rest is summed"


def test_media_that_no_call_can_have_are_refused_with_a_record() -> None:
    ladder = Ladder(Security.REQUIRED)
    stranger = ladder.stranger()
    stranger.sends(stranger.invite(sdp=AVP + b"m=audio 4002 RTP/AVP 0\r\n" * 8))
    stranger.receives(488)
    ((verdict, reason, status, cause),) = told(ladder)
    assert (verdict, reason, status) == ("UNANSWERED", "MEDIA_UNUSABLE", 488)
    assert cause
    (record,) = ladder.calls.records()
    assert [step.what[:6] for step in record.ladder] == ["INVITE", record.ladder[1].what[:6]]
    assert record.ladder[1].what.startswith("488 ")


def test_a_caller_that_is_not_registered_where_only_those_may_call() -> None:
    ladder = Ladder(Security.REQUIRED, registered_callers_only=True)
    stranger = ladder.stranger()
    stranger.sends(stranger.invite())
    stranger.receives(403)
    said = ("UNANSWERED", "CALLER_NOT_REGISTERED", 403, "Register First")
    assert told(ladder) == [said]
    stranger.sends(stranger.request("MESSAGE", "sip:bob@example.com", call_id="m"))
    stranger.receives(403)
    assert told(ladder) == [said], "a message is no call"


def test_a_phone_whose_connection_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = Ladder(Security.REQUIRED)
    monkeypatch.setattr(ladder, "flow", lambda key: None)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(480)
    assert told(ladder) == [("UNANSWERED", "PHONE_UNREACHABLE", 480, "The phone's connection is gone")]
    (record,) = ladder.calls.records()
    assert (record.direction, record.result) == ("inbound", "failed")


def full(ladder: Ladder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.b2bua.calls.CEILING", 0)
    monkeypatch.setattr("gateway.b2bua.calls.RESERVE", 0)


def test_one_call_too_many_has_a_record_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = Ladder(Security.REQUIRED)
    full(ladder, monkeypatch)
    for number in range(40):
        ladder.phone.sends(ladder.phone.invite(call_id=f"c{number}"))
        ladder.phone.receives(503)
    assert {one[:3] for one in told(ladder)} == {("UNANSWERED", "TOO_MANY_CALLS", 503)}
    assert len(told(ladder)) == OF_ONE_SOURCE.burst


def test_an_emergency_call_that_finds_no_room_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = Ladder(Security.REQUIRED)
    full(ladder, monkeypatch)
    ladder.phone.sends(ladder.phone.invite("sip:112@example.com"))
    ladder.phone.receives(503)
    (record,) = ladder.calls.records()
    assert isinstance(record, CallRecord)
    assert record.is_emergency
    assert ladder.metrics.value("gateway_emergency_calls_total", {"result": "failed"}) == 1


def test_a_call_that_ends_well_waits_for_nobody() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 404)
    ladder.phone.receives(404)
    passes(ladder, 2 * COMES_WITHIN)
    assert len(told(ladder)) == 1
