"""A server of several that falls silent: how soon a call goes to the next one, by the answers that it gave before."""

from __future__ import annotations

import pytest

from gateway.config.model import Provider, Security
from gateway.routing.answer_times import AT_LEAST, COPIES, HEARD_WITHIN
from gateway.sip.message import Request
from tests.support.ladder import Ladder, drain
from tests.support.stories import ring

UDP = Provider("main", "sip:provider.example.com;transport=udp")
SOON = AT_LEAST + COPIES
"""Seconds: two copies follow the INVITE before a server is passed over that always answered at once."""


def rings(ladder: Ladder, call_id: str) -> Request:
    """A call's INVITE at the first server; copies of refusals before are left."""
    ladder.phone_flow.take()
    ladder.phone.sends(ladder.phone.invite(call_id=call_id))
    ladder.phone.receives(100)
    return ladder.clear.receives_request("INVITE")


def forget(ladder: Ladder) -> None:
    """All that the servers got so far: copies, and the INVITE of another one."""
    ladder.clear_flow.take()


def refused_after(ladder: Ladder, call_id: str, seconds: float, status: int = 100) -> None:
    """A call whose first answer takes so long, and that ends."""
    invite = rings(ladder, call_id)
    ladder.clock.advance(seconds)
    forget(ladder)
    if status == 100:
        ladder.clear.answers(invite, 100)
    ladder.clear.answers(invite, 486)
    ladder.clear.receives("ACK")
    ladder.phone.receives(486)


def is_passed_over(ladder: Ladder, invite: Request) -> bool:
    """Whether this call has sent another INVITE than this one and its copies."""
    later = [one for one in drain(ladder.clear) if isinstance(one, Request) and one.call_id == invite.call_id]
    return any(one.method == "INVITE" and one.cseq.number > invite.cseq.number for one in later)


def two_servers() -> Ladder:
    ladder = Ladder(Security.OFF, provider=UDP)
    ladder.servers = 2
    return ladder


def test_a_server_that_always_answered_at_once_is_passed_over_soon() -> None:
    ladder = two_servers()
    refused_after(ladder, "c1", 0.005)
    invite = rings(ladder, "c2")
    ladder.clock.advance(SOON - 0.01)
    assert not is_passed_over(ladder, invite)
    ladder.clock.advance(0.02)
    assert is_passed_over(ladder, invite)


def test_a_refusal_without_100_is_a_first_answer_too() -> None:
    ladder = two_servers()
    refused_after(ladder, "c1", 0.005, 486)
    invite = rings(ladder, "c2")
    ladder.clock.advance(SOON + 0.01)
    assert is_passed_over(ladder, invite)


def test_a_server_that_answered_late_once_has_more_time_at_once() -> None:
    ladder = two_servers()
    refused_after(ladder, "c1", 0.005)
    refused_after(ladder, "c2", 0.7)
    invite = rings(ladder, "c3")
    ladder.clock.advance(3.0)
    assert not is_passed_over(ladder, invite)
    ladder.clock.advance(0.2)
    assert is_passed_over(ladder, invite)


def test_a_server_that_was_passed_over_has_the_longest_time_at_the_next_call() -> None:
    """One that became slow is not passed over for ever."""
    ladder = two_servers()
    refused_after(ladder, "c1", 0.005)
    rings(ladder, "c2")
    ladder.clock.advance(SOON)
    forget(ladder)
    invite = rings(ladder, "c3")
    ladder.clock.advance(HEARD_WITHIN - 0.01)
    assert not is_passed_over(ladder, invite)
    ladder.clock.advance(0.02)
    assert is_passed_over(ladder, invite)


def test_a_server_alone_has_the_longest_time() -> None:
    ladder = Ladder()
    ladder.provider_flow.connected = True
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 486)
    ladder.provider.receives("ACK")
    ladder.phone.receives(486)
    ladder.phone.sends(ladder.phone.invite(call_id="c2"))
    ladder.phone.receives(100)
    ladder.provider.receives_request("INVITE")
    for seconds, told in ((HEARD_WITHIN - 0.01, 0), (0.02, 1)):
        ladder.clock.advance(seconds)
        assert ladder.phone_flow.statuses().count(408) == told


@pytest.mark.parametrize("is_up", [True, False])
def test_a_connection_that_comes_up_counts_for_no_answer_time(is_up: bool) -> None:
    """Its handshake took the time, not the server's answer."""
    ladder = Ladder()
    ladder.servers = 2
    ladder.provider_flow.connected = is_up
    _, onward = ring(ladder)
    ladder.clock.advance(0.3)
    ladder.provider_flow.connected = True
    ladder.provider.answers(onward, 486)
    ladder.phone.receives(486)
    known = ladder.trunk.answer_times.within(ladder.provider_flow)
    assert known == pytest.approx(0.3 + 4 * 0.15 if is_up else HEARD_WITHIN)
