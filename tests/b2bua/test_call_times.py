"""The times of calls and their failures, as Prometheus is told of them."""

from __future__ import annotations

import pytest

from tests.support.ladder import SAVP, Ladder
from tests.support.stories import ring

OUT = {"provider": "main", "direction": "outbound"}


def figure(ladder: Ladder, name: str, **more: str) -> float | None:
    return ladder.metrics.value(f"gateway_{name}", {**OUT, **more})


def test_an_answered_call_tells_its_times() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.clock.advance(2)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    ladder.clock.advance(5)
    ladder.provider.answers(onward, 180)
    assert figure(ladder, "post_dial_delay_seconds_sum") == pytest.approx(2)
    assert figure(ladder, "call_setup_seconds_count") is None
    ladder.provider.answers(onward, 200, sdp=SAVP)
    assert figure(ladder, "call_setup_seconds_sum") == pytest.approx(7)
    for status in (183, 180):
        ladder.phone.receives(status)
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    ladder.provider.receives("ACK")
    ladder.clock.advance(60)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    assert figure(ladder, "call_duration_seconds_sum") == pytest.approx(60)
    assert figure(ladder, "post_dial_delay_seconds_count") == 1
    assert figure(ladder, "call_failures_total", status_class="4xx") is None


def test_an_answer_without_ringing_ends_the_post_dial_delay() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.clock.advance(1)
    ladder.provider.answers(onward, 182)
    assert figure(ladder, "post_dial_delay_seconds_count") == 1
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.clock.advance(3)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    assert figure(ladder, "post_dial_delay_seconds_sum") == pytest.approx(3)


@pytest.mark.parametrize(("status", "told"), [(302, "3xx"), (486, "4xx"), (503, "5xx"), (603, "6xx")])
def test_a_failure_is_told_by_its_class(status: int, told: str) -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, status)
    ladder.clock.advance(1)
    assert figure(ladder, "call_failures_total", status_class=told) == 1
    assert figure(ladder, "call_duration_seconds_count") is None
    assert figure(ladder, "post_dial_delay_seconds_count") is None


def test_a_call_that_its_caller_gave_up_is_told_apart() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    cancel = ladder.phone.request("CANCEL", invite.uri)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    ladder.phone.sends(cancel)
    assert figure(ladder, "call_failures_total", status_class="cancelled") == 1


def test_a_question_for_credentials_is_no_failure() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 407)
    ladder.phone.receives(407)
    assert figure(ladder, "call_failures_total", status_class="4xx") is None
