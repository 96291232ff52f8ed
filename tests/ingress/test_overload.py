"""Shedding by lateness of the clock."""

from __future__ import annotations

from twisted.internet.task import Clock

from gateway.ingress.overload import TICK, Overload
from tests.support.ladder import Ladder


def late(clock: Clock, seconds: float, ticks: int) -> None:
    for _ in range(ticks):
        clock.advance(TICK + seconds)


def test_one_pause_is_no_overload_and_a_queue_is() -> None:
    clock = Clock()
    overload = Overload(clock)
    overload.start()
    late(clock, 0.6, 1)
    assert not overload.is_shedding
    late(clock, 0.6, 5)
    shedding = [overload.is_shedding]
    late(clock, 0.0, 20)
    assert [*shedding, overload.is_shedding] == [True, False]
    overload.stop()
    assert not clock.getDelayedCalls()


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
