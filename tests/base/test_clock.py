"""Time that passes evenly beside a clock that is set."""

import time
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock, let_timers_pass_evenly, passed, seconds_in


def test_steady_time_goes_on_from_where_the_clock_stood() -> None:
    wall, timers = [1_000.0], Timers()
    timers.advance(70)
    clock = Clock(timers, lambda: wall[0], timers.seconds)
    assert (clock.now(), clock.wall(), clock.seconds()) == (1_000, 1_000, 70)
    timers.advance(5)
    wall[0] -= 7_200
    assert (clock.now(), clock.wall(), clock.seconds()) == (1_005, -6_200, 75)


def test_what_has_passed_never_falls_back() -> None:
    assert 0 < passed() <= passed()


def test_a_reactors_timers_are_counted_by_what_passes() -> None:
    reactor = SimpleNamespace(seconds=time.time)
    let_timers_pass_evenly(reactor)
    assert abs(reactor.seconds() - passed()) < 365 * 86_400, "not seconds since the epoch"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600), ("0s", 0)),
        *((text, None) for text in ("", "h", "1.5h", "-1h", "1 h", "1H", "1y", "1h\n", "1234567s", "\u0661h")),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, seconds: int | None) -> None:
    assert seconds_in(text) == seconds
    assert seconds_in(text, needs_unit=True) == (None if text.isdecimal() else seconds)
