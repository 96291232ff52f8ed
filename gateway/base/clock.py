"""Time that passes evenly, whatever is done to the system's clock.

A machine that starts with a wrong clock gets the right one minutes later, in one step: hours forward or back. Timers
and expiries that were counted by it would all be over at once, or not before hours. So what has to last for a while is
counted by what has passed (CLOCK_BOOTTIME counts time asleep, too), and only what people read is the wall clock's.

    let_timers_pass_evenly(reactor)  -> reactor.seconds() and with it every callLater, LoopingCall and time-out
    steady_time()() -> seconds since the epoch as the clock said at the start: bindings, nonces, names, sightings

Twisted's reactors count by time.time unless told otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class HasSeconds(Protocol):
    """What is changed of a reactor."""

    seconds: Callable[[], float]


def let_timers_pass_evenly(reactor: HasSeconds) -> None:
    """Count a reactor's timers by the monotonic clock. To be called before anything is scheduled."""
    reactor.seconds = time.monotonic


def passed() -> float:
    """Seconds since the machine was started, those asleep among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def steady_time(wall: Callable[[], float] = time.time, passed: Callable[[], float] = passed) -> Callable[[], float]:
    """Gives seconds since the epoch: what the wall clock says at this moment, and what has passed since."""
    base = wall() - passed()
    return lambda: base + passed()
