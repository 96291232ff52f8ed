"""Calls that were being set up when the gateway was killed: ended on both sides by the next one, as ladders."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from gateway.b2bua.survival.frozen_opening import TURNED_AWAY
from gateway.config.model import Provider, Security
from gateway.routing.answer_times import HEARD_WITHIN
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord
from gateway.transport.flow import Address, FlowKey, Transport
from tests.b2bua.survival.test_rebuilt_calls import is_over, journal_of
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, BINDING, PHONES, SAVP, Ladder, drain


def ringing(ladder: Ladder, status: int = 180) -> tuple[Request, Request]:
    """A call of the phone that rings at the provider: both INVITEs."""
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, status)
    if status > 100:
        ladder.phone.receives(status)
    return invite, onward


def record_of(ladder: Ladder) -> CallRecord:
    (record,) = ladder.calls.records()
    return record


def test_rfc3261_section_9_1_the_callee_gets_cancel_and_the_caller_500(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    invite, onward = ringing(ladder)

    after = ladder.killed()

    cancel = after.provider.receives_request("CANCEL")
    assert cancel.top_via.branch == onward.top_via.branch
    assert (cancel.uri, cancel.call_id, cancel.cseq.number) == (onward.uri, onward.call_id, onward.cseq.number)
    after.provider.answers(cancel, 200)
    after.provider.answers(onward, 487)
    ack = after.provider.receives_request("ACK")
    assert ack.top_via.branch == onward.top_via.branch
    refused = after.phone.receives_response(500)
    assert (refused.top_via.branch, refused.to.tag) == (invite.top_via.branch, "tag3")
    record = record_of(after)
    assert (record.status, record.verdict) == (500, "UNANSWERED")
    assert record.ending == "not put through: the gateway was ended before the answer"
    assert after.relay.deleted == [record.id]
    assert is_over(after)


def test_rfc3261_section_17_2_1_the_500_is_sent_again_until_its_ack(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    invite, _ = ringing(ladder)

    after = ladder.killed()
    refused = after.phone.receives_response(500)
    after.clock.advance(0.5)
    after.phone.receives(500)
    after.phone.sends(invite)  # it asks again: a copy finds its answer, and begins no other call
    after.phone.receives(500)
    ack = after.phone.request("ACK", invite.uri, call_id="c1", tags=("f1", refused.to.tag or ""))
    ack.headers.set("Via", invite.headers.get("Via") or "")
    after.phone.sends(ack)
    after.clock.advance(8)

    after.phone.receives_nothing()
    assert is_over(after)


def test_rfc3261_section_13_2_2_4_a_2xx_that_comes_all_the_same_is_hung_up(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    _, onward = ringing(ladder, 100)

    after = ladder.killed()
    after.provider.receives("CANCEL")
    after.provider.answers(onward, 200, sdp=SAVP)

    after.provider.receives("ACK")
    bye = after.provider.receives_request("BYE")
    assert (bye.to.tag, bye.call_id) == ("t1", onward.call_id)


@pytest.mark.parametrize("is_acknowledged", [False, True])
def test_a_callee_that_has_answered_is_hung_up(tmp_path: Path, is_acknowledged: bool) -> None:
    ladder = Ladder(journal=tmp_path)
    invite, onward = ringing(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    if is_acknowledged:
        ladder.phone.acknowledges(invite, answer)

    after = ladder.killed()

    if is_acknowledged:
        assert len(after.calls.active) == 1
        return
    after.provider.receives("ACK")
    after.provider.receives("BYE")
    after.phone.receives(500)
    after.phone.receives("BYE")
    assert is_over(after)


def with_a_late_answer(journal: Path) -> tuple[Ladder, Request, Request]:
    """A call whose first server was given up and answers when the second rings: both INVITEs."""
    ladder = Ladder(Security.OFF, provider=Provider("main", "sip:provider.example.com;transport=udp"), journal=journal)
    ladder.servers = 2
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    late = ladder.clear.receives_request("INVITE")
    ladder.clock.advance(HEARD_WITHIN)
    second = [one for one in drain(ladder.clear) if isinstance(one, Request)][-1]
    assert second.cseq.number > late.cseq.number
    ladder.clear.answers(second, 180, tag="t2")
    ladder.phone.receives(180)
    ladder.clear.answers(late, 200, sdp=AVP, tag="t1")
    ladder.clear.receives("ACK")
    ladder.clear.receives("BYE")
    return ladder, late, second


def test_rfc3261_13_2_2_4_an_answer_too_late_before_the_kill_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    """The INVITE that rings is cancelled (section 9.1), and a caller that has no answer gets no BYE (section 15)."""
    ladder, late, second = with_a_late_answer(tmp_path)

    after = ladder.killed()

    came = [one for one in drain(after.clear) if isinstance(one, Request)]
    assert second.cseq.number in [one.cseq.number for one in came if one.method == "CANCEL"]
    assert [(one.cseq.number, one.to.tag) for one in came if one.method == "ACK"] == [(late.cseq.number, "t1")]
    assert [one.to.tag for one in came if one.method == "BYE"] == ["t1"]
    after.phone.receives(500)
    after.phone.receives_nothing()
    assert is_over(after)


@pytest.mark.parametrize("fault", ["unreadable", "of a listener that is gone"])
def test_an_answer_too_late_that_cannot_be_hung_up_costs_no_call(tmp_path: Path, fault: str) -> None:
    ladder, _, second = with_a_late_answer(tmp_path)
    ladder.clear.answers(second, 200, sdp=AVP, tag="t2")
    ladder.clear.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ((name, pieces),) = journal_of(ladder).load(0.0).items()
    (stray,) = (piece for piece in pieces if piece[:1] == TURNED_AWAY)
    ladder.phone.acknowledges(ladder.phone.invite(), answer)
    broken = TURNED_AWAY + b"[]" if fault == "unreadable" else stray.replace(b'"clear/', b'"gone/')
    assert broken != stray
    for piece in (broken, stray):
        journal_of(ladder).change(name, piece)

    with capturedLogs() as logged:
        after = ladder.killed()

    assert len(after.calls.active) == 1
    assert [(one.method, one.to.tag) for one in drain(after.clear) if isinstance(one, Request)] == [
        ("ACK", "t1"),
        ("BYE", "t1"),
    ]
    (warning,) = (event for event in logged if event["log_level"] is LogLevel.warn)
    assert name in formatEvent(warning)


def test_a_call_that_was_refused_is_not_ended_again(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    _, onward = ringing(ladder)
    ladder.provider.answers(onward, 486)
    ladder.provider.receives("ACK")
    ladder.phone.receives(486)
    ladder.clock.advance(6)
    ladder.tidy()

    after = ladder.killed()

    after.provider.receives_nothing()
    after.phone.receives_nothing()
    assert is_over(after)


def test_a_call_that_was_refused_and_recorded_gets_no_second_record(tmp_path: Path) -> None:
    """Not even where the CDR file with the first one was moved away meanwhile."""
    ladder = Ladder(journal=tmp_path)
    _, onward = ringing(ladder)
    ladder.provider.answers(onward, 486)
    ladder.phone.receives(486)
    ladder.history.ids.clear()  # type: ignore[attr-defined]

    after = ladder.killed()

    assert after.history.ids == []  # type: ignore[attr-defined]


def test_a_challenge_leaves_nothing_behind(tmp_path: Path) -> None:
    """RFC 3261 section 22.2: the caller comes again, and that is the call."""
    ladder = Ladder(journal=tmp_path)
    _, onward = ringing(ladder, 100)
    ladder.provider.answers(onward, 407, fields=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),))
    ladder.provider.receives("ACK")
    ladder.phone.receives(407)

    assert journal_of(ladder).load(0.0) == {}


@pytest.mark.parametrize("name", ["Proxy-Authorization", "Authorization", "proxY-authoriZation", "AUTHORIzATION"])
def test_credentials_and_descriptions_are_not_kept(tmp_path: Path, name: str) -> None:
    """RFC 3261 section 7.3.1: the case of a field's name says nothing."""
    ladder = Ladder(journal=tmp_path)
    invite = ladder.phone.invite()
    invite.headers.add(name, 'Digest username="alice", realm="r", nonce="n", response="5ecre7"')
    ladder.phone.sends(invite)
    assert "5ecre7" in str(ladder.provider.receives_request("INVITE").headers.get(name))

    ((_, pieces),) = journal_of(ladder).load(0.0).items()
    assert len(pieces) == 2
    for piece in pieces:
        assert b"5ecre7" not in piece
        assert b"m=audio" not in piece


def test_a_call_to_a_name_in_any_script_is_cancelled(tmp_path: Path) -> None:
    """RFC 3261 section 9.1: with the Request-URI of its INVITE, whatever bytes that has."""
    ladder = Ladder(journal=tmp_path)
    ladder.phone.sends(ladder.phone.invite("sip:b\u65e5\udcff@example.com"))
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")

    after = ladder.killed()

    assert after.provider.receives_request("CANCEL").uri == onward.uri
    after.phone.receives(500)


def test_a_phone_on_tls_is_cancelled_as_it_comes_back(tmp_path: Path) -> None:
    """It rings on without its connection, and registers again over another one."""
    ladder = Ladder(journal=tmp_path)
    ladder.provider.sends(ladder.provider.invite(f"sip:{BINDING.token}@gw.example.com", SAVP))
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 180)
    name, (opening, invited) = next(iter(journal_of(ladder).load(0.0).items()))
    lost = FlowKey("tls-phones", Transport.TLS, Address("192.0.2.11", 40000), 7)
    journal_of(ladder).put(name, opening)
    journal_of(ladder).change(name, invited.replace(str(BINDING.flow).encode(), str(lost).encode()))
    listener = attrs.evolve(PHONES, name="tls-phones", transport="tls", port=5061)

    after = ladder.killed(listeners=(listener,))
    after.clock.advance(5)
    assert not after.phone.flow.sent  # nothing of it in clear
    back = RecordingFlow(listener, Address("192.0.2.11", 40001), 8)
    after.other_flows[back.key] = back
    after.store.save(attrs.evolve(BINDING, flow=back.key))
    after.clock.advance(1)

    (cancel,) = back.requests("CANCEL")
    assert cancel.call_id == onward.call_id
