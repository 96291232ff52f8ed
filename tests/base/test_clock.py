"""Time that passes evenly beside a clock that is set."""

import time
from types import SimpleNamespace

from twisted.internet.task import Clock

from gateway.base.clock import let_timers_pass_evenly, passed, steady_time


def test_steady_time_goes_on_from_where_the_clock_stood() -> None:
    wall, clock = [1_000.0], Clock()
    clock.advance(70)
    now = steady_time(lambda: wall[0], clock.seconds)
    assert now() == 1_000
    clock.advance(5)
    wall[0] -= 7_200
    assert now() == 1_005


def test_what_has_passed_never_falls_back() -> None:
    assert 0 < passed() <= passed()


def test_a_reactors_timers_are_counted_by_what_passes() -> None:
    reactor = SimpleNamespace(seconds=time.time)
    let_timers_pass_evenly(reactor)
    assert abs(reactor.seconds() - passed()) < 365 * 86_400, "not seconds since the epoch"
