"""Shedding by lateness of the clock."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.ingress.overload import TICK, Overload
from tests.support.ladder import AVP, Ladder
from tests.support.parts import NoCrowd
from tests.support.stories import talk


def late(clock: Clock, seconds: float, ticks: int) -> None:
    for _ in range(ticks):
        clock.advance(TICK + seconds)


def test_one_pause_is_no_overload_and_a_queue_is() -> None:
    clock = Clock()
    overload = Overload(clock, NoCrowd())
    overload.start()
    late(clock, 0.6, 1)
    assert not overload.is_shedding
    late(clock, 0.6, 5)
    shedding = [overload.is_shedding]
    late(clock, 0.0, 20)
    assert [*shedding, overload.is_shedding] == [True, False]
    overload.stop()
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("pause", [1.1, 5.0])
def test_one_pause_is_no_overload_however_long(pause: float) -> None:
    """As the rest of a start on a busy machine, which had the first calls refused."""
    clock = Clock()
    overload = Overload(clock, NoCrowd())
    overload.start()
    late(clock, pause, 1)
    late(clock, 0.0, 20)
    assert overload.lateness < 0.1
    assert not overload.is_shedding
    late(clock, pause, 2)
    shedding = [overload.is_shedding]
    overload.stop()
    assert shedding == [True]


def test_new_calls_are_shed_and_emergency_calls_are_not() -> None:
    ladder = Ladder()
    overload = ladder.overload
    overload.is_shedding = True
    ladder.phone.sends(ladder.phone.invite())
    refused = ladder.phone.receives_response(503)
    assert int(refused.headers.get("Retry-After") or 0) > 0
    ladder.provider.receives_nothing()
    ladder.phone.sends(ladder.phone.invite("sip:112@example.com", call_id="c2"))
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    assert ladder.overload.shed == 1


def test_a_call_that_waited_too_long_for_its_turn_is_refused_and_leaves_nothing() -> None:
    ladder = Ladder()
    ladder.crowd.waited = 0.4
    ladder.phone.sends(ladder.phone.invite())
    refused = ladder.phone.receives_response(503)
    assert 5 <= int(refused.headers.get("Retry-After") or 0) <= 15
    assert ladder.transactions.shed == 1
    assert not any(sum(states.values()) for states in ladder.transactions.alive().values())


def test_calls_that_are_up_and_calls_for_help_do_not_mind_how_long_they_waited() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.crowd.waited = 0.4
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    ladder.phone.sends(ladder.phone.invite("sip:112@example.com", call_id="c2"))
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    assert ladder.transactions.shed == 0
