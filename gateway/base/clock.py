"""Time that passes evenly, even while the system's clock is set.

A machine that starts with a wrong clock gets the right one minutes later, in one step: hours forward or back. Timers
and expiries that were counted by it would all be over at once, or not before hours. So everything that has to last is
counted by the time that has passed, and only people read the system's clock.

| | counts | for |
|---|---|---|
| `timers`, `seconds()` | seconds since any moment, asleep not (CLOCK_MONOTONIC) | delayed calls, time-outs, rates |
| `now()` | seconds since the epoch, asleep too (CLOCK_BOOTTIME) | bindings, nonces, names, sightings, retention |
| `wall()` | seconds since the epoch as the system's clock says | people: call records, audit |

Twisted's reactors count by time.time unless told otherwise (`let_timers_pass_evenly`). The composition root makes one
`Clock`. Pure functions take a time as an argument.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

_LENGTH: Final = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhdw]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def seconds_in(text: str, *, needs_unit: bool = False) -> int | None:
    """The seconds of a length of time as people write it: 90s, 30m, 24h, 7d, 2w, or 90 alone, unless ``needs_unit``;
    None for any other text."""
    found = _LENGTH.fullmatch(text)
    if found is None or (needs_unit and not found["unit"]):
        return None
    return int(found["count"]) * _SECONDS[found["unit"]]


class HasSeconds(Protocol):
    """The part of a reactor that is changed."""

    seconds: Callable[[], float]


def let_timers_pass_evenly(reactor: HasSeconds) -> None:
    """Count a reactor's timers by the monotonic clock. To be called before anything is scheduled."""
    reactor.seconds = time.monotonic


def passed() -> float:
    """Seconds since the machine was started, those asleep among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """The three times of a gateway, and the reactor's timers. Made once, when the process starts."""

    def __init__(
        self, timers: IReactorTime, wall: Callable[[], float] = time.time, passed: Callable[[], float] = passed
    ) -> None:
        self.timers = timers
        """Delayed calls."""
        self.wall = wall
        """Gives seconds since the epoch; goes back and jumps as the system's clock does."""
        self._passed = passed
        self._base = wall() - passed()

    def seconds(self) -> float:
        """Seconds since a moment that means nothing; never goes back."""
        return self.timers.seconds()

    def now(self) -> float:
        """Seconds since the epoch as the system's clock said at the making, and as many as have passed since."""
        return self._base + self._passed()
