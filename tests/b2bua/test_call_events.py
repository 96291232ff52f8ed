"""The milestones of calls as events: each once, and few for callers that nobody vouches for."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.observe.events import Field
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import ring, talk


def told(ladder: Ladder) -> list[tuple[str, dict[str, Field]]]:
    """Names and fields of the events of calls."""
    events = [event for _, event in ladder.metrics.events.after(0) if event.name.startswith("call")]
    return [(str(event.name), dict(event.fields)) for event in events]


def names(ladder: Ladder) -> list[str]:
    return [name for name, _ in told(ladder)]


def test_an_answered_call_is_told_from_begin_to_end() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.clock.advance(60)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.clock.advance(1)
    assert names(ladder) == ["call.started", "call.answered", "call.ended"]
    (_, started), (_, answered), (_, ended) = told(ladder)
    assert (started["provider"], started["direction"]) == ("main", "outbound")
    assert "echo" in str(started["callee"]) or "alice" in str(started["caller"])
    assert answered["seconds"] == pytest.approx(0)
    assert ended["seconds"] == pytest.approx(60)
    assert ended["status"] == 200
    (record,) = ladder.calls.records()
    assert (ended["verdict"], ended["reason"], ended["ending"]) == (record.verdict, record.reason, record.ending)
    events = [event for _, event in ladder.metrics.events.after(0)]
    assert {(event.call, event.domain) for event in events} == {(record.id, "example.com")}
    assert events[0].source == "192.0.2.11"


def test_a_call_that_was_not_answered_ends_once() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 486)
    ladder.clock.advance(1)
    assert names(ladder) == ["call.started", "call.ended"]


def test_a_call_that_the_policy_refuses_is_told_as_one() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.clock.advance(1)
    assert names(ladder) == ["call.started", "call.refused"]
    assert told(ladder)[-1][1]["verdict"] == "REFUSED"


def test_a_challenge_is_told_as_one_and_not_as_the_end_of_a_call() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 407)
    ladder.clock.advance(1)
    assert names(ladder) == ["call.started", "call.challenged"]


def test_invites_of_strangers_do_not_empty_the_ring() -> None:
    ladder = Ladder()
    stranger = ladder.stranger()
    for number in range(100):
        stranger.sends(stranger.invite(sdp=AVP, call_id=f"c{number}"))
        onward = ladder.provider.receives_request("INVITE")
        ladder.provider.answers(onward, 404)
        ladder.provider.flow.sent.clear()
        ladder.clock.advance(0.01)
    ladder.clock.advance(120)
    assert "call.started" not in names(ladder)
    assert len(told(ladder)) < 30


def test_no_event_of_a_call_holds_a_key() -> None:
    ladder = Ladder()
    _, onward = ring(ladder, SAVP)
    ladder.provider.answers(onward, 486)
    ladder.clock.advance(1)
    assert "inline" not in str(told(ladder))
